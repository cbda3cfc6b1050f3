"""Texts in the cells of a terminal."""

from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from charlm.views.cells import shortened, wrapped


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


WORDS = st.text(st.sampled_from("ab三国é "), max_size=60)


@given(WORDS, st.integers(8, 40))
def test_a_line_is_broken_at_spaces_and_loses_nothing(text: str, size: int) -> None:
    rows = wrapped(f"x{text}", size).split("\n")
    assert (
        " ".join(row.removeprefix("  ") if k else row for k, row in enumerate(rows)) == f"x{text}"
    )
    for row in rows:
        assert width(row) <= size or " " not in row.removeprefix("  ")


def test_commands_are_left_to_be_copied() -> None:
    command = "  charlm generate -m runs/a --prefix"
    assert wrapped(f"try next:\n{command}\n", 12) == f"try next:\n{command}\n"
    assert wrapped("  others, about: 3", 12) == "  others,\n  about: 3"
    assert wrapped("model: LSTM 1×256, embedding 64", 18) == "model: LSTM 1×256,\n  embedding 64"
