"""The model that a text is likelier for is the better one, and ignorance is no advantage."""

import io
import json
import math
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from wcwidth import wcswidth

from charlm.cli.main import run_command
from charlm.data.vocab import Vocab
from charlm.evaluation.comparison import UNKNOWN_BITS, Cost, better_of, cost_of
from charlm.evaluation.lines import ReadLine
from charlm.evaluation.scores import LineScore
from charlm.run import open_run


def turning(alphabet: str, seed: int) -> str:
    """A line of 30 letters, each followed by the next of the alphabet, or by the one after it."""
    source, at, letters = random.Random(seed), seed, []
    for _ in range(30):
        letters.append(alphabet[at % len(alphabet)])
        at += source.choice((1, 1, 2))
    return "".join(letters)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, tiny_options: list[str]) -> tuple[Path, Path]:
    """Two models of one alphabet, of which one likes it forwards and the other backwards."""
    folder = tmp_path_factory.mktemp("pair")
    for name, alphabet in (("forwards", "abcdef"), ("backwards", "fedcba")):
        text = folder / f"{name}.txt"
        text.write_text("".join(turning(alphabet, k) + "\n" for k in range(150)), newline="")
        options = (*tiny_options, "--max-steps", "150", "--lr", "0.02", "-o", str(folder / name))
        assert run_command(["train", str(text), *options]) == 0
    return folder / "forwards", folder / "backwards"


