"""A text as a page shows it: as it is, and what nobody could see by a box with its number.

A place is where a reader can stop: a grapheme (what is read as one character, of one code point or
several), a word, or a punctuation mark that is a token. Graphemes are cut nowhere, so that letters
join and marks stay on them.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

from wcwidth import iter_graphemes

from charlm.data.text import ACTIVE, pieces_of

LEVELS = ("char", "word")

# Beside controls and marks of direction: soft hyphens, zero-width spaces, line and paragraph
# separators, byte-order marks and halves of surrogate pairs, which no file can hold. What joins
# letters or holds them apart (U+200C, U+200D) stays in its grapheme.
UNSEEN = re.compile(
    ACTIVE.pattern[:-1]
    + "\n\u00ad\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
TAB_SIGN = "⇥"
_JOINERS = "\u200c\u200d"


def stand_in(character: str) -> str:
    """What is shown in place of a character that cannot be seen."""
    return "↵" if character == "\n" else f"U+{ord(character):04X}"


def in_sight(text: str) -> str:
    """A text in one line, its unseen characters shown by their numbers."""
    return UNSEEN.sub(lambda found: stand_in(found[0]), text)


def marked_up(text: str) -> str:
    """A text as HTML, its unseen characters in boxes that keep out of the direction around them."""
    return UNSEEN.sub(lambda found: _box(found[0]), escape(text))


def label(token: str) -> str:
    """A token as it is told of: what is no letter, digit or sign by its name."""
    if len(token) != 1 or unicodedata.category(token)[0] in "LNPS":
        return in_sight(token)
    plain = {" ": "space", "\t": "tab", "\n": "line break"}
    name = unicodedata.name(token, "")
    return plain.get(token) or f"U+{ord(token):04X} {name}".rstrip()


@dataclass(frozen=True)
class Place:
    """text: of its tokens, as they stand in the text. size: how many they are. apart: whether a
    space belongs before it, which is of no token."""

    text: str
    size: int
    apart: bool = False


@dataclass
class ShownText:
    """Lines of tokens as HTML, and where their places are.

    level: as a vocabulary has it. html: one element a line. sizes: tokens of each place. widths:
    UTF-16 units in which each is shown. gaps: of words, those before each. lines: places of each
    line.
    """

    level: str
    html: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def add(self, tokens: Sequence[str]) -> None:
        """The next line."""
        places = places_of(tokens, self.level)
        shown = [_shown(place.text) for place in places]
        body = "".join(
            " " * place.apart + marks for place, (marks, _) in zip(places, shown, strict=True)
        )
        self.lines.append(len(places))
        self.sizes += (place.size for place in places)
        if self.level != "char":
            self.gaps += (int(place.apart) for place in places)
        self.widths += (len(text.encode("utf-16-le")) // 2 for _, text in shown)
        self.html.append(f'<div class="line" dir="auto" id="line-{len(self.lines)}">{body}</div>')

    def data(self) -> dict[str, Any]:
        """What the page's script is told."""
        return {
            "level": "char" if self.level == "char" else "word",
            "sizes": self.sizes,
            "widths": self.widths,
            "gaps": self.gaps,
            "lines": self.lines,
        }


def places_of(tokens: Sequence[str], level: str) -> list[Place]:
    """The places of a line of tokens."""
    if level == "char":
        return list(_places(tokens))
    places: list[Place] = []
    for apart, pieces in _runs(pieces_of(tokens, level)):
        first, *others = _places(pieces)
        places += [replace(first, apart=apart), *others]
    return places


def plain(place: Place) -> str:
    """The text that a place shows."""
    return _shown(place.text)[1]


def _runs(pieces: Iterable[str]) -> Iterator[tuple[bool, list[str]]]:
    """Words and marks that are joined, without the space before them, and whether there is one."""
    apart, run = False, list[str]()
    for piece in pieces:
        if run and piece.startswith(" "):
            yield apart, run
            run = []
        if not run:
            apart = piece.startswith(" ")
        run.append(piece.removeprefix(" "))
    if run:
        yield apart, run


def _places(tokens: Sequence[str]) -> Iterator[Place]:
    """What tokens that are joined show: graphemes are whole, an unseen character stands alone."""
    ends, end = set(), 0
    for grapheme in iter_graphemes("".join(tokens)):
        end += len(grapheme)
        ends.add(end)
    place: list[str] = []
    end = 0
    for token in tokens:
        if place and UNSEEN.search(token):
            yield Place("".join(place), len(place))
            place = []
        place.append(token)
        end += len(token)
        if end in ends or UNSEEN.search(token):
            yield Place("".join(place), len(place))
            place = []
    if place:
        yield Place("".join(place), len(place))


def _shown(text: str) -> tuple[str, str]:
    """A place's text as HTML, and as what it shows."""
    if text == "\t":
        # Browsers tint no blank that a tab leaves: there is a sign in it to be tinted.
        return f'<span class="sign">{TAB_SIGN}</span>\t', f"{TAB_SIGN}\t"
    if unicodedata.category(text[:1] or " ")[0] == "M" or text[:1] in _JOINERS:
        # A mark that stands on nothing would go onto what is before it.
        return "".join(map(_box, text)), "".join(map(stand_in, text))
    return marked_up(text), in_sight(text)


def _box(character: str) -> str:
    return f'<bdi class="unseen" dir="ltr">{stand_in(character)}</bdi>'
