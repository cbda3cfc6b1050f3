"""How many threads NumPy's BLAS generates with: all of them, or one where others need the rest.

A product shared out among threads takes as long as the slowest of them, and beside another process
that has a processor to itself one is very slow indeed. Which is faster shows in the text's own
tokens, some with one thread and some with all; to the text it makes no difference, to the bit.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController, threadpool_limits

from charlm.generation.stepper import Stepper

Item = TypeVar("Item")

# Tokens at a time, one thread and all in turn; then so many the faster way, and again.
BLOCK, TURNS, REST = 250, 4, 50_000
# How many times as fast one thread must be to be chosen.
WORTH_ONE = 1.1
# Steps by which it is seen that the threads make no difference.
STEPS = 4

CHOICES = (None, 1)  # None: as many as there are


def in_fitting_threads(stepper: Stepper, streams: int, tokens: Iterator[Item]) -> Iterator[Item]:
    """What `tokens` yields, each of its items made with the threads that are the faster now.

    stepper, streams: what makes them. Where one thread would not give the same, all are kept.
    """
    blas = ThreadpoolController().select(user_api="blas")
    several = any(library["num_threads"] > 1 for library in blas.info())
    if not several or not _makes_no_difference(blas, stepper, streams):
        yield from tokens
        return
    while True:
        seconds: dict[int | None, float] = dict.fromkeys(CHOICES, 0.0)
        for threads in CHOICES * TURNS:
            began, made = time.perf_counter(), 0
            with blas.limit(limits=threads):
                for token in islice(tokens, BLOCK):
                    yield token
                    made += 1
            seconds[threads] += time.perf_counter() - began
            if made < BLOCK:
                return
        one = WORTH_ONE * seconds[1] < seconds[None]
        with blas.limit(limits=1 if one else None):
            yield from islice(tokens, REST)


def one_thread() -> AbstractContextManager[Any]:
    """For work that has no time to find out: with all threads it can be a quarter faster where
    nobody else is, and takes four times as long beside one other process."""
    limited: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limited


def _makes_no_difference(blas: ThreadpoolController, stepper: Stepper, streams: int) -> bool:
    logits = []
    for threads in CHOICES:
        with blas.limit(limits=threads):
            logits.append(_steps(stepper, streams))
    return np.array_equal(logits[0], logits[1])


def _steps(stepper: Stepper, streams: int) -> npt.NDArray[np.float32]:
    """The logits of a few steps from a zero state, (STEPS, B, V)."""
    state = stepper.start(streams)
    return np.stack([
        stepper.step([k % stepper.vocab_size] * streams, state).copy() for k in range(STEPS)
    ])  # fmt: skip
