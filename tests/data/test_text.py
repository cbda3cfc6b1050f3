import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.config import TextConfig
from charlm.data.text import clean, clean_text, detokenize, tokenize
from charlm.errors import UsageError

# What goes wrong at the edges: line ends, final sigma, combining marks, astral, spaces.
# Half-width kana and jamo compose with the letter before them in NFKC, colons and marks of format
# stand within a word of Greek.
TRICKY = st.text(
    st.sampled_from(
        "aAΣσς \r\n\t1é\u0301가\u1100\u1161\u11a8ᆨｶﾞㅏﾡ\u0345:·'\u200dİﬁ😀\u2028\u3000\x85\u0bbe"
    ),
    max_size=30,
)
CONFIGS = st.builds(
    TextConfig,
    level=st.sampled_from(["char", "word"]),
    newlines=st.sampled_from(["lf", "keep"]),
    normalize=st.sampled_from(["none", "nfc", "nfkc"]),
    lowercase=st.booleans(),
    keep=st.sampled_from([None, "a-z", "a-zA-Z\n", "-a", "a-", r"\w"]),
    strip_lines=st.booleans(),
)


@given(TRICKY, CONFIGS, st.lists(st.integers(0, 30), max_size=5))
def test_row_24_cleaning_in_pieces_is_cleaning_whole(
    text: str, config: TextConfig, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(edges)]
    assert "".join(pieces) == text
    cleaned = list(clean(pieces, config))
    assert "".join(cleaned) == clean_text(text, config)
    # No piece cuts a word, so that pieces can be tokenized one by one.
    if config.level == "word":
        tokens = [token for piece in cleaned for token in tokenize(piece, "word")]
        assert tokens == tokenize("".join(cleaned), "word")


@given(st.text(), CONFIGS, st.integers(1, 5))
def test_row_24_any_text_is_cleaned_alike_in_pieces(
    text: str, config: TextConfig, size: int
) -> None:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert "".join(clean(pieces, config)) == clean_text(text, config)


@pytest.mark.parametrize("line", ["some words ", "endless", "没有空格", "ENDLESSΣ"])
@pytest.mark.parametrize(
    "options",
    [{"lowercase": True}, {"normalize": "nfkc"}, {"strip_lines": True}, {"level": "word"}],
)
def test_row_28_a_text_in_one_line_is_cleaned_as_it_comes(
    line: str, options: dict[str, Any]
) -> None:
    if options == {"level": "word"} and " " not in line:
        pytest.skip("a word is never cut")
    read = written = held = 0

    def pieces() -> Iterator[str]:
        nonlocal read, held
        for _ in range(50):
            held = max(held, read - written)
            read += 100 * len(line)
            yield line * 100

    for piece in clean(pieces(), TextConfig(**options)):
        written += len(piece)
    assert held <= 2 * 100 * len(line)


# A letter and what follows it, that together become another; half-width ones in NFKC alone.
COMPOSED = [
    (first, second)
    for parts in (unicodedata.decomposition(chr(c)).split() for c in range(0x110000))
    if len(parts) == 2 and parts[0][0] != "<"
    for first, second in [tuple(chr(int(part, 16)) for part in parts)]
] + [("\u1100", "\u1161"), ("가", "\u11a8"), ("カ", "ﾞ"), ("ﾊ", "ﾟ"), ("ﾡ", "ￂ"), ("ㄱ", "ㅏ")]


@pytest.mark.parametrize("form", ["nfc", "nfkc"])
def test_row_24_what_composes_is_never_cut(form: str) -> None:
    for pair in COMPOSED:
        pieces = ["".join(pair), "x"]
        config = TextConfig(normalize=form)
        assert "".join(clean(pieces, config)) == clean_text("".join(pieces), config), pair


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


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("A-Za-z", "aZxy"),
        (r"\w", "aZ1é龙xy"),
        (r"\u4e00-\u9fff", "龙"),
        ("a](x+x+)+y[b", "axy[](+)"),
        ("^a", "a^"),
        ("]a", "a]"),
        ("a-", "a-"),
        ("-a", "a-"),
        ("a&&z|~", "a&|~"),
        (r"\]\-", "]-"),
        ("\\\\", "\\"),
    ],
)
@pytest.mark.parametrize("strip", [False, True])
def test_what_is_kept_is_a_class_and_never_more(keep: str, kept: str, strip: bool) -> None:
    cleaned = clean_text("aZ1é龙x^[](+)-y&|~\\!", TextConfig(keep=keep, strip_lines=strip))
    assert set(cleaned) - {" "} == set(kept)


def test_a_class_of_characters_cannot_be_made_to_search_for_ever() -> None:
    assert clean_text("x" * 5000, TextConfig(keep="a](x+x+)+y[b")) == "x" * 5000


def test_nonsense_is_refused() -> None:
    with pytest.raises(UsageError, match="level is 'byte'; it can be char or word"):
        tokenize("abc", "byte")
    with pytest.raises(UsageError, match=r"--keep 'z-a' is no class of characters: "):
        clean_text("abc", TextConfig(keep="z-a"))
