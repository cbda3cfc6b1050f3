import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from charlm.data.jobs import Jobs, OnDone
from charlm.errors import DataError, OutOfMemoryError


def square(number: int, progress: OnDone) -> int:
    progress(number)
    return number * number


def fail_at_two(number: int, progress: OnDone) -> int:
    if number == 2:
        raise DataError("two is no number")
    for _ in range(1000):
        progress(0)  # ends here, once nobody waits
        time.sleep(0.05)
    return number


def die(number: int, progress: OnDone) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("jobs", [1, 3])
def test_results_come_in_the_order_of_the_tasks(jobs: int) -> None:
    told: list[int] = []
    with Jobs(jobs) as side_by_side:
        for tasks in (range(7), range(2, 4)):
            results = side_by_side.do_all(square, tasks, told.append)
            assert [*results] == [n * n for n in tasks]
    assert sum(told) == sum(range(7)) + 5


def test_an_error_of_one_task_stops_the_others() -> None:
    began = time.monotonic()
    with Jobs(2) as jobs:
        with pytest.raises(DataError, match="two is no number"):
            [*jobs.do_all(fail_at_two, [2, 1], lambda size: None)]
        # Before anything else is done: what they write into may be removed now.
        assert not multiprocessing.active_children()
        assert [*jobs.do_all(square, [1, 2], lambda size: None)] == [1, 4]
    assert time.monotonic() - began < 40


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_killed_process_is_one_line() -> None:
    with pytest.raises(OutOfMemoryError, match="was killed"), Jobs(2) as jobs:
        [*jobs.do_all(die, [1, 2], lambda size: None)]


PARENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
import test_jobs

def tell(size):
    print("begun", flush=True)
    time.sleep(0.1)

if __name__ == "__main__":
    with test_jobs.Jobs(2) as jobs:
        list(jobs.do_all(test_jobs.fail_at_two, [1, 3], tell))
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are told apart by /proc")
def test_no_process_outlives_the_first(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, script, Path(__file__).parent], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "begun\n"
    time.sleep(1)
    children = children_of(parent.pid)
    assert children
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 20
    while any(map(running, children)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(running, children))


def children_of(pid: int) -> list[int]:
    return [
        int(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdecimal() and status(int(path.name))[1:2] == [str(pid)]
    ]


def running(pid: int) -> bool:
    return status(pid)[:1] not in ([], ["Z"])


def status(pid: int) -> list[str]:
    """The state of a process, the number of its parent, and more; nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []
