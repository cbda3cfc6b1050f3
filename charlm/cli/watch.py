"""What is told beside a scoring: what it waits for, and how far it is."""

import os
import sys
import time
from collections.abc import Iterable, Iterator

from charlm.cli.output import note, show_status

# Without a sign, and between two signs: a status on a terminal, elsewhere a line.
STATUS_AFTER, STATUS_EVERY = 1.0, 0.2
SECONDS_BETWEEN_LINES = 5.0


# Said before a command waits for somebody to type.
TYPING = (
    "reading from the terminal: Enter ends a line and has it scored; "
    f"{'Ctrl-Z, then Enter,' if os.name == 'nt' else 'Ctrl-D'} on a line of its own ends the text"
)


def is_typed_in(name: str) -> bool:
    """Whether the text called `name` comes from somebody at a terminal."""
    return name == "-" and sys.stdin is not None and sys.stdin.isatty()


class Watch:
    """Tells on standard error of tokens that were scored, where nothing has been seen for a while.

    things: what they are. shown: whether whoever looks sees by itself how far it is, as where rows
    come to a terminal or lines from it. On a terminal it is a status, which gives way to what else
    is shown.
    """

    def __init__(self, things: str, *, shown: bool) -> None:
        self._things, self._shown, self._tokens = things, shown, 0
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._is_shown = False
        self._began = time.monotonic()
        self._next = self._began + self._patience()

    def scored(self, tokens: int) -> None:
        """So many more."""
        self._tokens += tokens
        now = time.monotonic()
        if now < self._next:
            return
        told = f"scoring: {self._tokens:,} {self._things} in {now - self._began:,.0f} s"
        if self._terminal:
            show_status(told)
            self._is_shown, self._next = True, now + STATUS_EVERY
        else:
            note(told)
            self._next = now + SECONDS_BETWEEN_LINES

    def give_way(self) -> None:
        """To what is about to be shown."""
        if self._is_shown:
            show_status("")
            self._is_shown = False

    def over(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines, each of which has its own time where they are seen to come."""
        for line in lines:
            if self._shown:
                self._next = time.monotonic() + self._patience()
            yield line

    def _patience(self) -> float:
        return STATUS_AFTER if self._terminal else SECONDS_BETWEEN_LINES
