"""The baselines are what their formulas say."""

import dataclasses
import math
import tracemalloc
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.data.text import tokenize
from charlm.data.vocab import Vocab
from charlm.evaluation.baselines import (
    LEAST_FOR_XZ,
    Baselines,
    _decoded,
    baselines,
    interpolated,
    xz,
)
from tests.vocabularies import vocab_of

TEXTS = st.text(alphabet="abc", min_size=1, max_size=40)


def plainly(train: list[int], scored: list[int], size: int, order: int) -> float:
    """Witten-Bell by dictionaries, one token at a time."""
    followers: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for i, token in enumerate(train):
        for length in range(min(i, order) + 1):
            followers[tuple(train[i - length : i])][token] += 1

    def probability(context: tuple[int, ...], token: int) -> float:
        lower = probability(context[1:], token) if context else 1 / size
        seen = followers.get(context)
        if not seen:
            return lower
        return (seen[token] + len(seen) * lower) / (seen.total() + len(seen))

    total = 0.0
    for i in range(1, len(scored)):
        total -= math.log(probability(tuple(scored[max(0, i - order) : i]), scored[i]))
    return total / (len(scored) - 1)


@given(train=TEXTS, scored=TEXTS.filter(lambda text: len(text) > 1))
def test_interpolation_is_the_formula(train: str, scored: str) -> None:
    ids = [[ord(c) - ord("a") for c in text] for text in (train, scored)]
    found = interpolated(np.array(ids[0]), np.array(ids[1]), 4, 5)
    for order in range(6):
        assert found[order] == pytest.approx(plainly(*ids, 4, order))


def prepared(train: str, scored: str, level: str = "char") -> tuple[Any, Any, Vocab]:
    vocab = vocab_of(train, level)
    return vocab.encode(train), vocab.encode(scored), vocab


@pytest.mark.parametrize("level", ["char", "word"])
def test_what_is_known_by_heart_costs_nothing(level: str) -> None:
    text = "the quick brown fox jumps over the lazy dog and runs away\n" * 50
    scored = text if level == "char" else text * 3
    found = baselines(*prepared(text, scored, level))
    assert found.order_5 < 0.05
    assert found.xz is not None
    assert 0 < found.xz < found.unigram
    assert found.unigram > (1 if level == "char" else 2)
    assert len(tokenize(scored, level)) > LEAST_FOR_XZ


def test_xz_packs_what_it_has_seen() -> None:
    train, scored, vocab = prepared("abcdefghij" * 200, "jihgfedcba" * 40)
    assert xz(train, train[:400], vocab) < xz(train, scored, vocab)


def test_of_a_text_of_a_few_characters_xz_says_nothing() -> None:
    """Sizes are whole bytes: of a few characters they would give a perplexity of 1."""
    train, scored, vocab = prepared("abcdefghij" * 200, "abcdefghij" * 200)
    short = baselines(train, scored[:LEAST_FOR_XZ], vocab)
    assert short.xz is None
    assert "xz" not in str(short)
    assert short.to_dict()["xz"] is None
    assert baselines(train, scored[: LEAST_FOR_XZ + 1], vocab).xz is not None


@given(text=st.text(alphabet="abcdefghijklmnop", min_size=1, max_size=60), words=st.booleans())
def test_xz_counts_single_bytes(text: str, words: bool) -> None:
    """A container rounds its size up to four bytes, which many characters then cost nothing."""
    level = "word" if words else "char"
    train, scored, vocab = prepared(" ".join("abcdefghijklmnop"), " ".join(text), level)
    assert xz(train, np.concatenate([scored, scored, scored]), vocab) > 0


@pytest.mark.parametrize("level", ["char", "word"])
def test_what_xz_packs_is_the_text(level: str) -> None:
    _, ids, vocab = prepared("naïve 龙 \U0001f600 ab", "ab 龙 x naïve \U0001f600", level)
    assert _decoded(ids, vocab).decode() == vocab.decode(int(i) for i in ids)


def test_of_a_long_text_a_part_is_scored_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    train, scored, vocab = prepared("abcdefghij" * 200, "ab" * 100)
    whole = baselines(train, scored, vocab)
    assert (whole.tokens, whole.whole) == (199, True)
    monkeypatch.setattr("charlm.evaluation.baselines.MOST_SCORED", 100)
    part = baselines(train, scored, vocab)
    assert (part.tokens, part.whole) == (100, False)
    assert part == dataclasses.replace(baselines(train, scored[:101], vocab), whole=False)


def test_memory_for_a_token_is_bounded() -> None:
    """Nine million tokens are read: at 80 bytes each they take no more than 720 MB."""
    train = np.random.default_rng(0).integers(0, 60, 1_000_000).astype(np.uint8)
    tracemalloc.start()
    try:
        interpolated(train, train[:100_000], 60, 5)
        assert tracemalloc.get_traced_memory()[1] < 80 * 1_100_000
    finally:
        tracemalloc.stop()


def test_what_the_training_text_lacks_is_scored_too() -> None:
    train, scored, vocab = prepared("ab" * 100, "abxyab")
    assert vocab.unknown("xy") == ["x", "y"]
    found = baselines(train, scored, vocab)
    assert math.isfinite(found.unigram)
    assert math.isfinite(found.order_5)


def test_they_are_shown_as_perplexities() -> None:
    found = Baselines(unigram=math.log(20), order_5=math.log(5), xz=math.log(8), tokens=9)
    assert str(found) == "unigram 20.000, 5 characters of context 5.000, xz 8.000"
    assert "5 words of context 5.000" in str(dataclasses.replace(found, unit="word"))
    assert found.to_dict() == {
        "unigram": math.log(20), "order_5": math.log(5), "xz": math.log(8), "tokens": 9,
    }  # fmt: skip
