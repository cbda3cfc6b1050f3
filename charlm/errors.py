"""Every error a user can meet. Each kind carries its exit code.

CharlmError           1   a bug, unless it is one of these:
├── UsageError        2   an option or a combination of options that makes no sense
├── DataError         3   a text or a prepared corpus that cannot be used
├── ModelError        4   a run, a model or a vocabulary that cannot be used
├── FileSystemError   5   a disk that is full, read-only or in use
├── OutOfMemoryError  6
├── DivergedError     7   the loss or a gradient became infinite or NaN
└── LostRankError     1   another process of the same training is gone

Stopped           128+n   ended by signal n; no error, and so no CharlmError

A message is one line: what is wrong, where, and what to do.
"""

import re
import shlex
import signal
from importlib.util import find_spec
from pathlib import Path


def typed(path: Path | str) -> str:
    """A path as it is typed in a shell, in one line, for a message that says what to do."""
    text = str(path)
    if re.fullmatch(r"[\w./+@%=:,-]+", text):
        return text
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_in_ansi_quotes, text))}'"


def _in_ansi_quotes(character: str) -> str:
    """As bash and zsh have it in $'…': what cannot be seen by its bytes."""
    if character.isprintable():
        return f"\\{character}" if character in "\\'" else character
    if character == "\n":
        return r"\n"
    # Of a name that is no text, Python has a surrogate for each byte.
    how = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", how))


class CharlmError(Exception):
    exit_code = 1


class UsageError(CharlmError):
    exit_code = 2


class DataError(CharlmError):
    exit_code = 3


class ModelError(CharlmError):
    exit_code = 4


class FileSystemError(CharlmError):
    exit_code = 5


class OutOfMemoryError(CharlmError):
    exit_code = 6


# As said by torch of a CPU and of a GPU, by CUDA, and by cuBLAS and cuDNN, old and new.
NO_MEMORY = (
    "out of memory", "can't allocate memory", "not enough memory", "_alloc_failed",
    "_allocation_failed",
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory left; torch says so with a RuntimeError, in many words."""
    if isinstance(error, MemoryError | OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in NO_MEMORY)


class DivergedError(CharlmError):
    exit_code = 7


class LostRankError(CharlmError):
    """Whatever ended the other process has its own code."""


def need_extra(what: str, *libraries: str) -> None:
    """Raises UsageError where libraries are missing that only `what` needs."""
    if missing := [library for library in libraries if find_spec(library) is None]:
        raise UsageError(f"{what} needs {' and '.join(missing)}: pip install {' '.join(missing)}")


class Stopped(BaseException):
    """A signal asked the program to end.

    As with KeyboardInterrupt, nobody who handles errors is to take it for one and go on.
    """

    def __init__(self, signal_number: int, message: str, *, saved: bool = False) -> None:
        """saved: all that was learned until then is on disk."""
        super().__init__(message)
        self.number, self.saved = signal_number, saved
        self.exit_code = 128 + signal_number
        self.name = signal.Signals(signal_number).name
