"""Texts of any size and any character, to and from terminals, pipes and poor encodings."""

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm.cli.told import reading_bar
from charlm.data.text import for_terminal
from charlm.run import open_run

Charlm = Callable[..., Any]
CHARLM = [sys.executable, "-m", "charlm"]
# A colour, a title of the window, a mark that turns the direction of reading.
ACTIVE = "\x1b[31m\x1b]0;x\x07‮\x9b"

# Its characters that do something by themselves.
ACTIVE_ALONE = {c for c in ACTIVE if not c.isascii() or c < " "}


@pytest.fixture(scope="module")
def active_run(tmp_path_factory: pytest.TempPathFactory, tiny_options: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("active")
    (folder / "text.txt").write_text(f"ab{ACTIVE}c\n" * 200, encoding="utf-8", newline="")
    command = [*CHARLM, "train", str(folder / "text.txt"), *tiny_options, "--lr", "0.1"]
    subprocess.run([*command, "-o", str(folder / "run")], check=True, capture_output=True)
    return folder / "run"


def on_a_terminal(*arguments: str, code: int = 0, **environment: str) -> str:
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
    assert child.returncode == code, written
    return written.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--no-stream",)])
def test_row_27_controls_are_escaped_on_a_terminal(
    active_run: Path, options: tuple[str, ...]
) -> None:
    command = ["generate", "-m", str(active_run), "--prefix", f"ab{ACTIVE}c\nab", "-l", "60"]
    written = on_a_terminal(*command, *options)
    assert not set(written) & ACTIVE_ALONE
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
     ("--top-p", "nan"), ("--min-p", "2"), ("--seed", str(2**64)),
     ("-l", "-1"), ("-n", "0"), ("--top-k", "-3")],
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


def test_row_27_nothing_that_a_stranger_chose_reaches_a_terminal(
    active_run: Path, tmp_path: Path, tiny_options: list[str]
) -> None:
    """The card of a run, names of texts and folders, errors, a training, and JSON."""
    text = tmp_path / f"{ACTIVE}.txt"
    text.write_text(f"ab{ACTIVE}c\n" * 200, encoding="utf-8", newline="")
    run, stolen = tmp_path / f"run{ACTIVE}", tmp_path / "stolen"
    shutil.copytree(active_run, stolen)
    card = json.loads((stolen / "config.json").read_text())
    card["corpus"]["path"] = ACTIVE
    (stolen / "config.json").write_text(json.dumps(card))
    commands = (
        ["train", text, *tiny_options, "--sample-every", "10", "-o", run],
        ["train", text, "--epochs", "1", "--dry-run"],
        ["preprocess", text, "-o", tmp_path / f"corpus{ACTIVE}"],
        ["info", stolen], ["info", stolen, "--json"], ["info", run],
        ["generate", "-m", run, "-l", "5", "--json", "--prefix", f"ab{ACTIVE}"],
        ["vocab", text], ["vocab", text, "--tsv"], ["vocab", text, "--json"],
        ["evaluate", text, "-m", run, "--no-baselines"],
    )  # fmt: skip
    for command in commands:
        written = on_a_terminal(*map(str, command))
        # What draws a bar and rows: carriage returns, the cursor up, a line cleared, bold and dim.
        drawn = re.sub("\x1b\\[([AK]|[012]m)|\r", "", written)
        assert not set(drawn) & ACTIVE_ALONE, command
        if "--json" in command:
            assert json.loads(drawn.splitlines()[-1]), command
    assert not set(on_a_terminal("info", ACTIVE, code=4)) & ACTIVE_ALONE


def test_row_27_json_on_a_terminal_says_what_it_says_in_a_pipe(active_run: Path) -> None:
    command = ["generate", "-m", str(active_run), "-l", "99", "--seed", "1", "--json"]
    piped = subprocess.run([*CHARLM, *command], check=True, capture_output=True).stdout
    assert json.loads(on_a_terminal(*command)) == json.loads(piped)


def test_row_26_a_terminal_keeps_its_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("龙é😀" * 30, encoding="utf-8")
    command = ["vocab", str(tmp_path / "a.txt")]
    poor = {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    assert r"\u9f99" in on_a_terminal(*command, **poor)
    assert "龙" in on_a_terminal(*command, PYTHONIOENCODING="utf-8")
    written = on_a_terminal(*command, "--json", **poor)
    assert set("龙é😀") < set(json.loads(written)["tokens"])


def test_row_27_nor_does_the_name_of_a_text_that_takes_long_to_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    titles: list[str] = []

    def bar(desc: str, **options: Any) -> io.StringIO:
        titles.append(desc)
        return io.StringIO()

    monkeypatch.setattr("tqdm.tqdm", bar)
    with reading_bar(ACTIVE):
        pass
    assert len(titles) == 1
    assert not set(titles[0]) & ACTIVE_ALONE
