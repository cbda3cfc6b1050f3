"""The figure is that of the one pass in order, for every model and every number of streams."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from charlm.config import ModelConfig
from charlm.data import shards
from charlm.data.masks import MaskShape
from charlm.data.shards import ShardedIds
from charlm.data.vocab import UNK, UNK_ID, Ids, Vocab
from charlm.evaluation import single_pass
from charlm.evaluation.evaluator import evaluate, evaluate_masked
from charlm.model.network import CharLM

V = 9
VOCAB = Vocab("char", (UNK, *"abcdefgh"), (0,) * V)
IDS = np.random.default_rng(0).integers(0, V, 7_000).astype(np.uint8)
STREAMS = [1, 8, 64, 200]
# How much a model remembers: weights as they start; many times as large, so that its state never
# forgets where it began; and larger still.
GAINS = {"settled": 1.0, "unsettled": 6.0, "wild": 40.0}


@pytest.fixture(autouse=True)
def short_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short text has 64 of them."""
    monkeypatch.setattr(single_pass, "SHORTEST_STREAM", 100)
    monkeypatch.setattr("charlm.evaluation.evaluator.SHORTEST_STREAM", 200)


def model_of(gain: float = 1.0, **settings: object) -> CharLM:
    torch.manual_seed(0)
    config = ModelConfig(**{"hidden_size": 16, "embedding_size": 8, **settings})
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


def tokens_read(model: CharLM, streams: int, **options: int) -> list[int]:
    """The rows of each call of the model, times its steps."""
    read = list[int]()
    model.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0].numel()))
    evaluate(model, IDS, VOCAB, streams=streams, **options)
    return read


def test_a_state_that_settles_is_read_again_no_further_than_the_first_look() -> None:
    again = 7 * single_pass.FIRST_MARK
    assert sum(tokens_read(model_of(rnn_type="gru"), 8)) == len(IDS) - 1 + again
    assert sum(tokens_read(model_of(rnn_type="gru"), 1)) == len(IDS) - 1


def test_a_state_that_does_not_settle_costs_a_bounded_time_more_than_one_stream() -> None:
    model = model_of(GAINS["unsettled"], rnn_type="rnn")
    streams, calls = 8, []
    model.register_forward_pre_hook(lambda module, inputs: calls.append(inputs[0].shape))
    evaluate(model, IDS, VOCAB, streams=streams)
    assert sum(steps for steps, rows in calls if rows == 1) >= len(IDS) - 1
    mending = [steps for steps, rows in calls if 1 < rows < streams]
    assert 0 < sum(mending) <= single_pass.MENDING_SHARE * len(IDS)


def test_of_a_text_that_does_not_settle_a_part_can_be_enough() -> None:
    unsettled = model_of(GAINS["unsettled"], rnn_type="rnn")
    part = evaluate(unsettled, IDS, VOCAB, streams=8, unsettled_tokens=1000)
    assert part == evaluate(unsettled, IDS[:1001], VOCAB, streams=1)
    assert evaluate(model_of(), IDS, VOCAB, streams=8, unsettled_tokens=1000).tokens == 6_999
    # One stream from the start is no fault of the state.
    assert evaluate(unsettled, IDS, VOCAB, streams=1, unsettled_tokens=1000).tokens == 6_999


def forgetful_rnn() -> CharLM:
    """Each unit keeps all but a hundredth of its state: long, though not for ever."""
    model = model_of(rnn_type="rnn")
    with torch.no_grad():
        model.rnn.weight_hh_l0.copy_(0.99 * torch.eye(16))
        model.rnn.weight_ih_l0 *= 0.05
    return model


