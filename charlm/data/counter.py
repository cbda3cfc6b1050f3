"""How often each token of a text stands in it."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.data.code_points import CODE_POINTS, code_points, latin_1
from charlm.data.text import tokenize


class TokenCounter:
    """Counts the tokens of a text that comes in pieces, and remembers which came first."""

    def __init__(self, level: str) -> None:
        self.level = level
        self.total = 0
        self._words: Counter[str] = Counter()
        self._frequency = np.zeros(CODE_POINTS if level == "char" else 0, dtype=np.int64)
        self._order: list[int] = []

    def add(self, piece: str) -> None:
        if self.level != "char":
            words = tokenize(piece, self.level)
            self._words.update(words)
            self.total += len(words)
            return
        codes: npt.NDArray[Any]
        if (latin := latin_1(piece)) is None:
            codes = code_points(piece)
            counts = np.bincount(codes)
        else:
            codes = np.frombuffer(latin, dtype=np.uint8)
            counts = _count_bytes(codes)
        self.total += len(codes)
        seen = self._frequency[: len(counts)]
        new = np.flatnonzero((counts > 0) & (seen == 0))
        if len(new):
            self._order.extend(_by_first_appearance(codes, new))
        seen += counts

    def add_counted(self, later: "TokenCounter") -> None:
        """As if the text that `later` has counted had been added here."""
        if self.level != "char":
            self._words.update(later._words)
        else:
            codes = np.array(later._order, dtype=np.int64)
            self._order.extend(codes[self._frequency[codes] == 0].tolist())
            self._frequency[codes] += later._frequency[codes]
        self.total += later.total

    def __getstate__(self) -> tuple[Any, ...]:
        """What goes to another process: of a million code points, those that have come."""
        counts = self._frequency[np.array(self._order, dtype=np.int64)]
        return self.level, self.total, self._words, self._order, counts

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        level, total, words, order, counts = state
        self.__init__(level)  # type: ignore[misc]
        self.total, self._words, self._order = total, words, order
        self._frequency[np.array(order, dtype=np.int64)] = counts

    @property
    def frequencies(self) -> dict[str, int]:
        """Token -> count, in the order of first appearance."""
        if self.level != "char":
            return dict(self._words)
        return {chr(code): int(self._frequency[code]) for code in self._order}


def _count_bytes(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """How often each of the 256 stands there: pairs are counted, which are half as many."""
    even = len(codes) // 2 * 2
    pairs = np.bincount(codes[:even].view("<u2"), minlength=1 << 16).reshape(256, 256)
    counts: npt.NDArray[np.intp] = pairs.sum(0) + pairs.sum(1)
    return counts + np.bincount(codes[even:], minlength=256)


def _by_first_appearance(codes: npt.NDArray[Any], new: npt.NDArray[np.intp]) -> list[int]:
    """`new` code points, all of them in `codes`, in the order in which they first come there."""
    if len(new) == 1:
        return [int(new[0])]
    first = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    # Assigned backwards, so that the place written last, and left standing, is the first.
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return [int(code) for code in new[np.argsort(first[new])]]
