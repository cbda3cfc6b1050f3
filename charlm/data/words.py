"""A text cut into words, and words put together as a text.

What is cut how is told by a level, which a vocabulary keeps:

word          what stands between white space; a line break is white space too
+breaks       each line break is a token as well, so that lines stay lines
+punctuation  each punctuation mark and sign is a token, the apostrophe inside a word aside

A mark that stands as its kind does (a comma after a word, a bracket before one, a dash between
spaces) is itself; elsewhere a sign behind it tells to what it is joined: "← before it, "→ after it,
"↔ both, ,␣ neither. So the text comes back as it was, but for how much white space there was.
"""

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache

from charlm.config import TextConfig

BREAKS, PUNCTUATION = "+breaks", "+punctuation"
WORD_LEVELS = ("word", f"word{BREAKS}", f"word{PUNCTUATION}", f"word{BREAKS}{PUNCTUATION}")

# Joined to what is before it, to what is after it.
Joined = tuple[bool, bool]
SIGNS: dict[Joined, str] = {
    (True, False): "←", (False, True): "→", (True, True): "↔", (False, False): "␣",
}  # fmt: skip
_JOINED = {sign: joined for joined, sign in SIGNS.items()}
# By the general category of Unicode: closing and other marks, opening ones; all else stands alone.
_USUALLY: dict[str, Joined] = {
    "Pe": (True, False), "Pf": (True, False), "Po": (True, False),
    "Ps": (False, True), "Pi": (False, True),
}  # fmt: skip


def level_of(config: TextConfig) -> str:
    """How texts are cut that are cleaned so; not of what an older charlm made (its vocabulary
    tells)."""
    if config.level != "word":
        return config.level
    return f"word{BREAKS * (not config.strip_lines)}{PUNCTUATION * config.split_punctuation}"


def cut_as(level: str) -> tuple[str, bool]:
    """The settings `level` and `split_punctuation` of texts that are cut so."""
    return "char" if level == "char" else "word", PUNCTUATION in level


def unit_of(level: str) -> str:
    """What a token is called, be it a line break or a mark."""
    return "character" if level == "char" else "word"


def in_words(level: str) -> str:
    """What the tokens are: words with line breaks and punctuation apart."""
    if level == "char":
        return "characters"
    apart = [name for part, name in ((BREAKS, "line breaks"), (PUNCTUATION, "punctuation"))
             if part in level]  # fmt: skip
    return f"words with {' and '.join(apart)} apart" if apart else "words"


def split_words(text: str, level: str) -> list[str]:
    if PUNCTUATION in level:
        text = _marks().sub(_apart, text)
    return re.findall(r"\n|\S+", text) if BREAKS in level else text.split()


def word_pieces(words: Iterable[str], level: str, before: str | None = None) -> Iterator[str]:
    """What each word adds to a text: itself, and a space before it where one belongs.

    before: the word that the text so far ends in, if there is any.
    """
    joined = before is None or _joined(before, level)[1]
    for word in words:
        to_before, to_after = _joined(word, level)
        shown = word[0] if PUNCTUATION in level and _is_mark(word) else word
        yield shown if joined or to_before else f" {shown}"
        joined = to_after


def _joined(word: str, level: str) -> Joined:
    if word == "\n" and BREAKS in level:
        return True, True
    if PUNCTUATION not in level or not _is_mark(word):
        return False, False
    return _JOINED[word[1]] if len(word) > 1 else usually_joined(word)


def _is_mark(word: str) -> bool:
    """Whether it is a punctuation mark, with a sign or without."""
    return (len(word) == 1 or (len(word) == 2 and word[1] in _JOINED)) and is_sign(word[0])


def is_sign(character: str) -> bool:
    """Whether a character is a punctuation mark or another sign."""
    return unicodedata.category(character)[0] in "PS"


@cache
def usually_joined(mark: str) -> Joined:
    """Where no sign tells otherwise: to what is before it, to what is after it."""
    return _USUALLY.get(unicodedata.category(mark), (False, False))


@cache
def _marks() -> re.Pattern[str]:
    """Every mark, but for the apostrophe inside a word."""
    signs = _ranges()
    letter = rf"[^\s{signs}]"
    inside = rf"(?<={letter})['’](?={letter})"
    return re.compile(rf"(?!{inside})[{signs}]")


def _apart(found: re.Match[str]) -> str:
    """A mark between spaces, with its sign: joined to anything before it, and to a word after it
    (a mark tells itself that it is joined to one before it)."""
    text, begin, end = found.string, found.start(), found.end()
    before, after = text[begin - 1 : begin], text[end : end + 1]
    return _marked(
        found[0], bool(before) and not before.isspace(),
        bool(after) and not after.isspace() and not is_sign(after),
    )  # fmt: skip


@cache
def _marked(mark: str, before: bool, after: bool) -> str:
    sign = "" if (before, after) == usually_joined(mark) else SIGNS[before, after]
    return f" {mark}{sign} "


def _ranges() -> str:
    """All punctuation marks and signs of Unicode, as a class of a regular expression has them."""
    runs = runs_of(filter(lambda code: is_sign(chr(code)), range(sys.maxunicode + 1)))
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in runs)


def runs_of(codes: Iterable[int]) -> list[tuple[int, int]]:
    """Rising numbers as runs of them, the first and the last of each."""
    runs: list[tuple[int, int]] = []
    for code in codes:
        follows = runs and runs[-1][1] == code - 1
        runs.append((runs.pop()[0] if follows else code, code))
    return runs
