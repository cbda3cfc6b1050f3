"""A text on a terminal, each of its characters marked by how much it surprised a model.

By colours, of as many as there are; and where there are none, or nobody to see them, by underlines,
or by a line of marks below. Graphemes are cut nowhere, and neighbours of one tint share its escape
sequence. What the text itself holds never reaches the terminal as a sequence.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from wcwidth import wcswidth

from charlm.views.colours import BLACK, RGB, SCALE_BITS, foreground
from charlm.views.heatmap_page import STEPS, UNDERLINED, tints
from charlm.views.scored_line import ScoredLine
from charlm.views.shown_text import TAB_SIGN, places_of, plain, stand_in

# Without colours a character is marked from the first of these steps on, and more from the second.
MARKED, MARKED_MORE = STEPS // 2, UNDERLINED
_MARKS, _NO_FIGURE = (" ", "-", "^"), "?"
TAB = 8
_RESET = "\x1b[0m"
# Of the palette's 256 colours: the levels of its cube, from number 16 on, and its greys, from 232.
_CUBE = (0, 95, 135, 175, 215, 255)
_GREYS = tuple(range(8, 239, 10))


class Style(Enum):
    TRUE_COLOUR = "24-bit colours"
    PALETTE = "256 colours"
    UNDERLINES = "underlines"
    MARKS = "a line of marks below the text"


# What `FORCE_COLOR` asks for by number; 16 colours are too few for a scale.
_DEPTHS = {"1": Style.PALETTE, "2": Style.PALETTE, "3": Style.TRUE_COLOUR}


def fitting_style(environment: Mapping[str, str], *, terminal: bool, underline: bool) -> Style:
    """What can be shown. terminal: whether the output goes to one. underline: in place of colours.

    `NO_COLOR` and `FORCE_COLOR` count where they are not empty, the first before the second
    (no-color.org, force-color.org). `FORCE_COLOR` may tell how many: 0 none, 1 and 2 at most 256,
    3 those of 24 bits; anything else as many as the terminal tells of, and 256 at least.
    """
    kind, forced = environment.get("TERM", ""), environment.get("FORCE_COLOR", "").lower()
    without = bool(environment.get("NO_COLOR")) or forced in ("0", "false")
    forced = "" if without else forced
    if not forced and not (terminal and kind not in ("", "dumb")):
        return Style.MARKS
    if underline or without:
        return Style.UNDERLINES
    if forced in _DEPTHS:
        return _DEPTHS[forced]
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return Style.TRUE_COLOUR
    return Style.PALETTE if forced or "256color" in kind else Style.UNDERLINES


@dataclass(frozen=True)
class Cell:
    """A place in sight. text: what is shown, `width` cells wide. step: of its tint; None where
    there is no surprise. between: whether it only stands between two words."""

    text: str
    width: int
    step: int | None = None
    between: bool = False


class Heatmap:
    """Shows the lines of a text, one by one.

    level: what tokens are, as a vocabulary has it. cells: the terminal's width; None where none
    ends.
    """

    def __init__(self, style: Style, level: str, cells: int | None) -> None:
        self._style, self._level, self._cells = style, level, cells
        # What begins each step's tint.
        self._sequences = [_sequence(style, *tint, step) for step, tint in enumerate(tints())]

    def legend(self) -> str:
        """What the signs mean, for a terminal of at least 40 cells."""
        least, more = (f"{step * SCALE_BITS / STEPS:g}" for step in (MARKED, MARKED_MORE))
        if self._style is Style.MARKS:
            return f"{_MARKS[1]} {least} bits or more  {_MARKS[2]} {more}  {_NO_FIGURE} no figure\n"
        if self._style is Style.UNDERLINES:
            marked, marked_more = self._sequences[MARKED], self._sequences[MARKED_MORE]
            return (
                f"{marked}underlined{_RESET}: {least} bits or more, "
                f"{marked_more}bold too{_RESET}: {more}\n"
            )
        scale = self._painted([Cell(" ", 1, step) for step in range(STEPS)])
        return (
            f"0 bits {scale} {SCALE_BITS:g} bits or more\n"
            f"underlined from {more} on; no tint: no figure\n"
        )

    def line(self, line: ScoredLine) -> str:
        """A line of the text in as many rows as it takes, each with its line break."""
        shown = []
        for row in self._rows(line):
            if self._style is Style.MARKS:
                marks = "".join(_mark(cell) * cell.width for cell in row)
                shown.append(f"{''.join(cell.text for cell in row)}\n{marks.rstrip()}\n")
            else:
                shown.append(self._painted(row) + "\n")
        return "".join(shown)

    def _painted(self, row: Sequence[Cell]) -> str:
        parts, now = list[str](), ""
        for cell in row:
            sequence = "" if cell.step is None else self._sequences[cell.step]
            if sequence != now:
                parts.append(sequence or _RESET)
                now = sequence
            parts.append(cell.text)
        return "".join(parts) + (_RESET if now else "")

    def _rows(self, line: ScoredLine) -> Iterator[list[Cell]]:
        """No wider than the terminal, so that it has none to break in the middle of a tint."""
        row, used = list[Cell](), 0
        for cell in self._in_sight(line):
            if self._cells is not None and row and used + cell.width > self._cells:
                yield row
                row, used = [], 0
            if cell.text == "\t":
                end = (used // TAB + 1) * TAB
                width = (end if self._cells is None else min(end, self._cells)) - used
                cell = Cell(TAB_SIGN + " " * (width - 1), width, cell.step)
            row.append(cell)
            used += cell.width
        yield row

    def _in_sight(self, line: ScoredLine) -> Iterator[Cell]:
        """The places of a line; a tab as one, a cell wide."""
        begin = 0
        for place in places_of(line.tokens, self._level):
            if place.apart:
                yield Cell(" ", 1, between=True)
            told = [bits for bits in line.bits[begin : begin + place.size] if bits is not None]
            begin += place.size
            step = _step(math.fsum(told)) if told else None
            text = plain(place)
            if place.text == "\t":
                yield Cell("\t", 1, step)
            elif width := max(0, wcswidth(text)):
                yield Cell(text, width, step)
            else:
                seen = "".join(map(stand_in, text))
                yield Cell(seen, len(seen), step)


def _step(bits: float) -> int:
    share = min(max(bits / SCALE_BITS, 0.0), 1.0)
    return min(int(share * STEPS), STEPS - 1)


def _mark(cell: Cell) -> str:
    """What stands below each of its cells."""
    if cell.step is None:
        return " " if cell.between else _NO_FIGURE
    return _MARKS[_grade(cell.step)]


def _grade(step: int) -> int:
    """How much is marked without colours, from 0 to 2."""
    return (step >= MARKED) + (step >= MARKED_MORE)


def _sequence(style: Style, rgb: RGB, line: str, step: int) -> str:
    """What begins a tint, whatever was before it (SGR of ECMA-48). line: as `tints` has it."""
    if style in (Style.MARKS, Style.UNDERLINES):
        return ("", "\x1b[0;4m", "\x1b[0;1;4m")[_grade(step)]
    underlined = ";4" * (line == "underline")
    if style is Style.TRUE_COLOUR:
        code = f"38;2;{_numbers(foreground(rgb))};48;2;{_numbers(rgb)}"
    else:
        number, there = nearest(rgb)
        code = f"38;5;{16 if foreground(there) == BLACK else 231};48;5;{number}"
    return f"\x1b[0;{code}{underlined}m"


def _numbers(rgb: RGB) -> str:
    return ";".join(map(str, rgb))


def nearest(rgb: RGB) -> tuple[int, RGB]:
    """The palette's colour that is nearest to this one, of its cube or a grey, and its number."""
    red, green, blue = (min(range(6), key=lambda k: abs(_CUBE[k] - value)) for value in rgb)
    of_cube = 16 + 36 * red + 6 * green + blue, (_CUBE[red], _CUBE[green], _CUBE[blue])
    greys = [(232 + k, (grey, grey, grey)) for k, grey in enumerate(_GREYS)]
    return min(
        [of_cube, *greys],
        key=lambda colour: sum((a - b) ** 2 for a, b in zip(rgb, colour[1], strict=True)),
    )
