"""What a person can name of each place in a text: FEATURES, each a function text -> (T,) numbers.

A feature tells what is known once the character at a place has been read, and nothing of what comes
after it, so that a model that reads from left to right can follow it. Where something opens or
closes, the character that does so has been read: after "(" a place is inside brackets, after ")"
no longer.
"""

import re
import unicodedata
from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

# Characters of a line that are its beginning.
BEGINNING = 3
DOUBLE_QUOTES = {"“": "”", "«": "»"}
CORNER_QUOTES = {"「": "」", "『": "』"}
ROUND_AND_SQUARE = {"(": ")", "[": "]", "（": "）", "【": "】", "［": "］"}
CURLY = {"{": "}"}
# What the names of letters begin with whose scripts leave no room between words.
WORDS_UNPARTED = (
    "CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "BOPOMOFO", "THAI", "LAO", "KHMER", "MYANMAR",
    "TAI", "NEW TAI", "JAVANESE", "BALINESE",
)  # fmt: skip
ENDS_OF_SENTENCES = ".!?…。！？؟।"


def _marks(text: str, test: Callable[[str], bool]) -> Marks:
    """Where a character passes the test."""
    passing = {character: test(character) for character in set(text)}
    return np.array([passing[character] for character in text], np.bool_)


def _any_of(text: str, characters: Collection[str]) -> Marks:
    return _marks(text, lambda character: character in characters)


def _last(marks: Marks) -> Places:
    """The latest marked place up to each; -1 where there is none."""
    latest: Places = np.maximum.accumulate(np.where(marks, np.arange(len(marks)), -1))
    return latest


def _since(marks: Marks) -> Places:
    """Characters read since the latest marked one, or the text's beginning."""
    return np.arange(len(marks)) - _last(marks)


def _after_blank_line(text: str) -> Marks:
    """Where the second of two line breaks has just been read."""
    breaks = _any_of(text, "\n")
    breaks[1:] &= breaks[:-1].copy()
    breaks[:1] = False
    return breaks


def _letters(text: str) -> Marks:
    """Letters of any script that parts words, what is written over and under them, and what joins
    them. Where words stand side by side, as in Chinese, nothing shows which letters are of one."""
    return _marks(text, _is_of_a_word)


def _is_of_a_word(c: str) -> bool:
    if not (c.isalpha() or c in "_\u200c\u200d" or unicodedata.category(c)[0] == "M"):
        return False
    name = unicodedata.name(c, "").removeprefix("HALFWIDTH ").removeprefix("FULLWIDTH ")
    return not name.startswith(WORDS_UNPARTED)


def place_in_line(text: str) -> Places:
    return _since(_any_of(text, "\n"))


def _at_the_beginning_of_a_line(text: str) -> Marks:
    place = place_in_line(text)
    beginning: Marks = (place >= 1) & (place <= BEGINNING)
    return beginning


def _in_a_line_after_a_blank_one(text: str) -> Marks:
    begun, blank = _last(_any_of(text, "\n")), _last(_after_blank_line(text))
    after: Marks = (begun >= 0) & (begun == blank)
    return after


def in_indentation(text: str) -> Marks:
    """In the white space that a line begins with."""
    place = place_in_line(text)
    blank: Marks = (place > 0) & (_since(~_any_of(text, " \t")) == place)
    return blank


def depth_of_indentation(text: str) -> Places:
    """Characters of white space that the line began with, as far as it has been read."""
    place = place_in_line(text)
    last = _last(in_indentation(text) | (place == 0))
    return np.where(last < 0, 0, place[last])


def _place_in_word(text: str) -> Places:
    return _since(~_letters(text))


def _in_a_capitalised_word(text: str) -> Marks:
    letters, capitals = _letters(text), _marks(text, str.isupper)
    first = np.minimum(_last(~letters) + 1, len(text) - 1)
    return letters & capitals[first]


def _in_a_word_of_capitals(text: str) -> Marks:
    """From its second letter on: one capital may begin any word."""
    place = _place_in_word(text)
    return (place >= 2) & (_since(~_marks(text, str.isupper)) >= place)


def _punctuation(text: str) -> Marks:
    return _marks(text, lambda character: unicodedata.category(character)[0] == "P")


def _place_in_clause(text: str) -> Places:
    return _since(_punctuation(text) | _after_blank_line(text))


def _at_the_beginning_of_a_clause(text: str) -> Marks:
    """Among the first characters after punctuation or a line break, blanks aside."""
    clause = _punctuation(text) | _any_of(text, "\n")
    blank = _marks(text, str.isspace)
    counted = np.cumsum(~blank & ~clause)
    ended = np.maximum.accumulate(np.where(clause, counted, 0))
    beginning: Marks = ~blank & (counted > ended) & (counted <= ended + BEGINNING)
    return beginning


def _place_in_sentence(text: str) -> Places:
    return _since(_any_of(text, ENDS_OF_SENTENCES) | _after_blank_line(text))


def in_double_quotes(text: str) -> Marks:
    """A straight quote closes what one has opened; a blank line ends a quotation left open."""
    ends, inside, found = _after_blank_line(text), False, []
    for character, ended in zip(text, ends, strict=True):
        if character == '"':
            inside = not inside
        elif character in DOUBLE_QUOTES:
            inside = True
        elif character in DOUBLE_QUOTES.values() or ended:
            inside = False
        found.append(inside)
    return np.array(found, np.bool_)


def in_single_quotes(text: str) -> Marks:
    """One that does not follow a letter or a digit opens; one that no letter follows closes, which
    shows a character later: between letters it is an apostrophe."""
    ends, inside, before, found = _after_blank_line(text), False, "\n", []
    for character, ended in zip(text, ends, strict=True):
        if inside:
            inside = not ended and not (before in "'’" and not character.isalnum())
        elif character in "'‘":
            inside = not before.isalnum()
        before = character
        found.append(inside)
    return np.array(found, np.bool_)


