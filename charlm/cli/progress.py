"""What a user sees while a model trains: a bar and rows on a terminal, elsewhere lines."""

import locale
import math
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from charlm.course import Validation
from charlm.data.text import for_terminal
from charlm.evaluation.metrics import Score
from charlm.views.sparkline import ASCII, BLOCKS
from charlm.views.training_rows import Figures, Look, bar_format, header, row

SECONDS_BETWEEN_LINES = 5.0
# How far back the loss shown reaches, as the weight of one step.
SMOOTHING = 0.05
SAMPLE_LINES = 6


class Progress:
    """Reports to standard error.

    unit: what a token is. seen: the validations of a training that is resumed.
    """

    def __init__(
        self,
        total: int,
        *,
        tokens_per_step: int,
        first_step: int = 0,
        unit: str = "character",
        seen: Sequence[Validation] = (),
    ) -> None:
        self._escapes = sys.stderr.isatty()
        # A dumb terminal cannot go back to the beginning of a line.
        self._terminal = self._escapes and os.environ.get("TERM") != "dumb"
        self._tokens_per_step, self._first_step = tokens_per_step, first_step
        self._unit, self._validations = unit, list(seen)
        self._started = self._last_line = time.perf_counter()
        self._loss: float | None = None
        self._headed = False
        self._ramp = _ramp()
        self._bar: Any = tqdm(
            total=total, initial=first_step, dynamic_ncols=True, ascii=self._ramp == ASCII,
            disable=not self._terminal, leave=False, file=sys.stderr,
            bar_format="{percentage:3.0f}%",
        )  # fmt: skip

    def step(self, step: int, total: int, loss: float) -> None:
        """`step` steps of `total` are done, the last with `loss` nats per token."""
        self._loss = loss if self._loss is None else self._loss + SMOOTHING * (loss - self._loss)
        now = time.perf_counter()
        seconds_per_step = max(1e-9, now - self._started) / max(1, step - self._first_step)
        speed, left = self._tokens_per_step / seconds_per_step, seconds_per_step * (total - step)
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

    def validation(self, seen: Validation, tokens: int, score: Score) -> None:
        """tokens: read in training so far. score: the validation's, whose bits `seen` has."""
        self._validations.append(seen)
        if not self._terminal:
            self.note(f"step {seen.step}: validation {score}{' (best)' if seen.best else ''}")
            return
        look = self._look()
        if not self._headed:
            self._headed = True
            self._write(header(look, self._unit))
        self._write(row(self._validations, tokens, look))

    def sample(self, text: str) -> None:
        """The beginning of a text that the model has written."""
        text = for_terminal(text) if self._escapes else text
        look = self._look()
        lines = text.strip().split("\n")[:SAMPLE_LINES]
        self._write("\n".join(look.dim(f"  | {line}") for line in lines))

    def note(self, message: str) -> None:
        """A line that stays, above the bar where there is one."""
        self._write(for_terminal(message) if self._escapes else message)

    def close(self) -> None:
        self._bar.close()

    def _write(self, line: str) -> None:
        with self._bar.external_write_mode(file=sys.stderr):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    def _look(self) -> Look:
        colour = self._terminal and not os.environ.get("NO_COLOR")
        return Look(_width(), self._ramp, colour)


def _width() -> int:
    """Of the terminal at standard error, which may be another from moment to moment."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):  # it is none
        return 80


def _ramp() -> str:
    """Bars that standard error and the terminal behind it can both show."""
    encodings = [sys.stderr.encoding or "ascii"]
    if os.name == "posix":
        # In the C locale Python writes UTF-8 all the same, which the terminal may not read.
        encodings.append(locale.getencoding())
    try:
        for encoding in encodings:
            BLOCKS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BLOCKS
