"""The units that follow what a person can name, as a table, as JSON and as a page."""

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from charlm.cli import neurons as command

HEADER = "r unseen  r seen  unit"


@pytest.fixture
def as_page(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """In place of the page's own module, one that keeps what it was given."""
    given: list[tuple] = []

    def neurons_page(*arguments: object) -> str:
        given.append(arguments)
        return "<!DOCTYPE html>\n诗\n"

    module = ModuleType("charlm.views.neurons_page")
    module.neurons_page = neurons_page
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return given


def rows(out: str) -> list[tuple[float, float, str]]:
    return [
        (float(line[:8]), float(line[10:16]), line[18:].rstrip()) for line in out.splitlines()[1:]
    ]


def test_the_best_comes_first_and_the_weak_are_left_out(charlm, trained: Path) -> None:
    every = charlm("neurons", trained, "--min-correlation", 0)
    assert every.code == 0
    assert every.out.startswith(HEADER)
    assert every.err == (
        "validation part: 400 characters; units are chosen on the first half of them, and measured "
        "on the unseen second\n"
    )
    found = rows(every.out)
    assert "a space" in every.out
    assert "comment" not in every.out
    assert found == sorted(found, key=lambda row: -abs(row[0]))
    assert all(unseen * seen >= 0 for unseen, seen, _ in found)
    some = charlm("neurons", trained, "--min-correlation", 0.4)
    assert rows(some.out) == [row for row in found if abs(row[0]) >= 0.4]
    assert 0 < len(rows(some.out)) < len(found)
    assert rows(charlm("neurons", trained, "--min-correlation", 0, "--top", 2).out) == found[:2]


def test_where_nothing_is_followed_a_note_says_so(charlm, trained: Path) -> None:
    result = charlm("neurons", trained, "--min-correlation", 1, "--html", "page.html")
    assert (result.code, result.out) == (0, "")
    assert result.err.splitlines()[1] == (
        f"no unit of {trained} has a correlation of 1 or more: there is no page"
    )
    assert not Path("page.html").exists()


def test_json_tells_of_each_feature_and_each_unit(charlm, trained: Path) -> None:
    found = json.loads(charlm("neurons", trained, "--json").out)
    assert (found["run"], found["text"]) == (str(trained), None)
    assert (found["characters"], found["unknown"]) == (400, 0)
    for feature, units in found["features"].items():
        strength = [abs(unit["correlation_seen"]) for unit in units]
        assert len(units) == 5
        assert strength == sorted(strength, reverse=True)
        assert {unit["follows"] for unit in units} == {feature}
    assert len(found["units"]) == 32
    assert found["units"][0].keys() == {
        "unit", "layer", "number", "state", "follows", "correlation", "correlation_seen",
    }  # fmt: skip
    assert [unit["state"] for unit in found["units"]] == ["output"] * 16 + ["cell"] * 16
    assert found["units"][20]["unit"] == "layer 1, cell 5"
    first = rows(charlm("neurons", trained, "--min-correlation", 0, "--top", 1).out)[0]
    [best] = [
        units[0]
        for units in found["features"].values()
        if first[2].startswith(units[0]["unit"]) and first[2].endswith(f"  {units[0]['follows']}")
    ]
    assert best["correlation"] == pytest.approx(first[0], abs=5e-4)
    assert best["correlation_seen"] == pytest.approx(first[1], abs=5e-4)


def test_a_text_is_read_in_place_of_the_validation_part(
    charlm, trained: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = charlm("neurons", trained, text_file, "--json")
    other = charlm("neurons", "-m", trained, text_file, "--json")
    assert one == other
    assert json.loads(one.out)["characters"] == 4000
    assert json.loads(one.out)["text"] == str(text_file)
    monkeypatch.setenv("CHARLM_MODEL", str(trained))
    assert charlm("neurons").out == charlm("neurons", trained).out
    # As it was cleaned for the run: its line ends are one character.
    Path("crlf.txt").write_text(text_file.read_text(encoding="utf-8"), newline="\r\n")
    assert rows(charlm("neurons", trained, "crlf.txt").out) == rows(
        charlm("neurons", trained, text_file).out
    )


def test_of_a_long_text_the_first_part_is_read(
    charlm, trained: Path, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = text_file.read_text(encoding="utf-8")
    Path("short.txt").write_text(text[:600], newline="")
    short = charlm("neurons", trained, "short.txt", "--json")
    monkeypatch.setattr(command, "MOST", 600)
    long = charlm("neurons", trained, text_file, "--json")
    assert json.loads(long.out)["features"] == json.loads(short.out)["features"]
    assert "the first 600 characters;" in charlm("neurons", trained, text_file).err


def test_unknown_characters_are_counted_and_features_are_of_them_too(
    charlm, trained: Path, text_file: Path
) -> None:
    text = text_file.read_text(encoding="utf-8")
    Path("digits.txt").write_text(text.replace(" ", "7"), newline="")
    result = charlm("neurons", trained, "digits.txt", "--min-correlation", 0)
    assert f", {text.count(' '):,} of them unknown to the model;" in result.err
    assert "a digit" in result.out


def test_the_page_shows_the_unseen_half_for_the_rows(
    charlm, trained: Path, as_page: list[tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "SHOWN", 150)
    result = charlm("neurons", trained, "--min-correlation", 0.3, "--html", "page.html")
    assert result.code == 0
    assert Path("page.html").read_text(encoding="utf-8") == "<!DOCTYPE html>\n诗\n"
    [(title, tokens, activations, units, facts)] = as_page
    assert title == f"{trained} reads validation part"
    assert [f"{unit.unit}  {unit.follows}" for unit in units] == [
        "  ".join(part.strip() for part in row[2].split("  ") if part.strip())
        for row in rows(result.out)
    ]
    assert [round(unit.correlation, 3) for unit in units] == [r for r, _, _ in rows(result.out)]
    assert len(tokens) == 150
    assert set("".join(tokens)) <= set("abcdef \n")
    assert activations.dtype == np.int8
    assert activations.shape == (150, len(units))
    assert facts == {"model": str(trained), "text": "validation part", "characters": "201 to 350"}
    # A page may take the place of a page, but of nothing else.
    assert charlm("neurons", trained, "--html", "page.html").code == 0
    Path("book.txt").write_text("a text")
    for place, problem in (
        ("book.txt", "what is there is no page; give another name"),
        (trained, "what is there is no page; give another name"),
        ("-", "name a file"),
    ):
        refused = charlm("neurons", trained, "--html", place)
        assert (refused.code, refused.err) == (2, f"Error: --html {place}: {problem}\n")
    assert Path("book.txt").read_text() == "a text"
    assert charlm("neurons", trained, "--html", "nowhere/page.html").code == 5


def test_what_is_typed_wrongly_is_one_line(charlm, trained: Path, text_file: Path) -> None:
    for arguments, message in (
        ((text_file,), f"{text_file} is a text, not a run: charlm neurons -m RUN {text_file}"),
        (("-",), "- is a text, not a run: charlm neurons -m RUN -"),
        (
            ("-m", trained, text_file, text_file),
            f"-m {trained} is the run: give one TEXT beside it",
        ),
        ((), "there is no model here: train one with charlm train, or name one with -m"),
    ):
        result = charlm("neurons", *arguments)
        assert (result.code, result.out, result.err) == (2, "", f"Error: {message}\n")


def test_texts_in_which_nothing_can_be_found_are_refused(charlm, trained: Path) -> None:
    Path("empty.txt").write_bytes(b"")
    Path("mark.txt").write_bytes(b"\xef\xbb\xbf")
    Path("short.txt").write_text("abc\nabc")
    Path("binary").write_bytes(b"ab\0\n" * 100)
    for name, message in (
        ("empty.txt", "empty.txt: the text is empty"),
        ("mark.txt", "mark.txt: the text is empty"),
        ("short.txt", "the text's 7 characters are too few: nothing comes and goes at least 20 "
                      "times in each half of it, as words and lines do"),
    ):  # fmt: skip
        result = charlm("neurons", trained, name)
        assert (result.code, result.out, result.err) == (3, "", f"Error: {message}\n")
    binary = charlm("neurons", trained, "binary")
    assert (binary.code, binary.err.count("\n")) == (3, 1)


def test_models_that_cannot_be_followed_are_refused(
    charlm, fill_run: Path, text_file: Path, tiny_options: list[str]
) -> None:
    result = charlm("neurons", fill_run)
    assert result.code == 4
    assert result.err == (
        f"Error: {fill_run} is a bidirectional model: half of its units have read what comes after "
        "a character, and cannot be followed from left to right\n"
    )
    assert charlm("train", text_file, *tiny_options, "--level", "word", "-o", "words").code == 0
    result = charlm("neurons", "words")
    assert result.code == 4
    assert result.err == (
        "Error: words is a model of words: what charlm neurons looks for is told of characters; "
        "train one with --level char\n"
    )


def test_a_run_whose_corpus_has_nothing_to_read_asks_for_a_text(
    charlm, trained: Path, text_file: Path, tiny_options: list[str]
) -> None:
    assert charlm("train", text_file, *tiny_options, "--val-frac", 0, "-o", "run").code == 0
    result = charlm("neurons", "run")
    assert result.code == 3
    assert result.err == (
        "Error: run/corpus has no validation part (see --val-frac): name a TEXT to read\n"
    )
    assert charlm("neurons", "run", text_file).code == 0
    shutil.copytree(trained, "moved")
    Path("moved/corpus").rename("corpus")
    assert charlm("neurons", "moved").code == 3
    assert charlm("neurons", "moved", "--corpus", "corpus").out == charlm("neurons", trained).out
