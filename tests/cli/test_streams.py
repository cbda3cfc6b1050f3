"""Texts of any size and any character, to and from terminals, pipes and poor encodings."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm.data.text import for_terminal
from charlm.run import open_run

Charlm = Callable[..., Any]
CHARLM = [sys.executable, "-m", "charlm"]
# A colour, a title of the window, a mark that turns the direction of reading.
ACTIVE = "\x1b[31m\x1b]0;x\x07‮\x9b"


@pytest.fixture(scope="module")
def active_run(tmp_path_factory: pytest.TempPathFactory, tiny_options: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("active")
    (folder / "text.txt").write_text(f"ab{ACTIVE}c\n" * 200, encoding="utf-8", newline="")
    command = [*CHARLM, "train", str(folder / "text.txt"), *tiny_options, "--lr", "0.1"]
    subprocess.run([*command, "-o", str(folder / "run")], check=True, capture_output=True)
    return folder / "run"


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What a command writes to a real terminal."""
    ours, theirs = pty.openpty()
    options = {"stdout": theirs, "stderr": theirs, "env": os.environ | environment}
    with subprocess.Popen([*CHARLM, *arguments], **options) as child:
        os.close(theirs)
        written = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the terminal's other end is closed
                break
            if not chunk:
                break
            written += chunk
    os.close(ours)
    assert child.returncode == 0
    return written.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--no-stream",)])
def test_row_27_controls_are_escaped_on_a_terminal(
    active_run: Path, options: tuple[str, ...]
) -> None:
    command = ["generate", "-m", str(active_run), "--prefix", f"ab{ACTIVE}c\nab", "-l", "60"]
    written = on_a_terminal(*command, *options)
    assert not set(written) & set(ACTIVE.translate({ord(c): None for c in "[31m]0;x"}))
    assert r"\x1b[31m" in written
    assert r"\u202e" in written


def test_row_27_and_are_exact_in_a_pipe(active_run: Path) -> None:
    command = [*CHARLM, "generate", "-m", str(active_run), "--prefix", f"ab{ACTIVE}c\n", "-l", "5"]
    written = subprocess.run(command, check=True, capture_output=True).stdout
    assert written.decode().startswith(f"ab{ACTIVE}c\n")


def test_row_27_what_a_terminal_needs_stays() -> None:
    family = "👨‍👩‍👧 é 龙\t\n"
    assert for_terminal(family) == family
    assert for_terminal("\x1b\r\x00\u2066") == r"\x1b\r\x00\u2066"


def test_row_26_arguments_that_are_not_utf_8(
    trained: Path, tmp_path: Path, tiny_options: list[str]
) -> None:
    name = os.fsencode(tmp_path) + b"/\xff.txt"
    Path(os.fsdecode(name)).write_text("abc def\n" * 100)
    run = os.fsencode(tmp_path) + b"/run\xfe"
    for command in ([b"train", name, b"-o", run, *tiny_options], [b"info", run],
                    [b"generate", b"-m", run, b"-l", b"5"]):  # fmt: skip
        done = subprocess.run([*CHARLM, *command], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    refused = subprocess.run(
        [*CHARLM, "generate", "-m", str(trained), "--prefix", b"a\xff"], capture_output=True,
        check=False,
    )  # fmt: skip
    assert refused.returncode == 3
    assert rb"U+DCFF" in refused.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_row_26_no_terminal_is_too_poor_to_train_on(
    tmp_path: Path, tiny_options: list[str], encoding: str
) -> None:
    (tmp_path / "龙.txt").write_text("龙龍éabc 话说\n" * 60, encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C"}
    run = str(tmp_path / "run")
    train = ["train", str(tmp_path / "龙.txt"), *tiny_options, "--sample-every", "10", "-o", run]
    for command in (train, ["generate", "-m", run, "-l", "50"]):
        done = subprocess.run(
            [*CHARLM, *command], capture_output=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stderr


# Both sizes in one child, since importing takes memory too.
PREPARE = """
import resource, sys
from charlm.cli.main import run_command
peaks = []
for text in sys.argv[1:]:
    assert run_command(["preprocess", text, "-o", text + ".corpus"]) == 0
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print((peaks[1] - peaks[0]) // (1024 * 1024 if sys.platform == "darwin" else 1024))
"""


def test_row_28_memory_does_not_grow_with_the_text(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    line = "It was the best of times, it was the worst of times. 龙é\n"
    small.write_text(line * 50_000, encoding="utf-8")
    large.write_text(line * 1_020_000, encoding="utf-8")
    command = [sys.executable, "-c", PREPARE, str(small), str(large)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert large.stat().st_size > 60_000_000
    assert int(done.stdout.splitlines()[-1]) < 10


def test_row_25_an_empty_prefix_and_one_that_is_decomposed(
    charlm: Charlm, tmp_path: Path, tiny_options: list[str]
) -> None:
    Path("text.txt").write_text("caf\u00e9 au lait\n" * 60, encoding="utf-8")
    options = [*tiny_options, "--normalize", "nfc"]
    assert charlm("train", "text.txt", *options, "-o", "composed").code == 0
    assert charlm("generate", "-m", "composed", "--prefix", "", "-l", 3).code == 0
    decomposed = charlm("generate", "-m", "composed", "--prefix", "cafe\u0301", "-l", 3)
    assert decomposed.code == 0
    assert decomposed.out.startswith("caf\u00e9")
    assert charlm("train", "text.txt", *tiny_options, "-o", "plain").code == 0
    refused = charlm("generate", "-m", "plain", "--prefix", "cafe\u0301")
    assert refused.code == 3
    assert "U+0301 COMBINING ACUTE ACCENT" in refused.err


def test_row_19_a_model_does_not_say_on_which_device_it_was_made(trained: Path) -> None:
    run = open_run(trained)
    assert set(run.facts) & {"device", "cuda"} == set()
    assert {array.dtype.name for array in run.weights.values()} == {"float32"}


def test_row_19_a_device_that_is_not_there(charlm: Charlm, trained: Path) -> None:
    for command in (["generate", "-m", trained], ["evaluate", "-m", trained]):
        refused = charlm(*command, "--device", "cuda:7")
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "cpu" in refused.err


@pytest.mark.parametrize(
    "options",
    [("-t", "nan"), ("-t", "-1"), ("-t", "inf"), ("--top-p", "0"), ("--top-p", "1.5"),
     ("--top-p", "nan"), ("--min-p", "2"), ("-l", "-1"), ("-n", "0"), ("--top-k", "-3")],
)  # fmt: skip
def test_row_34_nonsense_is_refused(
    charlm: Charlm, trained: Path, options: tuple[str, str]
) -> None:
    refused = charlm("generate", "-m", trained, *options)
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)


def test_row_34_the_extremes_work(charlm: Charlm, trained: Path) -> None:
    for options in (("-t", "1e-30"), ("-t", "1e30"), ("--top-k", "1000000"), ("-l", "0")):
        done = charlm("generate", "-m", trained, "--prefix", "ab", "-l", 20, *options)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("ab")


def test_row_34_a_tiny_temperature_is_greedy(charlm: Charlm, trained: Path) -> None:
    written = {
        charlm("generate", "-m", trained, "-l", 50, "-t", t, "--seed", 1).out for t in (0, 1e-30)
    }
    assert len(written) == 1
