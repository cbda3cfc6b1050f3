"""The nats of one pass over a text in order, the state carried from zero, whatever the streams.

For speed the text is cut into streams that are read side by side, each from a zero state. Then each
but the first is read again from where the one before it ended, until its state is what it was the
first time: from there on nothing would change. A stream that changes to its very end makes the one
after it begin elsewhere, and so that one is mended in its turn, until none is left that began
wrongly. Where that takes too long, the state does not settle, and the text is read once more, as
the one stream that it is.

So the figure is that of one stream to 1e-6 nats per token where the state settles, and to the last
bit where it does not: there it must be, since rounding, which differs between one row and many, is
magnified without bound by a chaotic model. That model's figure is one machine's: another processor,
or number of threads, rounds differently too.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from charlm.data.batches import quick_to_cut
from charlm.data.vocab import UNK_ID, Ids
from charlm.model.cells import State
from charlm.model.network import CharLM, map_state

Rows = npt.NDArray[np.int64]
# Sums per stream, (B, 2): over all of its targets, and over those that are unknown.
Sums = npt.NDArray[np.float64]
# Called with the number of streams and the tokens they have scored.
OnScored = Callable[[int, int], None]

# A stream shorter than this is not worth mending.
SHORTEST_STREAM = 1536
# The first look whether a mended stream is what it was; most have come so far by twice that.
FIRST_MARK = 64
# Two states are one if no unit differs by more. What is left moves the figure by less than 1e-7
# nats per token (4e-7 were seen on a text unlike all that a model had learned); rounding alone
# makes a difference of 1e-6 here and there.
SAME = 3e-5
# Cells in saturation: how deep, on a scale that ends at about twice DEPTH, may differ by this much.
DEPTH, SAME_DEPTH = 16.0, 0.03
# Logits held at a time, in numbers: 32 MiB in double precision.
LARGEST_LOGITS = 1 << 22
WINDOW = 128
# So many steps are timed to know the rest: of fewer, what comes once for all steps would be much.
TRIED = 48
# Mending may take this share of the time of one stream; so many streams side by side take, step by
# step, about twice as long as one.
MENDING_SHARE = 0.125
STREAMS_A_STEP = 4


class Together(Protocol):
    """Processes that read a text together, a section each, one after the other in the text.

    All call the same, in the same order.
    """

    @property
    def size(self) -> int: ...

    def share(self, count: int) -> slice:
        """Of so many places, those of this process."""

    def meet(self) -> None:
        """Wait for all, however long one takes."""

    def total(self, figures: Sequence[float]) -> list[float]:
        """The sums of what they have."""

    def is_any(self, flag: bool) -> bool:
        """Whether it is so of any."""

    def of_the_one_before(self, tensors: Sequence[Tensor]) -> Sequence[Tensor] | None:
        """What the process of the section before has here; None for the first."""


@dataclass(frozen=True)
class Mark:
    """The streams at one place: their state, and the nats since the mark before."""

    place: int
    state: State
    nats: Sums


class SinglePass:
    """A model reading a text of `count` + 1 tokens, the first of which is not scored."""

    def __init__(self, model: CharLM, ids: Ids, on_scored: OnScored) -> None:
        self._model, self._ids, self._on_scored = model, quick_to_cut(ids), on_scored
        self._device = model.head.weight.device
        # To sum up in, where the device has it: of millions the last digits are kept.
        self._precise = torch.float32 if self._device.type == "mps" else torch.float64
        self.count = len(ids) - 1

    def in_one_stream(self, count: int) -> Sums:
        """(2,): the sums over the first `count` targets."""
        nats, _ = self._read(np.zeros(1, np.int64), 0, count, None, scored=0)
        return _total([nats])

    def side_by_side(self, streams: int, together: Together | None = None) -> Sums | None:
        """(2,): the sums over all targets; None where the state does not settle.

        together: who reads it with this process, a section each in so many streams.
        """
        section = together.share(self.count) if together else slice(0, self.count)
        first, count = section.start, section.stop - section.start
        length = count // streams
        begins = first + np.arange(streams) * length
        course = self._first_course(begins, length)
        left = self._mended(course, begins, np.arange(1, streams), MENDING_SHARE * count)
        end = begins[-1:] + length, 0, count - streams * length
        rest = self._read(*end, _streams(course[-1].state, np.array([streams - 1])))
        if together:
            left, rest = self._joined(course, begins, end, rest, left, together)
        if left < 0:
            return None
        sums = _total([*(mark.nats for mark in course), rest[0]])
        return np.array(together.total(sums.tolist())) if together else sums

    def _mended(self, course: list[Mark], begins: Rows, wrong: Rows, left: float) -> float:
        """Mend the streams `wrong`, and those after them that this makes wrong; the time left."""
        while len(wrong) and left >= 0:
            before = _streams(course[-1].state, wrong - 1)
            wrong, left = self._mend(course, begins, wrong, before, left)
            wrong = wrong[wrong < len(begins) - 1] + 1
        return left

    def _joined(
        self, course: list[Mark], begins: Rows, end: tuple[Rows, int, int],
        rest: tuple[Sums, State], left: float, together: Together,
    ) -> tuple[float, tuple[Sums, State]]:  # fmt: skip
        """Mend the first stream from where the section before ended, until all sections agree.

        -> the time left, less than none for all where it is for one; the nats and the last state
        of what the streams left over (`end`).
        """
        while True:
            together.meet()  # one may have much more to mend than another
            if together.is_any(left < 0):
                return -1.0, rest
            before = together.of_the_one_before(_parts(rest[1]))
            changed = np.empty(0, np.int64)
            if before is not None:
                first = np.zeros(1, np.int64)
                state = before[0] if len(before) == 1 else (before[0], before[1])
                changed, left = self._mend(course, begins, first, state, left)
            if len(changed) and left >= 0:
                wrong = changed[changed < len(begins) - 1] + 1
                left = self._mended(course, begins, wrong, left)
                rest = self._read(*end, _streams(course[-1].state, np.array([len(begins) - 1])))
            together.meet()
            if not together.is_any(len(changed) > 0):
                return left, rest

    def _first_course(self, begins: Rows, length: int) -> list[Mark]:
        course, place, state = list[Mark](), 0, None
        for mark in _marks(length):
            nats, state = self._read(begins, place, mark, state, scored=place * len(begins))
            course.append(Mark(mark, state, nats))
            place = mark
        return course

    def _mend(
        self, course: list[Mark], begins: Rows, rows: Rows, state: State, left: float
    ) -> tuple[Rows, float]:
        """Read streams `rows` again from `state`, each until it is what it was, and put into the
        course what has changed.

        left: the time for it, in steps of one stream. -> the streams that have changed to their
        end, and what is left of the time; less than none where it was too short.
        """
        place = 0
        for mark in course:
            left -= (1 + len(rows) / STREAMS_A_STEP) * (mark.place - place)
            if left < 0:
                break
            nats, state = self._read(begins[rows], place, mark.place, state)
            changed = ~_same(state, _streams(mark.state, rows))
            _put(mark.state, rows, state)
            mark.nats[rows] = nats
            rows, state, place = rows[changed], _streams(state, np.flatnonzero(changed)), mark.place
            if not len(rows):
                break
        return rows, left

    def _read(
        self, begins: Rows, start: int, stop: int, state: State | None, scored: int | None = None
    ) -> tuple[Sums, State]:
        """Score the targets `start` + 1 .. `stop` after each of `begins`; the sums, the last state.

        scored: what all streams have scored before; None where it was reported already.
        """
        nats = np.zeros((len(begins), 2))
        window = max(1, min(WINDOW, LARGEST_LOGITS // (len(begins) * self._model.vocab_size)))
        for place in range(start, stop, window):
            end = min(place + window, stop)
            tokens = np.stack([self._ids[b + place : b + end + 1] for b in begins.tolist()], axis=1)
            read = torch.from_numpy(np.ascontiguousarray(tokens, dtype=np.int64)).to(self._device)
            logits, state = self._model(read[:-1], state)
            nats += self._losses(logits, read[1:])
            if scored is not None:
                scored += len(begins) * (end - place)
                self._on_scored(len(begins), scored)
        assert state is not None
        return nats, state

    def _losses(self, logits: Tensor, targets: Tensor) -> Sums:
        """(B, 2) from logits (T, B, V), targets (T, B)."""
        flat = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        losses = flat.view(targets.shape).to(self._precise)
        sums = torch.stack([losses.sum(0), (losses * (targets == UNK_ID)).sum(0)], dim=1)
        found: Sums = sums.cpu().double().numpy()
        return found


def seconds_a_step(model: CharLM, streams: int) -> float:
    """How long a time step of so many streams takes to be read and scored here."""
    reading = SinglePass(model, np.zeros(TRIED + 1, np.uint8), lambda streams, scored: None)
    taken = []
    with torch.inference_mode():
        for _ in range(2):  # the first pays for memory
            began = time.perf_counter()
            reading._read(np.zeros(streams, np.int64), 0, TRIED, None)
            taken.append(time.perf_counter() - began)
    return taken[-1] / TRIED


def _total(parts: list[Sums]) -> Sums:
    total: Sums = np.concatenate(parts).sum(0)
    return total


def _marks(length: int) -> list[int]:
    """The places where streams are compared: close at first, then two for each doubling."""
    marks = [FIRST_MARK]
    while marks[-1] < length:
        marks.append(marks[-1] + max(FIRST_MARK, 1 << (marks[-1].bit_length() - 2)))
    return [*marks[:-1], length]


def _streams(state: State, rows: Rows) -> State:
    """A copy of some streams' state."""
    return map_state(state, lambda part: part[:, torch.from_numpy(rows).to(part.device)])


