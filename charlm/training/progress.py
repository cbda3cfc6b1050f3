"""What a user sees while a model trains: a bar on a terminal, elsewhere a line now and then."""

import math
import sys
import time
from typing import Any

from tqdm import tqdm

from charlm.data.text import for_terminal
from charlm.evaluation.metrics import Score

SECONDS_BETWEEN_LINES = 5.0
# How far back the loss shown reaches, as the weight of one step.
SMOOTHING = 0.05
BAR = "{percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} steps {elapsed}<{remaining}{postfix}"


class Progress:
    """Reports to standard error."""

    def __init__(self, total: int, *, tokens_per_step: int, first_step: int = 0) -> None:
        self._terminal = sys.stderr.isatty()
        self._tokens_per_step, self._first_step = tokens_per_step, first_step
        self._started = self._last_line = time.perf_counter()
        self._loss: float | None = None
        self._bar: Any = tqdm(
            total=total, initial=first_step, bar_format=BAR, dynamic_ncols=True,
            disable=not self._terminal, leave=False, file=sys.stderr,
        )  # fmt: skip

    def step(self, step: int, total: int, loss: float) -> None:
        """`step` steps of `total` are done, the last with `loss` nats per token."""
        self._loss = loss if self._loss is None else self._loss + SMOOTHING * (loss - self._loss)
        now = time.perf_counter()
        speed = (step - self._first_step) * self._tokens_per_step / max(1e-9, now - self._started)
        figures = f"loss {self._loss:.3f}, ppl {math.exp(min(self._loss, 99)):.2f}, {speed:,.0f}/s"
        if self._terminal:
            self._bar.total = total
            self._bar.set_postfix_str(figures, refresh=False)
            self._bar.update(step - self._bar.n)
        elif now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            left = (now - self._started) / (step - self._first_step) * (total - step)
            self.note(f"step {step}/{total}: {figures}, {left:.0f} s left")

    def validation(self, step: int, score: Score, best: bool) -> None:
        self.note(f"step {step}: validation {score}{' (best)' if best else ''}")

    def sample(self, text: str) -> None:
        lines = text.strip().split("\n")[:6]
        self.note("\n".join(f"  | {line}" for line in lines))

    def note(self, message: str) -> None:
        """A line that stays, above the bar where there is one."""
        with self._bar.external_write_mode(file=sys.stderr):
            sys.stderr.write((for_terminal(message) if self._terminal else message) + "\n")
            sys.stderr.flush()

    def close(self) -> None:
        self._bar.close()
