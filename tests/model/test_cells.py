"""The cells from scratch, and the faster RNN and GRU, are those of torch.nn: outputs, states and
gradients."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from charlm.model import cells, recurrence
from charlm.model.cells import gru_step, lstm_step, rnn_step, unroll

T, B, X, H = 7, 3, 5, 6
TWINS = {
    "rnn": (cells.RNN, nn.RNN, {}),
    "relu": (cells.RNN, nn.RNN, {"nonlinearity": "relu"}),
    "gru": (cells.GRU, nn.GRU, {}),
    "lstm": (cells.LSTM, nn.LSTM, {}),
    "projected": (cells.LSTM, nn.LSTM, {"proj_size": 4}),
    "faster rnn": (recurrence.RNN, nn.RNN, {}),
    "faster gru": (recurrence.GRU, nn.GRU, {}),
}
CASES = list(product(TWINS, (1, 3), (True, False), (True, False)))


def flat(state: Tensor | tuple[Tensor, Tensor]) -> list[Tensor]:
    return list(state) if isinstance(state, tuple) else [state]


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(("name", "layers", "bias", "given"), CASES)
def test_a_cell_is_its_twin(name: str, layers: int, bias: bool, given: bool) -> None:
    ours_of, theirs_of, options = TWINS[name]
    torch.manual_seed(0)
    ours = ours_of(X, H, layers, bias=bias, **options).double()
    theirs = theirs_of(X, H, layers, bias=bias, **options).double()
    theirs.load_state_dict(ours.state_dict())  # the same names and shapes

    x = torch.randn(T, B, X, dtype=torch.float64, requires_grad=True)
    state = None
    if given:
        _, zero = theirs(x)
        parts = [torch.randn_like(part) for part in flat(zero)]
        state = (parts[0], parts[1]) if len(parts) == 2 else parts[0]

    results = []
    for module in (ours, theirs):
        outputs, last = module(x, state)
        loss = outputs.square().sum() + sum(part.sin().sum() for part in flat(last))
        gradients = torch.autograd.grad(loss, [x, *module.parameters()])
        named = dict(zip(["x", *(n for n, _ in module.named_parameters())], gradients, strict=True))
        results.append([outputs, *flat(last), *(named[key] for key in sorted(named))])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_gradients_of_a_step_are_those_of_the_function() -> None:
    torch.manual_seed(0)
    gradcheck = torch.autograd.gradcheck
    assert gradcheck(
        lambda x, h, u: rnn_step(x, h, u, torch.tanh)[0],
        (random(B, H), random(B, H), random(H, H)),
    )
    assert gradcheck(
        lambda x, a, h, u: gru_step(x, a, h, u)[0],
        (random(B, H), random(B, 3 * H), random(B, H), random(H, 3 * H)),
    )
    assert gradcheck(
        lambda x, h, c, u, r: lstm_step(x, (h, c), u, r)[1],
        (random(B, 4 * H), random(B, 4), random(B, H), random(4, 4 * H), random(H, 4)),
    )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [recurrence.RNN, recurrence.GRU, cells.RNN, cells.GRU, cells.LSTM])
def test_gradients_of_a_sequence_are_those_of_the_function(
    kind: type[nn.Module], bias: bool
) -> None:
    torch.manual_seed(0)
    module = kind(X, H, 2, bias=bias).double()
    names = [name for name, _ in module.named_parameters()]

    def outputs(x: Tensor, h: Tensor, *weights: Tensor) -> Tensor:
        state = (h, h.cos()) if kind is cells.LSTM else h
        given = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(module, given, (x, state))[0]

    weights = [parameter.detach().requires_grad_() for parameter in module.parameters()]
    inputs = (random(3, 2, X), random(2, 2, H), *weights)
    assert torch.autograd.gradcheck(outputs, inputs, fast_mode=True)


def test_the_loop_carries_the_state() -> None:
    inputs = torch.arange(5.0).reshape(5, 1, 1)
    outputs, last = unroll(lambda x, s: (x + s, x + s), [inputs], torch.zeros(1, 1))
    assert outputs.flatten().tolist() == [0, 1, 3, 6, 10]
    assert last.item() == 10


def test_dropout_is_between_layers_and_in_training_alone() -> None:
    torch.manual_seed(0)
    x = torch.randn(T, B, X)
    one, two = (cells.GRU(X, H, layers, dropout=0.5) for layers in (1, 2))
    assert torch.equal(one(x)[0], one(x)[0])
    assert not torch.equal(two(x)[0], two(x)[0])
    two.eval()
    assert torch.equal(two(x)[0], two(x)[0])


def test_a_network_of_both_kinds_trains_alike() -> None:
    from charlm.config import ModelConfig
    from charlm.model.network import CharLM, load_weights, weights_of

    for cell in ("rnn", "gru", "lstm"):
        torch.manual_seed(0)
        models = [
            CharLM(ModelConfig(rnn_type=cell, hidden_size=H, implementation=kind), 9)
            for kind in ("torch", "scratch")
        ]
        load_weights(models[1], weights_of(models[0]))
        ids = torch.randint(9, (T, B))
        for model in models:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
            for _ in range(5):
                loss = nn.functional.cross_entropy(
                    model(ids[:-1])[0].flatten(0, 1), ids[1:].ravel()
                )
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
        for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
