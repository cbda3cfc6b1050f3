"""What the first of several processes asks of the others, and how they follow it."""

import socket
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any

from charlm.config import Config
from charlm.data.corpus import open_corpus
from charlm.errors import CharlmError, DivergedError, LostRankError, Stopped, typed
from charlm.evaluation.metrics import Score
from charlm.model.device import computing
from charlm.settings import configured
from charlm.storage.tensors import Arrays
from charlm.training.checkpoint import Checkpoint, restore_trainer, state_arrays
from charlm.training.distributed import ExitCode, World, on_own_device, own_exit_code
from charlm.training.resume_point import ResumePoint
from charlm.training.signals import StopSignals
from charlm.training.speed import Measure, Speed
from charlm.training.trainer import Trainer


@dataclass(frozen=True)
class Measuring:
    """Measure the speed of configs from here on: see `Speed`."""

    vocab_size: int
    seconds: float


@dataclass(frozen=True)
class Training:
    """Train from where the first process is. run: its folder, for messages."""

    run: Path
    config: Config
    corpus: Path
    arrays: Arrays
    point: ResumePoint


def measuring(world: World, vocab_size: int, seconds: float) -> Measure:
    """What the first process measures by: all at once, and the slowest counts."""
    own = Speed(vocab_size, seconds, world=world)
    if world.size == 1:
        return own
    world.from_the_first(Measuring(vocab_size, seconds))

    def speed(config: Config) -> float | None:
        return _together(world, own, world.from_the_first(config))

    return speed


def _together(world: World, own: Measure, config: Config) -> float | None:
    """Tokens a second of all, each with its share of the streams; None where one has no speed."""
    streams = config.training.batch_size
    share = -(-streams // world.size)  # the largest, for which the others wait
    try:
        mine = own(on_own_device(configured(config, {"training": {"batch_size": share}})))
    except BaseException:
        if not world.rank:  # before the others can be told, they wait for what is measured
            world.least(0.0)
        raise
    return world.least(mine or 0.0) * streams / share or None


def lead(world: World, run: Path, trainer: Trainer) -> None:
    """Have all the others train beside this trainer, which is at its first step."""
    if world.size > 1:
        corpus = trainer.corpus.folder.resolve()
        point, arrays = trainer.resume_point(), state_arrays(trainer)
        world.from_the_first(Training(run, trainer.config, corpus, arrays, point))
        world.training = True
        world.meet()  # they may take a while to read the corpus
    trainer.world = world


def follow(world: World, exit_code: ExitCode = own_exit_code) -> tuple[int, Path | None]:
    """Do as the first process says, until it is over; nothing is written.

    The exit code, and the run that was trained. exit_code: with which a process ends by an error.
    Raises what ended it, where this process is the first to tell.
    """
    run: Path | None = None
    stopped: int | None = None
    # torchrun sends a signal wherever a process is gone.
    with StopSignals(Path(), lambda message: None) as signals:
        try:
            own: Measure | None = None
            while not isinstance(order := world.from_the_first(None), int):
                if isinstance(order, Measuring):
                    own = Speed(order.vocab_size, order.seconds, world=world)
                elif isinstance(order, Training):
                    run = order.run
                    stopped = _train(world, order, signals)
                elif own is not None:
                    _together(world, own, order)
        except (DivergedError, Stopped) as error:
            return error.exit_code, run  # the first has met with the same
        except LostRankError as error:
            if run is None and signals.received == SIGINT:
                stopped = SIGINT  # so the first was ended too
            if stopped:
                return 128 + stopped, run
            if world.first_to_tell():
                raise LostRankError(lost(error, run)) from None
            return error.exit_code, run
        except Exception as error:
            if not world.first_to_tell():
                return exit_code(error), run
            if not isinstance(error, CharlmError):
                raise
            where = f"process {world.rank + 1} of {world.size}, on {socket.gethostname()}"
            raise type(error)(f"{where}: {error}") from error
    world.leave()
    return (128 + stopped if stopped else order), run


def _train(world: World, order: Training, signals: StopSignals) -> int | None:
    """The signal that has ended it, if one has: then the first is saving, and not to be hurried by
    a torchrun that misses the others."""
    config = on_own_device(order.config)
    # Its clock is the first process's.
    point = replace(order.point, planned=True)
    with computing(config.training.threads):
        trainer = Trainer(config, open_corpus(order.corpus), before=point, world=world)
        restore_trainer(Checkpoint(order.run, order.arrays, point), trainer)
        trainer.world = world
        world.meet()
        trainer.fit(_Bystander(), lambda: signals.received is not None)
    return (signals.received or SIGTERM) if trainer.was_stopped else None


def lost(error: LostRankError, run: Path | None) -> str:
    """What to do where a process is gone, in a line."""
    if run is None:
        return f"{error}, before the training began"
    return f"{error}; charlm train --resume {typed(run)} goes on from the last resume point"


class _Bystander:
    """A `Watcher` that keeps nothing: the first process does."""

    def stepped(self, trainer: Trainer, loss: float) -> None: ...
    def warned(self, message: str) -> None: ...
    def validated(self, trainer: Trainer, score: Score, best: bool) -> None: ...
    def concluded(self, trainer: Trainer, score: Score) -> None: ...
    def checkpoint_due(self, trainer: Trainer) -> None: ...
    def sample_due(self, trainer: Trainer) -> None: ...

    def kept(self) -> dict[str, Any]:
        return {}
