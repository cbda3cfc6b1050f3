"""A scored text as a notebook shows it."""

from charlm.views.notebook import heatmap_html
from charlm.views.scored_line import ScoredLine


def test_marks_that_are_words_stand_beside_theirs_and_are_tinted_alone() -> None:
    line = ScoredLine(("(", "aye", ",", "sir", "-↔", "ree", ")"), (9.0, 1, 2, 3, 4, None, 5))
    html = heatmap_html([line], "word+punctuation", "figures")
    spans = html.split("<span")[1:]
    assert len(spans) == 7
    assert [span.partition(">")[2].removesuffix("</div></div>") for span in spans] == [
        "(</span>", "aye</span>", ",</span> ", "sir</span>", "-</span>", "ree</span>", ")</span>",
    ]  # fmt: skip
    assert 'title="-: 4.00 bits"' in spans[4]