def _put(state: State, rows: Rows, changed: State) -> None:
    for part, new in zip(_parts(state), _parts(changed), strict=True):
        part[:, torch.from_numpy(rows).to(part.device)] = new


def _same(one: State, other: State) -> npt.NDArray[np.bool_]:
    """(B,): whether two states are the same for all that comes of them.

    Of an LSTM's cells, what tanh makes of them counts, as it does in the model: the cells of a
    trained one are far apart in saturation for thousands of tokens. How far they are in it counts
    roughly, since a cell that is much further in comes out at another time than it would have.
    """
    (h, *cells), (other_h, *other_cells) = _parts(one), _parts(other)
    same = _within(SAME, h, other_h, h.abs().clamp(min=1))
    for c, other_c in zip(cells, other_cells, strict=True):
        same &= _within(SAME, c.tanh(), other_c.tanh())
        same &= _within(SAME_DEPTH, (c / DEPTH).tanh(), (other_c / DEPTH).tanh())
    found: npt.NDArray[np.bool_] = same.cpu().numpy()
    return found


def _within(most: float, a: Tensor, b: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """(B,): whether no unit of a, b (L, B, H) is further apart than `most`; False for NaN."""
    return ((a - b).abs() / scale).amax((0, 2)) <= most


def _parts(state: State) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)
