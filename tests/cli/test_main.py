"""The command line as a whole, in processes of its own: codes, signals, pipes."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHARLM = [sys.executable, "-m", "charlm"]


def test_without_a_command_it_shows_help(charlm) -> None:
    assert charlm().out == charlm("-h").out == charlm("--help").out
    assert "preprocess" in charlm().out
    assert charlm("train", "-h").code == 0


def test_version(charlm) -> None:
    import charlm as package

    assert charlm("--version").out == f"charlm, version {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "No such command 'trian'; is 'train' meant? (see charlm --help)\n"),
        (["help"], "No such command 'help' (see charlm --help)\n"),
        (["--colour"], "No such option"),  # how the option is quoted is click's affair
        (["generate", "--zzz"], "No such option"),
        (["preprocess"], "Missing argument 'INPUT...'"),
        (["preprocess", "a"], "Missing option '-o' / '--output'"),
        (["train", "-o"], "Option '-o' requires an argument (see charlm train --help)\n"),
    ],
)
def test_usage_errors_are_one_line(charlm, arguments: list[str], message: str) -> None:
    result = charlm(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"Error: {message}")
    assert result.err.endswith("--help)\n")
    assert result.err.count("\n") == 1


def test_a_bug_is_one_line_and_its_traceback_is_for_the_asking(
    charlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str | None) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("charlm.cli.inputs.find_run", broken)
    result = charlm("info")
    assert (result.code, result.err) == (
        1, "Error: a bug in charlm: ZeroDivisionError: oh (charlm --debug … shows where)\n",
    )  # fmt: skip
    assert "Traceback" in charlm("--debug", "info").err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["train", "--help"], 0), (["--version"], 0), (["train", "--zzz"], 2), (["trian"], 2),
        (["preprocess", __file__, "-o", "corpus"], 0), ([], 0),
    ],
)  # fmt: skip
def test_of_several_processes_the_first_alone_shows_what_all_were_asked(
    tmp_path: Path, arguments: list[str], code: int
) -> None:
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for rank, is_first in (("0", True), ("1", False)):
        ran = subprocess.run(
            [*CHARLM, *arguments], env={**os.environ, **place, "RANK": rank},
            capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        assert ran.returncode == code
        assert bool(ran.stdout or ran.stderr) is is_first
        assert (tmp_path / "corpus").exists() is (is_first and "preprocess" in arguments)
        shutil.rmtree(tmp_path / "corpus", ignore_errors=True)


def wait_for(condition, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_row_34_a_closed_pipe_ends_quietly(trained: Path) -> None:
    process = subprocess.Popen(
        [*CHARLM, "generate", "-m", str(trained), "-l", "10000000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    assert len(process.stdout.read(10)) == 10
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_row_26_a_poor_terminal_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("龙é" * 30, encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    result = subprocess.run(
        [*CHARLM, "vocab", str(tmp_path / "a.txt"), "--json"], capture_output=True,
        env=environment, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert rb"\u9f99" in result.stdout


def test_standard_input_is_a_text(tmp_path: Path) -> None:
    result = subprocess.run(
        [*CHARLM, "preprocess", "-", "-o", str(tmp_path / "corpus"), "--json"],
        input="abc" * 50, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert '"tokens": 150' in result.stdout


def test_an_error_beside_an_import_ends_at_once_and_whole(tmp_path: Path) -> None:
    """torch is being imported when the text turns out to be none."""
    (tmp_path / "text").write_bytes(b"abc\xff" * 1000)
    command = [sys.executable, "-m", "charlm", "train", "text"]
    for _ in range(3):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("Error: text: byte 3 (line 1) is not utf-8")
        assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_an_import_ahead_that_fails_fails_where_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time; time.sleep(0.3); done = True")
    script = (
        "from charlm.training.ahead import import_ahead, still_importing\n"
        "import_ahead('no_such_module'); import_ahead('slow')\n"
        "assert still_importing()\n"
        "import slow, time; assert slow.done\n"
        "while still_importing(): time.sleep(0.01)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
