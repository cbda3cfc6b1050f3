"""A training's course as TensorBoard reads it (extra `tensorboard`).

The file of events says what the run's log says: a training that is resumed writes it anew from the
log, cut to where it goes on, so that nothing is missing and nothing comes twice. Written here line
by line: TensorBoard's own writer has a thread whose errors nobody can catch, and puts the name of
the machine into that of the file.
"""

import io
import time
from collections.abc import Iterable
from pathlib import Path

from charlm.course import Moment, Validation
from charlm.run import EVENTS
from charlm.storage.files import append, write_bytes


class EventFile:
    """Scalars: bits/train, bits/valid, rate. Its times are those of training, pauses left out."""

    def __init__(self, run: Path, logged: Iterable[Moment], seconds: float) -> None:
        """logged: what came before; seconds: of training until now.

        Raises ImportError without TensorBoard, FileSystemError where it cannot be written.
        """
        from tensorboard.compat.proto.event_pb2 import Event

        self._path, self._began = run / EVENTS, time.time() - seconds
        version = Event(wall_time=self._began, file_version="brain.Event:2")
        events = [version.SerializeToString(), *map(self._event, logged)]
        write_bytes(self._path, b"".join(map(_framed, events)))

    def add(self, moment: Moment) -> None:
        """Raises OSError."""
        append(self._path, _framed(self._event(moment)))

    def _event(self, moment: Moment) -> bytes:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        scalars = (
            {"bits/valid": moment.bits} if isinstance(moment, Validation)
            else {"bits/train": moment.bits, "rate": moment.rate}
        )  # fmt: skip
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        event = Event(
            wall_time=self._began + moment.seconds, step=moment.step, summary=Summary(value=values)
        )
        return bytes(event.SerializeToString())


def _framed(event: bytes) -> bytes:
    """With its length and checksums around it."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    framed = io.BytesIO()
    RecordWriter(framed).write(event)
    return framed.getvalue()
