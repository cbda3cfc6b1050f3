import json
from collections.abc import Callable
from pathlib import Path

import pytest

from charlm.data.corpus import open_corpus

Charlm = Callable[..., "object"]


def test_it_prepares_a_corpus(charlm, text_file: Path) -> None:
    result = charlm("preprocess", text_file, "-o", "corpus")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[:4] == [
        "corpus: 1 file",
        "  4,000 characters, 4,000 characters as tokens",
        "  8 distinct characters, a vocabulary of 9",
        "  train 3,600, valid 400",
    ]
    assert lines[4].endswith("million characters a second")
    assert open_corpus(Path("corpus")).tokens == 4000


def test_json(charlm, text_file: Path) -> None:
    result = charlm("preprocess", text_file, "-o", "corpus", "--test-frac", "0.1", "--json")
    figures = json.loads(result.out)
    assert figures["characters"] == figures["tokens"] == 4000
    assert figures["vocab_size"] == 9
    assert figures["splits"] == {"train": 3200, "valid": 400, "test": 400}


def test_snake_case_is_accepted(charlm, text_file: Path) -> None:
    result = charlm("preprocess", text_file, "-o", "corpus", "--val_frac", "0.2", "--json")
    assert json.loads(result.out)["splits"]["valid"] == 800


def test_words(charlm, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The time, the TIME! traveller\n" * 5)
    options = ["--level", "word", "--keep", "A-Za-z", "--lowercase", "--strip-lines",
               "--reserve", "<pad>", "--max-tokens", "21"]  # fmt: skip
    result = charlm("preprocess", "a.txt", "-o", "c", *options)
    assert result.code == 0, result.err
    corpus = open_corpus(Path("c"))
    assert corpus.vocab.tokens == ("<unk>", "<pad>", "the", "time", "traveller")
    assert corpus.tokens == 21


@pytest.mark.parametrize(
    ("data", "arguments", "code", "message"),
    [
        (b"", [], 3, "a: the text is empty\n"),
        (b"x", [], 3, "a: the text has 1 token, need at least 11 for a train part of 2 "
         "(see --val-frac)"),
        (b"\xef\xbb\xbf", [], 3, "a: the text is empty\n"),
        (b"0123456789", [], 3, "a: the text has 10 tokens, need at least 11 for a valid part of 2"),
        (b"ab\xffcd", [], 3, "a: byte 2 (line 1) is not utf-8; --encoding "),
        (b"ab\0cd", [], 3, "a: a NUL character in line 1; the file is binary"),
        (b"abc", ["--level", "byte"], 2, "Invalid value for '--level': 'byte' is not one of "
         "'char', 'word' (see charlm preprocess --help)"),
        (b"abc", ["--keep", "z-a"], 2, "--keep 'z-a' is no class of characters"),
        (b"abc", ["--encoding", "utf-9"], 2, "--encoding 'utf-9': Python knows no such encoding"),
        (b"abc", ["--val-frac", "1.5"], 2, "--val-frac is 1.5; it must be below 1"),
        (b"abc", ["--vocab", "b.json"], 4, "b.json: there is no such file"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_leaves_nothing(
    charlm, tmp_path: Path, data: bytes, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "a").write_bytes(data)
    result = charlm("preprocess", "a", "-o", "corpus", *arguments)
    assert result.code == code
    assert result.err.startswith(f"Error: {message}")
    assert result.err.count("\n") == 1
    assert result.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_texts_to_validate_and_to_test_on(charlm, tmp_path: Path, text_file: Path) -> None:
    (tmp_path / "v.txt").write_text("abcdef\n")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "t.txt").write_text("fedcba\nab")
    own = ["--val", "v.txt", "--test", "t"]
    result = charlm("preprocess", text_file, "-o", "corpus", *own, "--json")
    assert json.loads(result.out)["splits"] == {"train": 4000, "valid": 7, "test": 9}
    corpus = open_corpus(Path("corpus"))
    assert corpus.vocab.decode(corpus.split("valid")) == "abcdef\n"
    assert charlm("vocab", text_file, "--json", *own).out == charlm("vocab", "corpus", "--json").out
    for option, file in (("--val", "v.txt"), ("--test", "t")):
        result = charlm("preprocess", text_file, "-o", "c", option, file, f"{option}-frac", "0.2")
        assert (result.code, result.err) == (
            2, f"Error: {option} is a text of its own: drop {option}-frac\n",
        )  # fmt: skip
    charlm("preprocess", text_file, "-o", "c", "--val", "v.txt", "--val-frac", "0", "--json")
    assert open_corpus(Path("c")).splits["train"] == 4000
    result = charlm("preprocess", text_file, "-o", "d", "--val", "no.txt")
    assert (result.code, result.err) == (2, "Error: no.txt: there is no such file or folder\n")


def test_a_run_is_evaluated_on_texts_of_their_own(
    charlm, tmp_path: Path, text_file: Path, tiny_options: list[str]
) -> None:
    (tmp_path / "secret.txt").write_text("abcdef\n" * 3)
    options = ["--val", "secret.txt", "--test", "secret.txt", *tiny_options, "-o", "run"]
    assert charlm("train", text_file, *options).code == 0
    for part in ("valid", "test"):
        result = charlm("evaluate", "-m", "run", "--split", part, "--no-baselines", "--json")
        assert json.loads(result.out)["characters"] == 20
    for path in Path("run").rglob("*.json"):
        assert "secret" not in path.read_text()


def test_a_config_names_its_texts_beside_itself(charlm, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "v.txt").write_text("abcdef\n")
    (folder / "c.toml").write_text('[data]\ntext = "abcdef abcdef"\nval = "v.txt"\n')
    result = charlm("train", "--config", "folder/c.toml", "--dry-run", "--seq-len", "4")
    assert (result.code, "train 13, valid 7" in result.out) == (0, True), result.err


def test_blocks_spread_over_the_text(charlm, tmp_path: Path) -> None:
    text = "".join(f"{chr(97 + i // 1000)}{i:05}\n" for i in range(20_000))
    (tmp_path / "list.txt").write_text(text)
    result = charlm("preprocess", "list.txt", "-o", "tail")
    assert result.err.startswith("note: list.txt: the end of the text, held out to validate, is")
    assert result.err.count("\n") == 1
    result = charlm("preprocess", "list.txt", "-o", "blocks", "--val-split", "blocks")
    assert (result.code, result.err) == (0, "")
    tail, blocks = open_corpus(Path("tail")), open_corpus(Path("blocks"))
    assert blocks.splits == tail.splits
    assert blocks.sha256 == tail.sha256
    held_out = "".join(text[start : start + 1000] for start in range(9000, len(text), 10_000))
    assert blocks.vocab.decode(blocks.split("valid")) == held_out


@pytest.mark.parametrize("command", ["preprocess", "train", "vocab", "evaluate"])
def test_a_run_or_a_corpus_is_no_text(charlm, trained: Path, text_file: Path, command: str) -> None:
    for made, message in (
        (trained, f"is a run, not a text: charlm train {trained}/corpus trains on its corpus, "
         f"charlm train --resume {trained} goes on with it, charlm evaluate -m {trained} scores "
         "it"),
        (trained / "corpus", f"is a prepared corpus, not a text: charlm train {trained}/corpus "
         f"trains on it, charlm vocab {trained}/corpus shows its vocabulary"),
    ):  # fmt: skip
        if made != trained and command in ("train", "evaluate"):
            continue  # there a corpus is at its place
        arguments = {
            "preprocess": [made, "-o", "new"],
            "train": [made, "-o", "new"],
            "vocab": [text_file, "--coverage", made],
            "evaluate": [made, "-m", trained],
        }[command]
        result = charlm(command, *arguments)
        assert (result.code, result.err) == (2, f"Error: {made} {message}\n")
    held_out = charlm("preprocess", text_file, "-o", "new", "--val", trained)
    assert held_out.err.startswith(f"Error: {trained} is a run, not a text")
    assert not Path("new").exists()


def test_a_text_in_another_script_is_refused_before_training(
    charlm, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "r.txt").write_text("все счастливые семьи\n" * 20, encoding="utf-8")
    (tmp_path / "half.txt").write_text("abc d é\n" * 100, encoding="utf-8")
    tiny = ["--max-steps", "2", "--batch-size", "2", "--seq-len", "4"]
    for command in (["preprocess", "--vocab", trained], ["train", "--vocab", trained, *tiny],
                    ["train", "--dry-run", "--vocab", trained, *tiny]):  # fmt: skip
        refused = charlm(*command, "r.txt", *["-o", "new"])
        assert refused.code == 3
        assert refused.err.startswith(
            "Error: r.txt: 360 of its 420 characters (85.71%) are not in the vocabulary: 'с' U+0441"
        )
        assert not Path("new").exists()
        noted = charlm(*command, "half.txt", "-o", f"new{len(list(tmp_path.iterdir()))}")
        assert noted.code == 0
        assert (
            "note: half.txt: 100 of its 800 characters (12.50%) are not in the vocabulary: 'é' "
            "U+00E9 LATIN SMALL LETTER E WITH ACUTE (100); they become <unk>\n"
        ) in noted.err


def test_a_missing_file(charlm, tmp_path: Path) -> None:
    result = charlm("preprocess", "book.txt", "-o", "corpus")
    assert (result.code, result.err) == (
        2, "Error: book.txt: there is no such file or folder\n",
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_corpus_in_the_way(charlm, text_file: Path) -> None:
    assert charlm("preprocess", text_file, "-o", "corpus").code == 0
    before = Path("corpus/corpus.json").read_bytes()
    result = charlm("preprocess", text_file, "-o", "corpus", "--lowercase")
    assert (result.code, result.err) == (
        2,
        "Error: the output corpus already exists; give another name (-o), or replace it (--force; "
        "in Python, replace=True)\n",
    )
    assert Path("corpus/corpus.json").read_bytes() == before
    assert charlm("preprocess", text_file, "-o", "corpus", "--lowercase", "--force").code == 0
    assert Path("corpus/corpus.json").read_bytes() != before
