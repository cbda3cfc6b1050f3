"""How surprising each token of a line is to a model, on NumPy alone.

Lines that begin afresh are read side by side, those of like length together: a step is little more
than one product, whether for one line or for hundreds. Nats throughout, added up in double
precision.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.data.vocab import UNK_ID, Ids, Vocab
from charlm.evaluation.long_text import LONG, read_text
from charlm.evaluation.metrics import Score, no_likelihood
from charlm.generation.stepper import LayerStates, Stepper

# Lines that are read side by side, and places of their table: fewer of very long lines.
STREAMS, PLACES = 256, 1 << 18
# Tokens after which it is told how far a scoring is.
TOLD = 1024
# Of what a model expected in place of a token, so many are told.
EXPECTED = 3

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


# Called with a number of tokens.
OnScored = Callable[[int], object]


@dataclass(frozen=True)
class Details:
    """What a model expected at each of T places, <unk> aside.

    rank (T,): how many tokens it held for likelier than the one that came, and one; 0 for <unk>.
    expected (T, N), likelihood (T, N): the N likeliest tokens, the likeliest first, and how likely.
    """

    rank: Integers
    expected: Integers
    likelihood: Floats


@dataclass(frozen=True)
class LineScore:
    """Of each token of a line, in order.

    ids (T,). nats (T,): its surprise; NaN where it has none: before the first token of a text
    stands nothing, and a token that the model does not know, and whose kind it has never met, has
    no likelihood. details: where they were asked for.
    """

    ids: Ids
    nats: Floats
    details: Details | None = None

    @property
    def tokens(self) -> int:
        """How many have a surprise."""
        return int(np.count_nonzero(~np.isnan(self.nats)))

    @property
    def unknown(self) -> int:
        return int(np.count_nonzero(self.ids == UNK_ID))

    @property
    def left_out(self) -> int:
        """The unknown ones that have no surprise."""
        return int(np.count_nonzero((self.ids == UNK_ID) & np.isnan(self.nats)))

    @property
    def total(self) -> float:
        """Nats, of all that have any."""
        return math.fsum(self.nats[~np.isnan(self.nats)])

    def score(self, level: str) -> Score | None:
        """In figures per token; None where no token has a surprise."""
        if not self.tokens:
            return None
        return Score(self.total, self.tokens, self.unknown - self.left_out, level=level)


class Scorer:
    """Scores lines of ids with a model.

    Where the model has met rare tokens as <unk> (`min_freq`), unknown ones are scored as that;
    else they have no score. They are read in either case. Raises ModelError for a model that grows
    beyond all numbers: what has no likelihood would seem to cost it nothing.
    """

    def __init__(
        self,
        stepper: Stepper,
        vocab: Vocab,
        *,
        details: bool = False,
        on_scored: OnScored | None = None,
    ) -> None:
        """details: whether to tell what was expected in each place. on_scored: called now and then
        with how many tokens more have been scored."""
        self._stepper, self._with_details = stepper, details
        self._on_scored = on_scored or (lambda tokens: None)
        self.scores_unknown = vocab.counts[UNK_ID] > 0
        # What stands before a line that begins afresh.
        self._begun = stepper.start()
        with np.errstate(over="ignore", invalid="ignore"):
            self._first = stepper.read([vocab.opening], self._begun)

    def afresh(self, lines: Sequence[Ids]) -> list[LineScore]:
        """Each line as if after a line break; the scores in their order."""
        found: dict[int, LineScore] = {}
        longest_first = sorted(range(len(lines)), key=lambda i: -len(lines[i]))
        begin = 0
        while begin < len(lines):
            longest = max(1, len(lines[longest_first[begin]]))
            if longest >= LONG:
                place, begin = longest_first[begin], begin + 1
                found[place] = self._long(lines[place])
                continue
            end = begin + min(STREAMS, max(1, PLACES // longest))
            places, begin = longest_first[begin:end], end
            scores = self._side_by_side([lines[i] for i in places])
            found.update(zip(places, scores, strict=True))
        return [found[i] for i in range(len(lines))]

    def _side_by_side(self, lines: Sequence[Ids]) -> list[LineScore]:
        """Lines of falling length."""
        lengths = np.array([len(line) for line in lines])
        ids = np.zeros((len(lines), lengths.max(initial=0)), np.int64)
        for row, line in zip(ids, lines, strict=True):
            row[: len(line)] = line
        table = _Table(ids.shape, details=self._with_details)
        going, told = int(np.count_nonzero(lengths)), 0
        state = self._stepper.take(self._begun, [0] * going)
        logits = self._first[[0] * going]
        with np.errstate(over="ignore", invalid="ignore"):
            for t in range(ids.shape[1]):
                table.put((slice(going), t), logits, ids[:going, t])
                told += going
                if told >= TOLD:
                    self._on_scored(told)
                    told = 0
                still = int(np.count_nonzero(lengths > t + 1))
                if not still:
                    break
                if still < going:
                    state, going = self._stepper.take(state, range(still)), still
                logits = self._stepper.step(ids[:going, t], state)
        self._on_scored(told)
        return [
            self._scored(line, table, (row, slice(len(line)))) for row, line in enumerate(lines)
        ]

    def _long(self, line: Ids) -> LineScore:
        ids, table = line.astype(np.int64), _Table((1, len(line)), details=self._with_details)
        table.put((0, slice(1)), self._first, ids[:1])
        self._read(ids, self._stepper.take(self._begun, [0]), table)
        return self._scored(line, table, (0, slice(len(ids))))

    def _read(self, ids: Integers, state: LayerStates, table: "_Table") -> Logits:
        """Score what of ids (T,) comes after the first, in the one row of the table; the logits of
        what comes after them."""
        last, read, scored = np.empty(0, np.float32), 0, 0

        def put(places: Integers, logits: Logits) -> None:
            nonlocal last, read, scored
            if places[-1] == len(ids) - 1:
                last = logits[-1:].copy()
                places, logits = places[:-1], logits[:-1]
            # What is read again is no news, and yet a sign of life.
            scored += int(np.count_nonzero(np.isnan(table.nats[0, places + 1])))
            read += len(places)
            table.put((0, places + 1), logits, ids[places + 1])
            if read >= TOLD:
                self._on_scored(scored)
                read = scored = 0

        read_text(self._stepper, ids, state, put)
        self._on_scored(scored)
        return last

    def in_order(self, lines: Iterable[Ids]) -> Iterator[LineScore]:
        """The lines of one text, each of which goes on from the one before: the text's first token
        has no score, as nothing stands before it."""
        state, before = self._stepper.start(), None
        for line in lines:
            ids = line.astype(np.int64)
            table = _Table((1, len(ids)), details=self._with_details)
            unscored = int(before is None)
            if before is not None and len(ids):
                table.put((0, slice(1)), before, ids[:1])
            if len(ids):
                before = self._read(ids, state, table)
            yield self._scored(line, table, (0, slice(len(ids))), unscored)

    def _scored(self, ids: Ids, table: "_Table", place: Any, unscored: int = 0) -> LineScore:
        """unscored: how many tokens at the beginning nothing stands before."""
        nats = table.nats[place]
        if not np.isfinite(nats[unscored:]).all():
            raise no_likelihood()
        if not self.scores_unknown:
            nats[ids == UNK_ID] = np.nan
        return LineScore(ids, nats, table.details(place))


class _Table:
    """Surprises and details of many places, filled in as they come."""

    def __init__(self, shape: tuple[int, int], *, details: bool) -> None:
        self.nats = np.full(shape, np.nan)
        self._details = (
            Details(
                np.zeros(shape, np.int64),
                np.zeros((*shape, EXPECTED), np.int64),
                np.zeros((*shape, EXPECTED)),
            )
            if details
            else None
        )

    def put(self, place: Any, logits: Logits, ids: Integers) -> None:
        """logits (N, V), by which the tokens ids (N,) were expected, which stand at `place`."""
        rows = np.arange(len(ids))
        # Of a model that has grown beyond all numbers: whoever asks for the line is told.
        with np.errstate(invalid="ignore"):
            shifted = logits - np.maximum.reduce(logits, axis=1)[:, None]
        likelihood = np.exp(shifted)
        sums = likelihood.sum(axis=1, dtype=np.float64)
        self.nats[place] = np.log(sums) - shifted[rows, ids]
        if self._details is None:
            return
        # <unk> is nothing that anybody expects.
        known = likelihood[:, UNK_ID + 1 :]
        number = min(EXPECTED, known.shape[1])
        likeliest = np.argsort(-known, axis=1, kind="stable")[:, :number]
        first = (*place, slice(number))
        self._details.expected[first] = likeliest + UNK_ID + 1
        self._details.likelihood[first] = (
            np.take_along_axis(known, likeliest, axis=1) / sums[:, None]
        )
        likelier = np.count_nonzero(shifted[:, UNK_ID + 1 :] > shifted[rows, ids][:, None], axis=1)
        self._details.rank[place] = np.where(ids == UNK_ID, 0, likelier + 1)

    def details(self, place: Any) -> Details | None:
        if self._details is None:
            return None
        rank, expected, likelihood = vars(self._details).values()
        return Details(rank[place], expected[place], likelihood[place])
