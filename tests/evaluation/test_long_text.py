"""A long text read side by side is the text read in one stream."""

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.data.vocab import Vocab
from charlm.evaluation import long_text, scores
from charlm.evaluation.long_text import read_text
from charlm.evaluation.scores import Scorer
from charlm.generation.stepper import Stepper
from charlm.model.network import CharLM, weights_of

VOCAB = Vocab("char", ("<unk>", *"\nabcdefg"), (0, *range(8, 0, -1)))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is long here, so that a test takes a moment."""
    for module in (long_text, scores):
        monkeypatch.setattr(module, "LONG", 500)
    monkeypatch.setattr(long_text, "SHORTEST_STREAM", 90)
    monkeypatch.setattr(long_text, "FIRST_MARK", 16)


def stepper_of(kind: str, scale: float) -> Stepper:
    """scale: of the weights; large ones make a model that never forgets."""
    torch.manual_seed(3)
    config = ModelConfig(rnn_type=kind, embedding_size=5, hidden_size=12, num_layers=2)
    weights = weights_of(CharLM(config, len(VOCAB)).eval())
    return Stepper(config, {name: scale * array for name, array in weights.items()})


def read(stepper: Stepper, ids: np.ndarray) -> tuple[np.ndarray, list]:
    """The logits after each symbol, the last that were put, and the state at the end."""
    found, state = np.full((len(ids), len(VOCAB)), np.nan, np.float32), stepper.start()
    stepper.read([1, 2, 3], state)
    read_text(stepper, ids, state, lambda places, logits: found.__setitem__(places, logits))
    return found, state


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize(("size", "scale"), [(1001, 1.0), (720, 1.0), (499, 1.0), (900, 40.0)])
def test_side_by_side_is_one_after_the_other(
    kind: str, size: int, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepper = stepper_of(kind, scale)
    ids = np.random.default_rng(0).integers(1, len(VOCAB), size)
    found, state = read(stepper, ids)
    monkeypatch.setattr(long_text, "LONG", size + 1)
    expected, at_end = read(stepper, ids)
    np.testing.assert_allclose(found, expected, atol=2e-4 * scale)
    for part, other in zip(state, at_end, strict=True):
        np.testing.assert_allclose(part.h, other.h, atol=2e-4)
        np.testing.assert_allclose(part.products, other.products, atol=2e-4 * scale)


def test_a_state_that_settles_is_read_once_and_little_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(long_text, "SHORTEST_STREAM", 1000)
    stepper, counts = stepper_of("lstm", 1.0), {"places": 0, "calls": 0}

    def put(places: np.ndarray, logits: np.ndarray) -> None:
        counts["places"] += len(places)
        counts["calls"] += 1

    ids = np.random.default_rng(1).integers(1, len(VOCAB), 30_000)
    read_text(stepper, ids, stepper.start(), put)
    assert 30_000 < counts["places"] < 36_000
    assert counts["calls"] < 1500


def test_a_long_line_has_the_figures_of_one_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    scorer = Scorer(stepper_of("gru", 1.0), VOCAB, details=True, on_scored=counted.append)
    generator = np.random.default_rng(2)
    lines = [generator.integers(0, len(VOCAB), size) for size in (40, 777, 3, 500)]
    found = scorer.afresh(lines)
    # The first of each long one aside.
    assert sum(counted) == sum(map(len, lines)) - 2
    carried = list(scorer.in_order(lines))
    monkeypatch.setattr(scores, "LONG", 1000)
    monkeypatch.setattr(long_text, "LONG", 1000)
    for expected, seen in zip(
        [*scorer.afresh(lines), *scorer.in_order(lines)], [*found, *carried], strict=True
    ):
        np.testing.assert_allclose(seen.nats, expected.nats, atol=1e-4)
        assert seen.details is not None
        assert expected.details is not None
        assert np.mean(seen.details.rank == expected.details.rank) > 0.99
        np.testing.assert_allclose(seen.details.likelihood, expected.details.likelihood, atol=1e-4)
