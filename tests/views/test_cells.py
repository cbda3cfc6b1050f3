"""Texts in the cells of a terminal."""

from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from charlm.views.cells import shortened


@given(st.text(st.characters(categories=["L", "M", "N", "P", "Z", "So"])), st.integers(1, 20))
def test_a_text_is_its_own_beginning_in_as_many_cells_as_there_are(text: str, size: int) -> None:
    shown = shortened(text, size)
    assert width(shown) <= size
    if shown != text:
        assert shown.endswith("…")
        assert text.startswith(shown[:-1])
        assert width(text) > size


def test_graphemes_stay_whole() -> None:
    assert shortened("三国演义", 8) == "三国演义"
    assert shortened("三国演义", 7) == "三国演…"
    assert shortened("三国演义", 6) == "三国…"
    family = "👨\u200d👩\u200d👧"
    assert shortened(f"{family}{family}{family}", 5) == f"{family}{family}…"
    assert shortened("e\u0301" * 3, 2) == "e\u0301…"
