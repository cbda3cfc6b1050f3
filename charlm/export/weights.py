"""Weights as a page holds them: rounded, or not, to a precision, and written in letters.

float32   every bit; float16: rounded to it
int8      a matrix's rows as whole numbers from -127 to 127, each row times its scale (its largest
          weight / 127); scales and vectors in float16

The bytes of the numbers are sorted by their place in a number: those with sign and exponent, which
are much alike, then stand together and deflate well. The letters are digits to base 85, five for
four bytes. `packed.js` reads what is written here.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.storage.tensors import Arrays

PRECISIONS = ("float32", "float16", "int8")
_LARGEST_CODE = 127
_LARGEST_HALF = float(np.finfo(np.float16).max)
# Digits are the characters from "(" on; "}" stands for "<", which HTML would act upon.
_ZERO, _MARKUP, _INSTEAD = ord("("), ord("<"), ord("}")


@dataclass(frozen=True)
class Packed:
    """letters: the weights. size: of what they hold, in bytes. weights: the same, as they come
    out of it. tensors: their names, rows and columns, in order; a vector is one row."""

    letters: str
    size: int
    weights: Arrays
    tensors: tuple[tuple[str, int, int], ...]


def packed(weights: Mapping[str, npt.NDArray[Any]], precision: str) -> Packed:
    """weights: as in a run, float32. precision: one of PRECISIONS."""
    order = sorted(weights)
    coded = [name for name in order if precision == "int8" and weights[name].ndim > 1]
    rows = {name: _coded(weights[name]) for name in coded}
    numbers: list[npt.NDArray[Any]] = [scales for _, scales in rows.values()]
    numbers += [weights[name] for name in order if name not in rows]
    codes = [part.tobytes() for part, _ in rows.values()]
    kind = np.dtype(np.float32 if precision == "float32" else np.float16)
    raw = b"".join(codes) + _planes(np.concatenate([part.ravel() for part in numbers]), kind)
    known = {name: part * scales[:, None] for name, (part, scales) in rows.items()}
    known |= {name: _rounded(weights[name], kind) for name in order if name not in rows}
    shapes = ((name, *(1, *weights[name].shape)[-2:]) for name in order)
    return Packed(_letters(_deflated(raw)), len(raw), known, tuple(shapes))


def _coded(matrix: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """(R, C) -> whole numbers (R, C), and by what to multiply each row (R,)."""
    scales = _rounded(np.abs(matrix).max(axis=1) / _LARGEST_CODE, np.dtype(np.float16))
    scales = np.where(scales > 0, scales, np.float32(1))
    codes = np.rint(matrix / scales[:, None]).clip(-_LARGEST_CODE, _LARGEST_CODE)
    return codes.astype(np.int8), scales


def _rounded(array: npt.NDArray[Any], kind: np.dtype[Any]) -> npt.NDArray[np.float32]:
    return _as(array, kind).astype(np.float32)


def _as(array: npt.NDArray[Any], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    # A weight that float16 has no number for becomes the nearest that it has.
    fits = array.clip(-_LARGEST_HALF, _LARGEST_HALF) if kind.itemsize == 2 else array
    return fits.astype(kind)


def _planes(numbers: npt.NDArray[Any], kind: np.dtype[Any]) -> bytes:
    """The first byte of each number, that with its sign; then the second of each, and so on."""
    big_endian = _as(numbers, kind).astype(kind.newbyteorder(">"))
    return np.ascontiguousarray(big_endian.view(np.uint8).reshape(-1, kind.itemsize).T).tobytes()


def _deflated(raw: bytes) -> bytes:
    """Letters of the alphabet of RFC 1951 alone, no repetitions: weights have none."""
    work = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_HUFFMAN_ONLY)
    return work.compress(raw) + work.flush()


def _letters(data: bytes) -> str:
    words = np.frombuffer(data + b"\0" * (-len(data) % 4), dtype=">u4").astype(np.uint32)
    digits = np.empty((len(words), 5), np.uint8)
    for place in reversed(range(5)):
        words, digit = np.divmod(words, np.uint32(85))
        digits[:, place] = digit
    letters = digits + np.uint8(_ZERO)
    letters[letters == _MARKUP] = _INSTEAD
    return letters.tobytes().decode("ascii")
