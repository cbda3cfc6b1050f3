"""How many steps to train: a number given, or a time turned into a number by measuring."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from charlm.config import TrainingConfig
from charlm.errors import UsageError
from charlm.model.device import pick_device
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
# Saving, the last sample and the end of the process.
CLOSING_SECONDS = 0.4
# Scoring a token costs about this share of training on it: a forward pass out of three, warm-up.
VALIDATION_COST = 0.4
# Validations while training: as many as take this share of its time, up to a number.
VALIDATION_SHARE = 0.05
MOST_VALIDATIONS = 20


class StepLimit:
    """A number of steps known from the start. planned: it is what a time was turned into."""

    def __init__(self, total: int, *, planned: bool = False) -> None:
        self.total, self.planned = total, planned

    def after_step(self, step: int) -> None:
        pass

    @contextmanager
    def elsewhere(self, *, validating: bool = False) -> Iterator[None]:
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
        *,
        validation_steps: float,
        first_step: int = 0,
        most_steps: int | None = None,
        validation_seconds: float = 0.0,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`started`: when the command began, by the clock `now`.

        validation_steps: what one validation costs, in training steps, until one is measured;
        validation_seconds: and at least. first_step: how many steps were made before. most_steps:
        more are not wanted, whatever time there is.
        """
        self._most_steps = most_steps
        self.total = self._at_most(first_step + PROVISIONAL_STEPS)
        self._first_step = first_step
        self._started, self._deadline, self._now = started, started + seconds, now
        self._validation_steps = validation_steps
        self._least_validation_seconds = validation_seconds
        self._validation_seconds: float | None = None
        self._validated = 0
        self._last_step = now()
        self._step_seconds = 0.0
        self.planned = False
        self._next_look = first_step + UNMEASURED_STEPS + MEASURED_STEPS

    def after_step(self, step: int) -> None:
        """Called when `step` steps have been made."""
        took, self._last_step = self._now() - self._last_step, self._now()
        measured = step - self._first_step - UNMEASURED_STEPS
        if measured <= 0:
            if self._now() > self._deadline - CLOSING_SECONDS:
                self.total = step
            return
        weight = 1 / min(measured, REMEMBERED_STEPS)
        # Never zero, as it might be by a clock that ticks slowly.
        self._step_seconds = max(
            SHORTEST_STEP, self._step_seconds + weight * (took - self._step_seconds)
        )
        left = self._deadline - self._now() - self._validation() - CLOSING_SECONDS
        if left <= 0:
            self.total = step
        elif step >= self._next_look or (not self.planned and self._measured_enough(measured)):
            self._revise(step, left)

    def _measured_enough(self, steps: int) -> bool:
        """Slow steps need fewer of them: their number is fixed early in the time all the same."""
        return steps * self._step_seconds > MEASURED_SHARE * (self._deadline - self._started)

    def _validation(self) -> float:
        """Seconds that a validation takes."""
        if self._validation_seconds is not None:
            return self._validation_seconds
        return max(self._least_validation_seconds, self._validation_steps * self._step_seconds)

    def _revise(self, step: int, left: float) -> None:
        """Set the total so that the steps to come and their validations take `left` seconds."""
        at_most = step + int(left / self._step_seconds)
        to_come = max(0, validations(at_most, self._validation_steps) - self._validated)
        seconds = max(0.0, left - to_come * self._validation())
        total = self._at_most(step + int(seconds / self._step_seconds))
        if not self.planned or abs(total - self.total) > TOLERANCE * self.total:
            self.total = total
        self.planned = True
        self._next_look = step + max(1, self.total // 50)

    def _at_most(self, steps: int) -> int:
        return steps if self._most_steps is None else min(steps, self._most_steps)

    @contextmanager
    def elsewhere(self, *, validating: bool = False) -> Iterator[None]:
        """Time inside the block is not the steps'. `validating`: it is a validation's."""
        started = self._now()
        yield
        spent = self._now() - started
        self._last_step += spent
        if validating:
            self._validation_seconds = spent
            self._validated += 1


Limit = StepLimit | TimeLimit


def validations(total_steps: int, validation_steps: float) -> int:
    """How often to stop and look at the model in `total_steps`, the end not counted.

    validation_steps: what a validation costs, in training steps; 0 where there is none.
    """
    if validation_steps == 0:
        return MOST_VALIDATIONS
    affordable = int(VALIDATION_SHARE * total_steps / validation_steps)
    return min(MOST_VALIDATIONS, affordable)


def validation_steps(tokens: int, tokens_per_step: int) -> float:
    """What scoring `tokens` tokens costs, in training steps."""
    return VALIDATION_COST * tokens / tokens_per_step


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
    validation_cost: float,
    started: float,
    before: ResumePoint | None = None,
    validation_seconds: float = 0.0,
) -> Limit:
    """The limit that the settings ask for.

    started: when the command began (`time.perf_counter`). before: where it goes on from; a plan
    once made is kept, so that a training that is resumed ends as it would have.
    validation_seconds: what a validation takes at least.
    """
    if settings.max_steps is not None:
        return StepLimit(settings.max_steps)
    if settings.epochs is not None:
        return StepLimit(max(1, round(settings.epochs * steps_per_epoch)))
    if before and before.planned and before.limits == limits_of(settings):
        return StepLimit(before.total_steps, planned=True)
    seconds = settings.time or most_seconds(settings)
    spent, first_step = (before.seconds_of_all, before.step) if before else (0.0, 0)
    if seconds <= spent:
        raise UsageError(
            f"the run has been trained for {spent:.0f} s already; --time is for all of it"
        )
    return TimeLimit(
        seconds - spent, started, validation_steps=validation_cost, first_step=first_step,
        most_steps=None if settings.time else worth_steps(steps_per_epoch),
        validation_seconds=validation_seconds,
    )  # fmt: skip
