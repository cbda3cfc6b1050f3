"""Whether what is held out at the end of a text is like the rest of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# The text is looked at in so many places, at so many tokens at most in each.
PLACES, TOKENS = 1000, 1000
# What is held out is unlike the rest if it is so many bits, and so many times, further from it than
# as many tokens taken from all over the text are. Of real texts that go on as they began, Tiny
# Shakespeare comes nearest: 0.0033 bits; of lists, the least is one by falling frequency: 0.0058.
BITS, TIMES = 0.005, 4.0
# So many ways of taking tokens from all over the text are tried.
WAYS = 5


def is_unlike(held_out: npt.NDArray[Any], rest: npt.NDArray[Any]) -> bool:
    """Whether the tokens of a held-out part (ids) are distributed unlike those of the rest.

    The measure is the Jensen-Shannon divergence, from 0 to 1 bits.
    """
    share = len(held_out) / max(1, len(held_out) + len(rest))
    count = round(PLACES * share)
    if not 0 < count < PLACES:
        return False
    places = [*_places(rest, PLACES - count), *_places(held_out, count)]
    all_counts = _counts(places, 0)
    apart = round(1 / share)
    spread = [
        _divergence(counts, all_counts - counts)
        for counts in (
            _counts(places[way::apart], len(all_counts)) for way in range(min(WAYS, apart))
        )
    ]
    counts = _counts(places[-count:], len(all_counts))
    found, usual = _divergence(counts, all_counts - counts), float(np.mean(spread))
    return found - usual >= BITS and found >= TIMES * usual


def _places(ids: npt.NDArray[Any], count: int) -> list[npt.NDArray[Any]]:
    starts = np.linspace(0, len(ids), count + 1).astype(np.int64)
    ends = np.minimum(starts[1:], starts[:-1] + TOKENS)
    return [ids[start:end] for start, end in zip(starts, ends, strict=False)]


def _counts(places: Sequence[npt.NDArray[Any]], width: int) -> npt.NDArray[np.intp]:
    return np.bincount(np.concatenate(places), minlength=width)


def _divergence(one: npt.NDArray[np.intp], other: npt.NDArray[np.intp]) -> float:
    shares = np.stack([one, other]) / np.array([[max(1, one.sum())], [max(1, other.sum())]])
    mean = shares.mean(0)
    seen = shares > 0
    logs = np.log2(shares, out=np.zeros_like(shares), where=seen)
    bits = np.log2(mean, out=np.zeros_like(mean), where=mean > 0)
    return float((shares * (logs - bits)).sum() / 2)
