"""A heat-map on a terminal shows the text, whole, and nothing of it is obeyed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from charlm.data.text import ACTIVE
from charlm.views.colours import contrast, foreground
from charlm.views.heatmap_page import tints
from charlm.views.scored_line import ScoredLine
from charlm.views.shown_text import places_of, plain
from charlm.views.terminal import Heatmap, Style, fitting_style, nearest

SGR = re.compile("\x1b\\[[0-9;]*m")
CHARACTERS = st.characters(codec="utf-8") | st.sampled_from(
    "\t\n\x1b\u202e\u200d\u0301é诗م👩👍🏽\u00ad \ufe0f\U000e0041"
)
LINES = st.lists(st.tuples(CHARACTERS, st.none() | st.floats(0, 40)), max_size=30)


def scored(pairs: list[tuple[str, float | None]]) -> ScoredLine:
    return ScoredLine(tuple(token for token, _ in pairs), tuple(bits for _, bits in pairs))


def of(text: str, *bits: float | None) -> ScoredLine:
    return ScoredLine(tuple(text), bits)


@pytest.mark.parametrize(
    ("environment", "terminal", "underline", "style"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, True, False, Style.TRUE_COLOUR),
        ({"TERM": "xterm", "COLORTERM": "24bit"}, True, False, Style.TRUE_COLOUR),
        ({"TERM": "screen-256color"}, True, False, Style.PALETTE),
        ({"TERM": "xterm"}, True, False, Style.UNDERLINES),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, True, False, Style.MARKS),
        ({}, True, False, Style.MARKS),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, False, False, Style.MARKS),
        ({"TERM": "xterm-256color"}, True, True, Style.UNDERLINES),
        ({"TERM": "xterm-256color"}, False, True, Style.MARKS),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, True, False, Style.UNDERLINES),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, True, False, Style.PALETTE),
        ({"FORCE_COLOR": "1"}, False, False, Style.PALETTE),
        ({"FORCE_COLOR": "1", "COLORTERM": "truecolor"}, False, False, Style.PALETTE),
        ({"FORCE_COLOR": "2", "COLORTERM": "truecolor"}, True, False, Style.PALETTE),
        ({"FORCE_COLOR": "3", "TERM": "xterm"}, True, False, Style.TRUE_COLOUR),
        ({"FORCE_COLOR": "true", "COLORTERM": "truecolor"}, False, False, Style.TRUE_COLOUR),
        ({"FORCE_COLOR": "yes"}, False, False, Style.PALETTE),
        ({"FORCE_COLOR": "0", "TERM": "xterm-256color"}, True, False, Style.UNDERLINES),
        ({"FORCE_COLOR": "0", "COLORTERM": "truecolor"}, False, False, Style.MARKS),
        ({"FORCE_COLOR": "false", "TERM": "xterm-256color"}, True, False, Style.UNDERLINES),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, False, Style.PALETTE),
        ({"FORCE_COLOR": "1"}, False, True, Style.UNDERLINES),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False, Style.MARKS),
        ({"FORCE_COLOR": "3", "NO_COLOR": "1", "TERM": "xterm"}, True, False, Style.UNDERLINES),
        ({"FORCE_COLOR": "", "TERM": "xterm"}, False, False, Style.MARKS),
    ],
)
def test_the_style_is_what_the_terminal_can_and_the_user_wants(
    environment: dict[str, str], terminal: bool, underline: bool, style: Style
) -> None:
    assert fitting_style(environment, terminal=terminal, underline=underline) is style


@given(LINES, st.sampled_from(list(Style)), st.none() | st.integers(12, 60))
def test_any_text_is_shown_as_itself_in_rows_that_fit(
    pairs: list[tuple[str, float | None]], style: Style, cells: int | None
) -> None:
    line = scored(pairs)
    out = Heatmap(style, "char", cells).line(line)
    rows = out.removesuffix("\n").split("\n")
    if style is Style.MARKS:
        assert len(rows) % 2 == 0
        assert all(set(marks) <= set(" -^?") for marks in rows[1::2])
        rows = rows[::2]
    text = [SGR.sub("", row) for row in rows]
    shown = "".join(map(plain, places_of(line.tokens, "char")))
    for row in text:
        assert not ACTIVE.search(row)
        assert "\t" not in row
        # What is one place is never in two rows; only a place that is wider than all may not fit.
        assert cells is None or wcswidth(row) <= max(cells, 8 * 5)
    joined = "".join(text)
    if "\t" not in shown and not any(
        wcswidth(plain(p)) <= 0 for p in places_of(line.tokens, "char")
    ):
        assert joined == shown
    for row in rows:
        assert not SGR.search(row) or row.endswith("\x1b[0m") or SGR.findall(row)[-1] == "\x1b[0m"


def test_neighbours_of_one_tint_share_it_and_a_grapheme_is_one() -> None:
    heatmap = Heatmap(Style.TRUE_COLOUR, "char", 80)
    one = heatmap.line(of("aab", 1.0, 1.1, 11.9))
    assert len(SGR.findall(one)) == 3
    assert re.fullmatch(f"{SGR.pattern}aa{SGR.pattern}b\x1b\\[0m\n", one)
    family = "👩\u200d👧"
    out = heatmap.line(of("x" + family + "y", None, 1.0, 2.0, 6.5, None))
    assert re.fullmatch(f"x{SGR.pattern}{family}\x1b\\[0my\n", out)
    # Its surprise is that of all of it.
    assert SGR.findall(out)[0] == SGR.findall(heatmap.line(of("z", 9.5)))[0]


def test_marks_stand_below_their_cells() -> None:
    heatmap = Heatmap(Style.MARKS, "char", None)
    out = heatmap.line(of("a诗b\te\u0301\n", 0.0, 9.5, 6.0, 7.0, 5.0, 5.0, None))
    assert out == "a诗b⇥   e\u0301↵\n ^^-----^?\n"
    narrow = Heatmap(Style.MARKS, "char", 4)
    assert narrow.line(of("abc诗诗", 0.0, 0.0, 9.0, 6.0, 6.0)) == "abc\n  ^\n诗诗\n----\n"
    assert narrow.line(of("")) == "\n\n"


def test_controls_and_marks_of_direction_are_shown_by_number() -> None:
    out = Heatmap(Style.UNDERLINES, "char", 80).line(of("a\x1b[2J\u202eb", *[9.0] * 7))
    assert SGR.sub("", out) == "aU+001B[2JU+202Eb\n"
    assert out == "\x1b[0;1;4maU+001B[2JU+202Eb\x1b[0m\n"


def test_underlines_come_in_two_grades() -> None:
    out = Heatmap(Style.UNDERLINES, "char", 80).line(of("abc", 5.9, 6.0, 9.0))
    assert out == "a\x1b[0;4mb\x1b[0;1;4mc\x1b[0m\n"


def test_words_are_apart() -> None:
    line = ScoredLine(("to", "be"), (1.0, 9.5))
    assert Heatmap(Style.MARKS, "word", None).line(line) == "to be\n   ^^\n"


def test_marks_that_are_words_stand_beside_theirs() -> None:
    level = "word+punctuation"
    line = ScoredLine(("(", "aye", ",", "sir", "-↔", "ree", ")"), (9.5, 1, 9.5, 1, 6.5, None, 9.5))
    assert Heatmap(Style.MARKS, level, None).line(line) == "(aye, sir-ree)\n^   ^    -???^\n"


@pytest.mark.parametrize("style", Style)
def test_a_legend_says_what_the_signs_mean_in_forty_cells(style: Style) -> None:
    legend = Heatmap(style, "char", 40).legend()
    assert all(wcswidth(SGR.sub("", row)) <= 40 for row in legend.splitlines())
    assert "bits" in legend
    assert "9" in legend
    if style in (Style.TRUE_COLOUR, Style.PALETTE):
        assert len(SGR.findall(legend)) > 10
        assert "12 bits" in legend


def test_on_the_palette_too_the_text_can_be_read() -> None:
    for rgb, _ in tints():
        number, there = nearest(rgb)
        assert 16 <= number < 256
        assert contrast(foreground(there), there) >= 4.5
        assert max(abs(a - b) for a, b in zip(rgb, there, strict=True)) <= 45
    assert nearest((255, 0, 95)) == (197, (255, 0, 95))
    assert nearest((118, 118, 118)) == (243, (118, 118, 118))
