import dataclasses
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.config import DataConfig, TextConfig
from charlm.data.corpus import (
    HEADER,
    build_corpus,
    open_corpus,
)
from charlm.data.source import Source, text_source
from charlm.data.splits import SPLITS, check_sizes, lay_out, split_sizes
from charlm.data.vocab import id_type
from charlm.errors import CharlmError, DataError, UsageError


def build(text: str, folder: Path, **data: Any) -> Any:
    return build_corpus(text_source("text", text), TextConfig(), DataConfig(**data), folder)


@given(st.integers(0, 10**9), st.integers(0, 60), st.integers(0, 39))
def test_splits_are_whole_and_train_is_the_floor(tokens: int, val: int, test: int) -> None:
    sizes = split_sizes(tokens, val / 100, test / 100)
    assert sum(sizes.values()) == tokens
    assert min(sizes.values()) >= 0
    assert sizes["train"] == tokens * (100 - val - test) // 100
    assert sizes["valid"] == 0 or val > 0
    assert sizes["test"] == 0 or test > 0


def test_the_benchmark_split() -> None:
    assert split_sizes(1_115_394, 0.1, 0) == {"train": 1_003_854, "valid": 111_540, "test": 0}
    assert split_sizes(10, 0.1, 0.2)["train"] == 7


