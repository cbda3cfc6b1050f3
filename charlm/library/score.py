"""What a model makes of a text."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from charlm.data.stream import lines_of
from charlm.errors import DataError
from charlm.evaluation.lines import LineReader, Total
from charlm.evaluation.metrics import Score
from charlm.generation.blas import one_thread
from charlm.run import Run
from charlm.views.scored_line import ScoredLine, scored_line


@dataclass(frozen=True, repr=False)
class TextScore(Score):
    """The surprise of a model at a text, read in order, as `charlm score --carry` has it.

    nats (base e), bits (base 2): of the whole text, summed over the `tokens` that have a surprise;
    nats_per_token, bits_per_token, perplexity: per token, a character or, of a model of words, a
    word. left_out: unknown tokens without a surprise, which count in no figure. lines: each with
    the bits of each of its tokens.
    """

    left_out: int = 0
    lines: tuple[ScoredLine, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        left = f", {self.left_out:,} unknown left out" if self.left_out else ""
        return f"<{self}{left}>"

    def _repr_html_(self) -> str:
        from charlm.views.notebook import heatmap_html

        return heatmap_html(self.lines, self.level, str(self))


def score_text(pieces: Iterable[str], run: Run, reader: LineReader) -> TextScore:
    """Of a text in pieces. Raises DataError where none of it has a surprise."""
    total, lines = Total(run.vocab.level), list[ScoredLine]()
    with one_thread():
        for line in reader.in_order(lines_of(pieces, run.config.text)):
            total.add(line.score)
            lines.append(scored_line(line, run.vocab))
    found = total.score()
    if found is None:
        raise DataError(
            "the text has nothing to score: it needs two tokens at least, the second of which the "
            "model knows"
        )
    return TextScore(**vars(found), left_out=total.left_out, lines=tuple(lines))
