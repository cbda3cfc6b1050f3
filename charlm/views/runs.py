"""Runs as a table: a line each, as wide as the terminal is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from charlm.listing import Listed
from charlm.views.cells import cells, padded, shortened
from charlm.views.shown_text import in_sight

NONE = "–"
GAP = 2
# What a column that can be shortened keeps.
LEAST_CELLS = 8
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


def table(
    runs: Sequence[Listed], folder: Path, width: int | None = None, zone: tzinfo | None = None
) -> str:
    """Runs below a folder. width: cells in a line, where there is a limit. zone: of the times, the
    machine's own unless given."""
    columns = [
        Column("run", [_name(run, folder) for run in runs]),
        Column("bits", [_bits(run) for run in runs]),
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
    rows = zip(*([column.name, *column.texts] for column in columns), strict=True)
    widths = [column.width for column in columns]
    return "".join(
        (" " * GAP)
        .join(
            padded(text, size, right=column.name in NUMBERS)
            for text, size, column in zip(row, widths, columns, strict=True)
        )
        .rstrip()
        + "\n"
        for row in rows
    )


def _fitted(columns: list[Column], width: int) -> list[Column]:
    """First the names are shortened, then columns are left out, then names have what is left."""
    for name in (None, *LEFT_OUT):
        columns = [column for column in columns if column.name != name]
        named = [column for column in columns if column.name in ("run", "text")]
        for column in sorted(named, key=lambda column: -column.width):
            beyond = _width(columns) - width
            column_width = max(LEAST_CELLS, column.width - max(0, beyond))
            if beyond <= 0:
                break
            if _width(columns) - column.width + column_width <= width or name is not None:
                column.fit(column_width)
        if _width(columns) <= width:
            break
    return columns


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def _name(run: Listed, folder: Path) -> str:
    """Below the folder; of the folder itself, its own."""
    name = run.path.name if run.path == folder else str(run.path.relative_to(folder))
    return in_sight(name or str(run.path))


def _bits(run: Listed) -> str:
    """Per character, unless it says otherwise."""
    seen = run.validation
    if seen is None:
        return NONE
    kind = " masked" * seen.masked + "/word" * (seen.unit == "word")
    return f"{seen.bits:.3f}{kind}"


def _perplexity(run: Listed) -> str:
    return f"{run.validation.perplexity:,.3f}" if run.validation else NONE


def _model(run: Listed) -> str:
    if run.model is None:
        return NONE
    both = " both ways" * run.model.bidirectional
    return f"{run.model.rnn_type} {run.model.num_layers}×{run.model.hidden_size}{both}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _saved(run: Listed, zone: tzinfo | None) -> str:
    return f"{run.saved.astimezone(zone):%Y-%m-%d %H:%M}" if run.saved else NONE
