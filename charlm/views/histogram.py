"""How many tokens took how many bits, as a picture and in words."""

import math
from collections.abc import Sequence
from statistics import quantiles

# Bars, and the width and height of the picture in its own units.
BARS = 24
_WIDTH, _HEIGHT, _FOOT = 480, 120, 18


def histogram(bits: Sequence[float], scale: float, steps: int, things: str) -> str:
    """HTML: bars from 0 to `scale` bits, the last one with all beyond it.

    Each bar wears the tint, of `steps`, that its bits have in the text. things: what is counted.
    """
    if not bits:
        return f"<p>No {things} here have a surprise.</p>"
    counts = [0] * BARS
    for value in bits:
        counts[min(int(max(value, 0.0) / scale * BARS), BARS - 1)] += 1
    bars = "\n".join(
        _bar(place, count / max(counts), _range(place, scale, count, things), steps)
        for place, count in enumerate(counts)
    )
    labels = "\n".join(
        f'<text x="{_WIDTH * share}" y="{_HEIGHT + _FOOT - 4}" text-anchor="{anchor}">{text}</text>'
        for share, anchor, text in (
            (0, "start", "0 bits"),
            (0.25, "middle", f"{scale / 4:g}"),
            (0.5, "middle", f"{scale / 2:g}"),
            (0.75, "middle", f"{scale * 3 / 4:g}"),
            (1, "end", f"{scale:g} and more"),
        )
    )
    words = _in_words(bits, things)
    return (
        f'<figure class="histogram">\n<svg viewBox="0 0 {_WIDTH} {_HEIGHT + _FOOT}" role="img" '
        f'aria-label="Histogram of bits. {words}">\n{bars}\n{labels}\n</svg>\n'
        f"<figcaption>{words}</figcaption>\n</figure>"
    )


def _bar(place: int, share: float, title: str, steps: int) -> str:
    width, height = _WIDTH / BARS, math.ceil(share * (_HEIGHT - 4))
    return (
        f'<rect class="f{place * steps // BARS}" x="{place * width:g}" y="{_HEIGHT - height}" '
        f'width="{width - 1:g}" height="{height}"><title>{title}</title></rect>'
    )


def _range(place: int, scale: float, count: int, things: str) -> str:
    low, high = (scale * edge / BARS for edge in (place, place + 1))
    where = f"{low:g} bits and more" if place == BARS - 1 else f"{low:g} to {high:g} bits"
    return f"{where}: {count:,} {things}"


def _in_words(bits: Sequence[float], things: str) -> str:
    if len(bits) == 1:
        return f"The one of the {things} that has a surprise took {bits[0]:.1f} bits."
    tenths = quantiles(bits, n=10, method="inclusive")
    return (
        f"Of {len(bits):,} {things} half took at most {tenths[4]:.1f} bits, nine of ten at most "
        f"{tenths[8]:.1f}; the most surprising took {max(bits):.1f}."
    )
