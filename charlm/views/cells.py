"""Texts in the cells of a terminal, of which a Chinese character takes two."""

from collections.abc import Iterator

from wcwidth import iter_graphemes, width


def figure(value: float, decimals: int = 3) -> str:
    """A number in a few cells, however large it is."""
    return f"{value:,.{decimals}f}" if value < 1e9 else f"{value:.3g}"


def shortened(text: str, size: int) -> str:
    """As much of a text as fits in `size` cells, one at least, and … where that is not all."""
    kept, used = list[str](), 0
    for grapheme in iter_graphemes(text):
        used += width(grapheme)
        kept.append(grapheme)
        if used > size:
            while used > size - 1:
                used -= width(kept.pop())
            return "".join(kept) + "…"
    return text


def wrapped(text: str, size: int) -> str:
    """A text whose longer lines are broken at spaces, into rows of `size` cells where the words
    allow; a row that goes on is set in. Commands are left, to be copied."""
    return "\n".join(
        line if line.startswith("  charlm ") else "\n".join(_rows(line, size))
        for line in text.split("\n")
    )


def _rows(line: str, size: int) -> Iterator[str]:
    begins = len(line) - len(line.lstrip(" "))
    first, *words = line[begins:].split(" ")
    row = line[:begins] + first
    for word in words:
        if width(row) + 1 + width(word) > size:
            yield row
            row = f"  {word}"
        else:
            row = f"{row} {word}"
    yield row
