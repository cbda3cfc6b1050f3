"""A text in turns with a model: in a real terminal, and from a pipe."""

import codecs
import contextlib
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from charlm.cli.main import run_command

Charlm = Callable[..., Any]
Converse = Callable[..., Any]

ALPHABET = "话说天下大势ab_:\n"
# Without the libraries named, as where they are not installed.
START = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
sys.argv[1:] = sys.argv[2:]
from charlm.cli.main import main
main()
"""
# Nor is torch needed.
KINDS = {
    "prompt_toolkit": "torch",
    "readline": "torch,prompt_toolkit",
    "plain": "torch,prompt_toolkit,readline",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, nonsense: Any, tiny_options: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("play")
    text = folder / "text.txt"
    text.write_text(nonsense(4000, ALPHABET), encoding="utf-8", newline="")
    assert run_command(["train", str(text), *tiny_options, "-o", str(folder / "run")]) == 0
    return folder / "run"


class Terminal:
    """A process at a terminal of its own, of which the test is the user."""

    def __init__(self, without: str, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        self._ours, self.read = ours, ""
        # What is read may end inside a character.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.resize(24, 80)
        environment = os.environ | {"TERM": "xterm", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
        self.child = subprocess.Popen(
            [sys.executable, "-c", START, without, *arguments], stdin=theirs, stdout=theirs,
            stderr=theirs, env=environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait(self) -> None:
        """As long as readline may take from an echo to where a signal wakes it: between the two,
        Python hears of one with the next key only."""
        time.sleep(0.3)

    def resize(self, rows: int, columns: int) -> None:
        # The kernel tells the processes of the terminal by SIGWINCH.
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, expected: str) -> str:
        """Reads on until `expected` is there; all that came before it."""
        deadline = time.monotonic() + 20
        while expected not in self.read:
            assert time.monotonic() < deadline, (expected, self.read[-500:])
            self._more()
        before, self.read = self.read.split(expected, 1)
        return before

    def end(self) -> int:
        """Reads what is left; the exit code."""
        with contextlib.suppress(EOFError):
            while True:
                self._more()
        return self.child.wait(timeout=60)

    def _more(self) -> None:
        ready, _, _ = select.select([self._ours], [], [], 1)
        if not ready:
            return
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:  # the other end is closed
            chunk = b""
        if not chunk:
            raise EOFError(self.read)
        self.read += self._decoder.decode(chunk).replace("\r", "")

    def close(self) -> None:
        os.close(self._ours)
        self.child.kill()
        self.child.wait()


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> Terminal:
            return stack.enter_context(contextlib.closing(Terminal(*arguments)))

        yield start


@pytest.fixture
def converse(charlm: Charlm, monkeypatch: pytest.MonkeyPatch, run: Path) -> Converse:
    """`converse("line", ..., options=(...), model=run)`: lines from a pipe."""

    def call(*lines: str, options: tuple[object, ...] = (), model: Path = run) -> Any:
        piped = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
        stdin = SimpleNamespace(buffer=piped, isatty=lambda: False)
        monkeypatch.setattr(sys, "stdin", stdin)
        return charlm("play", model, "--seed", 7, "-l", 20, *options)

    return call


@pytest.fixture
def generated(charlm: Charlm, run: Path) -> Callable[..., str]:
    """What `charlm generate` writes."""

    def call(prefix: str, seed: int = 7, length: int = 20, *options: object) -> str:
        command = ("generate", "-m", run, "-l", length, "--seed", seed, "--prefix", prefix)
        return str(charlm(*command, *options).out)

    return call


@pytest.mark.parametrize("kind", KINDS)
def test_a_dialogue_at_a_terminal(
    kind: str, run: Path, terminal: Callable[..., Terminal], generated: Callable[..., str]
) -> None:
    at = terminal(KINDS[kind], "play", str(run), "--seed", "7", "-l", "20")
    at.until("Ctrl-D leaves")
    at.until(">")
    at.type("话说\n")
    first = generated("话说")
    at.until(first)  # as it was typed, and then the whole
    at.until(">")
    at.resize(50, 40)
    at.type(":again\n")
    at.until(generated("话说", 8))
    at.until(">")
    at.type(":nonsense\n")
    at.until(":nonsense is no command; there are :again, ")
    at.until(">")
    at.type("é\n")
    at.until("U+00E9 LATIN SMALL LETTER E WITH ACUTE")
    at.until(">")
    # Longer than anybody waits; the window changes while it is written.
    at.type(":length 100000000\n")
    at.until(">")
    at.type("ab\n")
    at.until("\nab")
    at.until("天")
    at.resize(30, 100)
    at.until("下")
    at.type("\x03")
    at.until(">")
    at.wait()  # readline draws its line anew in the new size, and bytes of a character apart
    at.type("天下")
    at.until("下")
    at.wait()
    at.type("\x03")  # a line is given up
    at.until("\n")
    at.until(">")
    at.type(":length 4321\n")
    at.until(">")
    at.type(":length\n")
    at.until("4321\n")
    at.until(">")
    at.type("\x04")
    assert at.end() == 0


@pytest.mark.parametrize("kind", ["prompt_toolkit", "readline"])
def test_a_line_is_edited_brought_back_and_tab_tells_what_comes_next(
    kind: str, run: Path, terminal: Callable[..., Terminal], generated: Callable[..., str]
) -> None:
    at = terminal(KINDS[kind], "play", str(run), "--seed", "7", "-l", "20")
    at.until(">")
    at.type("说\x1b[D话\n")  # left, and something before it
    at.until(generated("话说"))
    at.until(">")
    at.type(":new\n")
    at.until(">")
    at.type("\x1b[A\x1b[A\n")  # the line before the last
    at.until(generated("话说", 8))
    at.until(">")
    at.type("话\t")
    shares = [float(share) for share in re.findall(r"(\d+\.\d) %", at.until("势"))]
    assert shares
    at.type("\x15:qu\t")  # what was typed is dropped
    at.until("it")
    at.type("\n")
    assert at.end() == 0


@pytest.mark.parametrize("kind", ["prompt_toolkit", "readline"])
def test_row_05_other_signals_end_it(
    kind: str, run: Path, terminal: Callable[..., Terminal]
) -> None:
    at = terminal(KINDS[kind], "play", str(run))
    at.until(">")
    at.type("ab")
    at.until("ab")
    at.wait()
    at.child.send_signal(signal.SIGTERM)
    at.until("Error: stopped by SIGTERM")
    assert at.end() == 143


def test_the_first_line_is_what_generate_writes(
    converse: Converse, generated: Callable[..., str]
) -> None:
    result = converse("话说")
    assert (result.code, result.out) == (0, generated("话说"))
    cold = converse("ab", options=("-t", 0, "-l", 9)).out
    assert cold == generated("ab", 7, 9, "-t", 0)


def test_a_line_goes_on_from_the_text_before_it(
    converse: Converse, generated: Callable[..., str]
) -> None:
    first, second = generated("ab"), converse("ab", "话").out
    whole = generated(first + "话" if first.endswith("\n") else f"{first}话", 8)
    assert second == first + whole.removeprefix(first)


def test_an_empty_line_goes_on_where_the_text_ended(
    converse: Converse, generated: Callable[..., str]
) -> None:
    # Greedily, so that a text in two halves is the text.
    whole = generated("ab", 7, 40, "-t", 0)
    halves = converse("ab", "", options=("-t", 0)).out
    assert halves.replace("\n", "") == whole.replace("\n", "")


def test_again_takes_the_next_seed_and_back_takes_a_turn_back(
    converse: Converse, generated: Callable[..., str]
) -> None:
    assert converse("ab", ":again", ":again").out == "".join(
        generated("ab", 7 + k) for k in (0, 1, 2)
    )
    assert converse("ab", ":back", "话").out == generated("ab") + generated("话", 8)
    assert converse("ab", "话", ":new", "ab").out.endswith(generated("ab", 9))
    assert converse("ab", ":seed 7", ":again", ":seed").out == 2 * generated("ab") + "8\n"


def test_settings_are_those_of_generate(converse: Converse, generated: Callable[..., str]) -> None:
    told = converse(":temperature 0.3", ":top-k 3", ":top_p 0.9", ":length 30", "ab").out
    assert told == generated("ab", 7, 30, "-t", 0.3, "--top-k", 3, "--top-p", 0.9)
    assert (
        converse(r":stop \n", "ab", ":stop").out
        == generated("ab", 7, 20, "--stop", "\n") + '"\\n"\n'
    )
    assert converse(":stop x", ':stop ""', ":stop", ":temperature").out == '""\n0.8\n'
    skipped = converse(":on-unknown skip", "aéb").out
    assert skipped == generated("ab")


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (":nonsense", 2, "line 2: :nonsense is no command; there are :again, :back, :new, "),
        (":again", 2, "line 2: nothing has been written yet"),
        (":back now", 2, "line 2: :back takes nothing behind it"),
        (":temperature warm", 2, "line 2: :temperature is 'warm'; it must be a number"),
        (":temperature -1", 2, "line 2: :temperature is -1"),
        (":seed 1.5", 2, "line 2: :seed is 1.5; it must be a whole number"),
        (":top-p 0", 2, "line 2: :top-p is 0"),
        ("zé", 3, "line 2: the line has what "),
    ],
)
def test_in_a_script_the_first_mistake_ends_it(
    converse: Converse, line: str, code: int, message: str
) -> None:
    result = converse("::ab", ":back", ":new")
    assert result.code == 0
    result = converse(":length 3", line, "ab")
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(f"Error: {message}")
    assert result.err.count("\n") == 1


def test_help_tells_every_command_and_quit_leaves(converse: Converse) -> None:
    told = converse(":help", ":quit", "é").out
    for name in ("again", "back", "new", "next", "seed", "length", "temperature", "top-k", "top-p",
                 "min-p", "stop", "help", "quit", ":"):  # fmt: skip
        assert re.search(f"^:{name} ", told, re.MULTILINE)


def test_next_tells_the_probabilities(converse: Converse, charlm: Charlm, run: Path) -> None:
    rows = converse(":temperature 1", ":next 话").out.splitlines()
    shares = [float(row.split("%")[0]) for row in rows]
    assert len(rows) == 10
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) < 101
    header, *rows = converse(":temperature 0", ":next 话").out.splitlines()
    assert header.split() == ["the", "model", "as", "drawn"]
    assert [row.split("%")[1].strip() for row in rows] == ["100.0", *["0.0"] * 9]
    # The likeliest is what a greedy text goes on with; what was asked is no part of the text.
    greedy = converse(":temperature 0", ":length 1", ":next 话", "话").out.splitlines()
    assert greedy[-1] == "话" + greedy[1].split()[-1]


def test_a_model_that_fills_gaps_fills_those_of_a_line(
    converse: Converse, charlm: Charlm, fill_run: Path
) -> None:
    filled = charlm("fill", "-m", fill_run, "ab_de", "-n", 2, "--json").out
    texts = re.findall(r'"text": "(.*?)"', filled)
    result = converse("ab_de", ":again", model=fill_run)
    assert (result.code, result.out.splitlines()) == (0, texts)
    assert converse("abc", model=fill_run).code == 3
    assert converse(":again", model=fill_run).code == 2
