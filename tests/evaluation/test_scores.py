"""A line's surprise is the same in whatever company it is read, and torch's to 1e-5."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from charlm.config import ModelConfig
from charlm.data.vocab import Vocab
from charlm.errors import ModelError
from charlm.evaluation import scores
from charlm.evaluation.scores import LineScore, Scorer
from charlm.generation.stepper import Stepper
from charlm.model.network import CharLM, weights_of

LETTERS = "\nabcdefghi"
VOCAB = Vocab("char", ("<unk>", *LETTERS), (0, *range(len(LETTERS), 0, -1)))
CONFIG = ModelConfig(embedding_size=5, hidden_size=12, num_layers=2)


@pytest.fixture(scope="module")
def model() -> CharLM:
    torch.manual_seed(0)
    return CharLM(CONFIG, len(VOCAB)).eval()


@pytest.fixture(scope="module")
def stepper(model: CharLM) -> Stepper:
    return Stepper(CONFIG, weights_of(model))


@pytest.fixture(scope="module")
def lines() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(1, len(VOCAB), n) for n in generator.integers(0, 30, 40)]


def by_torch(model: CharLM, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nats of all ids but the first, and the likelihoods (T, V) that they are from."""
    with torch.no_grad():
        logits, _ = model(torch.from_numpy(ids[:-1])[:, None])
        log_likelihood = F.log_softmax(logits[:, 0].double(), dim=1).numpy()
    return -log_likelihood[np.arange(len(ids) - 1), ids[1:]], np.exp(log_likelihood)


def test_a_line_begins_afresh_after_a_line_break(
    model: CharLM, stepper: Stepper, lines: list[np.ndarray]
) -> None:
    lines = [line for line in lines if len(line)]
    for line, score in zip(lines, Scorer(stepper, VOCAB).afresh(lines), strict=True):
        expected, _ = by_torch(model, np.array([VOCAB["\n"], *line]))
        np.testing.assert_allclose(score.nats, expected, atol=1e-5)
        assert score.tokens == len(line)
        assert score.total == pytest.approx(expected.sum(), abs=1e-4)


@pytest.mark.parametrize("streams", [1, 3, 8, 9, 100])
def test_company_makes_no_difference(
    stepper: Stepper, lines: list[np.ndarray], streams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Scorer(stepper, VOCAB, details=True)
    alone = [scorer.afresh([line])[0] for line in lines]
    monkeypatch.setattr(scores, "STREAMS", streams)
    for one, other in zip(alone, scorer.afresh(lines), strict=True):
        np.testing.assert_allclose(one.nats, other.nats, atol=1e-5)
        np.testing.assert_array_equal(one.ids, other.ids)
        assert one.details is not None
        assert other.details is not None
        np.testing.assert_array_equal(one.details.rank, other.details.rank)
        np.testing.assert_allclose(one.details.likelihood, other.details.likelihood, atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_lines_in_order_are_one_text(
    model: CharLM, stepper: Stepper, lines: list[np.ndarray], at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("charlm.generation.stepper.READ_AT_ONCE", at_once)
    expected, likelihood = by_torch(model, np.concatenate(lines))
    found = list(Scorer(stepper, VOCAB, details=True).in_order(lines))
    assert [score.ids.tolist() for score in found] == [line.tolist() for line in lines]
    nats = np.concatenate([score.nats for score in found])
    assert np.isnan(nats[0])
    np.testing.assert_allclose(nats[1:], expected, atol=1e-5)
    ids = np.concatenate(lines)
    ranks = np.concatenate([score.details.rank for score in found if score.details])
    best = np.concatenate([score.details.expected for score in found if score.details])
    shares = np.concatenate([score.details.likelihood for score in found if score.details])
    known = likelihood[:, 1:]
    order = np.argsort(-known, axis=1) + 1
    np.testing.assert_array_equal(best[1:], order[:, :3])
    np.testing.assert_allclose(shares[1:], -np.sort(-known, axis=1)[:, :3], atol=1e-5)
    assert [order[t].tolist().index(ids[t + 1]) + 1 for t in range(len(order))] == ranks[
        1:
    ].tolist()


@pytest.mark.parametrize("seen", [0, 3])
def test_unknown_tokens_are_counted_and_never_silently_zero(
    model: CharLM, stepper: Stepper, seen: int
) -> None:
    vocab = Vocab("char", VOCAB.tokens, (seen, *VOCAB.counts[1:]))
    [score] = Scorer(stepper, vocab, details=True).afresh([np.array([2, 0, 3], np.uint8)])
    expected, _ = by_torch(model, np.array([VOCAB["\n"], 2, 0, 3]))
    assert score.unknown == 1
    assert score.left_out == (0 if seen else 1)
    assert score.tokens == (3 if seen else 2)
    kept = [0, 1, 2] if seen else [0, 2]
    assert score.total == pytest.approx(expected[kept].sum(), abs=1e-5)
    assert score.details is not None
    assert score.details.rank[1] == 0


def test_beside_a_very_long_line_there_are_few(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [np.ones(n, np.int64) for n in (3, 400, 2, 90, 1, 0, 4)]
    expected = Scorer(stepper, VOCAB).afresh(lines)
    shapes = []

    class Table(scores._Table):
        def __init__(self, shape: tuple[int, int], *, details: bool) -> None:
            shapes.append(shape)
            super().__init__(shape, details=details)

    monkeypatch.setattr(scores, "_Table", Table)
    monkeypatch.setattr(scores, "PLACES", 200)
    for one, other in zip(expected, Scorer(stepper, VOCAB).afresh(lines), strict=True):
        np.testing.assert_allclose(one.nats, other.nats, atol=1e-5)
    assert shapes == [(1, 400), (2, 90), (4, 3)]


def test_a_line_of_nothing_has_no_figure(stepper: Stepper) -> None:
    [empty] = Scorer(stepper, VOCAB).afresh([np.array([], np.uint8)])
    assert (empty.tokens, empty.score("char")) == (0, None)
    assert Scorer(stepper, VOCAB).afresh([]) == []
    nothing = LineScore(np.array([0]), np.array([np.nan]))
    assert nothing.score("char") is None


def test_of_two_symbols_two_are_expected() -> None:
    vocab = Vocab("char", ("<unk>", "a", "b"), (0, 2, 1))
    torch.manual_seed(0)
    stepper = Stepper(CONFIG, weights_of(CharLM(CONFIG, 3)))
    [score] = Scorer(stepper, vocab, details=True).afresh([np.array([1, 2, 1])])
    assert score.details is not None
    assert (score.details.expected[:, 2] == 0).all()
    assert (score.details.likelihood[:, 2] == 0).all()


def test_a_model_that_grows_beyond_all_numbers_is_no_cheap_one(model: CharLM) -> None:
    huge = Stepper(CONFIG, {name: np.full_like(w, 1e38) for name, w in weights_of(model).items()})
    scorer = Scorer(huge, VOCAB)
    with pytest.raises(ModelError, match="beyond all bounds"):
        scorer.afresh([np.array([1, 2])])
    with pytest.raises(ModelError, match="beyond all bounds"):
        list(scorer.in_order([np.array([1]), np.array([2])]))


def test_what_has_no_likelihood_is_refused_too(model: CharLM) -> None:
    weights = {name: weight.copy() for name, weight in weights_of(model).items()}
    weights["head.bias"][1:3] = 3e38, -3e38
    with pytest.raises(ModelError, match="beyond all bounds"):
        Scorer(Stepper(CONFIG, weights), VOCAB).afresh([np.array([1, 2])])
