"""The files of a part of a corpus, and the ids in them where they are too many to be looked at."""

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.data.ids import FiledIds
from charlm.data.vocab import Ids, id_type
from charlm.errors import DataError
from charlm.storage.files import naming

# What is asked for at once and is longer than this is not read yet, but asked for in its turn.
READ_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Shard:
    """A file of ids. sha256: of it; empty where it is not known."""

    name: str
    tokens: int
    sha256: str = ""


Shards = Mapping[str, Sequence[Shard]]


def digests_of(shards: Shards) -> dict[str, str]:
    """The SHA-256 of each part; of one in several files, that of the list of theirs."""
    return {part: _digest([one.sha256 for one in files]) for part, files in shards.items()}


def _digest(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else hashlib.sha256("\n".join(files).encode()).hexdigest()


class ShardedIds:
    """The ids of several files, one after the other, each mapped, and checked where it is read.

    `ids[begin:end]` is an array; longer than `READ_AT_ONCE`, it is a part that reads in the same
    way. `np.asarray` reads all of it.
    """

    def __init__(
        self, shards: Sequence[npt.NDArray[Any] | FiledIds], paths: Sequence[Path], vocab_size: int
    ) -> None:
        """shards: what is in the files at `paths`."""
        self._shards, self._paths, self._vocab_size = shards, paths, vocab_size
        self._ends = [*accumulate(map(len, shards))]
        self._begin, self._end = 0, self._ends[-1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return id_type(self._vocab_size)

    def __len__(self) -> int:
        return self._end - self._begin

    def __getitem__(self, place: slice | int) -> Any:
        """Raises DataError where an id is read that is not in the vocabulary."""
        if not isinstance(place, slice):
            place = range(len(self))[place]
            return self[place : place + 1][0]
        begin, end, _ = place.indices(len(self))
        if end - begin > READ_AT_ONCE:
            part = ShardedIds(self._shards, self._paths, self._vocab_size)
            part._begin, part._end = self._begin + begin, self._begin + end
            return part
        return self._read(self._begin + begin, self._begin + max(begin, end))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Ids:
        return self._read(self._begin, self._end).astype(dtype or self.dtype, copy=False)

    def _read(self, begin: int, end: int) -> Ids:
        first = bisect_right(self._ends, begin)  # of a batch, thousands of times a step
        pieces = []
        while begin < end:
            before = self._ends[first - 1] if first else 0
            piece = self._shards[first][begin - before : end - before]
            self._check(piece, first)
            pieces.append(piece)
            begin, first = before + len(self._shards[first]), first + 1
        if len(pieces) == 1:
            return np.asarray(pieces[0])
        return np.concatenate(pieces) if pieces else np.empty(0, self.dtype)

    def _check(self, ids: Ids, shard: int) -> None:
        if (largest := int(ids.max(initial=0))) >= self._vocab_size:
            raise DataError(
                f"{self._paths[shard]} is damaged: it has the id {largest}, the vocabulary "
                f"{self._vocab_size} tokens; prepare the corpus again"
            )


def map_shards(paths: Sequence[Path], vocab_size: int) -> ShardedIds:
    """The ids in files that are not empty, memory-mapped. Raises FileSystemError."""
    shards = []
    for path in paths:
        with naming(path):
            shards.append(np.memmap(path, dtype=id_type(vocab_size), mode="r"))
    return ShardedIds(shards, paths, vocab_size)
