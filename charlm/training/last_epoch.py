"""The mean loss over the last epoch, whose steps may be millions."""

import math
from collections import deque

import numpy as np
import numpy.typing as npt

# An epoch of more steps is kept in so many blocks of steps, each a sum.
BLOCKS = 1024


class LastEpoch:
    """Sums over the last `steps` steps; to a block of them, where they are more than BLOCKS."""

    def __init__(self, steps: int) -> None:
        self._steps_a_block = -(-steps // BLOCKS)
        # [nats, tokens, steps] of each block.
        self._blocks: deque[list[float]] = deque(maxlen=-(-steps // self._steps_a_block))

    def add(self, nats_per_token: float, tokens: int) -> None:
        """Take in a step."""
        if not self._blocks or self._blocks[-1][2] == self._steps_a_block:
            self._blocks.append([0.0, 0.0, 0.0])
        block = self._blocks[-1]
        block[0] += nats_per_token * tokens
        block[1] += tokens
        block[2] += 1

    @property
    def mean(self) -> float:
        """Nats per token; NaN before the first step."""
        tokens = sum(block[1] for block in self._blocks)
        return sum(block[0] for block in self._blocks) / tokens if tokens else math.nan

    def to_array(self) -> npt.NDArray[np.float64]:
        return np.array(self._blocks, np.float64).reshape(-1, 3)

    def from_array(self, array: npt.NDArray[np.float64]) -> None:
        """Take over what `to_array` gave, or, as it once was, the loss and tokens of each step."""
        self._blocks.clear()
        for row in array.tolist():
            if len(row) == 3:
                self._blocks.append(row)
            else:
                self.add(*row)
