"""What steps a model: `Stepper`, or `TorchStepper` on a GPU."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Engine(Protocol):
    """The state of some streams, and what advances it.

    take: the streams of these rows, in this order; the state that they come from is used up.
    put: these rows at the state of a single other stream, in place; it stays as it is.
    """

    def start(self, streams: int = 1) -> Any: ...
    def take(self, state: Any, rows: Sequence[int]) -> Any: ...
    def put(self, state: Any, rows: Sequence[int], stream: Any) -> None: ...
    def step(self, ids: Any, state: Any) -> npt.NDArray[np.float32]: ...
    def read(self, ids: Any, state: Any) -> npt.NDArray[np.float32]: ...
