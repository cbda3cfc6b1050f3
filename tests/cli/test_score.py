"""Each line of a text in figures, as a heat-map and as a page."""

import io
import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from wcwidth import wcswidth

from charlm.cli.score import in_words
from charlm.cli.watch import Watch
from charlm.errors import Stopped
from charlm.evaluation import scores
from charlm.evaluation.lines import Total
from charlm.views import columns

HEADER = "bits/char      nats  chars perplexity left out  text\n"


def objects(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def piped(monkeypatch: pytest.MonkeyPatch, text: str, *, terminal: bool = False) -> None:
    class Input(io.TextIOWrapper):
        def isatty(self) -> bool:
            return terminal

    stream = Input(io.BytesIO(text.encode("utf-8", "surrogatepass")), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stream)


@pytest.fixture
def lines() -> list[str]:
    Path("lines.txt").write_text("abcdef\n\nfed? cab\nab\n", encoding="utf-8", newline="")
    return ["abcdef", "", "fed? cab", "ab"]


def test_a_line_comes_out_for_each_that_goes_in(charlm, trained: Path, lines: list[str]) -> None:
    result = charlm("score", "-m", trained, "lines.txt")
    assert result.code == 0
    assert result.err.startswith(HEADER)
    rows = result.out.splitlines()
    assert [row[48:] for row in rows] == lines
    assert all(row.startswith(" ") and row[47] == " " for row in rows)
    named = objects(charlm("score", "-m", trained, "lines.txt", "--json").out)
    for row, figures in zip(rows, named, strict=True):
        bits, nats, characters, perplexity, unknown = row[:46].split()
        assert float(bits) == pytest.approx(figures["bits_per_char"], abs=1e-4)
        assert float(nats) == pytest.approx(figures["nats"], abs=1e-3)
        assert int(characters) == figures["characters"]
        assert float(perplexity) == pytest.approx(figures["perplexity"], abs=1e-3)
        assert int(unknown) == figures["unknown"] == figures["left_out"]
    # With its end, and without the one that the model has never met.
    assert [figures["characters"] for figures in named] == [7, 1, 8, 3]
    assert [figures["left_out"] for figures in named] == [0, 0, 1, 0]
    total = result.err.splitlines()[1]
    assert total.startswith("lines.txt: perplexity ")
    assert total.endswith(" over 19 characters in 4 lines")
    assert result.err.splitlines()[2] == (
        "  1 unknown character is left out of the figures: the model has never met any"
    )


def test_figures_belong_together(charlm, trained: Path, lines: list[str]) -> None:
    for number, figures in enumerate(
        objects(charlm("score", "-m", trained, "lines.txt", "--json", "--per-char").out), 1
    ):
        assert list(figures) == [
            "line", "bits_per_char", "nats", "characters", "perplexity", "unknown", "left_out",
            "text", "tokens", "bits",
        ]  # fmt: skip
        assert figures["line"] == number
        assert figures["text"] == lines[number - 1]
        assert figures["tokens"] == [*lines[number - 1], "\n"]
        told = [bits for bits in figures["bits"] if bits is not None]
        assert len(told) == figures["characters"]
        assert math.fsum(told) * math.log(2) == pytest.approx(figures["nats"])
        assert figures["bits_per_char"] == pytest.approx(math.fsum(told) / len(told))
        assert figures["perplexity"] == pytest.approx(2 ** figures["bits_per_char"])
        assert (None in figures["bits"]) == (figures["left_out"] > 0)


def test_the_end_of_a_line_is_scored_or_not(charlm, trained: Path, lines: list[str]) -> None:
    with_ends = objects(charlm("score", "-m", trained, "lines.txt", "--json", "--per-char").out)
    without = charlm("score", "-m", trained, "lines.txt", "--json", "--per-char", "--no-eol").out
    for one, other in zip(with_ends, objects(without), strict=True):
        assert one["tokens"][:-1] == other["tokens"]
        assert one["bits"][:-1] == pytest.approx(other["bits"])
    # A line of nothing has no figure: neither 0 nor NaN.
    empty = objects(without)[1]
    assert (empty["nats"], empty["bits_per_char"], empty["characters"]) == (None, None, 0)
    row = charlm("score", "-m", trained, "lines.txt", "--no-eol").out.splitlines()[1]
    assert row.split() == ["-", "-", "0", "-", "0"]
    # Whether the last line has its break makes no difference.
    Path("open.txt").write_text("abcdef\n\nfed? cab\nab", encoding="utf-8", newline="")
    for option in ((), ("--no-eol",)):
        assert (
            charlm("score", "-m", trained, "open.txt", *option).out
            == charlm("score", "-m", trained, "lines.txt", *option).out
        )


def test_carried_lines_sum_to_what_evaluate_gives(charlm, trained: Path, text_file: Path) -> None:
    whole = json.loads(charlm("evaluate", "-m", trained, text_file, "--no-baselines", "--json").out)
    found = objects(charlm("score", "-m", trained, text_file, "--carry", "--json").out)
    assert len(found) == text_file.read_text(encoding="utf-8").count("\n") + 1
    nats = math.fsum(figures["nats"] or 0 for figures in found)
    assert sum(figures["characters"] for figures in found) == whole["characters"]
    expected = whole["nats_per_char"] * whole["characters"]
    assert nats == pytest.approx(expected, rel=1e-6)
    # Each goes on from the one before: the second is another than afresh.
    afresh = objects(charlm("score", "-m", trained, text_file, "--json").out)
    assert found[1]["nats"] != pytest.approx(afresh[1]["nats"], abs=1e-4)
    ends = objects(charlm("score", "-m", trained, text_file, "--carry", "--json", "--no-eol").out)
    for one, other in zip(found[1:-1], ends[1:-1], strict=True):
        assert one["characters"] == other["characters"] + 1
        assert one["nats"] >= (other["nats"] or 0)


def test_carried_lines_with_what_the_model_never_met_sum_to_its_known_nats(
    charlm, trained: Path
) -> None:
    Path("odd.txt").write_text("abc ?\n\n? fed cab\nab", encoding="utf-8")
    whole = json.loads(charlm("evaluate", "-m", trained, "odd.txt", "--no-baselines", "--json").out)
    found = objects(charlm("score", "-m", trained, "odd.txt", "--carry", "--json").out)
    known = whole["characters"] - whole["unknown"]
    assert (whole["unknown"], sum(line["characters"] for line in found)) == (2, known)
    nats = math.fsum(line["nats"] or 0 for line in found)
    assert nats == pytest.approx(whole["known_nats_per_char"] * known, rel=1e-6)


@pytest.mark.parametrize(("breaks", "unknown"), [(2, "rare"), (0, "never met")])
def test_carried_lines_end_in_line_breaks_that_the_model_does_not_know(
    charlm, text_file: Path, tiny_options: list[str], breaks: int, unknown: str
) -> None:
    text = text_file.read_text(encoding="utf-8")
    Path("train.txt").write_text(text.replace("\n", "f", text.count("\n") - breaks))
    options = ["--min-freq", "3"] if breaks else []
    charlm("train", "train.txt", *options, *tiny_options, "-o", "run")
    Path("lines.txt").write_text("abc\n\nfed cab\nab\n", encoding="utf-8")
    whole = json.loads(charlm("evaluate", "-m", "run", "lines.txt", "--no-baselines", "--json").out)
    found = objects(charlm("score", "-m", "run", "lines.txt", "--carry", "--json").out)
    assert sum(line["unknown"] for line in found) == whole["unknown"] == 4
    scored = whole["characters"] - whole["unknown"] * (unknown == "never met")
    assert sum(line["characters"] for line in found) == scored
    per_char = whole["nats_per_char" if unknown == "rare" else "known_nats_per_char"]
    nats = math.fsum(line["nats"] or 0 for line in found)
    assert nats == pytest.approx(per_char * scored, rel=1e-6)
    ends = objects(charlm("score", "-m", "run", "lines.txt", "--carry", "--json", "--no-eol").out)
    assert sum(line["unknown"] for line in ends) == 0


def test_a_line_alone_and_among_many_have_the_same_figure(
    charlm, trained: Path, text_file: Path
) -> None:
    among = objects(charlm("score", "-m", trained, text_file, "--json").out)
    for chosen in (0, len(among) // 2, len(among) - 1):
        Path("alone.txt").write_text(among[chosen]["text"] + "\n", encoding="utf-8")
        [alone] = objects(charlm("score", "-m", trained, "alone.txt", "--json").out)
        assert alone["nats"] == pytest.approx(among[chosen]["nats"], abs=1e-5)


def test_short_lines_are_read_side_by_side(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    read = scores.Scorer._side_by_side
    monkeypatch.setattr(
        scores.Scorer, "_side_by_side", lambda self, lines: calls.append(1) or read(self, lines)
    )
    Path("many.txt").write_text("abc\nde\n" * 2_000, encoding="utf-8")
    assert charlm("score", "-m", trained, "many.txt").out.count("\n") == 4_000
    assert len(calls) < 30


def test_unknown_characters_are_scored_where_the_model_has_met_any(
    charlm, text_file: Path, tiny_options: list[str]
) -> None:
    text = text_file.read_text(encoding="utf-8") + "xyz" * 40
    Path("rare.txt").write_text(text + "q", encoding="utf-8", newline="")
    assert charlm("train", "rare.txt", *tiny_options, "--min-freq", 2, "-o", "run").code == 0
    Path("lines.txt").write_text("ab?\n??\n", encoding="utf-8")
    result = charlm("score", "-m", "run", "lines.txt")
    assert "unknown  text" in result.err.splitlines()[0]
    assert "over 7 characters, 3 of them unknown (42.86%)" in result.err
    assert "over the known ones alone in 2 lines" in result.err
    assert result.err.splitlines()[2] == (
        "  unknown characters count as <unk>, with the probability it has"
    )
    figures = objects(charlm("score", "-m", "run", "lines.txt", "--json", "--per-char").out)
    assert [(f["characters"], f["unknown"], f["left_out"]) for f in figures] == [
        (4, 1, 0), (3, 2, 0),
    ]  # fmt: skip
    assert all(bits > 0 for f in figures for bits in f["bits"])


def test_a_model_of_words_tells_of_words(charlm, text_file: Path, tiny_options: list[str]) -> None:
    options = ("--level", "word", "--lowercase", "--val-frac", 0)
    assert charlm("train", text_file, *tiny_options, *options, "-o", "words").code == 0
    Path("lines.txt").write_text("ABC  abc\n\n", encoding="utf-8")
    result = charlm("score", "-m", "words", "lines.txt", "--json", "--per-char")
    first, second = objects(result.out)
    assert list(first)[:5] == ["line", "bits_per_word", "nats", "words", "perplexity_per_word"]
    # As it came, and as it was read.
    assert (first["text"], first["tokens"]) == ("ABC  abc", ["abc", "abc", "\n"])
    assert second["tokens"] == ["\n"]
    header = charlm("score", "-m", "words", "lines.txt").err.splitlines()[0]
    assert header.split()[:3] == ["bits/word", "nats", "words"]
    assert "ABC  abc" not in charlm("score", "-m", "words", "lines.txt", "--heatmap").out


def test_unknown_words_are_called_words() -> None:
    total = Total("word", lines=1, tokens=2, nats=3.0, unknown=1, unknown_nats=1.0)
    assert list(in_words(total, "a"))[1:] == [
        "  unknown words count as <unk>, with the probability it has"
    ]


def test_tab_separated_values_have_one_field_a_figure(charlm, trained: Path) -> None:
    Path("odd.txt").write_bytes("a\tb\\n\x0b\u2028\x85c\n\nde\n".encode())
    result = charlm("score", "-m", trained, "odd.txt", "--tsv", "--per-char")
    rows = [row.split("\t") for row in result.out.splitlines()]
    assert rows[0] == [
        "line", "bits_per_char", "nats", "characters", "perplexity", "unknown", "left_out", "text",
        "tokens", "bits",
    ]  # fmt: skip
    assert [len(row) for row in rows] == [10] * 4
    assert rows[1][7] == r"a\tb\\n\x0b\u2028\x85c"
    assert rows[1][8].split()[:3] == ["a", r"\t", "b"]
    assert [bits == "-" for bits in rows[1][9].split()] == [
        token not in "abcdef" for token in "a\tb\\n\x0b\u2028\x85c"
    ] + [False]
    assert rows[2][7] == ""
    without = charlm("score", "-m", trained, "odd.txt", "--tsv", "--no-eol").out
    assert without.splitlines()[2].split("\t") == ["2", "", "", "0", "", "0", "0", ""]
    assert result.err.startswith("odd.txt: perplexity ")


def test_every_character_has_its_bits_in_a_row(charlm, trained: Path) -> None:
    Path("one.txt").write_text("a b?\n", encoding="utf-8")
    result = charlm("score", "-m", trained, "one.txt", "--per-char")
    assert result.err.splitlines()[0].endswith("  char:bits")
    pairs = [pair.rsplit(":", 1) for pair in result.out[48:].split()]
    assert [token for token, _ in pairs] == ["a", "␠", "b", "?", r"\n"]
    assert [bits == "-" for _, bits in pairs] == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("cells", "header"),
    [
        (80, HEADER.rstrip("\n")),
        (60, "bits/char      nats  chars left out  text"),
        (40, "bits/char left out  text"),
        (20, "bits/char  text"),
    ],
)
def test_on_a_terminal_a_row_is_as_wide_as_it(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch, cells: int, header: str
) -> None:
    monkeypatch.setattr("charlm.cli.score_shows.terminal_width", lambda: cells)
    text = "诗" * 50 + "\nabc\n" + "a" * 32 + "\n\x1b[31m" * 2 + "\n"
    Path("wide.txt").write_text(text, encoding="utf-8")
    result = charlm("score", "-m", trained, "wide.txt")
    assert result.err.splitlines()[0] == header
    rows = result.out.splitlines()
    assert max(map(wcswidth, rows)) in (cells - 1, cells)
    assert rows[1].index("abc") == header.index("text")
    assert columns.fitted("e\u0301" * 30, 30) == "e\u0301" * 30
    assert columns.fitted("\x1b[31m" * 9, 30) == "\\x1b[31m" * 3 + "\\x1b[…"


@pytest.mark.parametrize("cells", [40, 80])
def test_on_a_terminal_the_bits_of_every_character_stand_below_its_row(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    Path("wide.txt").write_text("abc def\t诗\x1b" * 6 + "\n\n", encoding="utf-8")
    piped = charlm("score", "-m", trained, "wide.txt", "--per-char").out.splitlines()
    monkeypatch.setattr("charlm.cli.score_shows.terminal_width", lambda: cells)
    result = charlm("score", "-m", trained, "wide.txt", "--per-char")
    assert result.err.splitlines()[0].endswith("  text, char:bits")
    rows = result.out.splitlines()
    assert all(wcswidth(row) <= cells for row in rows)
    below = [":" in row for row in rows]
    last = len(rows) - 2
    assert below == [False, *[True] * (last - 1), False, True]
    pairs = [pair for row in rows[1:last] for pair in row.split()]
    assert pairs == piped[0][48:].split()
    assert rows[last + 1].split() == piped[1][48:].split()


def test_standard_input_is_read_and_a_typed_line_is_answered_at_once(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, "\ufeffab\r\ncd")
    result = charlm("score", "-m", trained, "--json")
    assert [figures["text"] for figures in objects(result.out)] == ["ab", "cd"]
    assert result.err.startswith("standard input: ")
    sizes = []
    read = scores.Scorer.afresh
    monkeypatch.setattr(
        scores.Scorer, "afresh", lambda self, lines: sizes.append(len(lines)) or read(self, lines)
    )
    for arguments, terminal, expected in (
        ((), True, [1, 1]), (("-",), False, [2]), (("-", "--unbuffered"), False, [1, 1]),
    ):  # fmt: skip
        sizes.clear()
        piped(monkeypatch, "ab\ncd\n", terminal=terminal)
        assert charlm("score", "-m", trained, *arguments).code == 0
        assert sizes == expected


def test_at_a_terminal_it_says_what_it_waits_for_and_what_there_was_at_ctrl_c(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Typing(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            if line := self.readline():
                return line
            raise Stopped(signal.SIGINT, "stopped by Ctrl-C")

    for typed, lines in ((b"ab\ncd\n", 2), (b"", 0)):
        stream = io.TextIOWrapper(Typing(typed), encoding="utf-8")
        monkeypatch.setattr(stream.buffer, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", stream)
        result = charlm("score", "-m", trained)
        assert result.code == 130
        assert result.out.count("\n") == lines
        first, *rest, last = result.err.splitlines()
        assert first.startswith("reading from the terminal: Enter ends a line and has it scored; ")
        assert last == "Error: stopped by Ctrl-C"
        if lines:
            assert rest[1].endswith(" over 6 characters in 2 lines")
        assert len(rest) == lines


def test_a_long_line_is_told_of_while_it_is_scored(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charlm.cli.watch.SECONDS_BETWEEN_LINES", 0.0)
    Path("long.txt").write_text("abcd" * 1500, encoding="utf-8")
    # With its end; carried on, without the text's first character.
    for option, scored in (((), "6,001"), (("--carry",), "5,999")):
        result = charlm("score", "-m", trained, "long.txt", *option)
        told = [line for line in result.err.splitlines() if line.startswith("scoring: ")]
        assert told[0].startswith("scoring: 1,024 characters in ")
        assert told[-1].startswith(f"scoring: {scored} characters in ")
    monkeypatch.setattr("charlm.cli.watch.SECONDS_BETWEEN_LINES", 5.0)
    assert "scoring" not in charlm("score", "-m", trained, "long.txt").err


def test_on_a_terminal_a_status_gives_way_to_rows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("charlm.cli.watch.STATUS_AFTER", 0.0)
    monkeypatch.setattr("charlm.cli.watch.STATUS_EVERY", 60.0)
    watch = Watch("characters", shown=True)
    assert list(watch.over(["a", "b"])) == ["a", "b"]
    for _ in range(2):
        watch.scored(1024)
    watch.give_way()
    watch.give_way()
    assert capsys.readouterr().err == "\r\x1b[Kscoring: 1,024 characters in 0 s\r\x1b[K"
    monkeypatch.setattr("charlm.cli.watch.STATUS_AFTER", 60.0)
    # Each line has its own time.
    list(watch.over(["c"]))
    watch.scored(1024)
    assert capsys.readouterr().err == ""


@pytest.fixture
def heatmap(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    Path("poem.txt").write_text("ab\x1b[7m诗\n", encoding="utf-8")


def test_the_text_is_shown_by_its_surprise(
    charlm, trained: Path, heatmap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = charlm("score", "-m", trained, "poem.txt", "--heatmap")
    legend, text, marks = plain.out.splitlines()
    assert legend == "- 6 bits or more  ^ 9  ? no figure"
    assert text == "abU+001B[7m诗↵"
    assert marks[2:13] == "?" * 11
    assert plain.err.startswith("poem.txt: perplexity ")
    assert charlm("score", "-m", trained, "poem.txt", "--underline").out == plain.out
    monkeypatch.setenv("FORCE_COLOR", "1")
    colours = charlm("score", "-m", trained, "poem.txt", "--heatmap").out
    assert "\x1b[0;38;5;" in colours
    assert "\x1b[7m" not in colours
    assert colours.endswith("↵\x1b[0m\n")
    monkeypatch.setenv("NO_COLOR", "1")
    assert charlm("score", "-m", trained, "poem.txt", "--heatmap").out == plain.out


def test_the_page_holds_the_text_and_what_was_expected(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("poem.txt").write_text("ab<b>诗\n\nabc\n", encoding="utf-8")
    result = charlm("score", "-m", trained, "poem.txt", "--html", "page.html")
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith("poem.txt: perplexity ")
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "ab&lt;b&gt;诗" in page
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert data["lines"] == [7, 1, 4]
    assert data["bits"][2:3] == [-1]
    figures = objects(charlm("score", "-m", trained, "poem.txt", "--json", "--per-char").out)
    told = [bits for line in figures for bits in line["bits"]]
    assert data["bits"] == [-1 if bits is None else round(100 * bits) for bits in told]
    assert [rank for rank, bits in zip(data["rank"], told, strict=True) if bits] == [
        rank for rank in data["rank"] if rank
    ]
    assert all(len(expected) == 6 for expected in data["expected"])
    for fact in ("left out", "<dt>nats</dt>", "bits per character"):
        assert fact in page
    assert "shows" not in result.err
    monkeypatch.setattr("charlm.cli.score_shows.MOST_ON_PAGE", 8)
    result = charlm("score", "-m", trained, "poem.txt", "--html", "page.html")
    assert result.err.startswith("note: page.html shows the first 2 of 3 lines\n")
    assert "the first 2 lines" in Path("page.html").read_text(encoding="utf-8")
    Path("book.txt").write_text("a book")
    refused = charlm("score", "-m", trained, "poem.txt", "--html", "no dir/x.html")
    assert (refused.code, refused.err) == (
        5,
        "Error: --html no dir/x.html: there is no folder no dir: make it (mkdir -p 'no dir'), or "
        "name another\n",
    )
    refused = charlm("score", "-m", trained, "poem.txt", "--html", "book.txt")
    assert refused.code == 2
    assert refused.err == ("Error: --html book.txt: what is there is no page; give another name\n")


def test_ways_to_show_a_line_are_not_for_each_other(charlm, trained: Path) -> None:
    for options, message in (
        (("--json", "--tsv"), "--json and --tsv: one at a time"),
        (("--json", "--heatmap"), "--json and --heatmap: one at a time"),
        (("--tsv", "--html", "page.html"), "--tsv and --html: one at a time"),
        (("--underline", "--html", "page.html"), "--underline and --html: one at a time"),
        (("--underline", "--json"), "--json and --underline: one at a time"),
        (
            ("--per-char", "--heatmap"),
            "--per-char and --heatmap: it shows every character already",
        ),
    ):
        result = charlm("score", "-m", trained, *options)
        assert (result.code, result.out, result.err) == (2, "", f"Error: {message}\n")


def test_what_is_no_text_and_models_that_cannot_score_are_refused_in_one_line(
    charlm, trained: Path, fill_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("empty.txt").write_bytes(b"")
    Path("mark.txt").write_bytes(b"\xef\xbb\xbf")
    Path("binary").write_bytes(b"ab\0\n" * 100)
    Path("latin").write_bytes(b"ab\n\xe9t\xe9\n")
    Path("lines.txt").write_text("ab\n")
    for arguments, code, part in (
        (("empty.txt",), 3, "empty.txt: the text is empty"),
        (("mark.txt", "--json"), 3, "mark.txt: the text is empty"),
        (("binary",), 3, "binary"),
        (("latin",), 3, "latin"),
        (("nowhere.txt",), 2, "nowhere.txt"),
        (("lines.txt", "--encoding", "utf-99"), 2, "utf-99"),
        ((trained,), 2, "is a run, not a text"),
        (("lines.txt", "-m", fill_run), 4, "is a bidirectional model"),
        (("lines.txt", "-m", "nowhere"), 4, "nowhere is not a charlm run"),
    ):
        result = charlm("score", "-m", trained, *arguments)
        assert (result.code, result.out, result.err.count("\n")) == (code, "", 1), result
        assert part in result.err
    piped(monkeypatch, "")
    assert charlm("score", "-m", trained).err == "Error: standard input: the text is empty\n"
    assert charlm("score", "-m", trained, "latin", "--encoding", "latin-1").code == 0


def test_head_ends_it_quietly_and_a_line_is_answered_while_the_pipe_is_open(
    trained: Path, tmp_path: Path
) -> None:
    text = tmp_path / "long.txt"
    text.write_text("abc def\n" * 20_000, encoding="utf-8")
    command = [sys.executable, "-m", "charlm", "score", "-m", str(trained)]
    with subprocess.Popen(
        [*command, str(text)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as cut:
        assert cut.stdout is not None
        assert b"abc def" in cut.stdout.readline()
        cut.stdout.close()
        assert cut.wait(30) == 0
        assert cut.stderr is not None
        assert cut.stderr.read().decode().count("\n") == 1
    with subprocess.Popen(
        [*command, "--unbuffered", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONUNBUFFERED": ""},
    ) as asked:  # fmt: skip
        assert asked.stdin is not None
        assert asked.stdout is not None
        killer = threading.Timer(30, asked.kill)
        killer.start()
        for number in (1, 2):
            asked.stdin.write(b"abc\n")
            asked.stdin.flush()
            assert json.loads(asked.stdout.readline())["line"] == number
        asked.stdin.close()
        assert asked.wait(30) == 0
        killer.cancel()
