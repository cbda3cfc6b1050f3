"""A random order of any number of things, worked out place by place: nothing is kept in memory.

A block cipher is a random order of all numbers of so many bits, and its key says which. One for a
power of four numbers orders fewer too: where it leads beyond them, it is followed on until it comes
back (cycle walking; Black & Rogaway 2002, "Ciphers with arbitrary finite domains").
"""

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.uint64]
# Of a Feistel network: four make it hard to tell from a random order; a few more cost nothing.
ROUNDS = 6
# By which a number is mixed: the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
_MIX = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT = np.uint64(31)


class Shuffle:
    """`order[places]`: the things at these places of an order of `size` things.

    Every thing, 0 to size - 1, has one place. generator: from which the order is drawn.
    """

    def __init__(self, size: int, generator: np.random.Generator) -> None:
        self._size = np.uint64(size)
        half_bits = max(1, -(-(size - 1).bit_length() // 2))
        self._half = np.uint64(half_bits)
        self._mask = np.uint64((1 << half_bits) - 1)
        self._keys = generator.integers(1 << 64, size=ROUNDS, dtype=np.uint64)

    def __getitem__(self, places: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """places: of any shape, each from 0 to size - 1."""
        things = self._step(places.astype(np.uint64))
        while (beyond := things >= self._size).any():
            things[beyond] = self._step(things[beyond])
        return things.astype(np.int64)

    def _step(self, numbers: Numbers) -> Numbers:
        """The cipher, of numbers of twice `half` bits."""
        left, right = numbers >> self._half, numbers & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mixed(right ^ key) & self._mask)
        return left << self._half | right


def _mixed(numbers: Numbers) -> Numbers:
    for shift, factor in _MIX:
        numbers = (numbers ^ numbers >> shift) * factor
    return numbers ^ numbers >> _LAST_SHIFT