@given(
    st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), min_size=40),
    st.sampled_from([0.0, 0.1, 0.25]),
    st.sampled_from([0.0, 0.1]),
)
def test_the_splits_decoded_and_joined_are_the_text(
    tmp_path_factory: pytest.TempPathFactory, text: str, val: float, test: float
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    built = build(text, folder, val_frac=val, test_frac=test)
    corpus = open_corpus(folder)
    assert corpus == built
    assert "".join(corpus.vocab.decode(corpus.split(name)) for name in SPLITS) == text


def test_the_same_text_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        build("hello, world! " * 20, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_pieces_that_straddle_the_splits(tmp_path: Path) -> None:
    pieces = ["ab", "cdefgh", "i", "jklmnopqrst"]
    source = Source("pieces", "pieces", (lambda: iter(pieces),))
    config = DataConfig(val_frac=0.3, test_frac=0.3, max_tokens=15)
    corpus = build_corpus(source, TextConfig(), config, tmp_path)
    parts = {name: corpus.vocab.decode(corpus.split(name)) for name in SPLITS}
    assert parts == {"train": "abcdef", "valid": "ghij", "test": "klmno"}


@pytest.mark.parametrize(("size", "width"), [(256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_ids_take_the_narrowest_width_that_fits(size: int, width: int) -> None:
    assert id_type(size).itemsize == width
    assert np.array([size - 1]).astype(id_type(size))[0] == size - 1


def test_row_30_more_symbols_than_two_bytes_hold(tmp_path: Path) -> None:
    text = "".join(chr(c) for c in range(0x10000, 0x10000 + 65_600))
    corpus = build(text, tmp_path, val_frac=0.0)
    assert corpus.vocab.decode(corpus.split("train")) == text


@pytest.mark.parametrize(
    ("tokens", "data", "message"),
    [
        (0, {}, "book: the text is empty"),
        (10, {}, "book: the text has 10 tokens, need at least 11 for a valid part of 2"),
        (1, {"val_frac": 0.0}, "book: the text has 1 token, need at least 2 for a train part"),
    ],
)
def test_row_20_a_text_too_short_is_refused(
    tokens: int, data: dict[str, Any], message: str
) -> None:
    config = DataConfig(**data)
    with pytest.raises(DataError) as error:
        check_sizes(split_sizes(tokens, config.val_frac, 0), config, "book")
    assert str(error.value).startswith(message)


@given(st.sampled_from([0.0, 0.01, 0.1, 0.3]), st.sampled_from([0.0, 0.2]), st.integers(1, 60))
def test_row_20_exactly_enough_is_enough(val: float, test: float, tokens: int) -> None:
    config = DataConfig(val_frac=val, test_frac=test)

    def fits(tokens: int) -> int | None:
        try:
            check_sizes(split_sizes(tokens, val, test), config, "book")
        except DataError as error:
            return int(str(error).split("need at least ")[1].split()[0])
        return None

    needed = fits(tokens)
    if needed is not None:
        assert fits(needed) is None
        assert fits(needed - 1) is not None


@given(st.lists(st.text("ab龙 \n", max_size=60), min_size=1, max_size=4), st.integers(1, 5))
def test_blocks_put_together_again_are_the_text(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], size: int
) -> None:
    """Also where pieces of reading straddle them."""
    folder = tmp_path_factory.mktemp("corpus")
    texts = [text * 100 + "ab" * 20 for text in texts]
    source = Source("texts", "texts", tuple(partial(in_pieces, text, size) for text in texts))
    config = DataConfig(val_split="blocks", test_frac=0.3)
    corpus = build_corpus(source, TextConfig(), config, folder)
    assert open_corpus(folder) == corpus
    left = {name: corpus.vocab.decode(corpus.split(name)) for name in SPLITS}
    whole = ""
    for part, length in lay_out([len(text) for text in texts], config):
        whole += left[part][:length]
        left[part] = left[part][length:]
    assert whole == "".join(texts)
    assert not any(left.values())


def in_pieces(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), 97 * size):
        yield text[start : start + 97 * size]


def test_texts_of_their_own_are_encoded_whole(tmp_path: Path) -> None:
    held_out = {"valid": text_source("v", "valid\n"), "test": text_source("t", "test龙\n")}
    source = dataclasses.replace(text_source("book", "trainread" * 3), held_out=held_out)
    config = DataConfig(val="secret-v.txt", test="secret-t.txt", max_tokens=12)
    corpus = build_corpus(source, TextConfig(), config, tmp_path)
    parts = {name: corpus.vocab.decode(corpus.split(name)) for name in SPLITS}
    assert parts == {"train": "trainreadtra", "valid": "valid\n", "test": "test龙\n"}
    assert 0 not in corpus.split("test")
    assert open_corpus(tmp_path) == corpus
    header = (tmp_path / HEADER).read_text(encoding="utf-8")
    assert "secret" not in header
    assert json.loads(header)["own_texts"] == ["valid", "test"]
    # The digest is of all three.
    other = dataclasses.replace(source, held_out={**held_out, "test": text_source("t", "tests")})
    (tmp_path / "other").mkdir()
    assert build_corpus(other, TextConfig(), config, tmp_path / "other").sha256 != corpus.sha256


def test_an_end_unlike_the_rest_is_told_of(tmp_path: Path) -> None:
    texts = ["one of a kind\n" * 900, "9876 543 21\n" * 120]
    source = Source("texts", "texts", tuple(partial(in_pieces, text, 1) for text in texts))
    notes: list[str] = []
    build_corpus(source, TextConfig(), DataConfig(), tmp_path, note=notes.append)
    assert [note.partition("; ")[0] for note in notes] == [
        "texts: the end of the text, held out to validate, is unlike the rest, so that its score "
        "says little of it"
    ]
    assert "--val-split blocks" in notes[0]
    for name, config in (("a", DataConfig(val_split="blocks")), ("b", DataConfig(val_frac=0.0))):
        notes.clear()
        (tmp_path / name).mkdir()
        build_corpus(source, TextConfig(), config, tmp_path / name, note=notes.append)
        assert notes == []


def test_a_text_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    texts = iter(["a" * 50, "b" * 50])
    source = Source("book", "book", (lambda: iter([next(texts)]),))
    with pytest.raises(DataError, match="book: the text changed while it was being read"):
        build_corpus(source, TextConfig(), DataConfig(), tmp_path)


def test_a_given_vocabulary_is_used(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    vocab = build("abcabcab" * 4, tmp_path / "a").vocab
    source = text_source("text", "cabzz" * 8)
    corpus = build_corpus(source, TextConfig(), DataConfig(), tmp_path / "b", vocab)
    assert corpus.vocab.tokens == vocab.tokens
    assert corpus.vocab.counts == (16, 8, 8, 8)
    with pytest.raises(UsageError, match="--vocab is by char, the text by word"):
        build_corpus(source, TextConfig(level="word"), DataConfig(), tmp_path / "b", vocab)


def test_a_damaged_corpus_is_refused(tmp_path: Path) -> None:
    build("hello, world! " * 20, tmp_path)
    (tmp_path / "train.bin").write_bytes(b"x")
    with pytest.raises(DataError, match=r"train.bin has 1 bytes, its header says 252; prepare it"):
        open_corpus(tmp_path)
    (tmp_path / "train.bin").unlink()
    with pytest.raises(DataError, match=r"train.bin is missing; prepare the corpus again"):
        open_corpus(tmp_path)


HEADERS = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from(["format", "text", "data", "splits", "vocab_size", "sha256"]), HEADERS)
def test_any_header_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    build("hello, world! " * 20, folder)
    header = json.loads((folder / HEADER).read_bytes())
    (folder / HEADER).write_text(json.dumps(header | {key: value}))
    try:
        open_corpus(folder)
    except CharlmError as error:
        assert "\n" not in str(error)
