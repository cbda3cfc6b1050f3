"""Standard input, output and error, made fit for any text, and for whatever is at their ends."""

import codecs
import errno
import io
import os
import sys
from typing import IO, Any, TextIO


class ClosedPipe(Exception):
    """Whoever read our output has had enough, as `head` does."""


def open_streams(*, shows: bool = True) -> None:
    """Put streams in the place of Python's own that are closed, or that not every text can pass.

    What is written to a pipe or a file is UTF-8 with line feeds, on every system and in every
    locale (but for `PYTHONIOENCODING`), and bytes of file names that are no text leave as they
    came. A terminal keeps its encoding, and shows escapes for what that lacks.
    shows: whether this process does; if not, nothing of it comes to standard output.
    """
    # A file that is opened later must not get the number of a standard stream that is closed.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    codecs.register_error("charlm", _any_character)
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BufferedReader(ClosedInput()))
    sys.stdout = _writer(sys.stdout if shows else None, "standard output", needed=shows)
    # What is said beside the result is no reason to end, when there is nobody to say it to.
    sys.stderr = _writer(sys.stderr, "standard error", needed=False)


class ClosedInput(io.RawIOBase):
    """Standard input where there is none; whoever reads it learns so."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise OSError(errno.EBADF, "it is closed", "standard input")


class Outlet(io.RawIOBase):
    """The end of a stream: the first time that writing fails, its name is in the error.

    After that, and from the beginning where it is not needed, what cannot be written is dropped.
    """

    def __init__(self, raw: IO[bytes] | None, name: str, needed: bool) -> None:
        self._raw, self._name, self._needed = raw, name, needed
        self._terminal = raw is not None and raw.isatty()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._terminal

    def fileno(self) -> int:
        if self._raw is None:
            raise io.UnsupportedOperation("fileno")
        return self._raw.fileno()

    def write(self, data: Any) -> int | None:
        try:
            if self._raw is None:
                raise OSError(errno.EBADF, "it is closed")
            return self._raw.write(data)
        except OSError as error:
            if not self._needed:
                return len(data)
            self._needed = False
            if isinstance(error, BrokenPipeError):
                raise ClosedPipe from None
            error.filename = self._name
            raise


def _writer(stream: TextIO | None, name: str, *, needed: bool) -> TextIO:
    if stream is not None and not isinstance(stream, io.TextIOWrapper):
        return stream  # somebody's own, such as a notebook's
    buffer: Any = stream and stream.buffer
    outlet = Outlet(getattr(buffer, "raw", buffer), name, needed)
    terminal = outlet.isatty()
    wanted = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    binary: Any = io.BufferedWriter(outlet)
    return io.TextIOWrapper(
        binary,
        encoding=stream.encoding if stream and (terminal or wanted) else "utf-8",
        errors="backslashreplace" if terminal else "charlm",
        newline=None if terminal else "\n",
        line_buffering=stream is not None and (stream.line_buffering or stream.write_through),
    )


def _any_character(error: UnicodeError) -> tuple[str | bytes, int]:
    """How to encode what an encoding lacks: a byte that was no text as it came, else as an escape.

    An error handler of codecs, for one character at a time.
    """
    assert isinstance(error, UnicodeEncodeError)
    first = UnicodeEncodeError(
        error.encoding, error.object, error.start, error.start + 1, error.reason
    )
    try:
        return codecs.lookup_error("surrogateescape")(first)
    except UnicodeEncodeError:
        return codecs.backslashreplace_errors(first)
