"""The page of a heat-map: what it shows, what its scripts find, and that it asks for nothing."""

import math
import re
import unicodedata
from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.views.heatmap_page import LINKED, heatmap_page
from charlm.views.scored_line import ScoredLine
from charlm.views.shown_text import in_sight, stand_in
from tests.views.reading import Page

TEXTS = st.lists(st.text(st.characters(), max_size=30), max_size=4)
HOSTILE = "</script><script>alert(1)</script><!-- & \" ' \u2028\u202e\x00\ud800"


def scored(text: str) -> ScoredLine:
    """A line in which the n-th character took n / 10 bits."""
    bits = tuple(number / 10 for number in range(len(text)))
    expected = tuple((("a", 0.5), ("\u202e", 0.25), ("<", 0.125)) for _ in text)
    return ScoredLine(tuple(text), bits, tuple(range(1, len(text) + 1)), expected)


def numbered(text: str) -> str:
    """With the numbers of marks and joiners, which pages show where these stand on nothing."""
    return "".join(
        stand_in(c) if c in "\u200c\u200d" or unicodedata.category(c)[0] == "M" else c for c in text
    )


def page(*lines: ScoredLine, title: str = "Title", level: str = "char") -> Page:
    return Page(heatmap_page(title, lines, {"Model": "runs/book"}, level=level))


@settings(deadline=None)
@given(st.text(st.characters()), TEXTS)
def test_any_text_is_shown_as_itself_and_is_no_markup(title: str, texts: list[str]) -> None:
    html = heatmap_page(title, map(scored, texts), {title: title})
    html.encode()
    found = Page(html)
    plain = page(*(scored("x" * len(text)) for text in texts))
    assert found.tags.count("script") == plain.tags.count("script") == 2
    assert set(found.tags) - {"bdi", "b", "a", "li"} <= set(plain.tags)
    shown = [in_sight(text).replace("\t", "⇥\t") for text in texts]
    assert [*map(numbered, found.lines)] == [*map(numbered, shown)]
    data = found.data
    assert "".join(data["words"][number] for number in data["tokens"]) == "".join(texts)


@settings(deadline=None)
@given(TEXTS)
def test_what_is_shown_is_as_wide_as_the_scripts_are_told(texts: list[str]) -> None:
    found = page(*map(scored, texts))
    begin = 0
    for line, places in zip(found.lines, found.data["lines"], strict=True):
        widths = found.data["widths"][begin : begin + places]
        assert sum(widths) == len(line.encode("utf-16-le")) // 2
        begin += places


def test_the_scripts_find_every_figure() -> None:
    line = ScoredLine(("a", "b"), (None, 3.456), (0, 2), ((), (("a", 0.75), ("b", 0.0914))))
    data = page(line).data
    assert data["words"] == ["a", "b"]
    assert data["bits"] == [-1, 346]
    assert data["rank"] == [0, 2]
    assert data["expected"] == [[], [0, 750, 1, 91]]


def test_lines_of_which_nothing_more_was_asked_stand_beside_others() -> None:
    data = page(ScoredLine(("a", "b"), (1.0, 2.0)), scored("c")).data
    assert data["rank"] == [-1, -1, 1]
    assert data["expected"][:2] == [[], []]
    assert len(data["expected"]) == 3


@pytest.mark.parametrize("bits", [math.nan, math.inf, 1e300, -1e-9])
def test_figures_that_json_does_not_know_do_no_harm(bits: float) -> None:
    [found] = page(ScoredLine(("a",), (bits,))).data["bits"]
    assert -1 <= found <= 999_900


def test_hostile_names_are_shown_as_themselves() -> None:
    found = page(scored(HOSTILE), title=HOSTILE)
    [heading] = found.texts["h1"]
    # Those after it are of the bars of the histogram.
    assert heading == found.texts["title"][0] == in_sight(HOSTILE)


def test_the_page_asks_for_nothing() -> None:
    html = heatmap_page("Title", [scored("some text")], {})
    found = Page(html)
    assert not found.values("src")
    assert all(link.startswith(("#line-", "#tinted")) for link in found.values("href"))
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp|https?:", html)
    [policy] = [value for value in found.values("content") if "default-src" in value]
    assert policy.startswith("default-src 'none'")
    code = found.texts["script"][-1]
    assert f"script-src 'sha256-{b64encode(sha256(code.encode()).digest()).decode()}'" in policy
    [style] = found.texts["style"]
    assert f"style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy


def test_the_most_surprising_places_are_linked_to_the_worst_first() -> None:
    found = page(scored("x" * 30), scored("abc"))
    places = [int(place) for place in found.values("data-place")]
    assert places == list(range(29, 29 - LINKED, -1))


def test_a_place_is_as_surprising_as_its_characters_together() -> None:
    line = ScoredLine(("e", "\u0301", "x"), (2.0, 3.0, 4.0))
    links = page(line).texts["a"]
    assert links[0].startswith("5.0 bits e\u0301 in line 1")
    assert links[1].startswith("4.0 bits x")


def test_the_histogram_is_told_in_words() -> None:
    line = ScoredLine(("a",) * 10, tuple(float(number) for number in range(1, 11)))
    assert (
        "Of 10 characters half took at most 5.5 bits, nine of ten at most 9.1; the most "
        "surprising took 10.0." in page(line).texts["figcaption"]
    )


@pytest.mark.parametrize("lines", [[], [ScoredLine((), ())], [ScoredLine(("a",), (None,))]])
def test_a_text_without_a_surprise_makes_a_page(lines: list[ScoredLine]) -> None:
    found = page(*lines)
    assert "No characters here have a surprise." in found.texts["p"]
    assert not found.values("data-place")


def test_words_are_shown_with_spaces() -> None:
    found = page(ScoredLine(("to", "be", "<unk>"), (1.0, 2.0, None)), level="word")
    assert found.lines == ["to be <unk>"]
    assert found.data["level"] == "word"


def test_marks_that_are_words_are_shown_without_their_signs() -> None:
    line = ScoredLine(("sir", "-↔", "ree", ",", "no"), (1.0, 2.0, 3.0, 4.0, 5.0))
    found = page(line, level="word+punctuation")
    assert found.lines == ["sir-ree, no"]
    assert found.data["words"] == ["sir", "-", "ree", ",", "no"]
    assert found.data["labels"][1] == "-↔"
