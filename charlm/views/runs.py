"""Runs as a table: a line each, as wide as the terminal is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from wcwidth import ljust, rjust
from wcwidth import width as cells

from charlm.listing import Listed
from charlm.views.cells import figure, shortened
from charlm.views.shown_text import in_sight

NONE = "–"
GAP = 2
# Columns that can be shortened, and what they keep.
NAMES = ("run", "text")
LEAST_CELLS = 12
# Left out where there is no room, in this order.
LEFT_OUT = ("saved", "parameters", "time", "perplexity", "text", "model", "state")
NUMBERS = ("bits", "perplexity", "parameters", "time")


@dataclass
class Column:
    """A header and a text for each run."""

    name: str
    texts: list[str]

    @property
    def width(self) -> int:
        return max(map(cells, (self.name, *self.texts)))

    def fit(self, width: int) -> None:
        self.texts = [shortened(text, width) for text in self.texts]

    def aligned(self) -> list[str]:
        """Its header and its texts, all of one width."""
        align = rjust if self.name in NUMBERS else ljust
        return [align(text, self.width) for text in (self.name, *self.texts)]


def table(
    runs: Sequence[Listed], folder: Path, width: int | None = None, zone: tzinfo | None = None
) -> str:
    """Runs below a folder. width: cells in a line, where there is a limit. zone: of the times, the
    machine's own unless given."""
    columns = [
        Column("run", [_name(run, folder) for run in runs]),
        Column("bits", _bits(runs)),
        Column("perplexity", [_perplexity(run) for run in runs]),
        Column("text", [in_sight(run.text) if run.text else NONE for run in runs]),
        Column("model", [_model(run) for run in runs]),
        Column("parameters", [f"{run.parameters:,}" if run.parameters else NONE for run in runs]),
        Column("time", [_time(run.seconds) for run in runs]),
        Column("saved", [_saved(run, zone) for run in runs]),
        Column("state", [run.state for run in runs]),
    ]
    if width is not None:
        columns = _fitted(columns, width)
    lines = zip(*(column.aligned() for column in columns), strict=True)
    return "".join((" " * GAP).join(line).rstrip() + "\n" for line in lines)


def _fitted(columns: list[Column], width: int) -> list[Column]:
    """Names are shortened, and columns left out where that is not enough."""
    for name in ("", *LEFT_OUT):
        columns = [column for column in columns if column.name != name]
        named = sorted((c for c in columns if c.name in NAMES), key=lambda column: column.width)
        taken = sum(c.width for c in columns if c.name not in NAMES) + GAP * (len(columns) - 1)
        room = width - taken
        if room >= sum(min(column.width, LEAST_CELLS) for column in named):
            break
    for left, column in zip(range(len(named), 0, -1), named, strict=True):
        column.fit(max(1, room // left))
        room -= column.width
    return columns


def _name(run: Listed, folder: Path) -> str:
    """Below the folder; of the folder itself, its own."""
    name = run.path.name if run.path == folder else str(run.path.relative_to(folder))
    return in_sight(name or str(run.path))


def _bits(runs: Sequence[Listed]) -> list[str]:
    """Per character of all the validation part, unless they say otherwise."""
    kinds = [
        "/word" * (seen.unit == "word") + " masked" * seen.masked + " part" * (not seen.whole)
        if seen
        else ""
        for seen in (run.validation for run in runs)
    ]
    figures = [figure(run.validation.bits) if run.validation else NONE for run in runs]
    widest = max(map(len, kinds), default=0)
    return [f"{bits}{kind:<{widest}}" for bits, kind in zip(figures, kinds, strict=True)]


def _perplexity(run: Listed) -> str:
    return figure(run.validation.perplexity) if run.validation else NONE


def _model(run: Listed) -> str:
    if run.model is None:
        return NONE
    both = " both ways" * run.model.bidirectional
    return f"{run.model.rnn_type} {run.model.num_layers}×{run.model.hidden_size}{both}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _saved(run: Listed, zone: tzinfo | None) -> str:
    if run.saved is None:
        return NONE
    try:
        return f"{run.saved.astimezone(zone):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):  # beyond the calendar's ends in this zone
        return NONE