def depth(text: str, pairs: dict[str, str], *, by_paragraph: bool = False) -> Places:
    """How many are open of what `pairs` opens and closes. What closes without having been opened
    does not count. by_paragraph: whether a blank line closes what was left open."""
    opens, closes = set(pairs), set(pairs.values())
    ends, now, found = _after_blank_line(text), 0, []
    for character, ended in zip(text, ends, strict=True):
        if by_paragraph and ended:
            now = 0
        now = max(0, now + (character in opens) - (character in closes))
        found.append(now)
    return np.array(found, np.int64)


class Form(NamedTuple):
    """What a part of a program opens with, goes on with and closes with, as regular expressions."""

    kind: str
    opens: str
    inside: str
    closes: str


NEVER = "(?!)"
LINE_OF_QUOTES = [
    Form("string", '"', r'(?:\\.|\\\Z|[^"\\\n])*', '"'),
    Form("string", "'", r"(?:\\.|\\\Z|[^'\\\n])*", "'"),
]
C = [
    Form("comment", r"/\*", r"(?:(?!\*/).)*", r"\*/"),
    Form("comment", "//", r"[^\n]*", NEVER),
    *LINE_OF_QUOTES,
]
PYTHON = [
    Form("comment", "#", r"[^\n]*", NEVER),
    Form("string", '"""', r'(?:\\.|(?!""").)*', '"""'),
    Form("string", "'''", r"(?:\\.|(?!''').)*", "'''"),
    *LINE_OF_QUOTES,
]
# A text is taken for a program of the first whose sign it has.
LANGUAGES = {
    r"^[ \t]*(?:/\*|//|#include\b)": C,
    r"^[ \t]*(?:def \w+\(.*:|import \w+|from [\w.]+ import )": PYTHON,
}


def _in_code(text: str, kind: str) -> Marks:
    """Inside what is of a kind, "comment" or "string", in a program; nowhere in other texts."""
    inside = np.zeros(len(text), np.bool_)
    signs = (sign for sign in LANGUAGES if re.search(sign, text, re.MULTILINE))
    forms = LANGUAGES.get(next(signs, ""), [])
    pattern = "|".join(f"({form.opens}){form.inside}({form.closes})?" for form in forms)
    for found in re.finditer(pattern, text, re.DOTALL) if forms else ():
        number, closed = divmod((found.lastindex or 0) - 1, 2)
        if forms[number].kind == kind:
            # From where it is known to have opened to where it is known to have closed.
            begin = found.end(2 * number + 1) - 1
            inside[begin : found.end() - closed] = True
    return inside


def in_comment(text: str) -> Marks:
    """/* */ and // of C and its kin, # of Python."""
    return _in_code(text, "comment")


def in_string_literal(text: str) -> Marks:
    return _in_code(text, "string")


# Forms of a place that suit a unit whose values have a limit, and which forgets.


def _logarithm(place: Callable[[str], Places]) -> Callable[[str], Floats]:
    """log(1 + n), by which the first places are further apart than late ones."""
    return lambda text: np.log1p(place(text))


def _fading(place: Callable[[str], Places], half_life: float) -> Callable[[str], Floats]:
    """1 at place 0, and half of it every `half_life` characters later."""
    return lambda text: np.exp2(-place(text) / half_life)


FEATURES: dict[str, Callable[[str], Marks | Places | Floats]] = {
    "place in the line": place_in_line,
    "place in the line (logarithm)": _logarithm(place_in_line),
    "at the beginning of a line": _at_the_beginning_of_a_line,
    "after a line break": lambda text: _any_of(text, "\n"),
    "after a line break (halved every 2 characters)": _fading(place_in_line, 2),
    "after a line break (halved every 8 characters)": _fading(place_in_line, 8),
    "after a blank line": _after_blank_line,
    "in a line after a blank one": _in_a_line_after_a_blank_one,
    "in the indentation of a line": in_indentation,
    "depth of indentation": depth_of_indentation,
    "in a word": _letters,
    "place in the word": _place_in_word,
    "in a word with a capital first": _in_a_capitalised_word,
    "in a word all in capitals": _in_a_word_of_capitals,
    "a capital": lambda text: _marks(text, str.isupper),
    "a vowel": lambda text: _any_of(text, "aeiouAEIOU"),
    "a digit": lambda text: _marks(text, str.isdigit),
    "a space": lambda text: _any_of(text, " \u3000"),
    "punctuation": _punctuation,
    "place since punctuation (logarithm)": _logarithm(_place_in_clause),
    "after punctuation (halved every 2 characters)": _fading(_place_in_clause, 2),
    "at the beginning of a clause": _at_the_beginning_of_a_clause,
    "place in the sentence (logarithm)": _logarithm(_place_in_sentence),
    "inside double quotes": in_double_quotes,
    "inside single quotes": in_single_quotes,
    "inside 「」 or 『』": lambda text: depth(text, CORNER_QUOTES, by_paragraph=True) > 0,
    "inside ( ) or [ ]": lambda text: depth(text, ROUND_AND_SQUARE, by_paragraph=True) > 0,
    "depth of ( ) and [ ]": lambda text: depth(text, ROUND_AND_SQUARE, by_paragraph=True),
    "depth of { }": lambda text: depth(text, CURLY),
    "in a comment": in_comment,
    "in a string literal": in_string_literal,
}


def features_of(text: str) -> dict[str, Floats]:
    """All of FEATURES, for a text of at least one character."""
    return {name: of(text).astype(np.float64) for name, of in FEATURES.items()}
