"""A line of a text with what a model made of it, as views show it."""

from dataclasses import dataclass


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
