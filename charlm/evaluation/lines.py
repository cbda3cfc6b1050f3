"""The lines of a text as a model reads them, and what it makes of each."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charlm.config import TextConfig
from charlm.data.stream import cleaned_as_one
from charlm.data.text import clean_text
from charlm.data.vocab import UNK_ID, Ids, Vocab
from charlm.evaluation.metrics import Score
from charlm.evaluation.scores import Details, LineScore, OnScored, Scorer
from charlm.generation.stepper import Stepper
from charlm.run import Run

# Lines of a group: few at first, so that they are soon answered; then ever more, so that enough of
# like length stand side by side.
FIRST_GROUP, LARGEST_GROUP = 16, 1 << 13
# Characters after which a group is full.
MOST_CHARACTERS = 1 << 18


@dataclass(frozen=True)
class ReadLine:
    """text: as it came, without its line break. read: as it was cleaned, token for token what
    `score` tells of: with its line break, where that has a surprise."""

    text: str
    read: str
    score: LineScore


@dataclass
class Total:
    """What the lines of a text come to. nats: of their `tokens`, those with a surprise."""

    level: str
    lines: int = 0
    tokens: int = 0
    nats: float = 0.0
    unknown: int = 0
    left_out: int = 0
    unknown_nats: float = 0.0

    def add(self, line: LineScore) -> None:
        self.lines += 1
        self.tokens += line.tokens
        self.nats += line.total
        if unknown := line.unknown:
            self.unknown += unknown
            self.left_out += line.left_out
            self.unknown_nats += float(np.nansum(line.nats[line.ids == UNK_ID]))

    def score(self) -> Score | None:
        """In figures per token; None where no token has a surprise."""
        if not self.tokens:
            return None
        scored = self.unknown - self.left_out
        known = self.nats - self.unknown_nats if scored else None
        return Score(self.nats, self.tokens, scored, level=self.level, known_nats=known)


def groups(lines: Iterable[str], *, one_by_one: bool = False) -> Iterator[list[str]]:
    """The lines in groups to be scored together, in order."""
    size, group, characters = 1 if one_by_one else FIRST_GROUP, list[str](), 0
    for line in lines:
        group.append(line)
        characters += len(line)
        if len(group) == size or characters >= MOST_CHARACTERS:
            yield group
            size = size if one_by_one else min(2 * size, LARGEST_GROUP)
            group, characters = [], 0
    if group:
        yield group


class LineReader:
    """Cleans and scores lines, each with or without its line break.

    eol: whether the end of a line is scored too: where each begins afresh, if the vocabulary has
    it; in order, as any other token, be it unknown.
    """

    def __init__(self, scorer: Scorer, vocab: Vocab, config: TextConfig, *, eol: bool) -> None:
        """config: how the texts of the model were cleaned. Lines come as `lines_of` cuts them."""
        self._scorer, self._vocab, self._config = scorer, vocab, config
        self._eol = eol
        self.scores_unknown = scorer.scores_unknown

    def afresh(self, lines: Sequence[str]) -> list[ReadLine]:
        """Each as if after a line break, and ended by one, whether it came with one or not."""
        texts = [line.removesuffix("\n") for line in lines]
        end = "\n" * (self._eol and "\n" in self._vocab.ids)
        read = [text + end for text in self._cleaned(texts)]
        scores = self._scorer.afresh(self._encoded(read))
        return list(map(ReadLine, texts, read, scores))

    def in_order(self, lines: Iterable[str]) -> Iterator[ReadLine]:
        """The lines of one text, each with the line break that it has: each goes on from the one
        before, and the text's first token has no surprise."""
        came, read = deque[str](), deque[str]()

        def coming() -> Iterator[str]:
            for line in lines:
                came.append(line)
                yield line

        def cleaned() -> Iterator[Ids]:
            for text in cleaned_as_one(coming(), self._config):
                read.append(text)
                yield self._vocab.encode(text)

        for score in self._scorer.in_order(cleaned()):
            text = read.popleft()
            if not self._eol and self._vocab.has_breaks and text.endswith("\n"):
                text, score = text[:-1], _without_last(score)
            yield ReadLine(came.popleft().removesuffix("\n"), text, score)

    def _cleaned(self, texts: list[str]) -> list[str]:
        if self._config.keep is not None or self._config.strip_lines:
            return [clean_text(text, self._config) for text in texts]
        # Nothing else that cleaning does goes beyond a line break: all at once is faster.
        return clean_text("\n".join(texts), self._config).split("\n")

    def _encoded(self, read: list[str]) -> list[Ids]:
        if self._vocab.level != "char":
            return [self._vocab.encode(text) for text in read]
        ids, encoded, begin = self._vocab.encode("".join(read)), list[Ids](), 0
        for text in read:
            encoded.append(ids[begin : begin + len(text)])
            begin += len(text)
        return encoded


def reader_of(
    run: Run, *, eol: bool, details: bool = False, on_scored: OnScored | None = None
) -> LineReader:
    """For the model of a run. details: whether to tell what was expected in each place. on_scored:
    called now and then with how many tokens more have been scored."""
    stepper = Stepper(run.config.model, run.weights)
    scorer = Scorer(stepper, run.vocab, details=details, on_scored=on_scored)
    return LineReader(scorer, run.vocab, run.config.text, eol=eol)


def _without_last(score: LineScore) -> LineScore:
    details = score.details and Details(*(part[:-1] for part in vars(score.details).values()))
    return LineScore(score.ids[:-1], score.nats[:-1], details)
