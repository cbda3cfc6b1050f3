from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width as cells

from charlm.card import Validation
from charlm.config import ModelConfig
from charlm.listing import Listed
from charlm.views.cells import shortened
from charlm.views.runs import table

RUNS = Path("runs")


def listed(name: str, **facts: object) -> Listed:
    usual: dict[str, object] = {
        "model": ModelConfig(), "parameters": 400_000, "validation": Validation(1.0, 500),
        "text": "红楼梦", "seconds": 59.0, "saved": datetime(2026, 5, 4, 3, 2, tzinfo=UTC),
    }  # fmt: skip
    return Listed(RUNS / name, **{"state": "finished", **usual, **facts})  # type: ignore[arg-type]


def test_columns_stand_below_each_other_whatever_their_script() -> None:
    runs = [listed("红楼"), listed("a", text="novel", seconds=7200.0, validation=None)]
    wide = [line.replace("2026-05-04 03:02", "then") for line in lines_of(runs)]
    assert wide == [
        "run    bits  perplexity  text    model       parameters    time  saved             state",
        "红楼  1.443       2.718  红楼梦  lstm 1×256     400,000  59.0 s  then  finished",
        "a         –           –  novel   lstm 1×256     400,000   2.0 h  then  finished",
    ]


def lines_of(runs: list[Listed]) -> list[str]:
    return table(runs, RUNS, zone=UTC).splitlines()


def test_other_measures_say_so() -> None:
    both = ModelConfig(bidirectional=True)
    words = Validation(1.0, 5, "word", masked=True)
    part = Validation(1.0, 5, whole=False)
    _, first, second, third = table(
        [listed("a"), listed("b", model=both, validation=words), listed("c", validation=part)], RUNS
    ).splitlines()
    assert "1.443 part  " in third
    assert "1.443                   2.718" in first
    assert "1.443/word masked" in second
    assert "lstm 1×256 both ways" in second


def test_a_narrow_terminal_has_names_shortened_and_then_fewer_columns() -> None:
    runs = [listed("a-run-with-a-rather-long-name", text="一部很长很长的小说的名字")]
    headers = {
        width: table(runs, RUNS, width).splitlines()[0].split() for width in (200, 110, 80, 40, 20)
    }
    assert len(headers[200]) == 9
    assert headers[110] == headers[200]
    assert headers[80] == ["run", "bits", "perplexity", "text", "model", "time", "state"]
    assert headers[40] == ["run", "bits", "state"]
    assert headers[20] == ["run", "bits"]


@given(
    st.lists(st.text(min_size=1, alphabet="ab一é\u0301🙂").map(lambda n: n + "x"), min_size=1),
    st.integers(24, 200),
)
def test_no_line_is_wider_than_the_terminal(names: list[str], width: int) -> None:
    lines = table([listed(name) for name in names], RUNS, width).splitlines()
    assert all(cells(line) <= width for line in lines)
    assert len(lines) == len(names) + 1


@given(st.text(), st.integers(1, 30))
def test_what_is_shortened_fits_and_begins_as_it_did(text: str, size: int) -> None:
    short = shortened(text, size)
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))
    assert cells(short) <= max(size, 1)


def test_a_time_that_the_calendar_lacks_in_this_zone_is_left_out() -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)
    east, west = (timezone(timedelta(hours=hours)) for hours in (9, -9))
    for saved, zone in ((first, west), (last, east)):
        row = table([listed("a", saved=saved)], RUNS, zone=zone).splitlines()[1]
        assert row.split()[-2:] == ["–", "finished"]
