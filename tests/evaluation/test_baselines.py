"""The baselines are what their formulas say."""

import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.data.text import tokenize
from charlm.data.vocab import TokenCounter, Vocab, build_vocab
from charlm.evaluation.baselines import Baselines, baselines, interpolated, xz

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
    counter = TokenCounter(level)
    counter.add(train)
    vocab = build_vocab(counter)
    return vocab.encode(train), vocab.encode(scored), vocab


@pytest.mark.parametrize("level", ["char", "word"])
def test_what_is_known_by_heart_costs_nothing(level: str) -> None:
    text = "the quick brown fox jumps over the lazy dog and runs away\n" * 50
    found = baselines(*prepared(text, text[:400], level))
    assert found.order_5 < 0.05
    assert found.xz < found.unigram
    assert found.unigram > (1 if level == "char" else 2)
    assert len(tokenize(text[:400], level)) > 50


def test_xz_packs_what_it_has_seen() -> None:
    train, scored, vocab = prepared("abcdefghij" * 200, "jihgfedcba" * 40)
    assert xz(train, train[:400], vocab) < xz(train, scored, vocab)


def test_what_the_training_text_lacks_is_scored_too() -> None:
    train, scored, vocab = prepared("ab" * 100, "abxyab")
    assert vocab.unknown("xy") == ["x", "y"]
    assert all(map(math.isfinite, baselines(train, scored, vocab).to_dict().values()))


def test_they_are_shown_as_perplexities() -> None:
    shown = str(Baselines(unigram=math.log(20), order_5=math.log(5), xz=math.log(8)))
    assert shown == "unigram 20.000, order-5 5.000, xz 8.000"
