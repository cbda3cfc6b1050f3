"""What a terminal shows of a training, as wide as it is: rows of validations, words at a bar."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from charlm.course import Validation
from charlm.evaluation.metrics import perplexity_of
from charlm.views.sparkline import BLOCKS, sparkline

# A row in a narrower terminal has fewer figures.
NARROW = 60
SHORTEST_BAR, LONGEST_BAR = 4, 40
# No sparkline is longer, however wide the terminal.
LONGEST_COURSE = 60
# A sparkline's lowest bar is at this share of the first validation, and below. So its bounds stay
# as they are from row to row; few models halve the bits that they have when first looked at.
LOW = 0.5
_DIM, _BOLD, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"


@dataclass(frozen=True)
class Look:
    """Of a terminal. width: in cells; ramp: the bars that it can show; colour: whether it has."""

    width: int
    ramp: str = BLOCKS
    colour: bool = False

    def dim(self, text: str) -> str:
        return f"{_DIM}{text}{_PLAIN}" if self.colour else text

    def bold(self, text: str) -> str:
        return f"{_BOLD}{text}{_PLAIN}" if self.colour else text


@dataclass(frozen=True)
class Figures:
    """Of a training under way. nats: a mean of the last steps, per token; best: in bits, of the
    validations, None before the first; speed: tokens a second; left: seconds."""

    step: int
    total: int
    nats: float
    bits: float
    best: float | None
    speed: float
    left: float


def header(look: Look, unit: str) -> str:
    """Above the rows. unit: what a token is."""
    wide = f"{'time':>8}  {unit + 's':>10}  " if look.width >= NARROW else ""
    return look.dim(f"{'step':>9}  {wide}{'bits':>7} {'perplexity':>10}")


def row(validations: Sequence[Validation], tokens: float, look: Look) -> str:
    """The last of the validations, with a sparkline of all. tokens: read in training so far."""
    now = validations[-1]
    wide = f"{clock(now.seconds):>8}  {short(tokens):>10}  " if look.width >= NARROW else ""
    figures = f"{now.bits:>7.4f} {_perplexity(now.bits):>10}"
    mark = "*" if now.best else " "
    text = f"{now.step:>9,}  {wide}{figures}{mark} "
    first = validations[0].bits
    bars = sparkline(
        [validation.bits for validation in validations],
        min(look.width - 1 - len(text), LONGEST_COURSE),
        low=LOW * first, high=first, ramp=look.ramp,
    )  # fmt: skip
    if now.best:
        text = text.replace(figures + mark, look.bold(figures + mark))
    return text + bars


def bar_format(figures: Figures, look: Look) -> str:
    """A bar with all that there is room for, as tqdm's `bar_format` takes it."""
    # "100% ", and room for the ^C that a terminal puts behind the bar.
    room = look.width - 5 - 3
    words = next((text for text in _words(figures) if len(text) <= room), "")
    # Its two edges, and a space.
    bar = min(room - len(words) - 3, LONGEST_BAR)
    return f"{{percentage:3.0f}}% {f'|{{bar:{bar}}}| ' if bar >= SHORTEST_BAR else ''}{words}"


def _words(now: Figures) -> Iterator[str]:
    """What there is to say, in less and less room."""
    best = "" if now.best is None else f"best {now.best:.3f}, "
    bits = f"loss {now.nats:.3f}, {now.bits:.3f} bits, {best}"
    speed, left = f"{now.speed:,.0f}/s", clock(now.left)
    yield f"step {now.step:,} of {now.total:,}, {bits}{speed}, {left} left"
    yield f"{bits}{speed}, {left} left"
    yield f"{bits}{short(now.speed)}/s, {left}"
    best = "" if now.best is None else f"best {now.best:.2f} "
    yield f"{now.bits:.2f} bits {best}{short(now.speed)}/s {left}"
    yield f"{now.bits:.2f} bits {left}"
    yield f"{now.bits:.2f} bits"


def clock(seconds: float) -> str:
    """1:07, or 2:03:09 from an hour on."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short(number: float) -> str:
    """Three digits of it and more: 950, 12.3k, 4.56M, 7.89G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size * 0.9995:
            return f"{number / size:.3g}{letter}"
    return f"{number:.0f}"


def _perplexity(bits: float) -> str:
    value = perplexity_of(bits * math.log(2))
    return f"{value:.3f}" if value < 100_000 else f"{value:.2e}"
