import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charlm.config import TextConfig
from charlm.data.text import detokenize, tokenize
from charlm.data.words import SIGNS, WORD_LEVELS, level_of, word_pieces

# Words, marks that open, close and join, apostrophes, signs of ours, all kinds of white space.
TEXTS = st.text(
    st.sampled_from("aB9é\u0301ß \n\t\r\x0b\u2028.,\"'’“(-—$_#。😀\u200d←→↔␣<>"), max_size=30
)
LINES = "word+breaks+punctuation"


def squeezed(text: str, level: str) -> str:
    """With as much white space as a level keeps."""
    if "+breaks" in level:
        return "\n".join(" ".join(line.split()) for line in text.split("\n"))
    return " ".join(text.split())


@given(TEXTS | st.text(), st.sampled_from(WORD_LEVELS))
@example('("Hello," he said --\nto-morrow)', LINES)
def test_what_is_cut_comes_back_but_for_white_space(text: str, level: str) -> None:
    tokens = tokenize(text, level)
    assert detokenize(tokens, level) == squeezed(text, level)
    assert tokenize(detokenize(tokens, level), level) == tokens
    assert all(tokens)


@given(TEXTS, st.sampled_from(WORD_LEVELS), st.integers(0, 30))
def test_a_text_goes_on_where_it_was_left(text: str, level: str, cut: int) -> None:
    tokens = tokenize(text, level)
    before, after = tokens[:cut], tokens[cut:]
    last = before[-1] if before else None
    told = detokenize(before, level) + "".join(word_pieces(after, level, last))
    assert told == detokenize(tokens, level)


@given(TEXTS)
def test_marks_are_apart_and_nothing_else(text: str) -> None:
    for token in tokenize(text, LINES):
        marks = [c for c in token if unicodedata.category(c)[0] in "PS"]
        if token[0] in marks:
            assert len(token) == 1 or (len(token) == 2 and token[1] in SIGNS.values())
        else:
            assert set(marks) <= {"'", "’"}
            assert not {token[-1]} & {"'", "’"}


@pytest.mark.parametrize(
    ("level", "tokens"),
    [
        ("word", ["Don't", "stop,", "(now)", "—", "a-b."]),
        ("word+breaks", ["Don't", "stop,", "\n", "(now)", "—", "a-b."]),
        ("word+punctuation", ["Don't", "stop", ",", "(", "now", ")", "—", "a", "-↔", "b", "."]),
    ],
)
def test_how_each_level_cuts(level: str, tokens: list[str]) -> None:
    assert tokenize("Don't  stop,\n(now) — a-b.", level) == tokens


def test_the_settings_tell_the_level() -> None:
    assert level_of(TextConfig()) == "char"
    assert level_of(TextConfig(level="word", strip_lines=True)) == "word"
    assert level_of(TextConfig(level="word")) == "word+breaks"
    assert level_of(TextConfig(level="word", split_punctuation=True)) == LINES
