"""Lists, searches and rules of `charlm generate`, as they are typed."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest

from charlm.cli import written
from charlm.config import LONGEST_LINE


def lines_of(text: str) -> list[str]:
    assert text.endswith("\n")
    return text[:-1].split("\n")


def test_so_many_lines_and_nothing_else(charlm, trained: Path) -> None:
    arguments = ["generate", "-m", trained, "--seed", "7", "--lines"]
    result = charlm(*arguments, 30)
    found = lines_of(result.out)
    assert (result.code, result.err, len(found)) == (0, "", 30)
    assert all(0 < len(line) <= LONGEST_LINE for line in found)
    assert lines_of(charlm(*arguments, 4).out) == found[:4]
    assert charlm(*arguments, 4, "--seed", "8").out != charlm(*arguments, 4).out
    assert charlm(*arguments, 4, "--separator", r"\0").out == "".join(
        f"{line}\0" for line in found[:4]
    )


def test_each_line_begins_with_the_prefix(charlm, trained: Path) -> None:
    options = ["-m", trained, "--seed", "7", "--lines", 9, "--prefix", "fa\nab", "--max-length", 8]
    found = lines_of(charlm("generate", *options).out)
    assert all(line.startswith("ab") and len(line) <= 8 for line in found)
    told = [json.loads(line) for line in charlm("generate", *options, "--json").out.splitlines()]
    assert [line["prefix"] + line["text"] for line in told] == found
    assert {(line["prefix"], line["stop_reason"], line["seed"]) for line in told} == {
        ("ab", "line", 7)
    }


def test_new_unique_and_no_longer_than_asked(charlm, trained: Path, text_file: Path) -> None:
    known = set(text_file.read_text().split("\n"))
    options = ["-m", trained, "--seed", "7", "--max-length", 5, "--min-length", 2]
    free = lines_of(charlm("generate", *options, "--lines", 60).out)
    assert set(free) & known
    found = lines_of(charlm("generate", *options, "--lines", 60, "--new", "--unique").out)
    assert not set(found) & known
    assert len(set(found)) == 60
    assert {len(line) for line in found} <= {2, 3, 4, 5}


def test_where_no_more_are_found_those_found_are_printed(charlm, trained: Path) -> None:
    options = ["--seed", "7", "--unique", "--max-length", 1]
    result = charlm("generate", "-m", trained, "--lines", 50, *options)
    found = lines_of(result.out)
    assert sorted(found) == list(" abcdef")[7 - len(found) :]
    assert (result.code, result.err) == (
        4,
        f"Error: {len(found)} of 50 lines, and the last 2,000 draws gave no more that are unlike "
        "those before, 1 long: ask for fewer, or draw with a higher --temperature\n",
    )
    # All that match, and none of them new: to ask for fewer, or to draw otherwise, is in vain.
    none = charlm("generate", "-m", trained, "--lines", 2, "--match", "a", "--min-length", 2)
    assert (none.code, none.out) == (4, "")
    assert none.err.endswith("gave no more that are 2 to 500 long: give a wider --match\n")


def test_what_is_new_cannot_be_told_without_the_text(charlm, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "corpus")
    arguments = ["generate", "-m", "run", "--lines", 3, "--new"]
    result = charlm(*arguments)
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)
    assert "run/corpus: this needs the training text, without which a run may be shared; if " in (
        result.err
    )
    assert charlm(*arguments, "--corpus", trained / "corpus").code == 0


def test_the_bits_of_a_line_are_those_that_score_tells(
    charlm, trained: Path, tmp_path: Path
) -> None:
    found = charlm("generate", "-m", trained, "--seed", "7", "--lines", 12, "--score").out
    bits, texts = zip(*(line.split("\t") for line in lines_of(found)), strict=True)
    (tmp_path / "lines.txt").write_text("".join(f"{text}\n" for text in texts))
    scored = charlm("score", "-m", trained, "lines.txt", "--json").out.splitlines()
    for told, line in zip(bits, map(json.loads, scored[:12]), strict=True):
        assert float(told) == pytest.approx(line["nats"] / math.log(2), abs=0.01)


def test_the_ruler_is_for_people(charlm, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["generate", "-m", trained, "--seed", "7", "-n", 3, "-l", 5]
    texts = [json.loads(line)["text"] for line in charlm(*arguments, "--json").out.splitlines()]
    ended = [text if text.endswith("\n") else f"{text}\n" for text in texts]
    assert charlm(*arguments).out == "".join(ended)
    assert charlm(*arguments, "--separator", r"\0").out == "".join(f"{text}\0" for text in texts)
    alone = ["generate", "-m", trained, "--seed", "7", "-l", 5, "--separator", r"\n\x2d\n"]
    assert charlm(*alone).out == f"{texts[0]}\n-\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    shown: list[str] = []
    monkeypatch.setattr(written, "show", shown.append)
    for number, text in enumerate(texts):
        written.print_whole(text, None, first=number == 0)
    assert "".join(shown) == f"{written.RULER}\n".join(ended)


def test_the_likeliest_texts(charlm, trained: Path) -> None:
    arguments = ["generate", "-m", trained, "--prefix", "ab", "-l", 12, "--json"]
    greedy = json.loads(charlm(*arguments, "-t", 0).out)
    found = [json.loads(line) for line in
             charlm(*arguments, "--beam", 6, "-n", 3).out.splitlines()]  # fmt: skip
    nats = [text["nats"] for text in found]
    assert nats == sorted(nats)
    assert nats[0] <= greedy["nats"] * (1 + 1e-6)
    assert len({text["text"] for text in found}) == 3
    told = json.loads(charlm(*arguments, "--beam", 6, "--json").out)
    assert told["seed"] is None  # nothing was drawn
    few = charlm(*arguments, "--beam", 2, "-n", 3)
    assert (few.code, few.err) == (
        2,
        "Error: --beam is 2: it cannot find the 3 likeliest texts; make it at least as large\n",
    )


def test_a_text_that_matches(charlm, trained: Path) -> None:
    arguments = ["generate", "-m", trained, "--seed", "7", "--match"]
    text = charlm(*arguments, "[a-c]{4}[^a]+f{2}", "-l", 20).out
    assert re.fullmatch("[a-c]{4}[^a]+f{2}\n", text)
    found = lines_of(charlm(*arguments, r"\w{3,5}", "--lines", 20).out)
    assert all(re.fullmatch(r"\w{3,5}", line) for line in found)
    none = charlm(*arguments, "龙", "-l", 20)
    assert (none.code, none.out, none.err) == (
        2,
        "",
        "Error: --match: no text of 20 characters or fewer, of those that the model knows, matches "
        "'龙'\n",
    )


def test_no_run_twice(charlm, trained: Path) -> None:
    arguments = ["generate", "-m", trained, "-t", 0, "--prefix", "abcdef", "--no-repeat"]
    text = charlm(*arguments, 5, "-l", 400).out[:-1]
    runs = [text[place : place + 5] for place in range(len(text) - 4)]
    assert len(set(runs)) == len(runs) == 402
    ended = charlm(*arguments, 1, "--json")
    sample = json.loads(ended.out)
    assert (sorted(sample["text"]), sample["stop_reason"]) == (["\n", " "], "repeat")
    assert (ended.code, ended.err) == (
        0,
        "note: after 2 characters every character would have made a run of 1 that was there "
        "before: give --no-repeat a larger number\n",
    )


def test_a_sheet_of_temperatures(charlm, trained: Path) -> None:
    arguments = ["generate", "-m", trained, "--seed", "7", "-l", 9]
    sheet = charlm(*arguments, "--temperatures", "0,0.5, 1").out
    parts = re.split(r"\n?== temperature (.*) ==\n", sheet)
    assert parts[1::2] == ["0", "0.5", "1"]
    for temperature, text in zip(parts[1::2], parts[2::2], strict=True):
        assert charlm(*arguments, "-t", temperature).out.rstrip("\n") == text.rstrip("\n")
    told = charlm(*arguments, "--temperatures", "0.5,1", "-n", 2, "--json").out.splitlines()
    assert [json.loads(line)["temperature"] for line in told] == [0.5, 0.5, 1, 1]


def test_how_much_of_a_list_is_copied(charlm, trained: Path, text_file: Path) -> None:
    options = ["-m", trained, "--seed", "7", "--lines", 20, "--max-length", 4]
    result = charlm("generate", *options, "--novelty")
    known = set(text_file.read_text()[:3600].split("\n"))
    copied = sum(line in known for line in lines_of(result.out))
    assert copied
    assert f"; {copied} of 20 whole lines are lines of it (" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--unique", "--unique is asked of the lines of a list: it goes with --lines"),
        ("--max-length 3", "--max-length is asked of the lines of a list: it goes with --lines"),
        ("--lines 3 -n 2", "--lines and --num-samples do not go together: so many lines are the "
         "number"),
        ("--lines 3 -l 2", "--lines and --length do not go together: a line ends where it ends; "
         "--max-length leaves longer ones out"),
        ("--lines 3 --stop a", "--lines and --stop do not go together: a line ends at its line "
         "break"),
        ("--lines 3 --min-length 9 --max-length 5", "--min-length 9 is more than --max-length 5: "
         "no line is both"),
        ("--lines 0", "Invalid value for '--lines': 0 is not in the range x>=1 (see charlm "
         "generate --help)"),
        ("--lines 2 --score --json", "--score and --json do not go together: the objects have the "
         "nats"),
        ("-t 0 --typical 0.2", "--typical does nothing with --temperature 0, which takes the "
         "likeliest: drop it"),
        ("--prefix-file .", "--prefix-file . is a folder; name a file"),
        ("--beam 3 --temperature 1", "--beam and --temperature do not go together: a search draws "
         "nothing"),
        ("--beam 3 --match a", "--match and --beam do not go together: a text that keeps the one "
         "may have no way to the other"),
        ("--match a --no-repeat 3", "--match and --no-repeat do not go together: a text that keeps "
         "the one may have no way to the other"),
        ("--match (", "--match: '(' is no regular expression: missing ), unterminated subpattern "
         "at position 0"),
        ("--temperatures 1,x", "--temperatures '1,x': write numbers with commas between, as in "
         "0.2,0.5,1"),
        ("--temperatures 1 -t 1", "--temperatures and --temperature do not go together: the one is "
         "a list of the other"),
        ("--separator \\q", "--separator: \\q is no escape of Python's; a backslash itself is "
         "\\\\"),
        ("--typical 0", "--typical is 0.0; it must be above 0"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(charlm, trained: Path, arguments: str, message: str) -> None:
    result = charlm("generate", "-m", trained, *arguments.split())
    assert (result.code, result.out, result.err) == (2, "", f"Error: {message}\n")


def test_what_is_typed_goes_before_a_runs_own_settings(
    charlm, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    record["config"]["generation"] |= {"stop": ["a"], "no_repeat": 3, "num_samples": 2}
    (tmp_path / "run" / "config.json").write_text(json.dumps(record))
    assert len(lines_of(charlm("generate", "-m", "run", "--lines", 3).out)) == 3
    assert charlm("generate", "-m", "run", "--match", "a{4}b").out == "aaaab\n" * 2
