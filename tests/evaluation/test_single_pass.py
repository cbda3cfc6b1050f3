"""The figure is that of the one pass in order, for every model and every number of streams."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from charlm.config import ModelConfig
from charlm.data.vocab import UNK, UNK_ID, Ids, Vocab
from charlm.evaluation import single_pass
from charlm.evaluation.evaluator import evaluate
from charlm.model.network import CharLM

V = 9
VOCAB = Vocab("char", (UNK, *"abcdefgh"), (0,) * V)
IDS = np.random.default_rng(0).integers(0, V, 20_000).astype(np.uint8)
STREAMS = [1, 8, 64, 200]
# How much a model remembers: weights as they start; many times as large, so that its state never
# forgets where it began; and larger still.
GAINS = {"settled": 1.0, "unsettled": 6.0, "wild": 40.0}


@pytest.fixture(autouse=True)
def short_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short text has 64 of them."""
    monkeypatch.setattr(single_pass, "SHORTEST_STREAM", 200)
    monkeypatch.setattr("charlm.evaluation.evaluator.SHORTEST_STREAM", 200)


def model_of(gain: float = 1.0, **settings: object) -> CharLM:
    torch.manual_seed(0)
    config = ModelConfig(**{"hidden_size": 24, "embedding_size": 8, **settings})
    model = CharLM(config, V)
    for name, weight in model.rnn.named_parameters():
        if name.startswith("weight_hh"):
            weight.data *= gain
    return model


def plainly(model: CharLM, ids: Ids) -> tuple[float, float]:
    """All nats, and those of the unknown targets: one stream, in the evaluator's windows."""
    tokens, state, sums = torch.from_numpy(ids.astype(np.int64))[:, None], None, np.zeros(2)
    with torch.inference_mode():
        for begin in range(0, len(ids) - 1, single_pass.WINDOW):
            window = tokens[begin : begin + single_pass.WINDOW + 1]
            logits, state = model(window[:-1], state)
            targets = window[1:].flatten()
            nats = F.cross_entropy(logits.flatten(0, 1).double(), targets, reduction="none")
            sums += [nats.sum().item(), nats[targets == UNK_ID].sum().item()]
    return float(sums[0]), float(sums[1])


def nats_per_token(model: CharLM, ids: Ids = IDS) -> list[float]:
    return [evaluate(model, ids, VOCAB, streams=n).nats_per_token for n in STREAMS]


CELLS = [
    {"rnn_type": "rnn"}, {"rnn_type": "gru"}, {"rnn_type": "lstm"},
    {"rnn_type": "rnn", "nonlinearity": "relu"}, {"rnn_type": "gru", "num_layers": 2},
    {"rnn_type": "lstm", "num_layers": 2, "proj_size": 12},
    {"rnn_type": "lstm", "implementation": "scratch"},
    {"rnn_type": "gru", "implementation": "scratch"},
    {"rnn_type": "rnn", "implementation": "scratch", "embedding_size": 0},
]  # fmt: skip


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(map(str, cell.values())))
@pytest.mark.parametrize("gain", GAINS.values(), ids=GAINS)
def test_every_number_of_streams_gives_the_figure_of_one(
    cell: dict[str, object], gain: float
) -> None:
    model = model_of(gain, **cell)
    nats, unknown = (part / (len(IDS) - 1) for part in plainly(model, IDS))
    for streams in STREAMS:
        score = evaluate(model, IDS, VOCAB, streams=streams)
        assert score.tokens == len(IDS) - 1
        if not math.isfinite(nats):
            assert not math.isfinite(score.nats)
            continue
        assert score.nats_per_token == pytest.approx(nats, abs=1e-6)
        assert score.known_nats is not None
        of_unknown = (score.nats - score.known_nats) / score.tokens
        assert of_unknown == pytest.approx(unknown, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(2, 3000), streams=st.integers(1, 20), gain=st.floats(0.1, 8),
    cell=st.sampled_from(["rnn", "gru", "lstm"]),
)  # fmt: skip
def test_whatever_the_lengths(length: int, streams: int, gain: float, cell: str) -> None:
    model = model_of(gain, rnn_type=cell, hidden_size=8)
    ids = IDS[:length]
    found = evaluate(model, ids, VOCAB, streams=streams)
    assert found.nats_per_token == pytest.approx(plainly(model, ids)[0] / (length - 1), abs=1e-6)
    assert (found.tokens, found.unknown) == (length - 1, np.count_nonzero(ids[1:] == UNK_ID))
