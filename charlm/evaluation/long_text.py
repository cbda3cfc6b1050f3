"""A long text in one stream, on NumPy alone, read as many streams side by side.

It is done as `single_pass` does it, where more is said of it. Each stream but the first begins from
nothing, and is mended: read again from where the one before it ended, until its state is what it
was the first time. Where that takes too long, the state does not settle, and the text is read once
more, as the one stream that it is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charlm.generation.stepper import LayerStates, Stepper

# A text of fewer symbols is read in one stream at once: it takes but a moment.
LONG = 1 << 14
STREAMS, SHORTEST_STREAM = 64, 1024
# The first look whether a mended stream is what it was.
FIRST_MARK = 64
# Two states are one if no unit differs by more; of an LSTM's cell, tanh(c), and roughly how deep it
# is in saturation.
SAME, DEPTH, SAME_DEPTH = 1e-5, 16.0, 0.001
# Mending may take this share of the time of one stream; so many streams side by side take, step by
# step, about twice as long as one.
MENDING_SHARE = 0.125
STREAMS_A_STEP = 4

Integers = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]
Marks = npt.NDArray[np.bool_]
# Called with places (N,) of a text, and the logits (N, V) after the symbols there: once or, where
# a place is read again, more often, of which the last is right.
Put = Callable[[Integers, Logits], None]


@dataclass(frozen=True)
class Mark:
    """The streams at one place."""

    place: int
    state: LayerStates


def read_text(stepper: Stepper, ids: Integers, state: LayerStates, put: Put) -> None:
    """Read ids (T,) from the state of a single stream, which is advanced in place."""
    with np.errstate(over="ignore", invalid="ignore"):
        if len(ids) >= LONG and _side_by_side(stepper, ids, state, put):
            return
        _in_one_stream(stepper, ids, state, put, 0)


def _in_one_stream(
    stepper: Stepper, ids: Integers, state: LayerStates, put: Put, done: int
) -> None:
    """What is left of a text of which so many symbols have been read."""
    for logits in stepper.logits(ids[done:], state):
        put(np.arange(done, done + len(logits)), logits)
        done += len(logits)


def _side_by_side(stepper: Stepper, ids: Integers, state: LayerStates, put: Put) -> bool:
    """False, and the state as it was, where it does not settle."""
    streams = min(STREAMS, len(ids) // SHORTEST_STREAM)
    length = len(ids) // streams
    begins = np.arange(streams) * length
    course = _first_course(stepper, ids, begins, length, state, put)
    wrong, left = np.arange(1, streams), MENDING_SHARE * len(ids)
    while len(wrong):
        before, place = stepper.take(course[-1].state, list(wrong - 1)), 0
        for mark in course:
            left -= (1 + len(wrong) / STREAMS_A_STEP) * (mark.place - place)
            if left < 0:
                return False
            _read(stepper, ids, begins[wrong], (place, mark.place), before, put)
            changed = ~_same(before, stepper.take(mark.state, list(wrong)))
            stepper.put(mark.state, list(wrong), before)
            before = stepper.take(before, list(np.flatnonzero(changed)))
            wrong, place = wrong[changed], mark.place
            if not len(wrong):
                break
        wrong = wrong[wrong < streams - 1] + 1
    stepper.put(state, [0], stepper.take(course[-1].state, [streams - 1]))
    if streams * length < len(ids):
        _in_one_stream(stepper, ids, state, put, streams * length)
    return True


def _first_course(
    stepper: Stepper, ids: Integers, begins: Integers, length: int, state: LayerStates, put: Put
) -> list[Mark]:
    course, place, now = list[Mark](), 0, stepper.start(len(begins))
    stepper.put(now, [0], state)
    for mark in _marks(length):
        _read(stepper, ids, begins, (place, mark), now, put)
        course.append(Mark(mark, stepper.take(now, range(len(begins)))))
        place = mark
    return course


def _read(
    stepper: Stepper, ids: Integers, begins: Integers, part: tuple[int, int], state: LayerStates,
    put: Put,
) -> None:  # fmt: skip
    """A part of the streams at `begins`, from one place of theirs to before another."""
    for t in range(*part):
        put(begins + t, stepper.step(ids[begins + t], state))


def _marks(length: int) -> Iterator[int]:
    """The places where streams are compared: close at first, then two for each doubling."""
    mark = FIRST_MARK
    while mark < length:
        yield mark
        mark += max(FIRST_MARK, 1 << (mark.bit_length() - 2))
    yield length


def _same(one: LayerStates, other: LayerStates) -> Marks:
    """(B,): whether two states are the same for all that comes of them; not where one is NaN."""
    same = np.ones(len(one[0].h), np.bool_)
    for a, b in zip(one, other, strict=True):
        h_apart = np.abs(a.h - b.h) / np.maximum(1, np.abs(a.h))
        depths = np.abs(np.tanh(a.c / DEPTH) - np.tanh(b.c / DEPTH))
        same &= h_apart.max(axis=1) <= SAME
        same &= np.abs(np.tanh(a.c) - np.tanh(b.c)).max(axis=1) <= SAME
        same &= depths.max(axis=1) <= SAME_DEPTH
    return same
