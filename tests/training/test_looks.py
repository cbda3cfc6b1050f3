"""How much of the validation part is looked at, and how often, in a given time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.training.looks import (
    LAST_SHARE,
    LEAST_LOOKS,
    LOOKING_SHARE,
    SIZES,
    Extent,
    affordable,
    looks_in,
)


@pytest.mark.parametrize(
    ("tokens", "seconds", "speed", "extent"),
    [
        (60_000, 600, 10_000, Extent(60_000, 60_000)),  # there is time for all of it
        (60_000, 60, 10_000, Extent(10_000, 60_000)),  # for a part at a look, and for all at last
        (60_000, 15, 10_000, Extent(2_000, 50_000)),  # the last figure too is of a part
        (60_000, 1, 10_000, Extent(2_000, 2_000)),
        (1_500, 1, 100, Extent(1_500, 1_500)),  # no part of so few would tell anything
    ],
)
def test_what_is_read_is_what_there_is_time_for(
    tokens: int, seconds: float, speed: float, extent: Extent
) -> None:
    assert affordable(tokens, seconds, lambda n: n / speed) == extent


@given(st.integers(2, 10**6), st.floats(1, 1e4), st.floats(100, 1e7))
def test_a_look_and_the_last_figure_keep_to_their_shares(
    tokens: int, seconds: float, speed: float
) -> None:
    extent = affordable(tokens, seconds, lambda n: n / speed)
    assert 0 < extent.look <= extent.last <= tokens
    least = min(tokens, SIZES[-1])
    assert extent.last == least or extent.last / speed <= LAST_SHARE * seconds
    assert extent.look == least or LEAST_LOOKS * extent.look / speed <= LOOKING_SHARE * seconds


@given(st.integers(1, 10**6), st.floats(0.01, 1e6))
def test_looks_take_a_small_share_of_the_steps(steps: int, look: float) -> None:
    assert looks_in(steps, look) * look <= LOOKING_SHARE * steps * 1.000001
