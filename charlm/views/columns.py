"""Figures in columns before a text, as many as leave it room on a terminal."""

from collections.abc import Sequence
from typing import NamedTuple

from charlm.data.text import for_terminal
from charlm.views.cells import shortened

# Cells that a text has beside its figures, at least; where only one column is left, it has fewer.
LEAST_CELLS = 20
# Between the figures and the text.
_GAP = 2


class Column(NamedTuple):
    """title: above it. cells: its width. worth: columns of less worth make room before others."""

    title: str
    cells: int
    worth: int


class Columns:
    """Those of some columns that fit.

    cells: the terminal's width; None where none ends. Rows are as wide as that, at most.
    """

    def __init__(self, columns: Sequence[Column], cells: int | None) -> None:
        kept = list(range(len(columns)))
        while cells is not None and len(kept) > 1 and cells - _width(columns, kept) < LEAST_CELLS:
            kept.remove(min(kept, key=lambda k: columns[k].worth))
        self._columns, self._kept = columns, kept
        self._room = None if cells is None else max(1, cells - _width(columns, kept))

    def header(self, last: str) -> str:
        """last: the title of the text."""
        return self._figures([column.title for column in self._columns]) + last

    def row(self, figures: Sequence[str], text: str) -> str:
        """figures: one for each of the columns, whether or not it is shown."""
        return self._figures(figures) + (text if self._room is None else fitted(text, self._room))

    def _figures(self, figures: Sequence[str]) -> str:
        shown = (f"{figures[k]:>{self._columns[k].cells}}" for k in self._kept)
        return " ".join(shown) + " " * _GAP


def _width(columns: Sequence[Column], kept: Sequence[int]) -> int:
    return sum(columns[k].cells for k in kept) + len(kept) - 1 + _GAP


def fitted(text: str, cells: int) -> str:
    """As much of a text as the room on a terminal's row holds, with a sign where it goes on."""
    return shortened(for_terminal(text).replace("\t", " "), cells)
