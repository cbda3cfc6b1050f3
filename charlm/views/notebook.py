"""What a notebook shows of a model and of a scored text: HTML without scripts, styled in place."""

from collections.abc import Iterable, Sequence
from html import escape

from charlm.card import Card
from charlm.views.card import rows_of
from charlm.views.colours import SCALE_BITS, foreground
from charlm.views.heatmap_page import STEPS, tints
from charlm.views.page import hexadecimal
from charlm.views.scored_line import ScoredLine
from charlm.views.shown_text import in_sight, label, marked_up, places_of

# Characters (or words) that are tinted: more make a notebook slow.
MOST_SHOWN = 10_000


def card_html(card: Card) -> str:
    """A table of all there is to say of a model."""
    rows = "\n".join(
        f'<tr><th style="text-align:left">{marked_up(name)}</th>'
        f'<td dir="auto" style="text-align:left">{marked_up(value)}</td></tr>'
        for name, value in rows_of(card)
    )
    return f"<table>\n<caption>{marked_up(str(card.path))}</caption>\n{rows}\n</table>"


def heatmap_html(lines: Sequence[ScoredLine], level: str, figures: str) -> str:
    """A text, each place tinted by its bits of surprise, told when it is pointed at.

    level: what tokens are, "char" or "word". figures: what it comes to, in a line.
    """
    shown, left = list[str](), MOST_SHOWN
    for line in lines:
        if left <= 0:
            break
        shown.append(_line(line, level, left))
        left -= len(line.tokens)
    total = sum(len(line.tokens) for line in lines)
    cut = f"<p>The first {MOST_SHOWN:,} of {total:,}.</p>" if total > MOST_SHOWN else ""
    return (
        f"<p>{marked_up(figures)}. The darker, the better foreseen: 0 to {SCALE_BITS:g} bits of "
        f'surprise.</p>\n<div style="font-family:monospace;white-space:pre-wrap;line-height:1.5">'
        f"{''.join(shown)}</div>{cut}"
    )


def _line(line: ScoredLine, level: str, most: int) -> str:
    begin, places = 0, list[str]()
    for place in places_of(line.tokens[:most], level):
        bits = line.bits[begin : begin + place.size]
        places.append(" " * place.apart + _place(place.text, bits))
        begin += place.size
    return f'<div dir="auto">{"".join(places) or "<br>"}</div>'


def _place(text: str, bits: Iterable[float | None]) -> str:
    shown, told = marked_up(text), [value for value in bits if value is not None]
    if not told:
        return f"<span>{shown}</span>"
    total = sum(told)
    rgb, line = tints()[min(STEPS - 1, int(total / SCALE_BITS * STEPS))]
    style = f"background:{hexadecimal(rgb)};color:{hexadecimal(foreground(rgb))}"
    underlined = ";text-decoration:underline" if line == "underline" else ""
    title = escape(f"{label(text) if text.isspace() else in_sight(text)}: {total:.2f} bits")
    return f'<span style="{style}{underlined}" title="{title}">{shown}</span>'
