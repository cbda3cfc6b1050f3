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
    from concurrent.futures import Future, ProcessPoolExecutor

Task = TypeVar("Task")
Result = TypeVar("Result")
# Told of every piece of a task that is done, by its size.
OnDone = Callable[[int], None]
Do = Callable[[Task, OnDone], Result]

# How often those who wait are told how far the others are.
SECONDS_BETWEEN_LOOKS = 0.2


class Jobs:
    """So many tasks side by side, in processes of their own: within a `with`, which ends them.

    They are begun by the first tasks that want any, and serve those that come later.
    """

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self._processes: ProcessPoolExecutor | None = None
        self._done: Any = None
        self._stop: Any = None

    def __enter__(self) -> "Jobs":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._processes is not None:
            self._stop.set()
            self._processes.shutdown(wait=True, cancel_futures=True)
            self._processes = None

    def do_all(
        self, do: "Do[Task, Result]", tasks: Sequence[Task], progress: OnDone
    ) -> Iterator[Result]:
        """`do(task, progress)` of each task; by this process where one is enough.

        do, tasks: what can be sent to another process, where there are more. What a task raises is
        raised here, when the others have been stopped: they write no more. Raises OutOfMemoryError
        where a process was killed.
        """
        if min(self.number, len(tasks)) < 2:
            for task in tasks:
                yield do(task, progress)
            return
        from concurrent.futures.process import BrokenProcessPool

        processes = self._processes or self._begun(min(self.number, len(tasks)))
        told = self._done.value
        try:
            futures = [processes.submit(_do, do, task) for task in tasks]
            for future in futures:
                while _waits_for(future):
                    told += _tell(progress, self._done.value - told)
                yield future.result()
            _tell(progress, self._done.value - told)
        except BaseException as error:
            self._end()
            if not isinstance(error, BrokenProcessPool):
                raise
            raise OutOfMemoryError(
                "a process that was reading was killed, perhaps for want of memory: "
                "fewer --jobs need less"
            ) from None

    def _begun(self, number: int) -> "ProcessPoolExecutor":
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        # Begun anew, not forked: threads of this process might hold locks.
        context = get_context("spawn")
        self._done, self._stop = context.Value("q", 0), context.Event()
        self._processes = ProcessPoolExecutor(
            number, context, initializer=_begin, initargs=(self._done, self._stop)
        )
        return self._processes


ALONE = Jobs()


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
