"""A page on which a text is tinted by how much each of its characters surprised a model."""

import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from charlm.data.text import detokenize
from charlm.data.words import unit_of
from charlm.views.colours import RGB, SCALE_BITS, cividis
from charlm.views.histogram import histogram
from charlm.views.page import page, reader
from charlm.views.scored_line import ScoredLine
from charlm.views.shown_text import ShownText, label, marked_up

# The scale in steps, each of one tint, and the first of those that are underlined too.
STEPS = 16
UNDERLINED = 12
# Of the most surprising places, so many are linked to, with so many places around them.
LINKED = 20
AROUND = 15
_NONE = -1


def heatmap_page(
    title: str, lines: Iterable[ScoredLine], facts: Mapping[str, str], *, level: str = "char"
) -> str:
    """facts: names and values to show at the top. level: what tokens are, "char" or "word"."""
    scored = [replace(line, bits=tuple(map(_told, line.bits))) for line in lines]
    text = ShownText(level)
    for line in scored:
        text.add(line.tokens)
    bits = [value for line in scored for value in line.bits]
    body = _BODY.format(
        figures=_figures([value for value in bits if value is not None], level),
        links=_links(scored, text),
        reader=reader(level, text.html),
    )
    return page(
        title, facts, body,
        script="heatmap.js", tints=tints(), data=text.data() | _data(scored, level),
    )  # fmt: skip


def tints() -> list[tuple[RGB, str]]:
    return [
        (cividis((step + 0.5) / STEPS), "underline" if step >= UNDERLINED else "none")
        for step in range(STEPS)
    ]


def legend(tints: Sequence[tuple[RGB, str]], ends: tuple[str, str], note: str) -> str:
    """The tints in a row, from the one end to the other, and what else there is to know."""
    swatches = "".join(f'<span class="t{step}">a</span>' for step in range(len(tints)))
    return (
        f'<p class="legend"><span>{ends[0]}</span> <span class="scale" aria-hidden="true">'
        f"{swatches}</span> <span>{ends[1]}</span></p>\n<p>{note}</p>"
    )


def _figures(bits: Sequence[float], level: str) -> str:
    things = f"{unit_of(level)}s"
    note = (
        f"Bits of surprise: the darker, the better foreseen. Underlined: "
        f"{UNDERLINED * SCALE_BITS / STEPS:g} bits or more. Without a tint: no surprise is told."
    )
    scale = legend(tints(), ("0 bits", f"{SCALE_BITS:g} bits and more"), note)
    return (
        f"<section>\n<h2>Scale</h2>\n{scale}\n"
        f"{histogram(bits, SCALE_BITS, STEPS, things)}\n</section>"
    )


_BODY = """\
<main>
<section class="overview">
{figures}
<section>
<h2>Most surprising</h2>
<ol id="links">
{links}
</ol>
</section>
</section>
{reader}
</main>
"""


def _data(lines: list[ScoredLine], level: str) -> dict[str, Any]:
    """Distinct tokens by number, as they stand in the text and by name. Of each token of the text:
    its number, hundredths of a bit (-1: none), rank (-1: not asked for), and the numbers of what
    was expected, each with its thousandths."""
    numbers: dict[str, int] = {}

    def number(token: str) -> int:
        return numbers.setdefault(token, len(numbers))

    return {
        "steps": STEPS,
        "scale": SCALE_BITS,
        "tokens": [number(token) for line in lines for token in line.tokens],
        "bits": [
            _NONE if value is None else round(100 * value) for line in lines for value in line.bits
        ],
        "rank": [rank for line in lines for rank in line.rank or (_NONE,) * len(line.tokens)],
        "expected": [
            [part for token, share in likeliest for part in (number(token), round(1000 * share))]
            for line in lines
            for likeliest in line.expected or ((),) * len(line.tokens)
        ],
        "words": [detokenize([token], level) for token in numbers],
        "labels": [label(token) for token in numbers],
    }


def _told(bits: float | None) -> float | None:
    """What a model held for impossible is told as a large number: JSON has no infinity."""
    return None if bits is None or math.isnan(bits) else min(max(bits, 0.0), 9999.0)


def _links(lines: list[ScoredLine], text: ShownText) -> str:
    """The most surprising places, the most surprising first."""
    places = list(_surprises(lines, text))
    worst = heapq.nlargest(LINKED, places, key=lambda place: (place[0], -place[1]))
    return "\n".join(_link(place, lines[place[2]].tokens, text.level) for place in worst)


Place = tuple[float, int, int, int, int]


def _surprises(lines: list[ScoredLine], text: ShownText) -> Iterator[Place]:
    """Of each place that has a surprise: bits, number, line, first token in it, tokens."""
    number = 0
    for i, line in enumerate(lines):
        token = 0
        for _ in range(text.lines[i]):
            size = text.sizes[number]
            bits = [value for value in line.bits[token : token + size] if value is not None]
            if bits:
                yield math.fsum(bits), number, i, token, size
            number, token = number + 1, token + size


def _link(place: Place, tokens: Sequence[str], level: str) -> str:
    bits, number, i, token, size = place
    cut = detokenize(tokens[max(0, token - AROUND) : token + size + AROUND], level)
    it = detokenize(tokens[token : token + size], level)
    shown = marked_up(label(it) if it.isspace() else it)
    return (
        f'<li><a href="#line-{i + 1}" data-place="{number}"><b>{bits:.1f} bits</b> '
        f"<bdi>{shown}</bdi> in line {i + 1:,}: "
        f'<bdi class="around">{marked_up(cut)}</bdi></a></li>'
    )
