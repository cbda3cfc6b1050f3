"""What scripts/check_pages holds the page of a text in words to."""

import re
from collections.abc import Callable
from pathlib import Path

from browser import Browser
from page_probes import SHOWN, STATUS, WITHOUT_HIGHLIGHTS

from charlm.data.text import tokenize
from charlm.views.heatmap_page import heatmap_page
from charlm.views.scored_line import ScoredLine


def check_words(browser: Browser, check: Callable[..., None], folder: Path) -> None:
    """Marks that are words stand beside theirs; each place is its own piece of the text.

    check: called with what, and whether.
    """
    text, level = "\u201cAye, sir\u201d (well-known) \U0001f44d\U0001f3fd!", "word+punctuation"
    tokens = tuple(tokenize(text, level))
    path = folder / "words.html"
    bits = tuple(float(number) for number in range(len(tokens)))
    page = heatmap_page("Words", [ScoredLine(tokens, bits)], {}, level=level)
    path.write_text(page, encoding="utf-8")
    for first in (WITHOUT_HIGHLIGHTS, ""):
        browser.open(path, first)
        shown = browser.run(SHOWN)
        check("words: the text is as it was", shown == [text], shown)
        places = browser.run("[...begins.keys()].map((place) => liveRangeOf(place).toString())")
        apart = re.findall(r"\U0001f44d\U0001f3fd|\w+|[^\w\s]", text)
        check("words: words and marks are places", places == apart, places)
    browser.run("select(begins.length - 2)")
    told = browser.run(STATUS)
    check(
        "words: a sign of two", "\U0001f44d\U0001f3fd: 21.00 bits in all, of 2 words" in told, told
    )
