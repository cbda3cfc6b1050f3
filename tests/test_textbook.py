"""The textbook does what it says: its commands run, its lines of charlm are there, and the Chinese
book has the steps of the English one."""

import ast
import io
import re
import shlex
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from charlm.cli.main import run_command

ROOT = Path(__file__).parent.parent
BOOKS = {
    name: (ROOT / "configs" / name).read_text(encoding="utf-8")
    for name in ("textbook.md", "textbook.zh.md")
}
ENGLISH, CHINESE = BOOKS.values()
# `charlm/model/cells.py` · `rnn_step`, `LSTM.forward`
PLACES = re.compile(r"`(charlm/[\w/]+\.py)` · ((?:`[\w.]+`(?:, |、)?)+)")
# What a reader does after a command is piped into it.
PIPED = re.compile(r"printf '(.*)' \| (charlm .*)")


def blocks(book: str, kind: str) -> list[str]:
    return re.findall(f"^```{kind}\n(.*?)^```$", book, re.MULTILINE | re.DOTALL)


def sections(book: str) -> list[str]:
    return re.split(r"^## ", book, flags=re.MULTILINE)[1:]


def places(book: str) -> list[tuple[str, str]]:
    return [(file, name) for file, names in PLACES.findall(book)
            for name in re.findall(r"`([\w.]+)`", names)]  # fmt: skip


@cache
def defined(file: str) -> set[str]:
    """The functions and classes of a file, and the methods as Class.method."""
    names = set()
    kinds = (ast.FunctionDef, ast.ClassDef)
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, kinds):
            names |= {node.name, *(f"{node.name}.{part.name}" for part in ast.walk(node)
                                   if isinstance(part, kinds))}  # fmt: skip
    return names


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """A command, in this process, with what is piped into it; its exit code."""
    if piped := PIPED.match(line):
        text, line = piped[1].encode().decode("unicode_escape"), piped[2]
        stdin = SimpleNamespace(buffer=io.BytesIO(text.encode()), isatty=lambda: False)
        monkeypatch.setattr(sys, "stdin", stdin)
    program, *arguments = shlex.split(line, comments=True)
    assert program == "charlm"
    return run_command(arguments)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the commands can be typed as in the repository."""
    (tmp_path / "configs").mkdir()
    for path in (ROOT / "configs").glob("textbook*"):
        # As it is, but for the length of the trainings.
        text = path.read_text(encoding="utf-8").replace("max_steps = 400", "max_steps = 1")
        (tmp_path / "configs" / path.name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARLM_MODEL", raising=False)
    # A picture of each training would take most of the time.
    monkeypatch.setattr("charlm.views.plot.add_curves", lambda run, warn: None)
    return tmp_path


def test_every_command_runs_and_the_shapes_are_those(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, block, printed in re.findall(
        r"^```(sh|python)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?",
        ENGLISH, re.MULTILINE | re.DOTALL,
    ):  # fmt: skip
        capsys.readouterr()
        if kind == "python":
            exec(block, {})
            assert capsys.readouterr().out == printed
            continue
        for line in block.splitlines():
            code = int(found[1]) if (found := re.search(r"# exit code (\d+)", line)) else 0
            assert run(line, monkeypatch) == code, (line, capsys.readouterr().err)


@pytest.mark.parametrize("name", BOOKS)
def test_every_line_of_charlm_that_is_to_be_read_is_there(name: str) -> None:
    found = places(BOOKS[name])
    assert len(found) > 30
    for file, place in found:
        assert place in defined(file), f"{file} has no {place}"
    # And each is in the form that is looked for.
    assert BOOKS[name].count("`charlm/") == len(PLACES.findall(BOOKS[name]))


@pytest.mark.parametrize("name", BOOKS)
def test_every_config_and_script_is_there(name: str) -> None:
    found = re.findall(r"`?((?:configs|scripts)/[\w.-]+)", BOOKS[name])
    assert {f"configs/timemachine-{system}.toml" for system in (
        "rnn-scratch", "rnn-scratch-random", "rnn", "gru-scratch", "gru", "lstm-scratch", "lstm",
        "lstm-deep", "lstm-bidirectional")} <= set(found)  # fmt: skip
    for path in found:
        assert (ROOT / path.rstrip(".")).exists(), path


@pytest.mark.parametrize("name", BOOKS)
def test_every_step_has_what_a_step_has(name: str) -> None:
    for number, section in enumerate(sections(BOOKS[name]), 1):
        assert section.startswith(f"{number}. ")
        assert blocks(section, "sh") or blocks(section, "python"), section[:20]
        assert blocks(section, "text"), section[:20]
        assert places(section), section[:20]
        exercises = re.findall(r"^\*\*(?:Exercise\.|练习。)\*\*", section, re.MULTILINE)
        answers = re.findall(r"^\*(?:Answer\.|答案。)\*", section, re.MULTILINE)
        assert (len(exercises), len(answers)) == (1, 1), section[:20]


def test_the_two_books_have_the_same_steps() -> None:
    for english, chinese in zip(sections(ENGLISH), sections(CHINESE), strict=True):
        for kind in ("sh", "python"):
            assert blocks(english, kind) == blocks(chinese, kind)
        assert places(english) == places(chinese)
