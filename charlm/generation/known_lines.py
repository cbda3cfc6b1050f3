"""The lines of a training text, however large it is: of each, a number of 64 bits."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.data.vocab import Ids, id_type

PIECE = 1 << 20
# Lines that are sorted together, at least.
AT_ONCE = 1 << 16


class KnownLines:
    """Which lines a text has. Two lines have the same number once in some 10^19 pairs.

    parts: the ids of the text, part by part, as a corpus keeps them; what ends one part and what
    begins the next is a line both apart and joined. line_break: its id.
    """

    def __init__(self, parts: Iterable[Ids], vocab_size: int, line_break: int) -> None:
        self._kind = id_type(vocab_size)
        self._numbers, self._added = np.zeros(0, np.int64), list[npt.NDArray[np.int64]]()
        before = b""  # what the parts so far end with
        for part in parts:
            rest, joined = b"", False
            for begin in range(0, len(part), PIECE):
                piece = np.ascontiguousarray(part[begin : begin + PIECE], dtype=self._kind)
                lines = _split(piece, line_break)
                lines[0] = rest + lines[0]
                rest = lines.pop()
                if lines and not joined:
                    lines.append(before + lines[0])
                    joined = True
                self._add(lines)
            before = rest if joined else before + rest
            self._add([rest])
        self._add([before])
        self._sort()

    def _add(self, lines: Sequence[bytes]) -> None:
        self._added.append(np.fromiter(map(hash, lines), np.int64, len(lines)))
        # Sorted anew only when they have doubled: all in all it takes as long as a few times.
        if sum(map(len, self._added)) > max(AT_ONCE, len(self._numbers)):
            self._sort()

    def _sort(self) -> None:
        self._numbers = np.unique(np.concatenate([self._numbers, *self._added]))
        self._added = []

    def __contains__(self, line: object) -> bool:
        """line: its ids, without the line break."""
        assert isinstance(line, Sequence)
        number = hash(np.array(line, dtype=self._kind).tobytes())
        place = int(self._numbers.searchsorted(number))
        return place < len(self._numbers) and bool(self._numbers[place] == number)


def _split(piece: npt.NDArray[Any], line_break: int) -> list[bytes]:
    """The bytes of each line, those before the first break and after the last one too."""
    data, width = piece.tobytes(), piece.itemsize
    ends = (np.flatnonzero(piece == line_break) * width).tolist()
    begins = [0, *(end + width for end in ends)]
    return [data[begin:end] for begin, end in zip(begins, [*ends, len(data)], strict=True)]
