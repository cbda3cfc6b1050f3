"""Stop on a signal between two steps, not inside one."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from charlm.errors import Stopped, typed

STOPPING = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
]


def heeded() -> list[signal.Signals]:
    """The signals that ask us to stop, but for those that we were started not to hear.

    `nohup` has SIGHUP ignored, and a shell that is a script SIGINT for what it runs beside itself.
    """
    return [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]


def name_of(number: int) -> str:
    """What whoever sent a signal calls it."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported, which no exception from outside may cut short.

    It might be lost there; and C++ that a library loads, such as torch's, aborts the process.
    """
    while frame is not None:
        if frame.f_globals.get("__name__") == "importlib._bootstrap":
            return True
        frame = frame.f_back
    return False


class StopSignals:
    """Inside the block the first signal is only noted, in `received`; a second SIGINT ends at once.

    In a thread other than the main one, where Python allows no handlers, the block does nothing.
    """

    def __init__(self, run: Path, say: Callable[[str], None]) -> None:
        """run: what is trained, for the message of a second SIGINT. say: is told, at once, that the
        first signal has been heard."""
        self.received: int | None = None
        self._interrupted = False
        self._run, self._say = run, say

    def __enter__(self) -> "StopSignals":
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in heeded()}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # A terminal that goes away may send SIGHUP beside a Ctrl-C, and that is no second one.
        second = number == signal.SIGINT and self._interrupted
        self._interrupted = self._interrupted or number == signal.SIGINT
        if self.received is None:
            self.received = number
            again = "; Ctrl-C again ends it at once" if number == signal.SIGINT else ""
            self._say(f"stopping after this step, to save what was learned{again}")
        elif second and not importing(frame):
            raise Stopped(
                number,
                "stopped by Ctrl-C before all was saved; charlm train --resume "
                f"{typed(self._run)} goes on from the last resume point",
            )
