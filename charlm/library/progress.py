"""What Python is told of a training: a callback, a bar, or nothing."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Any

from charlm.course import Validation
from charlm.errors import UsageError
from charlm.evaluation.metrics import Score
from charlm.library.wording import in_python_words
from charlm.run import Run
from charlm.training.reports import Progress, Silent, Stretch

# Notes and warnings go here; nothing is shown unless the user has set up logging.
LOGGER = logging.getLogger("charlm")
LOGGER.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Step:
    """After step `step` of `steps`.

    loss: of this step, in nats per token (character or word). validation: where this step was
    followed by one, its score.
    """

    step: int
    steps: int
    loss: float
    validation: Score | None = None


Callback = Callable[[Step], object]


class Quiet(Silent):
    """Reports to the log alone. run: that is trained, as soon as there is one."""

    run: Run | None = None

    def note(self, message: str) -> None:
        serious = message.startswith("Warning: ")
        told = in_python_words(message.removeprefix("Warning: "))
        LOGGER.log(logging.WARNING if serious else logging.INFO, told)

    def stopping(self, message: str) -> None:
        """Not a word: a handler of the log may have been in the middle of one."""

    def opened(self, run: Run) -> None:
        self.run = run


class Told(Quiet):
    """Reports to a callback, after each step and again where it was followed by a validation."""

    def __init__(self, callback: Callback) -> None:
        self._callback, self._last = callback, Step(0, 0, 0.0)

    def step(self, step: int, total: int, loss: float) -> None:
        self._last = Step(step, total, loss)
        self._callback(self._last)

    def validation(
        self, seen: Validation, tokens: int, score: Score, *, provisional: bool = False
    ) -> None:
        last = self._last
        self._callback(Step(last.step, last.steps, last.loss, score))


class Bar(Quiet):
    """Reports to a bar: of a notebook where it runs in one, else of a terminal."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._figures: dict[str, str] = {}

    def training(self, stretch: Stretch) -> Progress:
        from tqdm.auto import tqdm

        self._bar = tqdm(
            total=stretch.total, initial=stretch.first_step, unit="step", dynamic_ncols=True
        )
        return self

    def step(self, step: int, total: int, loss: float) -> None:
        self._bar.total = total
        self._figures["bits"] = f"{loss / log(2):.3f}"
        self._bar.set_postfix(self._figures, refresh=False)
        self._bar.update(step - self._bar.n)

    def validation(
        self, seen: Validation, tokens: int, score: Score, *, provisional: bool = False
    ) -> None:
        self._figures["validation"] = f"{score.bits_per_token:.3f}{'*' * seen.best}"

    def close(self) -> None:
        self._bar.close()


def reports_to(progress: Callback | bool | None) -> Quiet:
    """True: a bar. None, False: nobody. Raises UsageError for what cannot be told anything."""
    if callable(progress):
        return Told(progress)
    if not (progress is None or isinstance(progress, bool)):
        raise UsageError(f"progress is {progress!r:.60}; it must be a function, True or False")
    return Bar() if progress else Quiet()
