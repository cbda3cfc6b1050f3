"""Tints: the scale, and the contrast of what stands on it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.views.colours import BLACK, WHITE, cividis, contrast, foreground

SHARES = [step / 1000 for step in range(1001)]


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(BLACK, WHITE) == pytest.approx(21)
    assert contrast(WHITE, WHITE) == 1
    assert contrast((119, 119, 119), WHITE) == pytest.approx(4.48, abs=0.005)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_text_can_be_read_on_every_ground(rgb: tuple[int, int, int]) -> None:
    assert contrast(foreground(rgb), rgb) >= 4.5


def test_the_scale_runs_from_dark_blue_to_yellow() -> None:
    assert cividis(0) == cividis(-1) == (0, 34, 78)
    assert cividis(1) == cividis(7) == (254, 232, 56)


def test_the_scale_grows_ever_lighter() -> None:
    lightness = [contrast(BLACK, cividis(share)) for share in SHARES]
    assert all(later >= before - 0.06 for before, later in pairwise(lightness))
    assert lightness[-1] > 10 * lightness[0]
