"""The courses of trainings as a picture, by matplotlib (extra `plot`)."""

import io
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from charlm.course import Course, Moment
from charlm.data.text import for_terminal
from charlm.views.fonts import families_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers = npt.NDArray[np.float64]

# Okabe & Ito 2008, "Color Universal Design": told apart by everybody. Black is for the keys.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", "--", "-.", ":")
KEY = "#555555"
# A step's loss is smoothed over so many steps that are logged, or one in so many of all.
SMOOTHED, SMOOTHED_SHARE = 5, 20
# What of the losses may lie above the picture: those before there was anything learned.
CUT_SHARE = 0.05
# Bits beyond these have no place in a picture.
MOST_BITS = 1e6
# And of so few matplotlib finds a range itself.
LEAST_RANGE = 1e-6
# Where the axes are, as shares of the picture: for matplotlib to find it takes twice the drawing.
MARGINS = {"left": 0.11, "right": 0.98, "bottom": 0.09, "top": 0.94, "hspace": 0.06}
INCHES, DOTS_PER_INCH = (8.0, 5.5), 150


@dataclass(frozen=True)
class Curve:
    """A training. tokens: in its training part, so many an epoch."""

    name: str
    course: Course
    tokens: int


def picture(
    curves: Sequence[Curve], *, kind: str, by_time: bool, bits: str, unit: str
) -> tuple[bytes, str]:
    """The picture, and which characters of the names no font here has, so that it lacks them.

    kind: svg or png; by_time: over seconds, not over tokens; bits: what the figures are, such as
    "bits per character"; unit: what a token is. The same courses give the same bytes.
    """
    names = [_printable(curve.name) for curve in curves]
    with _matplotlib() as parameters:
        families, missing = families_for("".join(names)) if kind == "png" else ([], "")
        parameters["font.family"] = [*parameters["font.family"], *families]
        figure = _figure(curves, names, by_time, bits, unit)
        out = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(out, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
    return out.getvalue(), missing


@contextmanager
def _matplotlib() -> Iterator[Any]:
    """matplotlib's parameters: its own, not the user's; and what it says is nothing to say here."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)  # that it looks for fonts, or for a folder to remember them in
    try:
        import matplotlib

        with matplotlib.rc_context(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(
                {
                    # Letters stay letters: a browser has fonts for those that are missing here.
                    "svg.fonttype": "none",
                    # Names in the file come from this, not from chance.
                    "svg.hashsalt": "charlm",
                    "text.parse_math": False,
                    "axes.spines.top": False,
                    "axes.spines.right": False,
                }
            )
            yield matplotlib.rcParams
    finally:
        logger.setLevel(level)


def _figure(
    curves: Sequence[Curve], names: Sequence[str], by_time: bool, bits: str, unit: str
) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=INCHES)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1), gridspec_kw=MARGINS)
    figure.align_ylabels()
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        dash = DASHES[number // len(COLOURS) % len(DASHES)]
        _draw(upper, lower, curve, by_time, {"color": colour, "linestyle": dash})
    upper.set(ylabel=bits, ylim=_limits([curve.course for curve in curves]))
    lower.set(xlabel="seconds of training" if by_time else f"{unit}s read", ylabel="learning rate")
    lower.set_ylim(bottom=0)
    for axes in (upper, lower):
        axes.grid(color="#dddddd", linewidth=0.6)
    keys = [
        (Line2D([], [], color=KEY, linewidth=1, alpha=0.6), "training"),
        (Line2D([], [], color=KEY, linewidth=1.8, marker=".", markersize=7), "validation"),
        (Line2D([], [], color=KEY, linewidth=0, marker="o", fillstyle="none"), "its best"),
    ]
    if len(curves) == 1:
        upper.set_title(names[0])
    else:
        styles = [(line.get_color(), line.get_linestyle()) for line in lower.get_lines()]
        keys += [
            (Line2D([], [], color=colour, linestyle=dash, linewidth=1.8), name)
            for (colour, dash), name in zip(styles, names, strict=True)
        ]
    legend = upper.legend([line for line, _ in keys], ["x"] * len(keys), frameon=False)
    for text, (_, name) in zip(legend.get_texts(), keys, strict=True):
        text.set_text(name)  # a name that begins with _ would be left out above
    return figure


def _draw(upper: "Axes", lower: "Axes", curve: Curve, by_time: bool, style: dict[str, Any]) -> None:
    losses, validations = curve.course.losses, curve.course.validations

    def places(moments: Sequence[Moment]) -> list[float]:
        return [m.seconds if by_time else m.epochs * curve.tokens for m in moments]

    steps, bits = places(losses), np.array([_shown(loss.bits) for loss in losses])
    upper.plot(steps, bits, **style, linewidth=0.5, alpha=0.25)
    upper.plot(steps, _smoothed(bits), **style, linewidth=1, alpha=0.7)
    seen = [_shown(validation.bits) for validation in validations]
    upper.plot(places(validations), seen, **style, linewidth=1.8, marker=".", markersize=7)
    if validations:
        best = min(validations, key=lambda validation: validation.bits)
        ring = {"marker": "o", "fillstyle": "none", "color": style["color"]}
        upper.plot(places([best]), [_shown(best.bits)], **ring)
    lower.plot(steps, [loss.rate for loss in losses], **style, linewidth=1.2)


def _shown(bits: float) -> float:
    """NaN, which leaves a gap, for what is no number or beyond all others."""
    return bits if abs(bits) <= MOST_BITS else math.nan


def _smoothed(values: Numbers) -> Numbers:
    """Means over the neighbours of each, as many as there are at the ends."""
    window = min(len(values), max(SMOOTHED, len(values) // SMOOTHED_SHARE))
    if window < 2:
        return values
    weights = np.ones(window)
    sums: Numbers = np.convolve(values, weights, "same")
    return sums / np.convolve(np.ones(len(values)), weights, "same")


def _limits(courses: Sequence[Course]) -> tuple[float | None, float | None]:
    """Bits from the least to the most that is worth a place; None where nothing is known."""
    losses = [
        sorted(x for loss in course.losses if not math.isnan(x := _shown(loss.bits)))
        for course in courses
    ]
    seen = [
        x for course in courses for v in course.validations if not math.isnan(x := _shown(v.bits))
    ]
    low = [*(part[0] for part in losses if part), *seen]
    high = [*(part[-1 - int(CUT_SHARE * len(part))] for part in losses if part), *seen]
    if not low or max(high) - min(low) < LEAST_RANGE:
        return None, None
    margin = 0.04 * (max(high) - min(low))
    return max(0.0, min(low) - margin), max(high) + margin


def _printable(name: str) -> str:
    """A name that can stand in a picture, and in XML: half a surrogate pair cannot."""
    name = name.encode("utf-8", "backslashreplace").decode()
    return for_terminal(name).replace("\n", "\\n").replace("\t", "\\t")
