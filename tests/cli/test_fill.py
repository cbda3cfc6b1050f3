import io
import json
from pathlib import Path

import pytest

from charlm.cli.fill import _on_one_line
from charlm.generation.filler import Filler, Filling
from charlm.run import open_run


def test_it_prints_the_text_filled_and_nothing_else(charlm, fill_run: Path) -> None:
    result = charlm("fill", "ab_def ab_d", "-m", fill_run)
    assert result.code == 0, result.err
    assert len(result.out) == len("ab_def ab_d\n")
    assert result.out[:2] == "ab"
    assert "_" not in result.out
    assert result.err == ""


def test_alternatives_come_with_their_probability(charlm, fill_run: Path) -> None:
    lines = charlm("fill", "ab_def", "-m", fill_run, "-n", "3").out.splitlines()
    shares = [float(line.split("\t")[0]) for line in lines]
    assert len(lines) == 3
    assert shares == sorted(shares, reverse=True)
    lines = charlm("fill", "ab?def", "-m", fill_run, "-n", "3", "--json", "--mask", "?").out
    values = [json.loads(line) for line in lines.splitlines()]
    assert [round(value["probability"], 4) for value in values] == shares
    assert all(value["text"] == f"ab{value['fills'][0]}def" for value in values)


def test_a_filling_is_one_row_whatever_line_breaks_are_in_it(
    charlm, fill_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(self: Filler, ids: list[int | None], count: int) -> list[Filling]:
        return [Filling(tuple(newline if i is None else i for i in ids), -float(n))
                for n in range(count)]  # fmt: skip

    newline = open_run(fill_run).vocab["\n"]
    monkeypatch.setattr(Filler, "fill", found)
    arguments = ["fill", "ab_\ndef", "-m", fill_run]
    assert charlm(*arguments).out == "ab\n\ndef\n"
    assert charlm(*arguments, "-n", 2).out == "1.0000\tab\\n\\ndef\n0.3679\tab\\n\\ndef\n"
    rows = [json.loads(row) for row in charlm(*arguments, "-n", 2, "--json").out.splitlines()]
    assert [row["text"] for row in rows] == ["ab\n\ndef"] * 2


@pytest.mark.parametrize(
    "end", ["\x85", "\u2028", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\u2029"]
)
def test_every_kind_of_line_break_is_escaped(end: str) -> None:
    assert len(_on_one_line(f"a{end}b\tc").splitlines()) == 1
    assert "b\tc" in _on_one_line(f"a{end}b\tc")


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r"])
def test_standard_input_is_read_in_the_encoding_of_the_run(
    charlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_options: list[str], end: str
) -> None:
    (tmp_path / "a.txt").write_bytes("дом и сад ".encode("cp1251") * 100)
    options = [*tiny_options, "--bidirectional", "--encoding", "cp1251", "-o", "run"]
    assert charlm("train", "a.txt", *options).code == 0

    def fill(given: bytes):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given), encoding="ascii"))
        return charlm("fill", "-", "-m", "run")

    result = fill(f"дом _ сад{end}".encode("cp1251"))
    assert (result.code, len(result.out), result.out[:4]) == (0, 10, "дом ")
    refused = fill(b"\x98_")
    assert refused.code == 3
    assert refused.err.startswith("Error: standard input: byte 0 (line 1) is not cp1251")


@pytest.mark.parametrize("command", [["fill", "-"], ["vocab", "-"]])
def test_a_closed_standard_input_is_one_line(
    charlm, fill_run: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("CHARLM_MODEL", str(fill_run))
    monkeypatch.setattr("sys.stdin", None)
    result = charlm(*command)
    assert (result.code, result.out, result.err) == (
        2,
        "",
        "Error: - is standard input, which is closed: name a file, or pipe one in\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["abc"], 3, "the text has no gap: mark what is to be filled with '_' (--mask)"),
        (["a_é"], 3, "the text has what RUN does not know: 'é' U+00E9 LATIN SMALL LETTER E WITH "
         "ACUTE; leave it out"),
        (["a_", "--mask", "__"], 2, "--mask '__': it must be one character"),
        (["a_", "-n", "10001"], 2, "Invalid value for '-n' / '--num-samples': 10001 is not in the "
         "range 1<=x<=10000 (see charlm fill --help)"),
    ],
)  # fmt: skip
def test_mistakes(charlm, fill_run: Path, arguments: list[str], code: int, message: str) -> None:
    result = charlm("fill", *arguments, "-m", fill_run)
    assert (result.code, result.err) == (code, f"Error: {message}\n".replace("RUN", str(fill_run)))


def test_each_command_refuses_the_other_kind_of_model(
    charlm, fill_run: Path, trained: Path
) -> None:
    for command in (["generate", "--prefix", "ab"], ["evaluate"]):
        result = charlm(*command, "-m", fill_run)
        assert (result.code, result.err) == (
            4,
            f"Error: {fill_run} is a bidirectional model: it has read the characters after a gap, "
            "so it can neither continue a text nor give a perplexity; use charlm fill\n",
        )
    result = charlm("fill", "a_", "-m", trained)
    assert (result.code, result.err) == (
        4,
        f"Error: {trained} reads from left to right alone, and cannot fill a gap from both sides; "
        "train a model with --bidirectional, or use charlm generate\n",
    )


def test_its_figures_are_never_called_perplexity(charlm, fill_run: Path) -> None:
    card = charlm("info", fill_run)
    assert "train masked perplexity" in card.out
    assert "masked perplexity" in card.out
    assert "charlm fill" in card.out
    trained = json.loads(charlm("info", fill_run, "--json").out)["trained"]
    assert "train_perplexity" not in trained
    assert "perplexity" not in trained["valid"]
    assert trained["valid"]["masked_perplexity"] > 1
    assert "_" in (fill_run / "samples.txt").read_text()


def test_words(charlm, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the time traveller came back in time for tea\n" * 60)
    options = ["--level", "word", "--bidirectional", "--hidden-size", "24", "--seq-len", "9",
               "--batch-size", "4", "--max-steps", "200", "--lr", "0.03"]  # fmt: skip
    assert charlm("train", "a.txt", *options).code == 0
    text = charlm("fill", "the ____ traveller came back").out
    assert text == "the time traveller came back\n"


def test_marks_beside_a_gap_are_joined_to_it(charlm, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text('he said: "no," and "yes."\n' * 40)
    options = ["--level", "word", "--split-punctuation", "--bidirectional", "--hidden-size", "8",
               "--seq-len", "9", "--batch-size", "4", "--max-steps", "2"]  # fmt: skip
    assert charlm("train", "a.txt", *options).code == 0
    filled = charlm("fill", "--json", 'he ____: "____," and')
    assert filled.code == 0, filled.err
    first, second = json.loads(filled.out)["fills"]
    assert len(json.loads(filled.out)["text"]) > len(first) + len(second)
