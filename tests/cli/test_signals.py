"""Signals to real processes: early, ignored, twice, and while something is imported."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from charlm.errors import CharlmError, Stopped
from charlm.storage.tensors import read_tensors
from charlm.training.checkpoint import LAST

CHARLM = [sys.executable, "-m", "charlm"]
ENDLESS = ["--max-steps", "1000000", "--eval-every", "50", "--set", "training.patience=0"]


def deaf() -> None:
    """What `nohup` does, and a shell that is a script for what it runs beside itself."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def start(*command: str, **options: object) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **(pipes | options))


def wait_for(condition: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


# In the place of tqdm, which `charlm vocab` imports: slow to import, and slow to use.
SLOW = """
import time
print("importing", flush=True)
time.sleep(1)
print("imported", flush=True)
def tqdm(*arguments, **options):
    time.sleep(60)
"""


def test_row_05_little_is_imported_before_the_signals_are_seen_to() -> None:
    code = "import sys, charlm.cli.main\nprint('charlm.config' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_row_05_a_signal_before_the_training_began_says_that_nothing_is_kept(
    charlm, tmp_path: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object, **options: object) -> None:
        raise Stopped(signal.SIGINT, "stopped by Ctrl-C")

    monkeypatch.setattr("charlm.training.planner.plan", stopped)
    ended = charlm("train", text_file)
    assert (ended.code, ended.out, ended.err) == (
        130,
        "",
        "Error: stopped by Ctrl-C before the training began: nothing of it is kept\n",
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_row_05_an_import_is_not_cut_short(
    tmp_path: Path, text_file: Path, number: signal.Signals
) -> None:
    (tmp_path / "tqdm.py").write_text(SLOW)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    child = start(*CHARLM, "vocab", str(text_file), env=os.environ | {"PYTHONPATH": path})
    assert child.stdout is not None
    assert child.stdout.readline() == "importing\n"
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (128 + number, "imported\n"), err
    name = "Ctrl-C" if number == signal.SIGINT else number.name
    assert err == f"Error: stopped by {name}\n"


def test_row_05_a_signal_while_the_command_starts(text_file: Path) -> None:
    # Before its own first line Python itself answers: with a traceback, or by its death.
    for milliseconds in range(60, 400, 40):
        child = start(*CHARLM, "vocab", str(text_file))
        time.sleep(milliseconds / 1000)
        child.terminate()
        out, err = child.communicate(timeout=30)
        assert child.returncode in (0, 143, -signal.SIGTERM)
        assert err == ("Error: stopped by SIGTERM\n" if child.returncode == 143 else "")
        assert child.returncode or out


def test_row_05_what_was_ignored_from_the_start_stays_ignored() -> None:
    child = start(*CHARLM, "vocab", "-", "--json", stdin=subprocess.PIPE, preexec_fn=deaf)
    assert child.stdin is not None
    # More than a pipe holds: when all is written, most has been read.
    child.stdin.write("abc " * 100_000)
    child.send_signal(signal.SIGHUP)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (0, "")
    assert '"tokens"' in out


def test_row_05_a_training_under_nohup_goes_on(
    tmp_path: Path, text_file: Path, tiny_options: list[str]
) -> None:
    run = tmp_path / "run"
    train = ["train", str(text_file), *tiny_options, *ENDLESS, "-o", str(run)]
    child = start(*CHARLM, *train, preexec_fn=deaf)
    metrics = run / "metrics.jsonl"
    wait_for(metrics.exists, child)
    child.send_signal(signal.SIGHUP)
    child.send_signal(signal.SIGINT)
    size = metrics.stat().st_size
    wait_for(lambda: metrics.stat().st_size > size, child)
    child.terminate()
    _, err = child.communicate(timeout=30)
    assert child.returncode == 143
    assert "stopped by SIGTERM after step" in err


# A training whose fifth step takes a minute.
STUCK = """
import sys, time
from charlm.cli.main import main
from charlm.training.trainer import Trainer
step = Trainer.step
def slow(self, batch):
    if self.done == 4:
        time.sleep(60)
    return step(self, batch)
Trainer.step = slow
main()
"""


def test_row_05_ctrl_c_is_answered_at_once_and_a_second_ends_at_once(
    tmp_path: Path, text_file: Path, tiny_options: list[str]
) -> None:
    run = tmp_path / "run"
    command = ["train", str(text_file), *tiny_options, "--save-every", "2", "-o", str(run)]
    child = start(sys.executable, "-c", STUCK, *command)
    assert child.stderr is not None
    last = run / "checkpoints" / LAST
    wait_for(lambda: last.exists() and read_tensors(last)[1]["step"] == 4, child)
    began = time.monotonic()
    # Of two that come at once, the system may make one.
    child.send_signal(signal.SIGINT)
    while "stopping after this step" not in (line := child.stderr.readline()):
        assert line
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=30) == 130
    assert time.monotonic() - began < 20
    assert child.stderr.read().startswith("Error: stopped by Ctrl-C before all was saved; charlm ")
    assert read_tensors(last)[1]["step"] == 4
    for stream in (child.stdout, child.stderr):
        assert stream is not None
        stream.close()


def test_row_05_a_ctrl_c_beside_another_signal_is_no_second_one(
    tmp_path: Path, text_file: Path, tiny_options: list[str]
) -> None:
    run = tmp_path / "run"
    child = start(*CHARLM, "train", str(text_file), *tiny_options, *ENDLESS, "-o", str(run))
    metrics = run / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.stat().st_size > 0, child)
    for number in (signal.SIGHUP, signal.SIGINT):
        child.send_signal(number)
    _, err = child.communicate(timeout=30)
    assert child.returncode in (129, 130)
    assert " after step " in err
    assert "before all was saved" not in err


def test_nobody_who_handles_errors_takes_a_signal_for_one() -> None:
    assert not issubclass(Stopped, Exception | CharlmError)
