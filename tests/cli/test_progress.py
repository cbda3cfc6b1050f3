"""What a pipe and a terminal are shown of a training; the terminal is a real one."""

import fcntl
import os
import re
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from charlm.cli.progress import Progress
from charlm.cli.told import Told
from charlm.course import Validation
from charlm.evaluation.metrics import Score
from charlm.training.reports import Stretch

SGR = re.compile(r"\x1b\[\d*m")
CLEAR = "\x1b[K"
Terminal = Callable[..., Callable[[], str]]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """`terminal(columns)` puts a pseudo-terminal in the place of standard error; what comes back
    says what was written to it."""
    open_files: list[int] = []

    def make(columns: int, encoding: str = "utf-8", **environment: str) -> Callable[[], str]:
        for name, value in {"TERM": "xterm", "NO_COLOR": "", **environment}.items():
            monkeypatch.setenv(name, value)
        for name in ("COLUMNS", "LC_ALL"):
            monkeypatch.delenv(name, raising=False)
        ours, theirs = os.openpty()
        open_files.append(ours)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        out = os.fdopen(theirs, "w", encoding=encoding, errors="backslashreplace")
        monkeypatch.setattr(sys, "stderr", out)
        monkeypatch.setattr("locale.getencoding", lambda: encoding)

        def written() -> str:
            out.close()
            data = b""
            try:
                while part := os.read(ours, 1 << 16):
                    data += part
            except OSError:  # so Linux says that the other side is closed
                pass
            return data.decode()

        return written

    yield make
    for descriptor in open_files:
        os.close(descriptor)


