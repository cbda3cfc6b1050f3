"""What steps came to: known at once where each is waited for, later where a GPU works on.

To read a number from a GPU is to wait until it has done all that it was given before, and to have
it wait for more. So nothing of a step is read before somebody asks: whether it could be made at all
is decided on the device (`skip`), and told when that is read.
"""

import math
import time
from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from charlm.config import TrainingConfig
from charlm.errors import DivergedError
from charlm.model.device import works_on
from charlm.training.last_epoch import LastEpoch

# Steps that a GPU is given before the first of them is done: enough that it never waits, and few
# enough that the clock, by which the number of steps is fixed, tells how long they take.
AHEAD = 2
# Seconds after which figures are read, whoever asks: nobody is left to wonder.
MOST_SECONDS = 0.5


@dataclass(frozen=True)
class Outcome:
    """step: its number, from 1. nats: the mean loss before it; norm: of the gradient; both numbers,
    or on the device. predicted: tokens."""

    step: int
    nats: float | Tensor
    norm: float | Tensor
    predicted: int


class Outcomes:
    """skip: on the device, 1 where the steps from here on are not to be made; None: they are."""

    def __init__(self, settings: TrainingConfig, last_epoch: LastEpoch, device: torch.device):
        """last_epoch: is told of every loss."""
        self._settings, self._last_epoch, self._device = settings, last_epoch, device
        self._unread: list[Outcome] = []
        self._marks: deque[torch.cuda.Event] = deque()
        self._read_at = time.perf_counter()
        self.skip: Tensor | None = None

    def take(self, outcome: Outcome) -> float | None:
        """The loss of a step about to be made; None where it is to be read.

        Raises DivergedError, at once or where it is read, if the gradient is not finite.
        """
        if not isinstance(outcome.norm, Tensor):
            return self._known(outcome.step, float(outcome.nats), outcome.norm, outcome.predicted)
        failed = (~torch.isfinite(outcome.norm)).float()
        self.skip = failed if self.skip is None else torch.maximum(self.skip, failed)
        self._unread.append(outcome)
        return None

    def keep_close(self) -> None:
        """Wait until the device is at most AHEAD steps behind."""
        if not self._unread or not works_on(self._device):
            return
        mark = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        mark.record(torch.cuda.current_stream(self._device))
        self._marks.append(mark)
        if len(self._marks) > AHEAD:
            self._marks.popleft().synchronize()

    @property
    def overdue(self) -> bool:
        return bool(self._unread) and time.perf_counter() - self._read_at > MOST_SECONDS

    def read(self) -> float | None:
        """The loss of the last step, all before it done; None where it was read. May raise, as
        `take`; all steps from that one on were then left out."""
        unread, self._unread, loss = self._unread, [], None
        self._read_at = time.perf_counter()
        if not unread:
            return None
        figures = [figure for one in unread for figure in (one.nats, one.norm)]
        values = torch.stack([f for f in figures if isinstance(f, Tensor)]).tolist()
        for one, nats, norm in zip(unread, values[::2], values[1::2], strict=True):
            loss = self._known(one.step, nats, norm, one.predicted)
        return loss

    def _known(self, step: int, nats: float, norm: float, predicted: int) -> float:
        if not math.isfinite(norm):
            raise DivergedError(
                f"the gradient became {norm} at step {step}: lower --lr "
                f"({self._settings.lr:g}) or --grad-clip"
            )
        self._last_epoch.add(nats, predicted)
        return nats
