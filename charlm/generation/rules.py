"""Rules on logits, and one draw. No torch."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.config import GenerationConfig
from charlm.data.vocab import UNK_ID

# (B, V), each row's largest 0; what is ruled out at -inf. A rule keeps the largest at 0.
Logits = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float64]  # (B,), or (B, V)
Allowed = npt.NDArray[np.bool_]  # (B, V), or (V,)
Rule = Callable[[Logits], Logits]

# What float32 holds, at most 3.4e38, is divided by a larger one without an overflow.
LEAST_SAFE_TEMPERATURE = 1e-200


def with_temperature(value: float) -> Rule:
    """Below 1 the likely become likelier; 0 leaves the likeliest alone."""
    if value == 0:
        return with_top_k(1)
    if value > LEAST_SAFE_TEMPERATURE:
        return lambda logits: logits / value

    def rule(logits: Logits) -> Logits:
        # 1e-300 is a temperature too: what it takes below every number becomes -inf.
        with np.errstate(over="ignore"):
            return logits / value

    return rule


def with_top_k(k: int) -> Rule:
    """The k likeliest; of equals, those with the smaller ids."""

    def rule(logits: Logits) -> Logits:
        size = logits.shape[1]
        if k >= size:
            return logits
        least = np.partition(logits, size - k, axis=1)[:, size - k]
        return _likeliest(logits, least, np.full(len(logits), k))

    return rule


def with_top_p(p: float) -> Rule:
    """The likeliest until their probabilities sum to p (nucleus sampling, Holtzman et al. 2020)."""

    def rule(logits: Logits) -> Logits:
        ranked = -np.sort(-logits, axis=1)
        sums = np.exp(ranked).cumsum(axis=1)
        # As many as have less than p before them, so that the one that reaches p is kept.
        counts = 1 + (sums[:, :-1] < p * sums[:, -1:]).sum(axis=1)
        return _likeliest(logits, ranked[np.arange(len(ranked)), counts - 1], counts)

    return rule


def with_typical(mass: float) -> Rule:
    """Those whose surprise is the nearest to the one expected, until their probabilities sum to
    `mass` (locally typical sampling, Meister et al. 2023); the likeliest may not be among them."""

    def rule(logits: Logits) -> Logits:
        shares = np.exp(logits)
        totals = np.add.reduce(shares, axis=1)[:, None]
        shares /= totals
        surprises = np.log(totals) - logits
        expected = (shares * np.where(shares > 0, surprises, 0)).sum(axis=1)
        distances = np.abs(surprises - expected[:, None])
        order = np.argsort(distances, axis=1, kind="stable")
        sums = np.take_along_axis(shares, order, axis=1).cumsum(axis=1)
        counts = 1 + (sums[:, :-1] < mass * sums[:, -1:]).sum(axis=1)
        farthest = np.take_along_axis(distances, order, axis=1)[np.arange(len(sums)), counts - 1]
        return restricted(logits, _highest(-distances, -farthest, counts))

    return rule


def restricted(logits: Logits, allowed: Allowed) -> Logits:
    """Those allowed alone, of each row at least one, shifted so that its largest is 0 again."""
    kept = np.where(allowed, logits, -np.inf)
    kept -= np.maximum.reduce(kept, axis=1)[:, None]
    return kept


def _likeliest(logits: Logits, least: Numbers, counts: npt.NDArray[np.intp]) -> Logits:
    """The likeliest, so many (B,) of each row, the last of them at `least` (B,)."""
    return np.where(_highest(logits, least, counts), logits, -np.inf)


def _highest(values: Numbers, least: Numbers, counts: npt.NDArray[np.intp]) -> Allowed:
    """So many (B,) of each row, the last of them at `least` (B,); of equals, the smaller ids.

    No ranking of ids is needed for it, which takes the most time in a large vocabulary.
    """
    kept = values >= least[:, None]
    if np.count_nonzero(kept) > np.add.reduce(counts):
        equal = values == least[:, None]
        wanted = counts - (kept & ~equal).sum(axis=1)
        kept &= ~equal | (equal.cumsum(axis=1) <= wanted[:, None])
    return kept


def with_min_p(share: float) -> Rule:
    """Those at least `share` times as likely as the likeliest."""
    return lambda logits: np.where(logits >= np.log(share), logits, -np.inf)


# Setting -> (the value that means "no rule", what makes the rule); applied in this order. To add a
# rule: its function, its line here, and its field in GenerationConfig, which makes it an option.
RULES: dict[str, tuple[float, Callable[[Any], Rule]]] = {
    "temperature": (1.0, with_temperature),
    "top_k": (0, with_top_k),
    "top_p": (1.0, with_top_p),
    "typical": (1.0, with_typical),
    "min_p": (0.0, with_min_p),
}


def rules_of(settings: GenerationConfig) -> list[Rule]:
    """The rules that the settings ask for."""
    return [
        make(getattr(settings, name))
        for name, (no_rule, make) in RULES.items()
        if getattr(settings, name) != no_rule
    ]


def relative(
    logits: npt.NDArray[np.floating[Any]],
) -> tuple[Logits, Numbers]:
    """What rules work on, in double precision, and each row's largest, by which it was shifted."""
    largest = np.maximum.reduce(logits, axis=1)
    return np.subtract(logits, largest[:, None], dtype=np.float64), largest


def surprises(logits: npt.NDArray[np.float32], model: Logits, largest: Numbers) -> Numbers:
    """(B, V + 1), and what `relative` made of all but <unk>, (B, V) -> the nats of each of these.

    <unk>, the first, is never drawn, but the model gives it its share.
    """
    sums = np.add.reduce(np.exp(model), axis=1)
    with np.errstate(invalid="ignore"):  # of numbers that have overflown, which the caller sees
        rest = np.subtract(logits[:, UNK_ID], largest, dtype=np.float64)
        log_sums = np.logaddexp(np.log(sums), rest)
        nats: Numbers = log_sums[:, None] - model
    return nats


def cumulated(logits: Logits) -> Numbers:
    """(B, V): the cumulative distribution of each row, up to a factor."""
    sums: Numbers = np.add.accumulate(np.exp(logits), axis=1)
    return sums


def draw(sums: Numbers, uniform: Sequence[float]) -> list[int]:
    """One place a row, by inverting a cumulative distribution at a number in [0, 1)."""
    return [inverted(row, number) for row, number in zip(sums, uniform, strict=True)]


def inverted(row: Numbers, number: float) -> int:
    """The place of a row's cumulative distribution, up to a factor, at a number in [0, 1)."""
    total = row.item(-1)
    # Right of equals: what has probability zero, the same sum as before, is never hit.
    place = int(row.searchsorted(number * total, "right"))
    return place if place < len(row) else int(row.searchsorted(total))
