"""`charlm`: where a command begins and ends. Its signals, its streams, its exit code.

What takes time to import is imported when the signals are seen to: Ctrl-C may come at once.
"""

import contextlib
import os
import signal
import sys
import time
from types import FrameType

from charlm.errors import Stopped
from charlm.training.ahead import still_importing
from charlm.training.signals import heeded, importing, name_of

# The command's own beginning: `train --time` counts from here, imports included.
STARTED = time.perf_counter()


def main() -> None:
    """The entry point: runs a command and exits with its code."""
    for number in heeded():
        signal.signal(number, _stop)
    try:
        code = _begin()
    except Stopped as error:  # another signal came while the first was being reported
        code = error.exit_code
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    for number in heeded():
        signal.signal(number, signal.SIG_DFL)
    if still_importing():  # for nothing, now that the command is at its end
        from charlm.cli.streams import ClosedPipe

        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(ClosedPipe, OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _begin() -> int:
    """Open the streams, and run the command that was typed; its exit code."""
    try:
        from charlm.cli.streams import open_streams
        from charlm.training.distributed import follows

        open_streams(shows=not follows())
    except Stopped as error:
        return _fail(error, debug=False)
    return run_command(sys.argv[1:], STARTED)


def _stop(number: int, frame: FrameType | None) -> None:
    """End, cleaning up on the way; once more, at once. Training has handlers of its own."""
    signal.signal(number, signal.SIG_DFL)
    if importing(frame) and hasattr(signal, "setitimer"):
        # Not now: ask again in a moment.
        signal.signal(signal.SIGALRM, lambda _, later: _stop(number, later))
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        return
    raise Stopped(number, f"stopped by {name_of(number)}")


def run_command(arguments: list[str], started: float | None = None) -> int:
    """Run a command; its exit code. An error is printed as one line on standard error.

    started: when it began (`time.perf_counter`), if not now.
    """
    from charlm.cli.streams import ClosedPipe

    try:
        from charlm.cli.commands import cli

        if "_CHARLM_COMPLETE" in os.environ:
            from charlm.cli.shells import register_shells

            register_shells()
        began = time.perf_counter() if started is None else started
        code: int = cli.main(arguments, prog_name="charlm", standalone_mode=False, obj=began) or 0
        sys.stdout.flush()
    except ClosedPipe:
        return 0
    except SystemExit as error:  # another process has told why
        return int(error.code or 0)
    except (Exception, Stopped, KeyboardInterrupt) as error:
        return _fail(error, "--debug" in arguments)
    return code


def _fail(error: BaseException, debug: bool) -> int:
    """Say what went wrong in one line, before it the traceback if asked for; the exit code."""
    from charlm.cli.explain import explain
    from charlm.cli.output import note
    from charlm.data.text import for_terminal
    from charlm.training.distributed import follows

    if debug:
        import traceback

        note("".join(traceback.format_exception(error)).rstrip("\n"))
    message, code = explain(error)
    # Of several processes all were typed the same, and asked to stop.
    alike = isinstance(error, Stopped | KeyboardInterrupt) or hasattr(error, "format_message")
    if alike and follows():
        return code
    note("Error: " + for_terminal(" ".join(message.split("\n"))))
    return code
