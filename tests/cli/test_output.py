"""What commands write, to whatever is at the other end, in processes of their own."""

import codecs
import io
import json
import os
import subprocess
import sys
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from charlm.cli.output import print_json
from charlm.cli.streams import _any_character

CHARLM = [sys.executable, "-m", "charlm"]
FULL = Path("/dev/full")


def run(*command: object, **options: Any) -> subprocess.CompletedProcess[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(
        list(map(str, command)), check=False, encoding="utf-8", timeout=60, **(pipes | options)
    )


def shell(script: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """A script in which "$@" is charlm with these arguments."""
    return run("bash", "-o", "pipefail", "-c", script, "bash", *CHARLM, *arguments, **options)


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_row_34_output_to_a_full_disk_is_one_line(trained: Path, text_file: Path) -> None:
    generate = ["generate", "-m", trained]
    for arguments in (["--version"], ["--help"], ["vocab", text_file], ["info", trained],
                      generate, [*generate, "--json"]):  # fmt: skip
        done = shell('"$@" >/dev/full', *arguments)
        assert (done.returncode, done.stderr) == (
            5, "Error: standard output: No space left on device; make room first\n",
        ), arguments  # fmt: skip


def test_row_34_closed_streams_are_one_line(text_file: Path) -> None:
    done = shell('"$@" >&-', "--version")
    assert (done.returncode, done.stderr) == (5, "Error: standard output: it is closed\n")
    done = shell('"$@" <&-', "vocab", "-")
    assert (done.returncode, done.stderr) == (5, "Error: standard input: it is closed\n")
    assert shell('"$@" 2>&-', "vocab", "nothing").returncode == 2
    for closed in ("<&-", "2>&-", "<&- 2>&-"):
        done = shell(f'"$@" {closed}', "vocab", text_file)
        assert (done.returncode, done.stderr) == (0, ""), closed
        assert "LATIN SMALL LETTER A" in done.stdout


OPENED = """
from charlm.cli.streams import open_streams
open_streams()
with open(__import__("os").devnull) as file:
    raise SystemExit(file.fileno())
"""


def test_row_34_a_file_never_gets_the_number_of_a_closed_stream() -> None:
    """Else what a library says on standard error would be written into a checkpoint."""
    for closed in ("", "<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = run("bash", "-c", f'"$@" {closed}', "bash", sys.executable, "-c", OPENED)
        assert done.returncode > 2, closed


def test_row_34_a_training_without_standard_error(
    tmp_path: Path, text_file: Path, tiny_options: list[str]
) -> None:
    done = shell('"$@" 2>&- <&-', "train", text_file, *tiny_options, "-o", tmp_path / "run")
    assert done.returncode == 0
    assert "20 steps" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["vocab"]])
def test_row_34_a_closed_pipe_ends_every_command_quietly(
    tmp_path: Path, arguments: list[str]
) -> None:
    if arguments == ["vocab"]:
        (tmp_path / "many.txt").write_text("".join(map(chr, range(0x4E00, 0x6E00))), "utf-8")
        arguments = ["vocab", str(tmp_path / "many.txt")]
    done = shell('"$@" | sleep 0', *arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_row_34_a_training_that_nobody_listens_to_goes_on(
    tmp_path: Path, text_file: Path, tiny_options: list[str]
) -> None:
    train = ["train", text_file, *tiny_options, "--eval-every", 2, "-o", tmp_path / "run", "--json"]
    done = shell('"$@" 2> >(exec sleep 0)', *train)
    assert done.returncode == 0
    assert json.loads(done.stdout)["steps"] == 20


def test_row_26_a_pipe_gets_utf_8_in_every_locale(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("龙é😀" * 30, encoding="utf-8")
    poor = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONIOENCODING"}
    done = run(*CHARLM, "vocab", tmp_path / "a.txt", env=environment | poor)
    assert done.returncode == 0
    assert "龙" in done.stdout
    assert "😀" in done.stdout
    done = run(*CHARLM, "vocab", tmp_path / "a.txt", "--json", env=environment | poor)
    assert set("龙é😀") < set(json.loads(done.stdout)["tokens"])


def test_row_26_who_asks_for_an_encoding_gets_it_and_json_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("龙é😀" * 30, encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    command = [*CHARLM, "vocab", str(tmp_path / "a.txt")]
    plain = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    assert rb"\u9f99" in plain
    assert b"\xe9" in plain
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, check=True)
    assert set("龙é😀") < set(json.loads(done.stdout.decode("cp1252"))["tokens"])


def test_the_folder_of_the_command_is_gone(tmp_path: Path, text_file: Path) -> None:
    script = 'mkdir gone && cd gone && rmdir ../gone && "$@"'
    for arguments in (["vocab", text_file], ["train", text_file, "-o", tmp_path / "run"]):
        done = shell(script, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (
            5, "Error: the folder that charlm was started in is gone: change to another (cd)\n",
        )  # fmt: skip


def test_nothing_in_the_environment_is_needed(trained: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH")}
    for arguments in (["generate", "-l", 5], ["evaluate"]):
        done = run(*CHARLM, *arguments, "-m", trained, env=environment)
        assert done.returncode == 0, done.stderr


TEXTS = st.text(st.characters(codec=None, exclude_categories=()))


@given(TEXTS)
def test_row_26_no_text_ends_the_program_and_bytes_leave_as_they_came(text: str) -> None:
    codecs.register_error("charlm", _any_character)
    written = io.BytesIO()
    out = io.TextIOWrapper(written, "utf-8", "charlm", newline="\n")
    out.write(text)
    out.flush()
    plain = "".join(c if not 0xD800 <= ord(c) < 0xDC80 and not 0xDD00 <= ord(c) < 0xE000
                    else f"\\u{ord(c):04x}" for c in text)  # fmt: skip
    assert written.getvalue() == plain.encode("utf-8", "surrogateescape")


VALUES = st.recursive(
    TEXTS | st.floats() | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def expected(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: expected(part) for key, part in value.items()}
    if isinstance(value, list):
        return [expected(part) for part in value]
    return None if isinstance(value, float) and not isfinite(value) else value


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
@pytest.mark.parametrize("terminal", [True, False])
@given(value=VALUES)
def test_row_27_json_is_json_everywhere(value: Any, encoding: str, terminal: bool) -> None:
    # Two halves of a pair that stand together are one character to whoever reads the JSON.
    assume(json.loads(json.dumps(expected(value))) == expected(value))
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding, "strict", newline="\n")
    out.isatty = lambda: terminal  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        print_json({"value": value})
        out.flush()
    line = raw.getvalue().decode(encoding)
    assert line.count("\n") == 1
    assert json.loads(line, parse_constant=pytest.fail) == {"value": expected(value)}
    if terminal:
        assert not set(line[:-1]) & set(map(chr, [*range(32), *range(0x7F, 0xA0), 0x202E, 0x2066]))


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": nan, "b": [inf, 1.5], "c": {"d": -inf}})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": {"d": None}}
