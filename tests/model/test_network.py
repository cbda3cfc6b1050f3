"""What must hold of the network for every cell, depth and kind of input."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from charlm.config import ModelConfig
from charlm.model.cells import State
from charlm.model.network import (
    IMPLEMENTATIONS,
    CharLM,
    carry,
    load_weights,
    map_state,
    weights_of,
)
from charlm.model.shapes import expected_shapes

V, H, T, B = 11, 6, 9, 3

CASES = [
    ModelConfig(rnn_type=cell, num_layers=layers, embedding_size=width, hidden_size=H, bias=bias,
                tied=width == H)
    for cell, (layers, width, bias) in product(
        IMPLEMENTATIONS["torch"], [(1, 4, True), (3, 0, True), (2, H, False)]
    )
] + [
    ModelConfig(rnn_type="rnn", nonlinearity="relu", embedding_size=4, hidden_size=H),
    ModelConfig(rnn_type="lstm", num_layers=2, proj_size=4, embedding_size=4, hidden_size=H,
                tied=True),
]  # fmt: skip
CASES += [replace(config, implementation="scratch") for config in CASES]
every_case = pytest.mark.parametrize(
    "config", CASES, ids=lambda c: (
        f"{c.rnn_type}-{c.num_layers}-{c.embedding_size}-{c.implementation}"
        f"{'-relu' * (c.nonlinearity == 'relu')}{'-projected' * (c.proj_size > 0)}"
    ),
)  # fmt: skip


def model_of(config: ModelConfig) -> CharLM:
    torch.manual_seed(0)
    return CharLM(config, V).double().eval()


def ids(seed: int = 0, steps: int = T) -> Tensor:
    return torch.randint(V, (steps, B), generator=torch.Generator().manual_seed(seed))


def parts(state: State) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


@every_case
def test_shapes(config: ModelConfig) -> None:
    logits, state = model_of(config)(ids())
    assert logits.shape == (T, B, V)
    assert len(parts(state)) == (2 if config.rnn_type == "lstm" else 1)
    assert [part.shape[2] for part in parts(state)] == [config.output_size, H][: len(parts(state))]
    assert {part.shape[:2] for part in parts(state)} == {(config.num_layers, B)}


@every_case
def test_one_long_sequence_is_its_chunks_with_the_state_carried(config: ModelConfig) -> None:
    model, text = model_of(config), ids()
    whole, last = model(text)
    state, chunks = None, []
    for chunk in text.split([1, 3, 5]):
        logits, state = model(chunk, state)
        chunks.append(logits)
    torch.testing.assert_close(torch.cat(chunks), whole)
    assert state is not None
    torch.testing.assert_close(parts(state), parts(last))


@every_case
def test_streams_do_not_see_each_other(config: ModelConfig) -> None:
    model, text = model_of(config), ids()
    whole, _ = model(text)
    for b in range(B):
        torch.testing.assert_close(model(text[:, [b]])[0], whole[:, [b]])


@every_case
def test_nothing_sees_the_future_and_everything_sees_the_past(config: ModelConfig) -> None:
    model = model_of(config)
    inputs = torch.zeros(T, B, V, dtype=torch.float64).scatter_(2, ids()[..., None], 1.0)
    inputs.requires_grad_()
    embedded = inputs if model.embedding is None else inputs @ model.embedding.weight
    outputs = model.head(model.rnn(embedded)[0])
    torch.testing.assert_close(outputs, model(ids())[0])
    for t in range(T):
        (gradient,) = torch.autograd.grad(outputs[t].square().sum(), inputs, retain_graph=True)
        seen = gradient.abs().sum(dim=(1, 2)) > 0
        assert seen.tolist() == [s <= t for s in range(T)]


@every_case
def test_gradients_are_those_of_the_function(config: ModelConfig) -> None:
    model, text = model_of(config), ids(steps=3)
    names = [name for name, _ in model.named_parameters()]

    def loss(*weights: Tensor) -> Tensor:
        named = dict(zip(names, weights, strict=True))
        logits, _ = functional_call(model, named, (text,))
        result: Tensor = logits.logsumexp(-1).mean()
        return result

    # Along random directions: of single steps, test_cells.py checks each number.
    assert torch.autograd.gradcheck(loss, tuple(model.parameters()), fast_mode=True)


@every_case
def test_its_tensors_are_those_that_a_run_expects(config: ModelConfig) -> None:
    shapes = {name: array.shape for name, array in weights_of(model_of(config)).items()}
    assert shapes == expected_shapes(config, V)


@every_case
def test_weights_put_into_another_model_make_it_the_same(config: ModelConfig) -> None:
    torch.manual_seed(1)
    one, other = CharLM(config, V).eval(), CharLM(config, V).eval()
    load_weights(other, weights_of(one))
    torch.testing.assert_close(one(ids())[0], other(ids())[0], rtol=0, atol=0)


@pytest.mark.parametrize("cell", IMPLEMENTATIONS["torch"])
def test_recurrent_weights_start_orthogonal(cell: str) -> None:
    model = CharLM(ModelConfig(rnn_type=cell, hidden_size=H, num_layers=2), V)
    for layer in range(2):
        for gate in getattr(model.rnn, f"weight_hh_l{layer}").split(H):
            torch.testing.assert_close(gate @ gate.T, torch.eye(H))
    plain = CharLM(ModelConfig(rnn_type=cell, hidden_size=H, init="torch"), V)
    gate = plain.rnn.weight_hh_l0[:H]
    assert not torch.allclose(gate @ gate.T, torch.eye(H))


@pytest.mark.parametrize("cell", IMPLEMENTATIONS["torch"])
def test_normal_weights_are_small_and_biases_zero(cell: str) -> None:
    config = ModelConfig(rnn_type=cell, hidden_size=64, init="normal", forget_bias=0.0)
    for parameter in CharLM(config, V).parameters():
        if parameter.ndim > 1:
            assert 0.008 < parameter.std() < 0.012
        else:
            assert parameter.eq(0).all()


@pytest.mark.parametrize("cell", IMPLEMENTATIONS["torch"])
def test_the_torch_start_is_torchs(cell: str) -> None:
    config = ModelConfig(rnn_type=cell, hidden_size=H, embedding_size=4, init="torch")
    torch.manual_seed(0)
    model = CharLM(config, V)
    torch.manual_seed(0)
    torch.nn.Embedding(V, 4)
    twin = IMPLEMENTATIONS["torch"][cell](4, H)
    for ours, theirs in zip(model.rnn.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_forget_gate_starts_at_its_bias() -> None:
    model = CharLM(ModelConfig(hidden_size=H, forget_bias=1.5), V)
    total = (model.rnn.bias_ih_l0 + model.rnn.bias_hh_l0).detach()
    assert total.split(H)[1].eq(1.5).all()
    assert torch.cat([total[:H], total[2 * H :]]).eq(0).all()


def test_tied_matrices_are_one() -> None:
    model = CharLM(ModelConfig(embedding_size=H, hidden_size=H, tied=True), V)
    assert model.head.weight is model.embedding.weight
    assert len(list(model.parameters())) == len(weights_of(model))


def test_dropout_works_with_one_layer_and_not_in_evaluation() -> None:
    model = CharLM(ModelConfig(hidden_size=H, dropout=0.5), V)
    assert not torch.equal(model(ids())[0], model(ids())[0])
    model.eval()
    assert torch.equal(model(ids())[0], model(ids())[0])


def test_a_carried_state_is_zeroed_where_asked() -> None:
    model = model_of(ModelConfig(hidden_size=H))
    _, state = model(ids())
    carried = carry(state, torch.tensor([1.0, 0.0, 1.0]))
    assert carried is not None
    for before, after in zip(parts(state), parts(carried), strict=True):
        assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])
        assert after[:, 1].eq(0).all()


def test_map_state_reaches_every_part() -> None:
    one = torch.ones(1, 1, 1)
    assert parts(map_state((one, one), lambda part: part * 2)) == (one * 2, one * 2)


def test_dropout_zeroes_the_same_units_at_every_step_and_none_in_evaluation() -> None:
    torch.manual_seed(0)
    model = CharLM(ModelConfig(hidden_size=50, embedding_size=5, dropout=0.4), V)
    seen: list[torch.Tensor] = []
    model.head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0] == 0))
    ids = torch.zeros(6, 4, dtype=torch.int64)
    model.train()(ids)
    model.eval()(ids)
    dropped, none = seen
    assert 0.3 < dropped[0].float().mean() < 0.5
    assert (dropped == dropped[0]).all()
    assert not torch.equal(dropped[0, 0], dropped[0, 1])
    assert not none.any()
