"""The processes of a `torchrun`, by torch's own groups: gloo for processors, NCCL for GPUs."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from charlm.errors import LostRankError, UsageError
from charlm.model.device import usable_cores

# A rank that is gone without a word is waited for so long; one that was killed is missed at once.
PATIENCE = timedelta(seconds=45)
# Those that begin together are there within so long, however slow the disk.
COMING = timedelta(minutes=10)
# What the first rank does before training, such as to prepare a corpus, the others wait for.
PREPARING = timedelta(days=7)
# Of processes that are to end, because torchrun is gone.
SECONDS_TO_END = 45.0
# So long the others leave it to the first to tell what has ended all.
SECONDS_FOR_THE_FIRST = 1.5
# Of the trainings of a Python program, each meets at a place of its own.
_trainings = count()


class Ranks:
    """The processes of a `torchrun`.

    Every method but `share` and `first_to_tell` is called by all of them, in the same order, and
    raises LostRankError where one is gone.
    """

    def __init__(self) -> None:
        """Raises UsageError where they are together already, by somebody else's word."""
        if dist.is_initialized():
            raise UsageError(
                "torch.distributed is in use here: charlm begins and ends a process group itself; "
                "destroy_process_group() before"
            )
        self.rank, self.size, self.training = 0, 1, False
        self.abandoned = False
        if "TORCHELASTIC_RUN_ID" in os.environ:  # else nobody says that a parent is to be there
            threading.Thread(target=self._watch, args=(os.getppid(),), daemon=True).start()
        self._store = self._met()
        torch.set_num_threads(_threads())
        with self._losing_none():
            dist.init_process_group(
                "gloo", store=self._store, rank=self.rank, world_size=self.size, timeout=PREPARING
            )
        # Figures go by the processors, wherever the tensors are: no GPU is waited for.
        self._figures = dist.new_group(backend="gloo", timeout=PATIENCE)
        self._tensors: dict[str, dist.ProcessGroup] = {"cpu": self._figures}

    def _met(self) -> PrefixStore:
        """What all know, once all are there."""
        try:
            store, self.rank, self.size = next(rendezvous("env://", timeout=COMING))
            known = PrefixStore(f"charlm-{next(_trainings)}", store)
            known.set(f"here {self.rank}", "")
            until = time.monotonic() + COMING.total_seconds()
            while not known.check([f"here {rank}" for rank in range(self.size)]):
                if time.monotonic() > until:
                    raise TimeoutError
                time.sleep(0.05)  # where torch waits, no signal is heard
        except (RuntimeError, TimeoutError) as error:
            raise LostRankError(
                "not all processes have come to train together: all that torchrun begins must"
            ) from error
        return known

    def share(self, streams: int) -> slice:
        begin, end = (streams * k // self.size for k in (self.rank, self.rank + 1))
        return slice(begin, end)

    def meet(self) -> None:
        with self._losing_none():
            dist.barrier()

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        # One buffer: one exchange, and one order of the sums.
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with self._losing_none():
            dist.all_reduce(flat, group=self._on(flat.device))
        for tensor, added in zip(tensors, _pieces(flat, tensors), strict=True):
            tensor.copy_(added)

    def total(self, figures: Sequence[float]) -> list[float]:
        return self._reduced(figures, dist.ReduceOp.SUM)

    def first(self, figures: Sequence[float]) -> list[float]:
        return self.total(figures if self.rank == 0 else [0.0] * len(figures))

    def is_any(self, flag: bool) -> bool:
        return bool(self._reduced([float(flag)], dist.ReduceOp.MAX)[0])

    def least(self, figure: float) -> float:
        return self._reduced([figure], dist.ReduceOp.MIN)[0]

    def of_the_one_before(self, tensors: Sequence[Tensor]) -> Sequence[Tensor] | None:
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        found = [torch.empty_like(flat) for _ in range(self.size)]
        with self._losing_none():
            dist.all_gather(found, flat, group=self._on(flat.device))
        if not self.rank:
            return None
        return _pieces(found[self.rank - 1], tensors)

    def from_the_first(self, value: Any) -> Any:
        found = [value]
        with self._losing_none():
            dist.broadcast_object_list(found)
        return found[0]

    def _watch(self, agent: int) -> None:
        """Have all stop once `agent`, the torchrun that began this process, is gone."""
        while os.getppid() == agent:
            time.sleep(1.0)
        self.abandoned = True
        time.sleep(SECONDS_TO_END)
        os._exit(128 + signal.SIGTERM)

    def first_to_tell(self) -> bool:
        if self.rank:
            time.sleep(SECONDS_FOR_THE_FIRST)
        try:
            return int(self._store.add("told", 1)) == 1
        except RuntimeError:  # whoever kept count, torchrun or the first, is gone
            return self.rank == 0 or (self.rank == 1 and not self.abandoned)

    def leave(self) -> None:
        """The end, for all."""
        dist.destroy_process_group()

    def _reduced(self, figures: Sequence[float], by: dist.ReduceOp.RedOpType) -> list[float]:
        found = torch.tensor(figures, dtype=torch.float64)
        with self._losing_none():
            dist.all_reduce(found, by, group=self._figures)
        return found.tolist()

    def _on(self, device: torch.device) -> dist.ProcessGroup:
        """Those who exchange tensors of a device."""
        if device.type not in self._tensors:
            self._tensors[device.type] = dist.new_group(backend="nccl", timeout=PATIENCE)
        return self._tensors[device.type]

    @contextlib.contextmanager
    def _losing_none(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # torch's own for connections and for time
            raise LostRankError("another process of the training is gone") from error


def _pieces(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """What lies in a row, in the shapes of others."""
    ends = np.cumsum([tensor.numel() for tensor in like])
    return [
        flat[end - tensor.numel() : end].view_as(tensor)
        for tensor, end in zip(like, ends, strict=True)
    ]


def _threads() -> int:
    """Of each process: torchrun gives them one, whatever there is."""
    given = os.environ.get("OMP_NUM_THREADS", "1")
    if given != "1":
        return torch.get_num_threads()
    return max(1, usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
