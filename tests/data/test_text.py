import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.config import TextConfig
from charlm.data.text import clean, clean_text, detokenize, tokenize
from charlm.errors import UsageError

# What goes wrong at the edges: line ends, final sigma, combining marks, astral, spaces.
TRICKY = st.text(st.sampled_from("aAΣσ \r\n\t1é\u0301가\u1100\u1161😀\u2028"), max_size=30)
CONFIGS = st.builds(
    TextConfig,
    level=st.sampled_from(["char", "word"]),
    newlines=st.sampled_from(["lf", "keep"]),
    normalize=st.sampled_from(["none", "nfc", "nfkc"]),
    lowercase=st.booleans(),
    keep=st.sampled_from([None, "a-z", "a-zA-Z\n"]),
    strip_lines=st.booleans(),
)


@given(TRICKY, CONFIGS, st.lists(st.integers(0, 30), max_size=5))
def test_row_24_cleaning_in_pieces_is_cleaning_whole(
    text: str, config: TextConfig, cuts: list[int]
) -> None:
    edges = [0, *sorted(cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(edges)]
    assert "".join(pieces) == text
    cleaned = list(clean(pieces, config))
    assert "".join(cleaned) == clean_text(text, config)
    # No piece cuts a word, so that pieces can be tokenized one by one.
    if config.level == "word":
        tokens = [token for piece in cleaned for token in tokenize(piece, "word")]
        assert tokens == tokenize("".join(cleaned), "word")


@given(TRICKY)
def test_row_23_each_option_does_what_it_says(text: str) -> None:
    assert clean_text(text, TextConfig(newlines="keep")) == text
    lf = re.sub("\r\n?", "\n", text)
    assert clean_text(text, TextConfig()) == lf
    assert clean_text(text, TextConfig(lowercase=True)) == lf.lower()
    assert clean_text(text, TextConfig(normalize="nfc")) == unicodedata.normalize("NFC", lf)
    assert clean_text(text, TextConfig(keep="a-z")) == re.sub("[^a-z]+", " ", lf)
    stripped = "".join(line.strip() for line in lf.split("\n"))
    assert clean_text(text, TextConfig(strip_lines=True)) == stripped


@given(TRICKY)
def test_the_textbook_pipeline(text: str) -> None:
    """d2l: every line re.sub('[^A-Za-z]+', ' ', line).strip().lower()."""
    lines = re.sub("\r\n?", "\n", text).split("\n")
    expected = [re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in lines]
    config = TextConfig(keep="A-Za-z", strip_lines=True, lowercase=True)
    assert clean_text(text, config) == "".join(expected)
    words = TextConfig(level="word", keep="A-Za-z", strip_lines=True, lowercase=True)
    assert tokenize(clean_text(text, words), "word") == " ".join(expected).split()


@given(st.text())
def test_tokens_put_together_are_the_text(text: str) -> None:
    assert detokenize(tokenize(text, "char"), "char") == text
    assert detokenize(tokenize(text, "word"), "word") == " ".join(text.split())


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match="level is 'byte'; it can be char or word"):
        tokenize("abc", "byte")
    with pytest.raises(UsageError, match=r"--keep 'z-a' is no class of characters: "):
        clean_text("abc", TextConfig(keep="z-a"))
