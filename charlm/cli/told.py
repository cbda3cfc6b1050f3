"""What a command tells beside its result: of texts that are read, of a training that goes on."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.cli.output import note, note_for_people

if TYPE_CHECKING:
    from charlm.run import Run
    from charlm.training.reports import Progress, Prospect, Reading, Stretch


class Told:
    """`Reports` to standard error. run: which is trained, once it is there.

    explains: whether the model and its arithmetic are told of.
    """

    def __init__(self, *, explains: bool = False) -> None:
        self._explains = explains
        self.run: Path | None = None

    def note(self, message: str) -> None:
        note(message)

    @contextmanager
    def reading(self, name: str) -> "Iterator[Reading]":
        from charlm.training.reports import Reading

        with noting() as later, reading_bar(name) as read:
            yield Reading(read, later)

    def planned(self, prospect: "Prospect") -> None:
        from charlm.cli.plan import describe, explanation

        note_for_people(describe(prospect))
        if self._explains:
            note_for_people(f"\n{explanation(prospect)}")

    def opened(self, run: "Run") -> None:
        """What a model has to beat, which is told beside it at the end."""
        from charlm.cli.summary import yardstick

        self.run = run.path
        if to_beat := yardstick(run):
            note_for_people(str(to_beat))
        elif not run.corpus_record["splits"].get("valid"):
            note("nothing to validate on")

    def training(self, stretch: "Stretch") -> "Progress":
        from charlm.cli.progress import Progress

        return Progress(stretch)

    def stopping(self, message: str) -> None:
        """A line on standard error, past Python's buffers, at which the signal may have come."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            start = ""
            if sys.stderr.isatty():
                # In the place of the bar, and of the ^C that the terminal puts behind it.
                start = "\n" if os.environ.get("TERM") == "dumb" else "\r\x1b[K"
            os.write(sys.stderr.fileno(), f"{start}{message}\n".encode())


@contextmanager
def noting() -> Iterator[Callable[[str], None]]:
    """Collects notes, and shows them at the end of the block, when no bar is in their way."""
    notes: list[str] = []
    try:
        yield notes.append
    finally:
        for message in notes:
            note(f"note: {message}")


@contextmanager
def reading_bar(name: str) -> Iterator[Callable[[int], None]]:
    """Shows, on a terminal and where it takes more than a moment, the bytes read so far."""
    from tqdm import tqdm

    from charlm.data.text import for_terminal

    with tqdm(
        desc=f"reading {for_terminal(name)}", unit="B", unit_scale=True, leave=False, delay=1,
        disable=not sys.stderr.isatty(),
    ) as bar:  # fmt: skip
        yield lambda size: bar.update(size) and None
