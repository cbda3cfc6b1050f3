"""Ways to show scored lines: rows, a heat-map, a page."""

import os
from pathlib import Path
from typing import Protocol

from charlm.cli.output import note, print_json, show, show_painted, terminal_width
from charlm.cli.pages import write_page
from charlm.cli.score_rows import ScoreRows
from charlm.data.vocab import Vocab
from charlm.data.words import unit_of
from charlm.evaluation.lines import LineReader, ReadLine, Total
from charlm.evaluation.metrics import in_digits, shown_perplexity, sum_in_digits
from charlm.run import Run
from charlm.views.scored_line import ScoredLine, scored_line

# Characters (or words) of a page, after which it ends with the line: more make browsers slow.
MOST_ON_PAGE = 200_000


class Show(Protocol):
    def begin(self) -> None:
        """Before the first line."""

    def line(self, number: int, line: ReadLine) -> None:
        """number: the line's, from 1."""

    def end(self, name: str, total: Total) -> None:
        """After the last line. name: the text's. total: what its lines come to."""


class RowsShow:
    """A row for each line: for people, tab-separated or as JSON."""

    def __init__(
        self, run: Run, reader: LineReader, *, as_json: bool, tsv: bool, per_token: bool
    ) -> None:
        self._json, self._tsv = as_json, tsv
        self._rows = ScoreRows(
            run.vocab.level, scores_unknown=reader.scores_unknown, per_token=per_token,
            cells=terminal_width(),
        )  # fmt: skip

    def begin(self) -> None:
        if self._tsv:
            show(self._rows.tsv_header() + "\n")
        elif not self._json:
            note(self._rows.header())

    def line(self, number: int, line: ReadLine) -> None:
        if self._json:
            print_json(self._rows.figures(number, line))
        else:
            show((self._rows.tsv(number, line) if self._tsv else self._rows.row(line)) + "\n")

    def end(self, name: str, total: Total) -> None:
        pass


class HeatmapShow:
    """The text itself on a terminal, tinted."""

    def __init__(self, vocab: Vocab, *, underline: bool) -> None:
        from charlm.views.terminal import Heatmap, fitting_style

        cells = terminal_width()
        style = fitting_style(os.environ, terminal=cells is not None, underline=underline)
        self._heatmap, self._vocab = Heatmap(style, vocab.level, cells), vocab

    def begin(self) -> None:
        show_painted(self._heatmap.legend())

    def line(self, number: int, line: ReadLine) -> None:
        show_painted(self._heatmap.line(scored_line(line, self._vocab)))

    def end(self, name: str, total: Total) -> None:
        pass


class PageShow:
    """A page with the text tinted, written at the end."""

    def __init__(self, run: Run, page: Path) -> None:
        self._run, self._page, self._lines, self._size = run, page, list[ScoredLine](), 0

    def begin(self) -> None:
        pass

    def line(self, number: int, line: ReadLine) -> None:
        if self._size < MOST_ON_PAGE:
            self._lines.append(scored_line(line, self._run.vocab))
            self._size += len(self._lines[-1].tokens)

    def end(self, name: str, total: Total) -> None:
        from charlm.views.heatmap_page import heatmap_page

        lines, run = self._lines, self._run
        html = heatmap_page(
            f"{run.path} reads {name}", lines, self._facts(name, total), level=total.level
        )
        if len(lines) < total.lines:
            note(f"note: {self._page} shows the first {len(lines):,} of {total.lines:,} lines")
        write_page(self._page, html)

    def _facts(self, name: str, total: Total) -> dict[str, str]:
        facts = {"model": str(self._run.path), "text": name, "lines": f"{total.lines:,}"}
        if (shown := len(self._lines)) < total.lines:
            facts["shown"] = f"the first {shown:,} lines; the figures up here are of all"
        if score := total.score():
            unit = unit_of(total.level)
            facts |= {
                f"{unit}s": f"{total.tokens:,}",
                f"bits per {unit}": in_digits(score.bits_per_token),
                "nats": sum_in_digits(total.nats, ",.1f"),
                "perplexity": f"{shown_perplexity(score.perplexity)} per {unit}",
            }
        if total.unknown:
            left_out = ", left out" * (total.left_out > 0)
            facts["unknown to the model"] = f"{total.unknown:,}{left_out}"
        return facts
