"""Time turned into steps, by a clock that the tests turn."""

import random
from collections.abc import Callable

import pytest
import torch

from charlm.config import TrainingConfig
from charlm.training import limits
from charlm.training.limits import (
    CLOSING_SECONDS,
    StepLimit,
    TimeLimit,
    make_limit,
    most_seconds,
    worth_steps,
)
from charlm.training.looks import LookCosts, look_steps, looks_in


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def train(
    seconds: float,
    step_seconds: Callable[[float], float],
    *,
    validation: float = 0.5,
    startup: float = 2.0,
) -> tuple[float, list[int]]:
    """Train by the clock: seconds the whole command took, and the totals that were planned."""
    clock = Clock()
    started = clock.time
    clock.time += startup
    cost = validation / step_seconds(0.0)
    limit = TimeLimit(seconds, started, LookCosts(cost), now=clock)
    step, totals, last = 0, [], 0
    while step < limit.total:
        clock.time += step_seconds(clock.time - started)
        step += 1
        limit.after_step(step)
        totals.append(limit.total)
        stretch = limit.total / (limit.looks + 1)
        if step < limit.total and step - last >= stretch:
            last = step
            with limit.elsewhere(looking=True):
                clock.time += validation
    clock.time += validation + CLOSING_SECONDS
    return clock.time - started, totals


@pytest.mark.parametrize("seconds", [15, 60, 300])
@pytest.mark.parametrize("step", [0.001, 0.02, 0.2])
def test_a_steady_machine_ends_on_time(seconds: float, step: float) -> None:
    taken, totals = train(seconds, lambda t: step)
    assert seconds * 0.95 <= taken <= seconds * 1.02
    # Fixed once, and not moved again by more than the machine's own jitter.
    settled = totals[len(totals) // 4 :]
    assert max(settled) - min(settled) <= 0.04 * max(settled)


@pytest.mark.parametrize("seconds", [15, 60])
@pytest.mark.parametrize("factor", [0.5, 2])
def test_a_machine_that_changes_its_speed_ends_on_time(seconds: float, factor: float) -> None:
    taken, _ = train(seconds, lambda t: 0.02 * (factor if t > seconds / 2 else 1))
    assert seconds * 0.9 <= taken <= seconds * 1.05


def test_a_noisy_machine_ends_on_time() -> None:
    noise = random.Random(0)
    taken, _ = train(60, lambda t: 0.02 * noise.uniform(0.5, 2))
    assert 57 <= taken <= 61.5


def test_a_slow_start_does_not_count() -> None:
    taken, totals = train(60, lambda t: 1.0 if t < 4 else 0.02)
    assert 57 <= taken <= 61.5
    assert totals[-1] > 2000


def test_a_time_too_short_for_anything_still_makes_a_few_steps() -> None:
    taken, totals = train(1, lambda t: 0.02)
    assert len(totals) <= 10
    assert taken < 4


def test_the_number_of_steps_is_as_asked() -> None:
    def total(**settings: object) -> int:
        limit = make_limit(TrainingConfig(**settings), 40, LookCosts(1.0), 0.0)
        assert isinstance(limit, StepLimit)
        limit.after_step(3)
        with limit.elsewhere(looking=True):
            return limit.total

    assert total(max_steps=7) == 7
    assert total(epochs=2.5) == 100
    assert total(epochs=0.001) == 1


def test_without_a_limit_there_is_the_default_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_limit(TrainingConfig(), 40, LookCosts(1.0), 0.0), TimeLimit)
    assert most_seconds(TrainingConfig()) == TrainingConfig().default_time
    monkeypatch.setattr(limits, "pick_device", lambda name: torch.device("cuda"))
    assert most_seconds(TrainingConfig()) == limits.GPU_SECONDS


def train_short(step_seconds: float, most_steps: int, seconds: float = 600.0) -> tuple[float, int]:
    """A training that is to make so many steps at most: its seconds and steps."""
    clock = Clock()
    limit = TimeLimit(seconds, clock.time, LookCosts(0.05), most_steps=most_steps, now=clock)
    step = 0
    while step < limit.total:
        clock.time += step_seconds
        step += 1
        limit.after_step(step)
    return clock.time - 100.0, step


def test_a_text_is_trained_on_for_as_many_steps_as_it_is_worth_or_for_the_time() -> None:
    assert worth_steps(0.5) == 1500
    assert worth_steps(1000) == 20_000
    assert train_short(0.003, 1500)[1] == 1500
    taken, steps = train_short(10.0, 1500)
    assert 540 <= taken <= 605
    assert steps < 61


def test_a_clock_that_stands_still_is_no_division_by_zero() -> None:
    limit = TimeLimit(60, 0.0, LookCosts(1.0), now=lambda: 0.0)
    for step in range(1, 40):
        limit.after_step(step)
    assert limit.total > 40


def test_first_steps_beyond_the_time_are_the_last() -> None:
    _, totals = train(15, lambda t: 20.0)
    assert len(totals) == 1


def test_validations_take_a_small_share_of_the_time() -> None:
    assert looks_in(1000, look_steps(0, 1024)) == 20
    assert looks_in(10_000, 1.0) == 20
    assert looks_in(100, 1000.0) == 0
    assert looks_in(4000, 20.0) == 10


def test_the_speed_that_is_expected_bounds_the_first_steps() -> None:
    clock = Clock()

    def at_first(step_seconds: float, **seconds: float) -> int:
        costs = LookCosts(0.05, **seconds)
        limit = TimeLimit(5, clock.time - 2, costs, step_seconds=step_seconds, now=clock)
        return limit.total

    assert at_first(0.0) == at_first(1e-4) == limits.PROVISIONAL_STEPS
    assert at_first(0.5) == 5
    assert at_first(10.0) == 1
    assert at_first(0.1, seconds=0.5, last_seconds=1.0) == 11


@pytest.mark.parametrize("step", [0.4, 1.5])
def test_a_slow_machine_whose_speed_is_known_ends_on_time(step: float) -> None:
    clock = Clock()
    limit = TimeLimit(5, clock.time, LookCosts(0.1), step_seconds=step, now=clock)
    clock.time += 1.0
    done = 0
    while done < limit.total:
        clock.time += step
        done += 1
        limit.after_step(done)
    assert 3.0 <= clock.time - 100 <= 5.0


@pytest.mark.parametrize("seconds", [15, 60])
def test_what_the_last_figure_takes_is_kept_free(seconds: float) -> None:
    clock = Clock()
    costs = LookCosts(10, seconds=0.2, last_seconds=4.0)
    limit = TimeLimit(seconds, clock.time, costs, now=clock)
    step = looked = 0
    while step < limit.total:
        clock.time += 0.02
        step += 1
        limit.after_step(step)
        if step < limit.total and step >= (looked + 1) * limit.total / (limit.looks + 1):
            looked += 1
            with limit.elsewhere(looking=True):
                clock.time += 0.3
    clock.time += 0.3 + 4.0 * 1.5 + CLOSING_SECONDS
    assert looked >= 1
    assert looked * 0.3 <= 0.06 * seconds
    assert seconds * 0.95 <= clock.time - 100 <= seconds * 1.02


def test_where_there_is_no_time_for_another_look_no_step_is_made_after_one() -> None:
    clock = Clock()
    limit = TimeLimit(20, clock.time, LookCosts(1.0), now=clock)
    for step in range(1, 101):
        clock.time += 0.05
        limit.after_step(step)
    assert limit.total > 101
    with limit.elsewhere(looking=True):
        clock.time += 9.0
    assert limit.total == 100
