"""Files of ids, read: little-endian, of the narrowest width that fits, under a SHA-256.

Before anything uses a file, it is read once, in pieces: all ids must be in the vocabulary, and all
of them those that were written.
"""

import hashlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from charlm.data.vocab import id_type
from charlm.errors import DataError
from charlm.storage.files import naming

PIECE_BYTES = 1 << 20


def map_ids(path: Path, vocab_size: int) -> npt.NDArray[Any]:
    """The ids in a file that is not empty, memory-mapped, unchecked."""
    with naming(path):
        return np.memmap(path, dtype=id_type(vocab_size), mode="r")


class FiledIds:
    """The ids in a file, unchecked: `ids[begin:end]` is read when it is asked for.

    Of a map, what was looked at counts as this process's memory, by pages that may be megabytes.
    """

    def __init__(self, path: Path, vocab_size: int) -> None:
        self._path, self._kind = path, id_type(vocab_size)
        with naming(path):
            self._length = path.stat().st_size // self._kind.itemsize

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: slice) -> npt.NDArray[Any]:
        begin, end, _ = place.indices(len(self))
        size, count = self._kind.itemsize, max(0, end - begin)
        with naming(self._path):
            return np.fromfile(self._path, self._kind, count, offset=begin * size)


def open_ids(path: Path, vocab_size: int, sha256: str) -> npt.NDArray[Any]:
    """The ids in a file that is not empty, memory-mapped, after a look at all of them.

    sha256: what was written; empty where that is not known (of an older charlm's corpora).
    Raises DataError if an id is not below `vocab_size`, or the file is not what was written.
    """
    kind = id_type(vocab_size)
    with naming(path), path.open("rb") as file:
        largest, digest = _survey(file, kind)
        if sha256 and digest != sha256:
            raise DataError(
                f"{path} is damaged: its SHA-256 is not the one it was saved with; prepare the "
                "corpus again"
            )
        if largest >= vocab_size:
            raise DataError(
                f"{path} is damaged: it has the id {largest}, the vocabulary {vocab_size} tokens; "
                "prepare the corpus again"
            )
        # Of the file that was looked at, whatever has its name by now.
        return np.memmap(file, dtype=kind, mode="r")


def _survey(file: IO[bytes], kind: np.dtype[Any]) -> tuple[int, str]:
    """The largest id in a file, and the SHA-256 of it all; read, not mapped, in constant memory."""
    largest, digest, buffer = 0, hashlib.sha256(), bytearray(PIECE_BYTES)
    while length := file.readinto(buffer):  # type: ignore[attr-defined]
        piece = memoryview(buffer)[:length]
        digest.update(piece)
        whole = piece[: length // kind.itemsize * kind.itemsize]
        largest = max(largest, int(np.frombuffer(whole, kind).max(initial=0)))
    return largest, digest.hexdigest()
