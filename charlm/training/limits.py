"""How many steps to train: a number given, or a time turned into a number by measuring."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from charlm.config import TrainingConfig
from charlm.errors import UsageError
from charlm.model.device import pick_device
from charlm.training.looks import LookCosts, looks_in
from charlm.training.resume_point import ResumePoint

# The first steps pay for threads and memory that later ones find ready.
UNMEASURED_STEPS = 3
MEASURED_STEPS = 20
MEASURED_SHARE = 0.05
# The speed is the mean over about this many steps.
REMEMBERED_STEPS = 200
# What the schedule goes by until the speed is known.
PROVISIONAL_STEPS = 1000
# Where no limit is given, more epochs than these are not worth their time; but a short text, whose
# epochs are a step or two, is worth some steps too.
MOST_EPOCHS, LEAST_STEPS = 20.0, 1500
# And the most time is less on a GPU, which does more in it.
GPU_SECONDS = 180.0
# A later change of the machine's speed counts once it would move the end by this share.
TOLERANCE = 0.02
SHORTEST_STEP = 1e-7
# A look that took longer than it was thought to says as much of the last figure; to a degree.
MOST_SLOWER = 3.0
# Saving, the last sample and the end of the process.
CLOSING_SECONDS = 0.4


class StepLimit:
    """A number of steps known from the start. planned: it is what a time was turned into. looks:
    how often to look at the model before the end."""

    def __init__(self, total: int, looks: int, *, planned: bool = False) -> None:
        self.total, self.looks, self.planned = total, looks, planned

    def after_step(self, step: int) -> None:
        pass

    @contextmanager
    def elsewhere(self, *, looking: bool = False) -> Iterator[None]:
        yield


class TimeLimit:
    """A number of steps such that all is done when the time is over.

    Fixed from the speed of the first steps; corrected later only where the machine has become so
    much slower or faster that the end would miss the time. `now` is a clock in seconds.
    """

    def __init__(
        self,
        seconds: float,
        started: float,
        costs: LookCosts,
        *,
        first_step: int = 0,
        most_steps: int | None = None,
        step_seconds: float = 0.0,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`started`: when the command began, by the clock `now`.

        first_step: how many steps were made before. most_steps: more are not wanted, whatever time
        there is. step_seconds: what a step is expected to take; 0 where nobody knows.
        """
        self._most_steps = most_steps
        self._first_step = self._step = first_step
        self._started, self._deadline, self._now = started, started + seconds, now
        self._costs = costs
        self._look_seconds: float | None = None
        self._looked = 0
        self._last_step = now()
        self._step_seconds = step_seconds
        self.planned = False
        self._next_look = first_step + UNMEASURED_STEPS + MEASURED_STEPS
        self.total = self._at_most(first_step + self._provisional())

    def _provisional(self) -> int:
        """Steps to go by at first: as many as the speed that is expected allows."""
        if not self._step_seconds:
            return PROVISIONAL_STEPS
        return max(1, min(PROVISIONAL_STEPS, int(self._left() / self._step_seconds)))

    def after_step(self, step: int) -> None:
        """Called when `step` steps have been made."""
        took, self._last_step = self._now() - self._last_step, self._now()
        self._step = step
        measured = step - self._first_step - UNMEASURED_STEPS
        if measured <= 0:
            # What it is expected to take, or takes: the first ones are slower than those to come.
            if self._left() < (self._step_seconds or SHORTEST_STEP):
                self.total = step
            return
        weight = 1 / min(measured, REMEMBERED_STEPS)
        # Never zero, as it might be by a clock that ticks slowly.
        self._step_seconds = max(
            SHORTEST_STEP, self._step_seconds + weight * (took - self._step_seconds)
        )
        left = self._left()
        if left < self._step_seconds:
            self.total = step
        elif step >= self._next_look or (not self.planned and self._measured_enough(measured)):
            self._revise(step, left)

    def _measured_enough(self, steps: int) -> bool:
        """Slow steps need fewer of them: their number is fixed early in the time all the same."""
        return steps * self._step_seconds > MEASURED_SHARE * (self._deadline - self._started)

    def _left(self) -> float:
        """Seconds until the end has to begin: a last look, the last figure, the end of it all."""
        return self._deadline - self._now() - self._look() - self._last_figure() - CLOSING_SECONDS

    def _look(self) -> float:
        """Seconds that a look takes."""
        if self._look_seconds is not None:
            return self._look_seconds
        return max(self._costs.seconds, self._costs.steps * self._step_seconds)

    def _last_figure(self) -> float:
        """Seconds that it takes, on a machine that may be slower than when that was tried."""
        slower = 1.0
        if self._look_seconds is not None and self._costs.seconds:
            slower = min(MOST_SLOWER, max(1.0, self._look_seconds / self._costs.seconds))
        return slower * self._costs.last_seconds

    @property
    def looks(self) -> int:
        """How often to look at the model before the end."""
        return looks_in(self.total, self._look_steps())

    def _look_steps(self) -> float:
        """What a look costs, in training steps."""
        if not self._step_seconds:
            return self._costs.steps
        return max(self._costs.steps, self._look() / self._step_seconds)

    def _revise(self, step: int, left: float) -> None:
        """Set the total so that the steps to come and the looks among them take `left` seconds."""
        at_most = step + int(left / self._step_seconds)
        to_come = max(0, looks_in(at_most, self._look_steps()) - self._looked)
        seconds = max(0.0, left - to_come * self._look())
        total = self._at_most(step + int(seconds / self._step_seconds))
        if not self.planned or abs(total - self.total) > TOLERANCE * self.total:
            self.total = total
        self.planned = True
        self._next_look = step + max(1, self.total // 50)

    def _at_most(self, steps: int) -> int:
        return steps if self._most_steps is None else min(steps, self._most_steps)

    @contextmanager
    def elsewhere(self, *, looking: bool = False) -> Iterator[None]:
        """Time inside the block is not the steps'. `looking`: it is that of a look.

        After one for which there was hardly time, there are no more steps, which would want another
        look.
        """
        started = self._now()
        yield
        spent = self._now() - started
        self._last_step += spent
        if looking:
            self._look_seconds = spent
            self._looked += 1
            if self._left() < self._step_seconds:
                self.total = self._step


Limit = StepLimit | TimeLimit


def most_seconds(settings: TrainingConfig) -> float:
    """How long a training takes at most where no limit is given."""
    most = settings.default_time
    return most if pick_device(settings.device).type == "cpu" else min(most, GPU_SECONDS)


def worth_steps(steps_per_epoch: float) -> int:
    """How many steps a text is worth where no limit is given."""
    return max(LEAST_STEPS, round(MOST_EPOCHS * steps_per_epoch))


def limits_of(settings: TrainingConfig) -> tuple[float | None, ...]:
    """What ends a training, as a resume point remembers it."""
    return (settings.time, settings.epochs, settings.max_steps)


def make_limit(
    settings: TrainingConfig,
    steps_per_epoch: int,
    costs: LookCosts,
    started: float,
    before: ResumePoint | None = None,
    step_seconds: float = 0.0,
) -> Limit:
    """The limit that the settings ask for.

    started: when the command began (`time.perf_counter`). before: where it goes on from; a plan
    once made is kept, so that a training that is resumed ends as it would have. step_seconds: what
    a step is expected to take.
    """
    if settings.max_steps is not None or settings.epochs is not None:
        total = settings.max_steps or max(1, round((settings.epochs or 0) * steps_per_epoch))
        return StepLimit(total, looks_in(total, costs.steps))
    if before and is_planned(settings, before):
        looks = looks_in(before.total_steps, costs.steps) if before.looks is None else before.looks
        return StepLimit(before.total_steps, looks, planned=True)
    return TimeLimit(
        seconds_left(settings, before), started, costs,
        first_step=before.step if before else 0,
        most_steps=None if settings.time else worth_steps(steps_per_epoch),
        step_seconds=step_seconds,
    )  # fmt: skip


def is_planned(settings: TrainingConfig, before: ResumePoint | None) -> bool:
    """Whether the number of steps is known without a clock."""
    if settings.max_steps is not None or settings.epochs is not None:
        return True
    return before is not None and before.planned and before.limits == limits_of(settings)


def seconds_left(settings: TrainingConfig, before: ResumePoint | None) -> float:
    """Of a training by time, what this command may take of it. Raises UsageError for none."""
    seconds = settings.time or most_seconds(settings)
    spent = before.seconds_of_all if before else 0.0
    if seconds <= spent:
        raise UsageError(
            f"the run has been trained for {spent:.0f} s of {seconds:.0f} s already; give a higher "
            "--time, which is for all of it"
        )
    return seconds - spent
