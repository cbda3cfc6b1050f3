import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.data.counter import TokenCounter
from charlm.data.extension import extended
from charlm.data.vocab import Vocab, build_vocab, describe_token, id_type, recounted
from charlm.errors import CharlmError, DataError, ModelError, UsageError
from tests.vocabularies import vocab_of


@given(st.lists(st.text(), max_size=5))
def test_decode_of_encode_is_the_text(pieces: list[str]) -> None:
    counter = TokenCounter("char")
    for piece in pieces:
        counter.add(piece)
    vocab, text = build_vocab(counter), "".join(pieces)
    assert vocab.decode(vocab.encode(text)) == text
    assert vocab.encode(text).dtype == id_type(len(vocab))
    assert 0 not in vocab.encode(text)


@pytest.mark.parametrize("last", [120, 255, 256, 2000])
@pytest.mark.parametrize("text", ["abc", "aé\x7fb", "a龙b", "Ā" * 3, ""])
def test_narrow_and_wide_vocabularies_give_the_same_ids(last: int, text: str) -> None:
    vocab = vocab_of("".join(map(chr, range(32, last + 1))))
    assert vocab.encode(text).tolist() == [vocab[character] for character in text]


@given(st.lists(st.text("abc龙😀 \n"), max_size=5), st.sampled_from(["char", "word"]))
def test_tokens_are_by_frequency_then_by_first_appearance(pieces: list[str], level: str) -> None:
    counter = TokenCounter(level)
    pieces = [piece + "\n" for piece in pieces]
    for piece in pieces:
        counter.add(piece)
    tokens = [t for piece in pieces for t in (piece if level == "char" else piece.split())]
    expected = Counter(tokens).most_common()  # stable in the order of first appearance
    vocab = build_vocab(counter)
    assert list(zip(vocab.tokens[1:], vocab.counts[1:], strict=True)) == expected
    assert counter.total == len(tokens)


def test_special_tokens_come_first_and_rare_ones_are_unknown() -> None:
    vocab = vocab_of("aaabbc", min_freq=2, reserve=["<pad>", "b"])
    assert vocab.tokens == ("<unk>", "<pad>", "b", "a")
    assert vocab.counts == (1, 0, 2, 3)
    assert vocab["c"] == 0


@pytest.mark.parametrize("level", ["char", "word"])
def test_a_vocabulary_of_nothing_but_unk_is_refused(level: str) -> None:
    with pytest.raises(DataError, match=r"^no token of the text occurs 1,000 times: lower"):
        vocab_of("a b c", level, min_freq=1000)
    assert vocab_of("a b c", level, min_freq=1000, reserve=["<pad>"]).tokens == ("<unk>", "<pad>")


def test_nested_lists_both_ways() -> None:
    vocab = vocab_of("the time the", "word")
    assert vocab[["time", ["the", "never"]]] == [2, [1, 0]]
    assert vocab.to_tokens([2, [1, np.uint8(0)]]) == ["time", ["the", "<unk>"]]


def test_words_are_joined_by_spaces() -> None:
    vocab = vocab_of("the time the", "word")
    assert vocab.decode(vocab.encode("time  the\nnever")) == "time the <unk>"
    assert vocab.unknown("time never ever never") == ["never", "ever"]


@pytest.mark.parametrize("reserve", [["a", "a"], ["<unk>"], [""]])
def test_nonsense_in_reserve_is_refused(reserve: list[str]) -> None:
    with pytest.raises(UsageError, match="--reserve"):
        vocab_of("abc", reserve=reserve)


def test_counts_of_another_text() -> None:
    counter = TokenCounter("char")
    counter.add("abbz")
    assert recounted(vocab_of("aab"), counter).counts == (1, 1, 2)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["char", "word"]))
def test_a_saved_vocabulary_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, text: str, level: str
) -> None:
    path = tmp_path_factory.mktemp("vocab") / "vocab.json"
    vocab = vocab_of(text + " x", level)
    vocab.save(path)
    assert Vocab.load(path) == vocab


GOOD = {"format": 1, "level": "char", "tokens": ["<unk>", "a"], "counts": [0, 1]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "was made by a newer charlm (format 3)"),
        ({"format": None}, 'is not a vocabulary: it has no "format"'),
        ({"level": "byte"}, "is not a vocabulary: \"level\" is 'byte', not char or word"),
        ({"tokens": ["<unk>", 1]}, 'is not a vocabulary: "tokens" is not a list of texts'),
        ({"tokens": ["a", "<unk>"]}, "is not a vocabulary: its first token is not <unk>"),
        ({"tokens": ["<unk>"]}, "is not a vocabulary: it has 1 tokens and 2 counts"),
        ({"counts": [0, -1]}, 'is not a vocabulary: "counts" is not a list of counts'),
        ({"tokens": ["<unk>"], "counts": [1]}, "is not a vocabulary: it has no token but <unk>"),
        ({"tokens": ["<unk>", "<unk>"]}, "is not a vocabulary: it has the token '<unk>' twice"),
    ],
)
def test_row_15_what_is_wrong_with_a_vocabulary_is_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "vocab.json"
    path.write_text(json.dumps(GOOD | change))
    with pytest.raises(ModelError) as error:
        Vocab.load(path)
    assert str(error.value) == f"{path} {message}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(list(GOOD)), inner),
    max_leaves=10,
)


@given(JSON | st.dictionaries(st.sampled_from(list(GOOD)), JSON).map(lambda d: GOOD | d))
def test_any_json_is_a_vocabulary_or_refused(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    path = tmp_path_factory.mktemp("vocab") / "vocab.json"
    path.write_text(json.dumps(value))
    try:
        vocab = Vocab.load(path)
    except CharlmError as error:
        assert "\n" not in str(error)
    else:
        assert vocab.tokens[0] == "<unk>"


def test_a_token_is_described() -> None:
    assert describe_token("龙") == "'龙' U+9F99 CJK UNIFIED IDEOGRAPH-9F99"
    assert describe_token("\n") == r"'\n' U+000A unnamed"
    assert describe_token("word") == "'word'"


@given(st.text("abcx\n", min_size=1), st.text("xyz龙\n", min_size=1), st.sampled_from([1, 2]))
def test_an_extended_vocabulary_keeps_its_ids(one: str, other: str, min_freq: int) -> None:
    known, counter = vocab_of(one), TokenCounter("char")
    counter.add(other)
    new = {c for c in other if other.count(c) >= min_freq} - set(one)
    try:
        found = extended(known, counter, min_freq=min_freq)
    except DataError:
        assert max(Counter(other).values()) < min_freq
        return
    assert found.tokens[: len(known)] == known.tokens
    assert set(found.tokens[len(known) :]) == new
    assert sum(found.counts) == len(other)
    assert all(found.counts[found[c]] == other.count(c) for c in new)
