import json
import os
import shutil
from pathlib import Path

import pytest

from charlm.cli.vocab import escaped


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "a.txt").write_text("龙 a\n龙\tb\n龙", encoding="utf-8")
    return "a.txt"


def test_a_row_a_token(charlm, text: str) -> None:
    lines = charlm("vocab", text).out.splitlines()
    assert len(lines) == 7
    assert lines[1].split() == [
        "1",
        "龙",
        "U+9F99",
        "3",
        "33.333%",
        "CJK",
        "UNIFIED",
        "IDEOGRAPH-9F99",
    ]
    assert lines[2].split() == ["2", r"\n", "U+000A", "2", "22.222%"]
    assert lines[3].split()[1] == "␠"


def test_an_empty_text_has_no_vocabulary(charlm) -> None:
    Path("empty.txt").touch()
    refused = charlm("vocab", "empty.txt")
    assert (refused.code, refused.out) == (3, "")
    assert refused.err == "Error: empty.txt: the text is empty\n"


def test_top_and_tsv(charlm, text: str) -> None:
    lines = charlm("vocab", text, "--tsv", "--top", 2).out.splitlines()
    assert lines == [
        "id\ttoken\tcode_point\tname\tcount\tshare",
        "0\t<unk>\t\t\t0\t0.000000",
        "1\t龙\tU+9F99\tCJK UNIFIED IDEOGRAPH-9F99\t3\t0.333333",
    ]


def test_json_and_save_agree(charlm, text: str) -> None:
    shown = json.loads(charlm("vocab", text, "--json", "--save", "v.json").out)
    assert shown == json.loads(Path("v.json").read_text(encoding="utf-8"))
    assert shown["tokens"] == ["<unk>", "龙", "\n", " ", "a", "\t", "b"]
    assert json.loads(charlm("vocab", "v.json", "--json").out) == shown
    top = json.loads(charlm("vocab", "v.json", "--json", "--top", "2").out)
    assert top == shown | {"tokens": ["<unk>", "龙"], "counts": [0, 3]}


def test_the_vocabulary_of_corpora_and_runs(charlm, trained: Path) -> None:
    of_run = charlm("vocab", trained, "--json").out
    assert of_run == charlm("vocab", trained / "corpus", "--json").out
    assert of_run == charlm("vocab", trained / "vocab.json", "--json").out


def test_without_a_path_it_is_the_models(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARLM_MODEL", str(trained))
    assert charlm("vocab", "--json").out == charlm("vocab", trained, "--json").out


def test_coverage(charlm, text: str, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("ab龙éé!")
    result = charlm("vocab", text, "--coverage", "b.txt")
    assert result.out.splitlines() == [
        "3 of 6 tokens known (50.000%)",
        "2 lacking",
        "          2  'é' U+00E9 LATIN SMALL LETTER E WITH ACUTE",
        "          1  '!' U+0021 EXCLAMATION MARK",
    ]
    figures = json.loads(charlm("vocab", text, "--coverage", "b.txt", "--json").out)
    assert figures == {"tokens": 6, "covered": 3, "lacking": {"é": 2, "!": 1}}


def test_difference(charlm, text: str, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("a龙!!")
    figures = json.loads(charlm("vocab", text, "--diff", "b.txt", "--json").out)
    assert figures["only_first"] == {"\n": 2, " ": 1, "\t": 1, "b": 1}
    assert figures["only_second"] == {"!": 2}
    lines = charlm("vocab", text, "--diff", text).out.splitlines()
    assert lines == [
        "0 only in the first",
        "0 only in the second",
        "0 shared tokens have another id",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing.txt"], 2, "nothing.txt: there is no such file or folder"),
        (["nothing.json"], 4, "nothing.json: there is no such file"),
        ([], 2, "there is no model here: train one with charlm train, or name one with -m"),
        (["a.txt", "--diff", "a.txt", "--coverage", "a.txt"], 2,
         "--coverage and --diff: one at a time"),
    ],
)  # fmt: skip
def test_mistakes(charlm, text: str, arguments: list[str], code: int, message: str) -> None:
    result = charlm("vocab", *arguments)
    assert (result.code, result.err) == (code, f"Error: {message}\n")


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("place", ["run/vocab.json", "run/corpus/vocab.json", "link.json"])
def test_the_vocabulary_of_a_run_or_a_corpus_is_never_replaced(
    charlm, text: str, trained: Path, tmp_path: Path, place: str, force: list[str]
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "link.json").symlink_to("run/vocab.json")
    before = (tmp_path / place).read_bytes()
    refused = charlm("vocab", text, "--save", place, *force)
    assert refused.code == 2
    assert "it belongs to " in refused.err
    assert (tmp_path / place).read_bytes() == before
    assert charlm("vocab", text, "--save", "-").code == 2
    assert not (tmp_path / "-").exists()


def test_a_vocabulary_is_not_saved_over_another_file(charlm, text: str, tmp_path: Path) -> None:
    before = Path(text).read_bytes()
    refused = charlm("vocab", text, "--save", text)
    assert (refused.code, refused.err) == (
        2,
        "Error: --save a.txt: there is a file that is no vocabulary; give another name, or add "
        "--force\n",
    )
    assert Path(text).read_bytes() == before
    (tmp_path / "link.json").symlink_to("v.json")
    for _ in range(2):  # a vocabulary may be replaced by another
        assert charlm("vocab", text, "--save", "link.json").code == 0
    assert Path("link.json").is_symlink()
    assert Path("v.json").is_file()
    assert charlm("vocab", text, "--save", text, "--force").code == 0
    assert json.loads(Path(text).read_bytes())["tokens"][1] == "龙"
    nowhere = charlm("vocab", text, "--save", "no/v.json")
    assert (nowhere.code, nowhere.out) == (5, "")
    assert nowhere.err.startswith("Error: --save no/v.json: there is no folder no: make it (mkdir ")
    os.mkfifo("pipe")
    for name in (".", "pipe"):
        refused = charlm("vocab", "v.json", "--save", name, "--force")
        assert (refused.code, refused.err) == (
            2, f"Error: --save {name}: there is something else than a file; give another name\n",
        )  # fmt: skip


def test_text_options_do_not_go_with_a_finished_vocabulary(charlm, trained: Path) -> None:
    result = charlm("vocab", trained, "--lowercase")
    assert result.err == (
        f"Error: {trained} has its vocabulary already: text options go with a text\n"
    )


def test_what_does_not_print_is_escaped() -> None:
    assert escaped("a\n\x1b\u202e 龙") == r"a\n\x1b\u202e␠龙"
