"""What a training writes line by line. A log that fails is no reason to end the training."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from charlm.course import Moment, Validation, moment_of, read_course
from charlm.errors import CharlmError, FileSystemError
from charlm.run import EVENTS, METRICS, SAMPLES
from charlm.storage.files import append, size, truncate
from charlm.training.event_file import EventFile

LOGS = (METRICS, SAMPLES)


class Logs:
    """Of a run. moments: all that is logged of its course."""

    def __init__(self, run: Path, sizes: Mapping[str, int]) -> None:
        """sizes: in bytes, of each log where the training goes on; what is beyond is cut off, since
        it will come again."""
        self._run = run
        for name in LOGS:
            truncate(run / name, sizes.get(name, 0))
        self.moments: list[Moment] = []
        self._unread: str | None = None
        if sizes.get(METRICS, 0):
            try:
                self.moments = list(read_course(run).moments)
            except CharlmError as error:
                self._unread = str(error)
        self._events: EventFile | None = None
        self._appends = True
        self._warn: Callable[[str], None] = lambda message: None

    @property
    def validations(self) -> list[Validation]:
        return [moment for moment in self.moments if isinstance(moment, Validation)]

    def open(self, warn: Callable[[str], None], *, events: bool, seconds: float) -> None:
        """Begin to log. warn: takes what is to be said of it; events: for TensorBoard too;
        seconds: of training until now."""
        self._warn = warn
        if self._unread:
            warn(f"Warning: {self._unread}; the course of the training is shown from here on")
        if not events:
            return
        try:
            self._events = EventFile(self._run, self.moments, seconds)
        except ImportError:
            warn("Warning: no events for TensorBoard are written: pip install tensorboard")
        except FileSystemError as error:
            warn(f"Warning: {error}; no events for TensorBoard are written")

    def sizes(self) -> dict[str, int]:
        """The bytes of each log."""
        return {name: size(self._run / name) for name in LOGS}

    def metrics(self, record: Mapping[str, Any]) -> Moment:
        """Log a line of figures; what it tells."""
        self._append(METRICS, json.dumps(record) + "\n")
        moment = moment_of(record, "this step")
        self.moments.append(moment)
        if self._events:
            try:
                self._events.add(moment)
            except OSError as error:
                self._events = None
                self._give_up(EVENTS, error)
        return moment

    def sample(self, step: int, text: str) -> None:
        self._append(SAMPLES, f"=== step {step}\n{text}\n\n")

    def _append(self, name: str, text: str) -> None:
        if not self._appends:
            return
        try:
            append(self._run / name, text.encode())
        except OSError as error:
            self._appends = False
            self._give_up(name, error)

    def _give_up(self, name: str, error: OSError) -> None:
        self._warn(f"Warning: {self._run / name}: {error.strerror}; no more is logged")
