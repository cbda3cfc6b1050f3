"""Lines and their figures: as rows for people, as tab-separated values, and by name.

Bits and nats are of the tokens that have a surprise. Where none has, there is no figure either: "-"
in a row, nothing in a field, null in JSON.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from wcwidth import width

from charlm.cli.vocab import escaped
from charlm.data.text import ACTIVE, for_terminal, tokenize
from charlm.evaluation.lines import ReadLine
from charlm.evaluation.metrics import in_digits, shown_perplexity, sum_in_digits
from charlm.views.columns import Column, Columns
from charlm.views.scored_line import bits_of

# What would end a field or a row, or is an escape.
_BREAKING = re.compile(ACTIVE.pattern[:-1] + "\t\n\u2028\u2029\\\\]")
# Before what stands below a row.
_INDENT = "  "


class ScoreRows:
    """level: of the model, "char" or "word". scores_unknown: whether unknown tokens have a
    surprise, as <unk>, or are left out. per_token: whether to tell the bits of each token.
    cells: of the terminal that rows are for; None where they go elsewhere."""

    def __init__(
        self, level: str, *, scores_unknown: bool, per_token: bool, cells: int | None = None
    ) -> None:
        self._level, self._per_token, self._cells = level, per_token, cells
        self._unit, self._plural = ("char", "chars") if level == "char" else ("word", "words")
        unknown = "unknown" if scores_unknown else "left out"
        columns = [
            Column(f"bits/{self._unit}", 9, 5), Column("nats", 9, 2), Column(self._plural, 6, 3),
            Column("perplexity", 10, 1), Column(unknown, 8, 4),
        ]  # fmt: skip
        self._columns = Columns(columns, cells)

    def header(self) -> str:
        if not self._per_token:
            return self._columns.header("text")
        beside = "" if self._cells is None else "text, "
        return self._columns.header(f"{beside}{self._unit}:bits")

    def row(self, line: ReadLine) -> str:
        """In one row; on a terminal, where they are to be told, with the bits of all tokens in as
        many rows below it as they take."""
        score, figures = line.score.score(self._level), ["-", "-", "0", "-"]
        if score:
            figures = [
                in_digits(score.bits_per_token), sum_in_digits(score.nats), f"{score.tokens}",
                shown_perplexity(score.perplexity),
            ]  # fmt: skip
        figures.append(f"{line.score.unknown}")
        if not self._per_token:
            return self._columns.row(figures, line.text)
        if self._cells is None:
            return self._columns.row(figures, " ".join(self._pairs(line)))
        below = rows_of(map(for_terminal, self._pairs(line)), self._cells)
        return "\n".join([self._columns.row(figures, line.text), *below])

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
        words = self._level != "char"
        return [
            "line", f"bits_per_{self._unit}", "nats", "words" if words else "characters",
            "perplexity_per_word" if words else "perplexity", "unknown", "left_out", "text",
            *(("tokens", "bits") if self._per_token else ()),
        ]  # fmt: skip

    def tsv_header(self) -> str:
        return "\t".join(self._names())

    def tsv(self, number: int, line: ReadLine) -> str:
        return "\t".join(map(_field, self.figures(number, line).values()))

    def _pairs(self, line: ReadLine) -> Iterator[str]:
        tokens = map(escaped, tokenize(line.read, self._level))
        bits = ("-" if value is None else sum_in_digits(value, ".2f") for value in bits_of(line))
        return map(":".join, zip(tokens, bits, strict=True))


def rows_of(words: Iterable[str], cells: int) -> Iterator[str]:
    """Words side by side below a row, as many as fit; one that is too long has rows of its own."""
    row, used = list[str](), 0
    for word in words:
        size = width(word) + 1
        if row and used + size > cells - len(_INDENT) + 1:
            yield _INDENT + " ".join(row)
            row, used = [], 0
        row.append(word)
        used += size
    if row:
        yield _INDENT + " ".join(row)


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(escaped(part) if isinstance(part, str) else _field(part) or "-"
                        for part in value)  # fmt: skip
    if isinstance(value, str):
        return _BREAKING.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    return f"{value:.6f}" if isinstance(value, float) else str(value)
