"""The page of units: the list, and what each of them holds."""

from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.views.colours import contrast, foreground
from charlm.views.heatmap_page import tints as surprise_tints
from charlm.views.neurons_page import neurons_page, tints
from charlm.views.shown_text import in_sight
from charlm.views.unit_row import UnitRow
from tests.views.reading import Page

ROWS = [UnitRow("layer 1, unit 3", "in a word", 0.91), UnitRow("layer 2, unit 0", "<b>&", -0.5)]


def page(tokens: list[str], rows: list[UnitRow] = ROWS) -> Page:
    held = np.arange(len(tokens) * len(rows)).reshape(len(tokens), len(rows)) % 255 - 127
    return Page(neurons_page("Title", tokens, held.astype(np.int8), rows, {"Model": "a"}))


def test_the_list_names_each_unit_and_what_it_follows() -> None:
    options = page(list("abc")).texts["option"]
    assert options == ["+0.91 layer 1, unit 3: in a word", "-0.50 layer 2, unit 0: <b>&"]


def test_the_scripts_find_what_each_unit_holds() -> None:
    data = page(list("abc")).data
    held = [np.frombuffer(b64decode(unit), np.int8).tolist() for unit in data["units"]]
    assert held == [[-127, -125, -123], [-126, -124, -122]]
    assert data["names"] == ["layer 1, unit 3", "layer 2, unit 0"]


def test_lines_end_after_their_line_breaks() -> None:
    assert page(list("ab\n\nc")).lines == ["ab↵", "↵", "c"]


@settings(deadline=None)
@given(st.text(st.characters()), st.lists(st.characters(), max_size=40))
def test_any_text_is_shown_as_itself_and_is_no_markup(name: str, tokens: list[str]) -> None:
    found = page(tokens, [UnitRow(name, name, 0.0)])
    assert found.tags.count("script") == 2
    assert found.texts["option"] == [in_sight(f"+0.00 {name}: {name}")]
    assert [found.data["words"][number] for number in found.data["tokens"]] == tokens


def test_activations_are_of_these_tokens_and_units() -> None:
    with pytest.raises(ValueError, match="not 3 tokens by 2 units"):
        neurons_page("Title", list("abc"), np.zeros((2, 2), np.int8), ROWS, {})


def test_a_page_without_units_is_a_page() -> None:
    assert page(list("abc"), []).data["units"] == []


@pytest.mark.parametrize("tinted", [tints(), surprise_tints()])
def test_text_can_be_read_on_every_tint(tinted: list[tuple[tuple[int, int, int], str]]) -> None:
    assert all(contrast(rgb, foreground(rgb)) >= 4.5 for rgb, _ in tinted)


def test_the_ends_are_told_apart_without_colour() -> None:
    lines = [line for _, line in tints()]
    assert (lines[0], lines[len(lines) // 2], lines[-1]) == ("overline", "none", "underline")
