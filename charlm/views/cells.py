"""Texts in the cells of a terminal, of which a Chinese character takes two."""

from wcwidth import iter_graphemes, wcswidth


def cells(text: str) -> int:
    """How many a text takes; what cannot be told is counted by its characters."""
    width = wcswidth(text)
    return width if width >= 0 else len(text)


def shortened(text: str, width: int) -> str:
    """As much of a text as fits in `width` cells, and … where that is not all."""
    if cells(text) <= width:
        return text
    kept, used = [], 0
    for grapheme in iter_graphemes(text):
        used += cells(grapheme)
        if used > width - 1:
            break
        kept.append(grapheme)
    return "".join(kept) + "…" * (width > 0)


def padded(text: str, width: int, *, right: bool = False) -> str:
    """A text with as many spaces before or after it as make `width` cells."""
    spaces = " " * max(0, width - cells(text))
    return spaces + text if right else text + spaces
