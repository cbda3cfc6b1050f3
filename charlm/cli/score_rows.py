"""Lines and their figures: as rows for people, as tab-separated values, and by name.

Bits and nats are of the tokens that have a surprise. Where none has, there is no figure either: "-"
in a row, nothing in a field, null in JSON.
"""

import math
import re
from typing import Any

from charlm.cli.vocab import escaped
from charlm.data.text import ACTIVE, for_terminal, tokenize
from charlm.evaluation.lines import ReadLine
from charlm.views.cells import shortened

# What would end a field or a row, or is an escape.
_BREAKING = re.compile(ACTIVE.pattern[:-1] + "\t\n\u2028\u2029\\\\]")
# Cells that a text has on a terminal, however narrow that is.
LEAST_CELLS = 20
# From here on a perplexity is told in powers of ten.
_LONG = 1e6


class ScoreRows:
    """level: of the model, "char" or "word". scores_unknown: whether unknown tokens have a
    surprise, as <unk>, or are left out. per_token: whether to tell the bits of each token."""

    def __init__(self, level: str, *, scores_unknown: bool, per_token: bool) -> None:
        self._level, self._per_token = level, per_token
        self._unit, self._plural = ("char", "chars") if level == "char" else ("word", "words")
        self._unknown = "unknown" if scores_unknown else "left out"

    def header(self) -> str:
        last = f"{self._unit}:bits" if self._per_token else "text"
        return (
            f"{'bits/' + self._unit:>9} {'nats':>9} {self._plural:>6} {'perplexity':>10} "
            f"{self._unknown:>8}  {last}"
        )

    def row(self, line: ReadLine, cells: int | None = None) -> str:
        """cells: of the terminal that it is for; the text is cut to the room that it leaves."""
        score, shown = line.score.score(self._level), f"{'-':>9} {'-':>9} {0:>6} {'-':>10}"
        if score:
            shown = (
                f"{score.bits_per_token:>9.4f} {score.nats:>9.3f} {score.tokens:>6} "
                f"{_short(score.perplexity):>10}"
            )
        text = self._pairs(line) if self._per_token else line.text
        shown = f"{shown} {line.score.unknown:>8}  "
        return shown + (text if cells is None else fitted(text, cells - len(shown)))

    def figures(self, number: int, line: ReadLine) -> dict[str, Any]:
        """By name. number: the line's, from 1."""
        score = line.score.score(self._level)
        values: list[Any] = [
            number, score and score.bits_per_token, score and score.nats, line.score.tokens,
            score and score.perplexity, line.score.unknown, line.score.left_out, line.text,
        ]  # fmt: skip
        if self._per_token:
            values += [tokenize(line.read, self._level), bits_of(line)]
        return dict(zip(self._names(), values, strict=True))

    def _names(self) -> list[str]:
        """As `Score.to_dict` has them."""
        words = self._level == "word"
        return [
            "line", f"bits_per_{self._unit}", "nats", "words" if words else "characters",
            "perplexity_per_word" if words else "perplexity", "unknown", "left_out", "text",
            *(("tokens", "bits") if self._per_token else ()),
        ]  # fmt: skip

    def tsv_header(self) -> str:
        return "\t".join(self._names())

    def tsv(self, number: int, line: ReadLine) -> str:
        return "\t".join(map(_field, self.figures(number, line).values()))

    def _pairs(self, line: ReadLine) -> str:
        tokens = map(escaped, tokenize(line.read, self._level))
        bits = ("-" if value is None else f"{value:.2f}" for value in bits_of(line))
        return " ".join(map(":".join, zip(tokens, bits, strict=True)))


def bits_of(line: ReadLine) -> list[float | None]:
    """Of each token; None where it has none."""
    bits = line.score.nats / math.log(2)
    return [None if math.isnan(value) else value for value in bits.tolist()]


def fitted(text: str, cells: int) -> str:
    """As much of the text as the room on a terminal's row holds, with a sign where it goes on."""
    return shortened(for_terminal(text).replace("\t", " "), max(LEAST_CELLS, cells))


def _short(value: float) -> str:
    return f"{value:.3f}" if value < _LONG else f"{value:.3e}"


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(escaped(part) if isinstance(part, str) else _field(part) or "-"
                        for part in value)  # fmt: skip
    if isinstance(value, str):
        return _BREAKING.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    return f"{value:.6f}" if isinstance(value, float) else str(value)
