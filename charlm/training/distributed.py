"""Several processes that train one model together, begun by `torchrun`. All that knows of ranks.

Each rank reads its share of a batch's streams and computes its gradient; one sum over all ranks
makes of it the gradient of the batch. Each keeps the states of its streams; where a resume point is
due they are brought together (`together`), so that what is saved is what no number of ranks would
have otherwise. What clocks and signals say may differ between them: there the first has the word.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from charlm.config import Config
from charlm.errors import LostRankError, Stopped, UsageError
from charlm.settings import configured

if TYPE_CHECKING:
    from torch import Tensor


# By which torchrun, and others that begin processes, tell each who and where they are.
RENDEZVOUS = ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT")


class World(Protocol):
    """Who trains together. rank: which of the `size` processes this is; the first has the word.

    training: whether the others are, and do not wait for what the first says.
    abandoned: whether the torchrun that began this process is gone.
    """

    training: bool
    abandoned: bool

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...

    def share(self, streams: int) -> slice:
        """Of so many streams, those of this rank."""

    def meet(self) -> None:
        """Wait for all, however long one takes: all else is waited for less than a minute."""

    def add_up(self, tensors: "Sequence[Tensor]") -> None:
        """Make each, in place, the sum of those that all ranks have."""

    def total(self, figures: Sequence[float]) -> list[float]:
        """The sums of what the ranks have."""

    def first(self, figures: Sequence[float]) -> list[float]:
        """What the first rank has."""

    def is_any(self, flag: bool) -> bool:
        """Whether it is so of any rank."""

    def least(self, figure: float) -> float:
        """The least of what the ranks have."""

    def of_the_one_before(self, tensors: "Sequence[Tensor]") -> "Sequence[Tensor] | None":
        """What the rank before this one has here; None for the first."""

    def from_the_first(self, value: Any) -> Any:
        """What the first rank has, of any type, however long it takes to have it."""

    def first_to_tell(self) -> bool:
        """Whether no other process has asked this: who tells what has ended all tells it alone."""

    def leave(self) -> None:
        """The end, for all."""


class Alone:
    """The only process."""

    rank, size = 0, 1
    training = abandoned = False

    def share(self, streams: int) -> slice:
        return slice(0, streams)

    def meet(self) -> None:
        pass

    def add_up(self, tensors: "Sequence[Tensor]") -> None:
        pass

    def total(self, figures: Sequence[float]) -> list[float]:
        return [*figures]

    def first(self, figures: Sequence[float]) -> list[float]:
        return [*figures]

    def is_any(self, flag: bool) -> bool:
        return flag

    def least(self, figure: float) -> float:
        return figure

    def of_the_one_before(self, tensors: "Sequence[Tensor]") -> "Sequence[Tensor] | None":
        return None

    def from_the_first(self, value: Any) -> Any:
        return value

    def first_to_tell(self) -> bool:
        return True

    def leave(self) -> None:
        pass


ExitCode = Callable[[BaseException], int]


def own_exit_code(error: BaseException) -> int:
    """That of charlm's own errors; 1 for all else."""
    return getattr(error, "exit_code", 1)


@contextmanager
def leading(world: World, exit_code: ExitCode = own_exit_code) -> Iterator[None]:
    """The first process's work, while the others follow. Whatever ends it ends them, in silence,
    with the same exit code. Raises SystemExit where another has told what ended it.

    exit_code: with which this process ends by an error.
    """
    try:
        yield
    except BaseException as error:
        first = world.first_to_tell()
        if not world.training and not isinstance(error, LostRankError):
            with suppress(LostRankError):
                world.from_the_first(exit_code(error))
        if not first and isinstance(error, LostRankError | Stopped):
            raise SystemExit(error.exit_code) from error
        raise
    with suppress(LostRankError):  # all is done, and nobody is needed any more
        world.from_the_first(0)
    world.leave()


def is_one_of_several() -> bool:
    """Whether `torchrun`, or another that says as much, began several processes."""
    # Some schedulers set one or another of them.
    if not all(name in os.environ for name in RENDEZVOUS):
        return False
    return os.environ["WORLD_SIZE"].strip() != "1"


def follows() -> bool:
    """Whether this process is one of several, and not the first, which writes and shows."""
    return is_one_of_several() and os.environ["RANK"].strip() != "0"


def join() -> World:
    """All processes of this training, where `torchrun` began several; else the only one."""
    if not is_one_of_several():
        return Alone()
    from charlm.training.process_group import Ranks

    return Ranks()


def ranks_here(world: World) -> int:
    """How many of them are on this machine, as far as who began them says."""
    return min(world.size, max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def is_beside_the_first(world: World) -> bool:
    """Whether this process is on the first's machine, as far as who began them says."""
    return os.environ.get("LOCAL_RANK", "").strip() == str(world.rank)


def check_gpus(config: Config, world: World) -> None:
    """Raises UsageError where several processes of this machine would have one GPU."""
    here, device = ranks_here(world), config.training.device
    if here == 1 or device in ("cpu", "mps"):
        return
    from charlm.model.device import pick_device

    if pick_device(device).type != "cuda":
        return
    import torch

    named = device.startswith("cuda:")
    gpus = 1 if named else torch.cuda.device_count()
    if here > gpus:
        instead = "take --device cuda" if named else "begin fewer, or take --device cpu"
        raise UsageError(
            f"--device {device}: {here} processes on this machine would share {gpus} "
            f"GPU{'s' * (gpus > 1)}, and each needs its own: {instead}"
        )


def check_streams(config: Config, train_tokens: int, world: World) -> None:
    """Raises UsageError where some process would have no stream to train on."""
    from charlm.data.batches import fitting_batch_size

    training = config.training
    streams = fitting_batch_size(train_tokens, training.batch_size, training.seq_len)
    if streams >= world.size:
        return
    why = "--batch-size"
    if streams < training.batch_size:
        why = f"the text fills no more with windows of {training.seq_len}; --seq-len"
    raise UsageError(
        f"{world.size} processes would share {streams} stream{'s' * (streams > 1)} ({why}), and "
        f"each needs its own: begin no more than {streams}"
    )


def on_own_device(config: Config) -> Config:
    """The config with the GPU of this process, where those of a machine have one each."""
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if not number or config.training.device not in ("auto", "cuda"):
        return config
    import torch

    if not torch.cuda.is_available():
        return config
    return configured(config, {"training": {"device": f"cuda:{number}"}})
