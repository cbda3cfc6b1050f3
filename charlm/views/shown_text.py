"""A text as a page shows it: as it is, and what nobody could see by a box with its number.

A place is where a reader can stop: a grapheme (what is read as one character, of one code point or
several), or a word. Graphemes are cut nowhere, so that letters join and marks stay on them.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from wcwidth import iter_graphemes

from charlm.data.text import ACTIVE

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


@dataclass
class ShownText:
    """Lines of tokens as HTML, and where their places are.

    level: as a vocabulary has it. html: one element a line. sizes: tokens of each place. widths:
    UTF-16 units in which each is shown; between words stands one more. lines: places of each line.
    """

    level: str
    html: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def add(self, tokens: Sequence[str]) -> None:
        """The next line."""
        places = places_of(tokens, self.level)
        shown = [_shown(place) for place in places]
        between = "" if self.level == "char" else " "
        body = between.join(marks for marks, _ in shown)
        self.lines.append(len(places))
        self.sizes += map(len, places)
        self.widths += (len(text.encode("utf-16-le")) // 2 for _, text in shown)
        self.html.append(f'<div class="line" dir="auto" id="line-{len(self.lines)}">{body}</div>')

    def data(self) -> dict[str, Any]:
        """What the page's script is told."""
        return {
            "level": "char" if self.level == "char" else "word",
            "sizes": self.sizes,
            "widths": self.widths,
            "lines": self.lines,
        }


def places_of(tokens: Sequence[str], level: str) -> list[tuple[str, ...]]:
    """The places of a line of tokens, each as the tokens that it is of."""
    return list(_places(tokens)) if level == "char" else [(token,) for token in tokens]


def plain(place: tuple[str, ...]) -> str:
    """The text that a place shows."""
    return _shown(place)[1]


def _places(tokens: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Graphemes as the tokens that they are of; an unseen character stands alone."""
    ends, end = set(), 0
    for grapheme in iter_graphemes("".join(tokens)):
        end += len(grapheme)
        ends.add(end)
    place: list[str] = []
    end = 0
    for token in tokens:
        if place and UNSEEN.search(token):
            yield tuple(place)
            place = []
        place.append(token)
        end += len(token)
        if end in ends or UNSEEN.search(token):
            yield tuple(place)
            place = []
    if place:
        yield tuple(place)


def _shown(place: tuple[str, ...]) -> tuple[str, str]:
    """A place as HTML, and as the text that it shows."""
    text = "".join(place)
    if text == "\t":
        # Browsers tint no blank that a tab leaves: there is a sign in it to be tinted.
        return f'<span class="sign">{TAB_SIGN}</span>\t', f"{TAB_SIGN}\t"
    if unicodedata.category(text[:1] or " ")[0] == "M" or text[:1] in _JOINERS:
        # A mark that stands on nothing would go onto what is before it.
        return "".join(map(_box, text)), "".join(map(stand_in, text))
    return marked_up(text), in_sight(text)


def _box(character: str) -> str:
    return f'<bdi class="unseen" dir="ltr">{stand_in(character)}</bdi>'
