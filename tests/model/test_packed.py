"""What stands in for the layers on a GPU is what they are, on whatever device it is tried."""

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from charlm.config import Config
from charlm.model import packed
from charlm.model.network import CharLM
from charlm.model.packed import PackedLayers, packed_for
from charlm.settings import configured

# oneDNN has no layers with projections, which is no news.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")
MODELS = [
    {"rnn_type": "lstm", "num_layers": 3},
    {"rnn_type": "lstm", "num_layers": 2, "proj_size": 5, "bias": False},
    {"rnn_type": "gru", "num_layers": 2, "bidirectional": True},
    {"rnn_type": "rnn", "nonlinearity": "relu", "num_layers": 2, "embedding_size": 0},
    {"rnn_type": "lstm"},
]


def model_of(**settings: Any) -> CharLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "embedding_size": 8, **settings}
    return CharLM(configured(Config(), {"model": sizes}).model, 11)


def work(model: CharLM, layers: PackedLayers | None) -> tuple[list[Tensor], list[Tensor]]:
    """Of two windows, the state carried: outputs and state, and the gradients of all parameters."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(11, (2, 7, 3), generator=generator)
    _, state = model.read(ids[0], None, layers)
    outputs, after = model.read(ids[1], state, layers)
    copies = layers.copies if layers else {}
    followed = [copies.get(p, p) for p in model.parameters()]
    loss = outputs.float().square().sum()
    gradients = torch.autograd.grad(loss, followed, allow_unused=True)
    states = after if isinstance(after, tuple) else (after,)
    return [outputs, *states], [g for g in gradients if g is not None]


@pytest.mark.parametrize("settings", MODELS, ids=str)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_copies_do_what_the_layers_do(settings: dict[str, Any], dropout: float) -> None:
    """With some dropped between them, if nothing is: one call after the other, layer by layer."""
    dropout *= settings.get("num_layers", 1) > 1
    model = model_of(**settings, dropout=dropout).eval()
    layers = PackedLayers(model.rnn, torch.float32)
    layers.take()
    assert len(layers._calls) == (model.rnn.num_layers if dropout else 1)
    for found, expected in zip(work(model, layers), work(model, None), strict=True):
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", MODELS, ids=str)
def test_in_half_the_precision_all_of_them_is_in_it_and_nearly_the_same(
    settings: dict[str, Any],
) -> None:
    model = model_of(**settings)
    layers = PackedLayers(model.rnn, torch.bfloat16)
    layers.take()
    assert all(copy.dtype == torch.bfloat16 for copy in layers.copies.values())
    assert set(layers.copies) == set(model.rnn.parameters())
    (values, gradients), (exact, exact_gradients) = work(model, layers), work(model, None)
    # Also where autocast would have it otherwise.
    with torch.autocast("cpu", torch.float16):
        outputs, _ = layers(torch.zeros(2, 3, model.rnn.input_size), None)
    assert {part.dtype for part in (outputs, *values)} == {torch.bfloat16}
    for a, b in zip([*values, *gradients], [*exact, *exact_gradients], strict=True):
        assert torch.linalg.vector_norm(a - b) < 0.05 * torch.linalg.vector_norm(b)


def test_what_is_dropped_between_layers_is_torch_s_own_chance_and_half_of_it() -> None:
    """So that it goes on where a resume point, which has that chance, was saved."""
    model = model_of(num_layers=2, dropout=0.5)
    layers = PackedLayers(model.rnn, torch.float32)
    layers.take()
    torch.manual_seed(5)
    chance = torch.get_rng_state()
    first, second = (work(model, layers)[0][0] for _ in range(2))
    torch.set_rng_state(chance)
    again = work(model, layers)[0][0]
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    # The calls drop nothing by themselves, on a device that has a chance of its own.
    assert all(call.dropout == 0 for call in layers._calls)


def test_to_make_copies_takes_nothing_from_chance_and_frozen_ones_stay_frozen() -> None:
    model = model_of(num_layers=2)
    model.rnn.weight_hh_l0.requires_grad_(False)
    before = torch.get_rng_state()
    layers = PackedLayers(model.rnn, torch.bfloat16)
    assert torch.equal(torch.get_rng_state(), before)
    frozen = [own for own, copy in layers.copies.items() if not copy.requires_grad]
    assert frozen == [model.rnn.weight_hh_l0]


@pytest.mark.parametrize(
    ("settings", "precision", "calls"),
    [
        ({}, "float32", None),
        ({}, "bfloat16", 1),
        ({"num_layers": 3}, "bfloat16", 1),
        ({"num_layers": 3, "dropout": 0.2}, "float32", 3),
        ({"dropout": 0.2}, "float32", None),
        ({"implementation": "scratch", "num_layers": 2, "dropout": 0.2}, "float32", None),
    ],
)
def test_on_a_gpu_they_are_used_where_the_layers_would_not_do(
    settings: dict[str, Any], precision: str, calls: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(**settings)
    assert packed_for(model, precision) is None  # on a CPU
    monkeypatch.setattr(packed, "_on_cudnn", lambda rnn: isinstance(rnn, nn.RNNBase))
    monkeypatch.setattr(packed, "_pack", lambda rnn: None)
    found = packed_for(model, precision)
    assert (found and len(found._calls)) == calls


def test_bfloat16_is_packed_as_cudnn_wants_it_where_it_knows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torch.backends.cudnn import rnn as cudnn

    asked: list[Any] = []
    monkeypatch.setattr(packed, "_on_cudnn", lambda rnn: True)
    monkeypatch.setattr(torch, "_cudnn_rnn_flatten_weight", lambda *what: asked.append(what))
    monkeypatch.setattr(cudnn, "get_cudnn_mode", lambda mode: mode)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    model = model_of(rnn_type="gru", num_layers=2, bidirectional=True)
    for version, packs in ((91002, 0), (91300, 1)):
        monkeypatch.setattr(torch.backends.cudnn, "version", lambda version=version: version)
        asked.clear()
        layers = PackedLayers(model.rnn, torch.bfloat16)
        assert len(asked) == packs
    weights, *sizes = asked[0]
    assert all(a is b for a, b in zip(weights, layers._calls[0]._flat_weights, strict=True))
    assert sizes == [4, 8, "GRU", 16, 0, 2, False, True]
