"""Who is told of a training, while it is made ready and while it goes on. Nothing is shown here.

The command line shows it on a terminal, the library in a notebook or not at all.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from charlm.config import Config
from charlm.course import Validation
from charlm.evaluation.metrics import Score
from charlm.run import Run


@dataclass(frozen=True)
class Prospect:
    """What is about to be trained.

    name: of the text. sizes: tokens in each part. symbols: in the vocabulary. epochs: how many the
    time is likely to allow, where the planner has said so. speed: tokens a second that it expects.
    """

    name: str
    config: Config
    sizes: dict[str, int]
    symbols: int
    epochs: float | None = None
    speed: float | None = None


class Reading(NamedTuple):
    """read: is told the bytes of each piece of a text. note: what is odd about it, in a line."""

    read: Callable[[int], None]
    note: Callable[[str], None]


class Progress(Protocol):
    """Is told of the steps of a training."""

    def step(self, step: int, total: int, loss: float) -> None:
        """`step` steps of `total` are done, the last with `loss` nats per token."""

    def validation(
        self, seen: Validation, tokens: int, score: Score, *, provisional: bool = False
    ) -> None:
        """tokens: read in training so far. score: the validation's, whose bits `seen` has.
        provisional: it is of the beginning of what the last figure will be over."""

    def sample(self, text: str) -> None:
        """A text that the model has written, or filled."""

    def note(self, message: str) -> None:
        """Whatever else there is to say, in a line."""

    def close(self) -> None:
        """The training is over, or has failed."""


@dataclass(frozen=True)
class Stretch:
    """The steps of a training that are about to be made, after `first_step` of `total`.

    unit: what a token is. seen: the validations of a training that is resumed.
    """

    total: int
    tokens_per_step: int
    first_step: int = 0
    unit: str = "character"
    seen: Sequence[Validation] = ()


class Reports(Protocol):
    """Is told of a training from its text to its end."""

    def note(self, message: str) -> None:
        """Whatever there is to say, in a line."""

    def reading(self, name: str) -> AbstractContextManager[Reading]:
        """A text called `name` is read inside the block."""

    def planned(self, prospect: Prospect) -> None:
        """All is chosen; the run is not made yet."""

    def opened(self, run: Run) -> None:
        """The run is there, and is about to be trained."""

    def training(self, stretch: Stretch) -> Progress:
        """Training begins."""

    def stopping(self, message: str) -> None:
        """A signal has come, perhaps in the middle of anything: `message` says what follows."""


class Silent:
    """Reports, and a Progress, that nobody is told of."""

    def note(self, message: str) -> None: ...
    def planned(self, prospect: Prospect) -> None: ...
    def opened(self, run: Run) -> None: ...
    def stopping(self, message: str) -> None: ...
    def step(self, step: int, total: int, loss: float) -> None: ...
    def validation(
        self, seen: Validation, tokens: int, score: Score, *, provisional: bool = False
    ) -> None: ...
    def sample(self, text: str) -> None: ...
    def close(self) -> None: ...

    @contextmanager
    def reading(self, name: str) -> Iterator[Reading]:
        yield Reading(lambda size: None, self.note)

    def training(self, stretch: Stretch) -> Progress:
        return self
