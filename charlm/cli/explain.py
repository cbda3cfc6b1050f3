"""What an exception means to a user: one line and an exit code."""

import errno
import os
import signal
from pathlib import Path
from traceback import walk_tb
from typing import Any

from charlm.errors import CharlmError, FileSystemError, Stopped, is_out_of_memory


def exit_code(error: BaseException) -> int:
    """With which a command ends by an error."""
    return explain(error)[1]


def explain(error: BaseException) -> tuple[str, int]:
    """The message, and the exit code (see errors.py). What nothing below knows is a bug."""
    if isinstance(error, CharlmError | Stopped):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C", 128 + signal.SIGINT
    if hasattr(error, "format_message"):  # of click, which cannot be imported if it is broken
        return _usage(error), 2
    if is_out_of_memory(error):
        return "out of memory: lower --batch-size, --seq-len or --hidden-size", 6
    if library := _broken_library(error):
        reason = f"{type(error).__name__}: {error}"
        return f"{library} does not load: install it anew ({reason})", FileSystemError.exit_code
    if isinstance(error, OSError):
        return _system_error(error), FileSystemError.exit_code
    if "no kernel image" in str(error):
        return "the installed torch was not built for this GPU: use --device cpu", 2
    if isinstance(error, ValueError) and "embedded null" in str(error):
        return "a file's name cannot hold a NUL character", 2
    return f"a bug in charlm: {type(error).__name__}: {error} (charlm --debug … shows where)", 1


def _usage(error: BaseException) -> str:
    """A mistake that click found in the command line, and whose help to read."""
    message = str(error.format_message())  # type: ignore[attr-defined]
    if not hasattr(error, "ctx"):
        return message
    where = error.ctx or _being_parsed(error)
    return f"{message.rstrip('.')} (see {where.command_path if where else 'charlm'} --help)"


def _being_parsed(error: BaseException) -> Any:
    """The context in which click was at work; of an option without its value it does not say so."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    found = (frame.f_locals.get("ctx") for frame in reversed(frames))
    return next((context for context in found if hasattr(context, "command_path")), None)


def _broken_library(error: BaseException) -> str | None:
    """The library, if any, in whose import the error arose: itself, or what the system adds to it.

    A library that is there in part raises ImportError; one that lacks a system library, OSError.
    """
    if not isinstance(error, ImportError | OSError):
        return None
    for frame, _ in walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if frame.f_code.co_name == "<module>" and package not in ("charlm", "__main__"):
            return package
    if isinstance(error, ImportError) and error.name and not error.name.startswith("charlm"):
        return error.name
    return None


def _system_error(error: OSError) -> str:
    """What the system refused, and for which file."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is not None:
        room = "; make room first" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return f"{os.fsdecode(error.filename)}: {reason}{room}"
    try:
        Path.cwd()
    except OSError:
        return "the folder that charlm was started in is gone: change to another (cd)"
    return reason
