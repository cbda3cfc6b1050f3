import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.views.sparkline import ASCII, BLOCKS, sparkline


def test_bars_rise_with_the_values_between_fixed_bounds() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8, low=0, high=8) == BLOCKS
    assert sparkline([-1, 0, 4, 8, 9], 8, low=0, high=8) == "▁▁▅██"
    assert sparkline([0, 4, 8], 8, low=0, high=8, ramp=ASCII) == ".+@"


def test_a_value_that_is_no_number_is_as_high_as_can_be() -> None:
    assert sparkline([math.inf, math.nan, 0], 3, low=0, high=1) == "██▁"
    assert sparkline([math.inf, 1], 3, low=math.inf, high=math.inf) == "█▁"


@pytest.mark.parametrize("width", [-3, 0])
def test_without_room_there_is_none(width: int) -> None:
    assert sparkline([1, 2], width, low=0, high=2) == ""


@given(st.lists(st.floats(), min_size=1, max_size=300), st.integers(1, 50))
def test_it_fits_and_ends_with_the_present(values: list[float], width: int) -> None:
    bars = sparkline(values, width, low=0, high=10)
    assert len(bars) == min(len(values), width)
    assert bars[-1] == sparkline(values[-1:], 1, low=0, high=10)
