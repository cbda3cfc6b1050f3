"""A line of a text with what a model made of it, as views show it."""

import math
from dataclasses import dataclass

from charlm.data.text import tokenize
from charlm.data.vocab import Vocab
from charlm.evaluation.lines import ReadLine


@dataclass(frozen=True)
class ScoredLine:
    """A line as it is shown: of each token its text, its surprise, and what was expected.

    bits: None where a token has no surprise. rank: 1 for the likeliest; 0 for <unk>. expected: the
    likeliest tokens and their probabilities, the likeliest first; empty where not asked for.
    """

    tokens: tuple[str, ...]
    bits: tuple[float | None, ...]
    rank: tuple[int, ...] = ()
    expected: tuple[tuple[tuple[str, float], ...], ...] = ()


def scored_line(line: ReadLine, vocab: Vocab) -> ScoredLine:
    """A line as it was read and scored."""
    tokens, bits = tuple(tokenize(line.read, vocab.level)), tuple(bits_of(line))
    details = line.score.details
    if details is None:
        return ScoredLine(tokens, bits)
    expected = tuple(
        tuple((vocab.tokens[i], share) for i, share in zip(ids, shares, strict=True) if share > 0)
        for ids, shares in zip(details.expected.tolist(), details.likelihood.tolist(), strict=True)
    )
    return ScoredLine(tokens, bits, tuple(details.rank.tolist()), expected)


def bits_of(line: ReadLine) -> list[float | None]:
    """Of each token; None where it has none."""
    bits = line.score.nats / math.log(2)
    return [None if math.isnan(value) else value for value in bits.tolist()]
