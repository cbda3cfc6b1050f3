"""A page on which a text is tinted by what one unit of a model holds after each character."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from charlm.views.colours import RGB, between
from charlm.views.heatmap_page import legend
from charlm.views.page import page, reader
from charlm.views.shown_text import ShownText, in_sight, label
from charlm.views.unit_row import UnitRow

# Tints from the lowest to the highest activation; the middle one is for next to nothing.
STEPS = 17
# So many at each end bear a line too.
LINED = 4
# Blue and orange are told apart by people with any kind of colour blindness.
_LOW, _MIDDLE, _HIGH = (20, 90, 180), (245, 245, 245), (200, 95, 0)


def neurons_page(
    title: str,
    tokens: Sequence[str],
    activations: npt.NDArray[np.int8],
    units: Sequence[UnitRow],
    facts: Mapping[str, str],
    *,
    level: str = "char",
) -> str:
    """tokens: T of a text, line breaks among them. activations (T, U): -127 for -1 to 127 for 1,
    after each token. units: the U rows of the list, in its order. facts: names and values to show
    at the top. level: what tokens are, "char" or "word"."""
    if activations.shape != (len(tokens), len(units)):
        raise ValueError(
            f"activations are {activations.shape}, not {len(tokens)} tokens by {len(units)} units"
        )
    text = ShownText(level)
    for line in _lines(tokens):
        text.add(line)
    names = sorted(set(tokens))
    numbers = {token: number for number, token in enumerate(names)}
    data = text.data() | {
        "tokens": [numbers[token] for token in tokens],
        "words": names,
        "labels": [label(token) for token in names],
        "steps": STEPS,
        "names": [in_sight(row.unit) for row in units],
        "units": [b64encode(column.tobytes()).decode() for column in activations.T],
    }
    body = _BODY.format(
        legend=legend(tints(), ("-1", "1"), _NOTE),
        size=min(max(len(units), 2), 24),
        units="\n".join(map(_option, units)),
        reader=reader(level, text.html),
    )
    return page(title, facts, body, script="neurons.js", tints=tints(), data=data)


def tints() -> list[tuple[RGB, str]]:
    half = STEPS // 2
    colours = [
        between(_MIDDLE, _LOW if step < half else _HIGH, abs(step - half) / half)
        for step in range(STEPS)
    ]
    lines = ["overline"] * LINED + ["none"] * (STEPS - 2 * LINED) + ["underline"] * LINED
    return list(zip(colours, lines, strict=True))


_NOTE = (
    "What the unit holds after each character: blue, with a line above it where low; orange, with "
    "a line below it where high."
)

_BODY = """\
<main class="reading">
<aside>
<h2><label for="units">Units</label></h2>
<p class="hint">Step through them by the arrow keys.</p>
<select id="units" size="{size}">
{units}
</select>
{legend}
</aside>
<div>
{reader}
</div>
</main>
"""


def _lines(tokens: Sequence[str]) -> Iterator[Sequence[str]]:
    """Each with the line break that ends it."""
    begin = 0
    for end, token in enumerate(tokens, start=1):
        if token == "\n" or end == len(tokens):
            yield tokens[begin:end]
            begin = end


def _option(row: UnitRow) -> str:
    # An element of a list holds text alone: unseen characters by their numbers.
    text = in_sight(f"{row.correlation:+.2f} {row.unit}: {row.follows}")
    return f"<option>{text.replace('&', '&amp;').replace('<', '&lt;')}</option>"