def train(sample: str = "a sample\nof two lines") -> None:
    """Forty steps with four validations."""
    progress = Progress(Stretch(40, tokens_per_step=1000))
    for step in range(1, 41):
        progress.step(step, 40, 2.0)
        if step % 10 == 0:
            bits = (3.5, 3.0, 3.2, 2.5)[step // 10 - 1]
            score = Score(bits * 0.6931471805599453 * 100, 100)
            best = step != 30
            progress.validation(Validation(step, 1.0, step * 1.0, bits, best), step * 1000, score)
        if step == 20:
            progress.sample(sample)
    progress.note("a note")
    progress.close()


def lines_of(raw: str) -> list[str]:
    """Those that stay on the screen: what is written after a return covers what was there."""
    lines = []
    for line in SGR.sub("", raw).replace("\r\n", "\n").split("\n"):
        cells: list[str] = []
        for part in line.split("\r"):
            if part.startswith(CLEAR):
                part, cells = part.removeprefix(CLEAR), []
            cells[: len(part)] = part
        lines.append("".join(cells).rstrip())
    return lines


ROWS = [
    "     step      time  characters     bits perplexity",
    "       10      0:10         10k   3.5000     11.314* █",
    "       20      0:20         20k   3.0000      8.000* █▆",
    "  | a sample",
    "  | of two lines",
    "       30      0:30         30k   3.2000      9.190  █▆▇",
    "       40      0:40         40k   2.5000      5.657* █▆▇▄",
    "a note",
    "",
]


@pytest.mark.parametrize("no_colour", ["", "1"])
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal_shows_rows_and_a_bar_that_goes(
    terminal: Terminal, columns: int, no_colour: str
) -> None:
    written = terminal(columns, NO_COLOR=no_colour)
    train()
    raw = written()
    assert bool(SGR.search(raw)) == (not no_colour)
    narrow = [line[:9] + line[31:] if line[:9].strip() and line[9:11] == "  " else line
              for line in ROWS]  # fmt: skip
    assert lines_of(raw) == (narrow if columns < 60 else ROWS)
    bars = re.findall(r" *\d+% [^\r\n]*", raw)
    assert "bits" in bars[0]
    assert all(len(line) < columns for line in re.split("[\r\n]", SGR.sub("", raw)))


def test_a_dumb_terminal_and_a_pipe_are_given_plain_lines(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    train()
    piped = capsys.readouterr().err
    written = terminal(80, TERM="dumb")
    train()
    assert written().replace("\r\n", "\n") == piped
    assert piped.splitlines() == [
        "step 10: validation perplexity 11.314 per character (3.5000 bits, 2.4260 nats) over 100 "
        "characters (best)",
        "step 20: validation perplexity 8.000 per character (3.0000 bits, 2.0794 nats) over 100 "
        "characters (best)",
        "  | a sample",
        "  | of two lines",
        "step 30: validation perplexity 9.190 per character (3.2000 bits, 2.2181 nats) over 100 "
        "characters",
        "step 40: validation perplexity 5.657 per character (2.5000 bits, 1.7329 nats) over 100 "
        "characters (best)",
        "a note",
    ]


def test_a_terminal_without_blocks_is_shown_other_bars(terminal: Terminal) -> None:
    written = terminal(80, encoding="ascii")
    train()
    raw = written()
    assert raw.isascii()
    assert "       40      0:40         40k   2.5000      5.657* @*#=" in lines_of(raw)


def test_what_a_sample_holds_does_nothing_to_the_terminal(terminal: Terminal) -> None:
    written = terminal(80)
    train(sample="a\x1b[2Jb\u202ec")
    assert r"  | a\x1b[2Jb\u202ec" in lines_of(written())


def test_what_a_sample_holds_is_shown_in_a_pipe_too(capsys: pytest.CaptureFixture[str]) -> None:
    train(sample="a\0b\x1b[2J")
    assert r"  | a\x00b\x1b[2J" in capsys.readouterr().err.splitlines()


def test_provisional_figures_are_called_so(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    def look() -> None:
        progress = Progress(Stretch(40, tokens_per_step=10))
        seen = Validation(10, 1.0, 1.0, 2.0, True)
        progress.validation(seen, 100, Score(2.0, 1999), provisional=True)
        progress.close()

    look()
    assert capsys.readouterr().err.startswith("step 10: provisional validation perplexity ")
    written = terminal(80)
    look()
    assert lines_of(written())[0] == "provisional, over the first 1,999 characters:"


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_header_is_broken_between_words(terminal: Terminal, columns: int) -> None:
    from charlm.cli.output import note_for_people

    header = "text: sanguo, vocabulary of 4,743; train 544,232, valid 60,471\nmodel: LSTM 1×256"
    written = terminal(columns)
    note_for_people(header)
    lines = lines_of(written())
    assert all(len(line) <= columns for line in lines)
    assert " ".join(line.strip() for line in lines).strip() == header.replace("\n", " ")
    assert len(lines) == (4 if columns == 40 else 3)


def test_a_terminal_of_ascii_is_shown_plain_signs(terminal: Terminal) -> None:
    from charlm.cli.output import note

    written = terminal(80, encoding="ascii")
    note("LSTM 1×256, a\0b – 三")
    assert lines_of(written())[0] == r"LSTM 1x256, a\x00b - \u4e09"


def test_a_resumed_training_goes_on_with_its_course(terminal: Terminal) -> None:
    written = terminal(80)
    before = [Validation(10, 1.0, 1.0, 4.0, True), Validation(20, 2.0, 2.0, 3.5, True)]
    progress = Progress(Stretch(40, tokens_per_step=10, first_step=20, seen=before, unit="word"))
    progress.step(21, 40, 2.0)
    progress.validation(Validation(30, 3.0, 3.0, 3.0, True), 300, Score(3.0, 1))
    progress.close()
    raw = written()
    assert "best 3.500" in raw
    assert lines_of(raw)[:2] == [
        "     step      time       words     bits perplexity",
        "       30      0:03         300   3.0000      8.000* █▇▅",
    ]


def test_ctrl_c_leaves_a_clean_terminal(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    from charlm.training.signals import StopSignals

    written = terminal(80)
    progress = Progress(Stretch(40, tokens_per_step=10))
    progress.step(1, 40, 2.0)
    with StopSignals(tmp_path, Told().stopping):
        sys.stderr.write("^C")  # as a terminal echoes it
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGINT)
        progress.step(2, 40, 2.0)
    progress.close()
    assert lines_of(written()) == [
        "stopping after this step, to save what was learned; Ctrl-C again ends it at once", "",
    ]  # fmt: skip
