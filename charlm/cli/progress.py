"""What a user sees while a model trains: a bar and rows on a terminal, elsewhere lines."""

import math
import os
import sys
import time
from typing import Any

from tqdm import tqdm

from charlm.cli.output import cells_of, encodings_of
from charlm.course import Validation
from charlm.data.text import for_terminal
from charlm.evaluation.metrics import Score
from charlm.training.reports import Stretch
from charlm.views.sparkline import ASCII, BLOCKS
from charlm.views.training_rows import Figures, Look, bar_format, header, row

SECONDS_BETWEEN_LINES = 5.0
# How far back the loss shown reaches, as the weight of one step.
SMOOTHING = 0.05
SAMPLE_LINES = 6


class Progress:
    """Reports to standard error.

    stretch: of the training that is shown.
    """

    def __init__(self, stretch: Stretch) -> None:
        # A dumb terminal cannot go back to the beginning of a line.
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._stretch, self._validations = stretch, list(stretch.seen)
        self._started = self._last_line = time.perf_counter()
        self._loss: float | None = None
        self._headed = False
        self._ramp = _ramp()
        self._bar: Any = tqdm(
            total=stretch.total, initial=stretch.first_step, dynamic_ncols=True,
            ascii=self._ramp == ASCII, disable=not self._terminal, leave=False, file=sys.stderr,
            bar_format="{percentage:3.0f}%",
        )  # fmt: skip

    def step(self, step: int, total: int, loss: float) -> None:
        """`step` steps of `total` are done, the last with `loss` nats per token."""
        self._loss = loss if self._loss is None else self._loss + SMOOTHING * (loss - self._loss)
        now = time.perf_counter()
        seconds_per_step = max(1e-9, now - self._started) / max(1, step - self._stretch.first_step)
        speed = self._stretch.tokens_per_step / seconds_per_step
        left = seconds_per_step * (total - step)
        if self._terminal:
            best = min((seen.bits for seen in self._validations), default=None)
            bits = self._loss / math.log(2)
            figures = Figures(step, total, self._loss, bits, best, speed, left)
            self._bar.total = total
            self._bar.bar_format = bar_format(figures, self._look())
            self._bar.update(step - self._bar.n)
        elif now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            perplexity = math.exp(min(self._loss, 99))
            self.note(
                f"step {step}/{total}: loss {self._loss:.3f}, ppl {perplexity:.2f}, "
                f"{speed:,.0f}/s, {left:.0f} s left"
            )

    def validation(
        self, seen: Validation, tokens: int, score: Score, *, provisional: bool = False
    ) -> None:
        """tokens: read in training so far. score: the validation's, whose bits `seen` has.
        provisional: it is of the beginning of what the last figure will be over."""
        self._validations.append(seen)
        if not self._terminal:
            kind = "provisional " * provisional
            best = " (best)" * seen.best
            self.note(f"step {seen.step}: {kind}validation {score}{best}")
            return
        look = self._look()
        if not self._headed:
            self._headed = True
            if provisional:
                self._write(f"provisional, over the first {score.tokens:,} {self._stretch.unit}s:")
            self._write(header(look, self._stretch.unit))
        self._write(row(self._validations, tokens, look))

    def sample(self, text: str) -> None:
        """The beginning of a text that the model has written."""
        look = self._look()
        lines = for_terminal(text).strip().split("\n")[:SAMPLE_LINES]
        self._write("\n".join(look.dim(f"  | {line}") for line in lines))

    def note(self, message: str) -> None:
        """A line that stays, above the bar where there is one."""
        self._write(for_terminal(message))

    def close(self) -> None:
        self._bar.close()

    def _write(self, line: str) -> None:
        with self._bar.external_write_mode(file=sys.stderr):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    def _look(self) -> Look:
        colour = self._terminal and not os.environ.get("NO_COLOR")
        return Look(cells_of(sys.stderr), self._ramp, colour)


def _ramp() -> str:
    """Bars that standard error and the terminal behind it can both show."""
    try:
        for encoding in encodings_of(sys.stderr):
            BLOCKS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS
