import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.course import Validation
from charlm.views.sparkline import ASCII, BLOCKS
from charlm.views.training_rows import Figures, Look, bar_format, clock, header, row, short

ESCAPES = re.compile(r"\x1b\[\d*m")


def seen(*bits: float, step: int = 100, seconds: float = 60.0) -> list[Validation]:
    return [
        Validation((i + 1) * step, 0.5, (i + 1) * seconds, value, value == min(bits[: i + 1]))
        for i, value in enumerate(bits)
    ]


def test_rows_at_width_80() -> None:
    look = Look(80)
    assert header(look, "character") == "     step      time  characters     bits perplexity"
    assert row(seen(4.0, 3.0, 2.5), 153_600, look) == (
        "      300      3:00        154k   2.5000      5.657* █▅▃"
    )
    assert row(seen(4.0, 3.0, 3.5), 2_500_000, look) == (
        "      300      3:00        2.5M   3.5000     11.314  █▅▇"
    )


def test_rows_at_width_40_have_what_matters() -> None:
    assert header(Look(40), "word") == "     step     bits perplexity"
    line = row(seen(*[4.0] * 9, 2.0), 100, Look(40, ASCII))
    assert line == "    1,000   2.0000      4.000* @@@@@@@."
    assert len(line) == 39


def test_colour_changes_nothing_but_the_colour() -> None:
    validations = seen(4.0, 3.0)
    plain, coloured = (row(validations, 10, Look(80, colour=on)) for on in (False, True))
    assert "\x1b" not in plain
    assert "\x1b" in coloured
    assert ESCAPES.sub("", coloured) == plain
    assert ESCAPES.sub("", header(Look(80, colour=True), "word")) == header(Look(80), "word")


@given(
    st.lists(st.floats(0) | st.just(float("inf")), min_size=1, max_size=70),
    st.integers(40, 250),
    st.integers(1, 9_999_999),
)
def test_a_row_fits_and_its_columns_stay_in_their_places(
    bits: list[float], width: int, step: int
) -> None:
    bits = [min(value, 9999.0) if value != float("inf") else value for value in bits]
    validations = [Validation(step, 1, 3599, value, False) for value in bits]
    line = row(validations, 1e9, Look(width))
    assert len(line) < width
    assert re.fullmatch(rf".*  [{BLOCKS}]+", line)
    assert line.index(f"{step:,}") + len(f"{step:,}") == 9


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (20, "2.64 bits"),
        (40, "2.64 bits best 2.97 136k/s 0:09"),
        (60, "loss 1.830, 2.640 bits, best 2.970, 136k/s, 0:09"),
        (80, "|{bar:13}| loss 1.830, 2.640 bits, best 2.970, 136,123/s, 0:09 left"),
        (200, "|{bar:40}| step 12 of 3,000, loss 1.830, 2.640 bits, best 2.970, 136,123/s, "
              "0:09 left"),
    ],
)  # fmt: skip
def test_the_bar_says_what_there_is_room_for(width: int, text: str) -> None:
    figures = Figures(12, 3000, 1.83, 2.64, 2.97, 136_123, 9.2)
    assert bar_format(figures, Look(width)) == "{percentage:3.0f}% " + text


@given(
    st.integers(12, 300), st.floats(0, 1e6), st.none() | st.floats(0, 100), st.floats(0, 1e12),
    st.floats(0, 1e7),
)  # fmt: skip
def test_the_bar_fits(
    width: int, nats: float, best: float | None, speed: float, left: float
) -> None:
    text = bar_format(Figures(1, 10, nats, nats, best, speed, left), Look(width))
    bar = re.search(r"{bar:(\d+)}", text)
    cells = 4 + len(text) - len("{percentage:3.0f}%")
    if bar:
        cells += int(bar[1]) - len(bar[0])
    # So that what a terminal writes behind it at Ctrl-C does not begin a line of its own.
    assert cells + len("^C") < width


def test_times_and_numbers_are_short() -> None:
    assert [clock(s) for s in (0, 59.4, 59.6, 3599, 3600, 7384)] == [
        "0:00", "0:59", "1:00", "59:59", "1:00:00", "2:03:04",
    ]  # fmt: skip
    assert [short(n) for n in (0, 999, 999.6, 12_345, 999_999, 4.56e6, 7.89e9)] == [
        "0", "999", "1k", "12.3k", "1M", "4.56M", "7.89G",
    ]  # fmt: skip
