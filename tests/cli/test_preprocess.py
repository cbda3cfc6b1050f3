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
        (b"", [], 3, "a: the text has 0 tokens, need at least 11 for a train part of 2 "
         "(see --val-frac)"),
        (b"\xef\xbb\xbf", [], 3, "a: the text has 0 tokens, need at least 11"),
        (b"0123456789", [], 3, "a: the text has 10 tokens, need at least 11 for a valid part of 2"),
        (b"ab\xffcd", [], 3, "a: byte 2 (line 1) is not utf-8; --encoding "),
        (b"ab\0cd", [], 3, "a: a NUL character in line 1; the file is binary"),
        (b"abc", ["--level", "byte"], 2, "Invalid value for '--level': 'byte' is not one of "
         "'char', 'word' (see charlm preprocess --help)"),
        (b"abc", ["--keep", "z-a"], 2, "--keep 'z-a' is no class of characters"),
        (b"abc", ["--encoding", "utf-9"], 2, "--encoding 'utf-9': Python knows no such encoding"),
        (b"abc", ["--val-frac", "1.5"], 2, "data.val_frac is 1.5; it must be below 1"),
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
        "Error: the output corpus already exists; give another with -o, or add --force\n",
    )
    assert Path("corpus/corpus.json").read_bytes() == before
    assert charlm("preprocess", text_file, "-o", "corpus", "--lowercase", "--force").code == 0
    assert Path("corpus/corpus.json").read_bytes() != before
