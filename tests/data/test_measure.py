import codecs
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.config import DataConfig, TextConfig
from charlm.data.corpus import build_corpus
from charlm.data.measure import Measured, measure
from charlm.data.source import open_source, text_source
from charlm.data.vocab import Vocab
from charlm.errors import DataError, UsageError
from tests.vocabularies import vocab_of


def measured(
    text: str, vocab: Vocab | None = None, level: str = "char", **data: Any
) -> tuple[Measured, list[str]]:
    """What is measured, and the notes."""
    notes: list[str] = []
    config = DataConfig(**data)
    source = text_source("book", text)
    return measure(source, TextConfig(level=level), config, vocab, note=notes.append), notes


@given(st.text("ab龙 \n", min_size=20), st.sampled_from([None, 20]))
def test_what_is_measured_is_what_is_built(
    tmp_path_factory: pytest.TempPathFactory, text: str, most: int | None
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    config = DataConfig(max_tokens=most)
    corpus = build_corpus(text_source("book", text), TextConfig(), config, folder)
    found, _ = measured(text, max_tokens=most)
    assert (found.vocab, found.sha256) == (corpus.vocab, corpus.sha256)
    assert (found.characters, found.sizes) == (corpus.characters, corpus.splits)


def test_what_cannot_be_built_is_refused_when_it_is_measured(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the text has 10 tokens, need at least 11 for a valid"):
        measured("0123456789")
    with pytest.raises(UsageError, match="--vocab is by word, the text by char"):
        measured("abc " * 9, vocab_of("abc abc", "word"))


def test_unknown_characters_are_told_of_before_anything_is_done() -> None:
    found, notes = measured("abcabcé\u0301" * 5, vocab_of("abc"))
    assert found.vocab.counts[0] == 10
    assert notes == [
        "book: 10 of its 40 characters (25.00%) are not in the vocabulary: "
        "'é' U+00E9 LATIN SMALL LETTER E WITH ACUTE (5), "
        "'\u0301' U+0301 COMBINING ACUTE ACCENT (5); they become <unk>"
    ]
    assert measured("abc" * 9, vocab_of("abcd"))[1] == []
    # What --min-freq leaves out is left out on purpose.
    assert measured("abc" * 9 + "z", min_freq=2)[1] == []


def test_a_text_that_is_mostly_unknown_is_refused(tmp_path: Path) -> None:
    assert len(measured("ab01" * 9, vocab_of("ab"))[1]) == 1  # half is not more than half
    with pytest.raises(DataError) as error:
        measured("ab01" * 9 + "0", vocab_of("ab"))
    assert str(error.value) == (
        "book: 19 of its 37 characters (51.35%) are not in the vocabulary: '0' U+0030 DIGIT ZERO "
        "(10), '1' U+0031 DIGIT ONE (9); it takes a vocabulary of its own"
    )
    with pytest.raises(DataError, match=r"25 of its 25 words .* and 15 more; it takes"):
        measured(" ".join(map(str, range(25))), vocab_of("a b", "word"), level="word")


def test_row_22_byte_order_marks_inside_a_text_are_dropped_and_told_of(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(codecs.BOM_UTF8 + b"some words\n")
    joined = tmp_path / "joined"
    joined.write_bytes((tmp_path / "a").read_bytes() * 3)
    notes: list[str] = []
    source = open_source([str(joined)], "utf-8")
    found = measure(source, TextConfig(), DataConfig(), note=notes.append)
    assert "\ufeff" not in found.vocab.tokens
    assert found.characters == 33
    assert notes == [f"{joined}: dropped 2 byte-order marks inside the text (files joined?)"]
    # Of files that charlm itself joins, each may have one.
    notes.clear()
    measure(open_source([str(tmp_path / n) for n in "ab"], "utf-8"), TextConfig(), DataConfig(),
            note=notes.append)  # fmt: skip
    assert notes == []


@pytest.mark.parametrize("level", ["char", "word"])
def test_marks_that_do_not_show_are_counted_and_kept(level: str) -> None:
    text = "zero\u200bwidth and\u202e back \u200b" * 9
    found, notes = measured(text, level=level)
    assert any("\u200b" in token for token in found.vocab.tokens)
    assert notes == [
        "book: the text has marks that do not show: U+200B ZERO WIDTH SPACE (18), "
        "U+202E RIGHT-TO-LEFT OVERRIDE (9)"
    ]


def test_texts_of_their_own_are_whole_parts() -> None:
    held_out = {"valid": text_source("v", "ab"), "test": text_source("t", "abc")}
    source = dataclasses.replace(text_source("book", "0123456789"), held_out=held_out)
    found = measure(source, TextConfig(), DataConfig())
    assert found.sizes == {"train": 10, "valid": 2, "test": 3}
    assert len(found.vocab) == 14  # made from all of them
    assert found.characters == 15
    found = measure(source, TextConfig(), DataConfig(max_tokens=5))
    assert found.sizes == {"train": 5, "valid": 2, "test": 3}
    source = dataclasses.replace(source, held_out={"valid": text_source("v", "a")})
    with pytest.raises(DataError, match=r"^v: the text has 1 token, need at least 2 for the valid"):
        measure(source, TextConfig(), DataConfig())
    source = dataclasses.replace(source, held_out={"valid": text_source("v", "ab")})
    assert measure(source, TextConfig(), DataConfig(test_frac=0.2)).sizes["test"] == 2


def test_what_a_folder_leaves_out_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("some words\n" * 9)
    (tmp_path / ".hidden").write_text("others")
    notes: list[str] = []
    measure(open_source([str(tmp_path)], "utf-8"), TextConfig(), DataConfig(), note=notes.append)
    assert notes == [f"{tmp_path}: left out 1 hidden (.hidden)"]