def objects(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def write_mixed() -> str:
    """Lines of either kind, and whose they are."""
    kinds = list("AB" * 10)
    random.Random(1).shuffle(kinds)
    alphabets = {"A": "abcdef", "B": "fedcba"}
    lines = [turning(alphabets[kind], 1000 + k) for k, kind in enumerate(kinds)]
    Path("mixed.txt").write_text("".join(line + "\n" for line in lines), newline="")
    return "".join(kinds)


def test_a_line_goes_to_the_model_of_its_kind(charlm, pair: tuple[Path, Path]) -> None:
    expected = write_mixed()
    result = charlm("compare", *pair, "mixed.txt", "--json")
    *lines, last = objects(result.out)
    assert "".join(line["better"] for line in lines) == expected
    assert [line["line"] for line in lines] == list(range(1, 21))
    for line in lines:
        a, b = line["A"]["bits_per_char"], line["B"]["bits_per_char"]
        assert line["by"] == pytest.approx(abs(a - b))
        assert line["A"]["characters"] == line["B"]["characters"] == 31
        assert line["A"]["unknown"] == 0
    # Their figures are those that score tells.
    for run, name in zip(pair, "AB", strict=True):
        scored = objects(charlm("score", "-m", run, "mixed.txt", "--json").out)
        assert [line[name]["bits_per_char"] for line in lines] == pytest.approx(
            [line["bits_per_char"] for line in scored], abs=1e-5
        )
        bits = math.fsum(line["nats"] for line in scored) / math.log(2)
        assert last[name]["bits_per_char"] == pytest.approx(bits / (31 * 20), abs=1e-5)
        assert last[name]["run"] == str(run)
        assert last[name]["better_lines"] == 10
    assert (last["line"], last["lines"]) == (None, 20)
    assert last["better"] == min("AB", key=lambda name: last[name]["bits_per_char"])


def test_rows_and_the_total_say_the_same(charlm, pair: tuple[Path, Path]) -> None:
    expected = write_mixed()
    result = charlm("compare", *pair, "mixed.txt")
    header, one, other, verdict = result.err.splitlines()
    assert header == "  A bits   B bits  better by A unknown B unknown  text"
    rows = result.out.splitlines()
    texts = Path("mixed.txt").read_text().splitlines()
    assert [row[50:] for row in rows] == texts
    assert "".join(row.split()[2] for row in rows) == expected
    *_, last = objects(charlm("compare", *pair, "mixed.txt", "--json").out)
    for said, run, name in ((one, pair[0], "A"), (other, pair[1], "B")):
        bits = last[name]["bits_per_char"]
        assert said == (
            f"{name} {run}: {bits:.4f} bits per character over 620 characters; the better on 10 "
            "of 20 lines"
        )
    assert verdict == f"{last['better']} is the better by {last['by']:.4f} bits per character"


def test_a_model_beside_itself_is_even(charlm, trained: Path, text_file: Path) -> None:
    result = charlm("compare", trained, trained, text_file)
    assert result.err.splitlines()[-1] == "they are even"
    assert " 0.0000 " in result.out
    last = objects(charlm("compare", trained, trained, text_file, "--json").out)[-1]
    assert (last["better"], last["by"], last["A"]["better_lines"]) == (None, 0, 0)


def test_who_knows_less_is_not_the_better_for_it(
    charlm, trained: Path, nonsense, tiny_options: list[str]
) -> None:
    Path("greek.txt").write_text(nonsense(4000, "αβγδεζ \n"), encoding="utf-8", newline="")
    assert charlm("train", "greek.txt", *tiny_options, "-o", "greek").code == 0
    Path("lines.txt").write_text("αβγδε\nabcde\n\n", encoding="utf-8")
    result = charlm("compare", trained, "greek", "lines.txt", "--json")
    first, second, third, last = objects(result.out)
    assert (first["better"], second["better"]) == ("B", "A")
    assert (first["A"]["unknown"], first["B"]["unknown"]) == (5, 0)
    assert first["A"]["bits_per_char"] > 5 / 6 * UNKNOWN_BITS
    assert (last["A"]["unknown"], last["B"]["unknown"]) == (5, 5)
    assert third["A"]["characters"] == 1
    # What it is without them is told too.
    assert first["A"]["known_bits_per_char"] < 5 < first["A"]["bits_per_char"]
    assert first["B"]["known_bits_per_char"] == first["B"]["bits_per_char"]
    known = last["A"]["known_bits_per_char"]
    assert (
        f", 5 of them unknown (20.1 bits a character; {known:.4f} over the known ones alone); the "
        "better on " in charlm("compare", trained, "greek", "lines.txt").err
    )


def test_where_neither_knows_the_script_none_is_the_better(
    charlm, trained: Path, pair: tuple[Path, Path]
) -> None:
    Path("poem.txt").write_text("床前明月光，疑是地上霜。\nabc\n12\n", encoding="utf-8")
    first, second, third, last = objects(charlm("compare", *pair, "poem.txt", "--json").out)
    assert [(line["better"], line["by"]) for line in (first, third)] == [(None, None)] * 2
    assert first["A"]["bits_per_char"] > 12 / 13 * UNKNOWN_BITS
    assert second["better"] in ("A", "B")
    assert last["better"] in ("A", "B")
    Path("poem.txt").write_text("床前明月光，疑是地上霜。\n", encoding="utf-8")
    result = charlm("compare", *pair, "poem.txt")
    assert " -  " in result.out
    assert result.err.splitlines()[-1] == (
        "neither knows the script of this text: none is the better"
    )
    assert objects(charlm("compare", *pair, "poem.txt", "--json").out)[-1]["better"] is None


def test_one_that_knows_the_script_is_the_better_one() -> None:
    blind, seeing = Cost(200, 10, 9, 5, 10, 9), Cost(300, 10, 8, 5, 10, 8)
    assert not Cost(200, 11, 10, 5, 11, 10).knows_script
    assert blind.knows_script  # one in ten
    assert better_of(seeing, Cost(301, 10, 10, 0, 10, 10)) == ("A", pytest.approx(0.1))
    assert better_of(*[Cost(9, 10, 10, 0, 10, 10)] * 2) == (None, None)
    # Of signs alone there is nothing to know.
    assert better_of(Cost(9, 3, 3), Cost(12, 3, 3)) == ("A", 1)


@pytest.mark.parametrize(
    ("cells", "header"),
    [
        (80, "  A bits   B bits  better by A unknown B unknown  text"),
        (60, "  A bits   B bits  better by A unknown  text"),
        (52, "  A bits   B bits  better by  text"),
        (40, " better by  text"),
    ],
)
def test_rows_fit_a_terminal(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch, cells: int, header: str
) -> None:
    monkeypatch.setattr("charlm.cli.compare.terminal_width", lambda: cells)
    Path("wide.txt").write_text("诗" * 50 + "\nabc\n" + "a" * 90 + "\n", encoding="utf-8")
    result = charlm("compare", trained, trained, "wide.txt")
    assert result.err.splitlines()[0] == header
    rows = result.out.splitlines()
    assert max(map(wcswidth, rows)) in (cells - 1, cells)
    assert [row.find("a") for row in rows[1:]] == [header.index("text")] * 2


def test_an_unknown_token_counts_by_its_characters() -> None:
    import numpy as np

    vocab = Vocab("word", ("<unk>", "a"), (1, 1))
    read = "a wörd a"
    left_out = LineScore(vocab.encode(read), np.array([1.0, np.nan, 2.0]))
    cost = cost_of(ReadLine(read, read, left_out), "word")
    known = pytest.approx(3 / math.log(2))
    assert cost == Cost(
        pytest.approx(3 / math.log(2) + 4 * UNKNOWN_BITS), 3, 1, known, written=3, unknown_written=1
    )
    scored = LineScore(vocab.encode(read), np.array([1.0, 5.0, 2.0]))
    cost = cost_of(ReadLine(read, read, scored), "word")
    assert cost.bits == pytest.approx(8 / math.log(2) + 4 * UNKNOWN_BITS)
    assert cost.known_bits == known
    assert better_of(Cost(6, 3), Cost(8, 2)) == ("A", 2)
    assert better_of(Cost(), Cost(8, 2)) == (None, None)
    assert better_of(Cost(8, 4), Cost(4, 2)) == (None, 0)


def test_models_that_cannot_be_compared_are_refused(
    charlm, trained: Path, fill_run: Path, text_file: Path, tiny_options: list[str]
) -> None:
    assert charlm("train", text_file, *tiny_options, "--level", "word", "-o", "words").code == 0
    Path("empty.txt").write_bytes(b"")
    Path("binary").write_bytes(b"ab\0\n" * 100)
    for a, b, text, code, message in (
        (
            trained, "words", text_file, 4,
            f"{trained} is a model of characters, words one of words with line breaks apart: their "
            "bits are of different things",
        ),
        (fill_run, trained, text_file, 4, "is a bidirectional model"),
        (trained, fill_run, text_file, 4, "is a bidirectional model"),
        (trained, "nowhere", text_file, 4, "nowhere is not a charlm run"),
        (trained, trained, "empty.txt", 3, "empty.txt: the text is empty"),
        (trained, trained, "binary", 3, "binary"),
        (trained, trained, "nowhere.txt", 2, "nowhere.txt"),
        (trained, trained, trained, 2, "is a run, not a text"),
    ):  # fmt: skip
        result = charlm("compare", a, b, text)
        assert (result.code, result.out, result.err.count("\n")) == (code, "", 1), result
        assert message in result.err
    words = charlm("compare", "words", "words", text_file)
    assert words.err.splitlines()[-1] == "they are even"
    assert "bits per word over " in words.err


def test_models_that_clean_a_text_differently_each_read_their_own(
    charlm, trained: Path, text_file: Path, tiny_options: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    options = ("--newlines", "keep", "--lowercase")
    assert charlm("train", text_file, *tiny_options, *options, "-o", "lower").code == 0
    assert open_run(Path("lower")).config.text.newlines == "keep"
    text = io.TextIOWrapper(io.BytesIO(b"ABC\r\nabc"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", text)
    result = charlm("compare", trained, "lower", "-", "--json")
    assert result.err.splitlines()[0] == (
        f"note: {trained} and lower clean a text differently (--newlines, --lowercase): each reads "
        "its own"
    )
    first, second, _ = objects(result.out)
    assert (first["text"], second["text"]) == ("ABC", "abc")
    assert (first["A"]["unknown"], first["B"]["unknown"]) == (3, 0)


def test_an_unknown_mark_costs_one_character_whatever_it_is_joined_to() -> None:
    level = "word+breaks+punctuation"
    vocab, read = Vocab(level, ("<unk>", "ab", "cd"), (0, 1, 1)), "ab—cd\n"
    nats = LineScore(vocab.encode(read), np.array([1.0, np.nan, 2.0, np.nan]))
    cost = cost_of(ReadLine(read, read, nats), level)
    assert (cost.tokens, cost.unknown) == (4, 2)
    assert cost.bits == pytest.approx(3 / math.log(2) + 2 * UNKNOWN_BITS)
