"""Tasks done side by side by processes of their own, and their results in the tasks' order."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from charlm.errors import OutOfMemoryError

# What it takes to begin processes is imported when there are any: whoever opens a run does not.
if TYPE_CHECKING:
    from concurrent.futures import Future

Task = TypeVar("Task")
Result = TypeVar("Result")
# Told of every piece of a task that is done, by its size.
OnDone = Callable[[int], None]
Do = Callable[[Task, OnDone], Result]

# How often those who wait are told how far the others are.
SECONDS_BETWEEN_LOOKS = 0.2


def do_all(
    do: "Do[Task, Result]", tasks: Sequence[Task], jobs: int, progress: OnDone
) -> Iterator[Result]:
    """`do(task, progress)` of each task, by at most `jobs` processes; by this one where it is 1.

    do, tasks: what can be sent to another process, where there are more. What a task raises is
    raised here, and the others are stopped. Raises OutOfMemoryError where a process was killed.
    """
    if min(jobs, len(tasks)) < 2:
        for task in tasks:
            yield do(task, progress)
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # Begun anew, not forked: threads of this process might hold locks.
    context = get_context("spawn")
    done, stop = context.Value("q", 0), context.Event()
    with ProcessPoolExecutor(
        min(jobs, len(tasks)), context, initializer=_begin, initargs=(done, stop)
    ) as processes:
        try:
            futures = [processes.submit(_do, do, task) for task in tasks]
            told = 0
            for future in futures:
                while _waits_for(future):
                    told += _tell(progress, done.value - told)
                yield future.result()
            _tell(progress, done.value - told)
        except BrokenProcessPool:
            raise OutOfMemoryError(
                "a process that was reading was killed, perhaps for want of memory: "
                "fewer --jobs need less"
            ) from None
        finally:
            stop.set()
            processes.shutdown(wait=True, cancel_futures=True)


def _waits_for(future: "Future[Any]") -> bool:
    from concurrent.futures import wait

    return bool(wait([future], SECONDS_BETWEEN_LOOKS).not_done)


def _tell(progress: OnDone, size: int) -> int:
    progress(size)
    return size


class _StoppedError(Exception):
    """Nobody waits for the task any longer."""


def _begin(done: Any, stop: Any) -> None:
    """The first that a process does: whatever ends the first process ends this one too."""
    global _done, _stop
    _done, _stop = done, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it, and stops the others
    threading.Thread(target=_end_with_the_first, daemon=True).start()


def _end_with_the_first() -> None:
    from multiprocessing import connection, parent_process

    if (first := parent_process()) is not None:
        with contextlib.suppress(OSError):
            connection.wait([first.sentinel])
        os._exit(1)


_done: Any = None
_stop: Any = None


def _do(do: "Do[Task, Result]", task: Task) -> Result:
    return do(task, _count)


def _count(size: int) -> None:
    if _stop.is_set():
        raise _StoppedError
    with _done.get_lock():
        _done.value += size