def test_what_changes_a_stream_to_its_end_goes_on_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A memory longer than two streams: the third must be mended more than once."""
    monkeypatch.setattr(single_pass, "MENDING_SHARE", math.inf)
    model = forgetful_rnn()
    rounds = list[int]()
    mend = single_pass.SinglePass._mend

    def counted(*arguments: Any) -> Any:
        changed, left = mend(*arguments)
        rounds.append(len(changed))
        return changed, left

    monkeypatch.setattr(single_pass.SinglePass, "_mend", counted)
    nats = evaluate(model, IDS, VOCAB, streams=70).nats
    assert len(rounds) > 2
    assert rounds[0] > 1
    assert rounds[-1] == 0
    assert nats / len(IDS) == pytest.approx(plainly(model, IDS)[0] / len(IDS), abs=1e-7)


@pytest.mark.parametrize("window", [1, 7, 100, 10_000])
def test_nothing_is_left_out_whatever_the_window(
    monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    """A large vocabulary makes for short windows, which need not fit the marks."""
    model, ids, streams = model_of(), IDS[:1001], 5
    whole = plainly(model, ids)[0]
    monkeypatch.setattr(single_pass, "LARGEST_LOGITS", window * streams * V)
    assert evaluate(model, ids, VOCAB, streams=streams).nats == pytest.approx(whole, rel=1e-6)


def test_streams_are_really_cut() -> None:
    """The figures above would mean nothing if one stream did all the work."""
    model, widths = model_of(rnn_type="gru"), set[int]()
    model.register_forward_pre_hook(lambda module, inputs: widths.add(inputs[0].shape[1]))
    evaluate(model, IDS, VOCAB, streams=5)
    # All of them; all but the first, mended; and what the cutting left over.
    assert widths == {5, 4, 1}


def test_cells_far_apart_deep_in_saturation_are_the_same() -> None:
    h = torch.zeros(1, 5, 4)
    c = torch.full((1, 5, 4), 50.0)
    other = c.clone()
    for row, cell in enumerate((90.0, 0.5, math.nan, -50.0, 12.0)):
        other[0, row, row % 4] = cell
    assert single_pass._same((h, c), (h, other)).tolist() == [True, False, False, False, False]
    assert single_pass._same(h + 1e-6, h).all()
    assert not single_pass._same(h + 1e-3, h).any()
    # A state without bounds, as relu has it, is compared with its size.
    assert single_pass._same(h + 1000.01, h + 1000).all()


@pytest.mark.parametrize("length", [1, 63, 64, 65, 1000, 10**8])
def test_marks_lead_to_the_end(length: int) -> None:
    marks = single_pass._marks(length)
    assert marks[-1] == length
    assert marks == sorted(set(marks))
    assert len(marks) < 60
    assert all(later <= 2 * earlier for earlier, later in pairwise(marks))


def test_progress_is_told_and_begins_again_in_one_stream() -> None:
    told = list[tuple[int, int]]()
    for model in (model_of(), model_of(GAINS["unsettled"], rnn_type="rnn")):
        evaluate(model, IDS, VOCAB, streams=8, on_scored=lambda *what: told.append(what))
    assert all(streams in (1, 8) for streams, _ in told)
    assert {tokens for streams, tokens in told if streams == 1} >= {single_pass.WINDOW, 6_999}
    eight = [tokens for streams, tokens in told if streams == 8]
    assert max(eight) == 6_999 // 8 * 8
    assert eight[: len(eight) // 2] == sorted(eight[: len(eight) // 2])


def test_where_there_is_no_double_precision_none_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MPS refuses a float64: what it gives is brought to the CPU before it is made one."""
    whole = plainly(model_of(), IDS)[0]
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: OnTheCPU(self.numpy().copy()))
    monkeypatch.setattr(torch.Tensor, "double", refuse)
    with torch.inference_mode():
        without = single_pass.SinglePass(model_of(), IDS, lambda *_: None)
        without._precise = torch.float32
        assert without.in_one_stream(len(IDS) - 1)[0] == pytest.approx(whole, rel=1e-6)
    bidirectional = model_of(bidirectional=True)
    score = evaluate_masked(bidirectional, IDS, VOCAB, window=50, mask=MaskShape(0.15, 3, 0.7))
    assert math.isfinite(score.nats)


class OnTheCPU(torch.Tensor):
    """A tensor that has come from another device, and may be made double."""

    @staticmethod
    def __new__(cls: type, values: Any) -> Any:
        return torch.from_numpy(values).as_subclass(cls)

    def __init__(self, values: Any) -> None:
        pass

    def double(self) -> torch.Tensor:
        return self.as_subclass(torch.Tensor).to(torch.float64)


def refuse(tensor: torch.Tensor) -> None:
    raise TypeError("Cannot convert a MPS Tensor to float64 dtype")


class Unread(ShardedIds):
    """Ids of which nobody is to read all."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise AssertionError("read all at once")


def test_a_text_beyond_memory_is_read_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charlm.evaluation.evaluator.SHORTEST_STREAM", 100)
    monkeypatch.setattr("charlm.evaluation.evaluator.BLOCK", 700)
    monkeypatch.setattr(shards, "READ_AT_ONCE", 3_500)
    pieces = np.split(IDS, [1_000, 5_000])
    ids: Any = Unread(pieces, [Path(f"{k}.bin") for k in range(3)], len(VOCAB))
    model, mask = model_of(), MaskShape(0.15, 3, 0.7)
    for streams in (1, 8):
        whole = evaluate(model, IDS, VOCAB, streams=streams)
        assert evaluate(model, ids, VOCAB, streams=streams) == whole
    fills = model_of(bidirectional=True)
    found = evaluate_masked(fills, ids, VOCAB, window=50, mask=mask)
    assert found == evaluate_masked(fills, IDS, VOCAB, window=50, mask=mask)
