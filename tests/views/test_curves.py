"""Pictures of trainings: the same for the same log, whatever the names and the numbers."""

import math
import subprocess
import sys
import warnings
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charlm.course import Course, Loss, Validation

pytest.importorskip("matplotlib")
from charlm.views.curves import Curve, picture

SVG = "{http://www.w3.org/2000/svg}"


def course(*bits: float) -> Course:
    losses = [Loss(i + 1, i / 10, i * 0.5, value, 0.01 / (i + 1)) for i, value in enumerate(bits)]
    return Course(
        (*losses, Validation(3, 0.3, 1.5, 2.0, True), Validation(4, 0.4, 2.0, 2.2, False))
    )


def draw(*curves: Curve, kind: str = "svg", by_time: bool = True) -> tuple[bytes, str]:
    return picture(curves, kind=kind, by_time=by_time, bits="bits per character", unit="character")


def texts(svg: bytes) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_same_log_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import sys; from charlm.course import *; from charlm.views.curves import *; "
        f"curve = Curve('a', {course(3, 2.5, 2.2)!r}, 9); sys.stdout.buffer.write("
        "picture([curve], kind='svg', by_time=True, bits='bits per character', "
        "unit='character')[0])"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    svg, _ = draw(Curve("a", course(3, 2.5, 2.2), 9))
    assert svg == other
    assert b"<dc:date>" not in svg


def test_what_is_on_the_axes_and_in_the_legend() -> None:
    svg, missing = draw(Curve("runs/book", course(3, 2.5, 2.2, 2.1), 100))
    assert missing == ""
    assert {"runs/book", "bits per character", "seconds of training", "learning rate", "training",
            "validation", "its best"} <= set(texts(svg))  # fmt: skip
    svg, _ = draw(Curve("a", course(3, 2), 100), Curve("b", course(4, 2), 100), by_time=False)
    assert {"a", "b", "characters read"} <= set(texts(svg))


def test_any_name_is_shown_as_it_is_and_warns_of_nothing() -> None:
    names = [
        "三国",
        "کتاب",
        "🎉",
        "$x_1$",
        "_hidden",
        "a & <b>",
        "line\nbreak",
        "\udcff",
        "\x1b[2J",
    ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        svg, _ = draw(*(Curve(name, course(3, 2), 100) for name in names))
    assert caught == []
    shown = texts(svg)
    for name in (*names[:6], r"line\nbreak", r"\udcff", r"\x1b[2J"):
        assert name in shown


def test_a_png_says_which_letters_it_lacks() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        png, missing = draw(Curve("a\U000e0041b", course(3, 2), 100), kind="png")
    assert caught == []
    assert png.startswith(b"\x89PNG")
    assert missing == "\U000e0041"
    assert draw(Curve("Привет", course(3, 2), 100), kind="png")[1] == ""


def test_the_users_own_settings_change_nothing() -> None:
    import matplotlib

    curve = Curve("a", course(3, 2), 100)
    before = draw(curve)
    with matplotlib.rc_context({"lines.linewidth": 9, "svg.fonttype": "path"}):
        assert draw(curve) == before
        assert matplotlib.rcParams["lines.linewidth"] == 9


MOMENTS = st.builds(
    Loss, st.integers(0, 9), st.floats(0, 9), st.floats(0, 9), st.floats(), st.floats(0, 1)
) | st.builds(
    Validation, st.integers(0, 9), st.floats(0, 9), st.floats(0, 9), st.floats(0), st.booleans()
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(MOMENTS, max_size=8))
def test_any_course_can_be_drawn(moments: list[Loss | Validation]) -> None:
    svg, _ = draw(Curve("a", Course(tuple(moments)), 100))
    assert "validation" in texts(svg)


def test_a_course_of_one_moment_and_of_none() -> None:
    for moments in ((), (Loss(1, 0.1, 1.0, 3.0, 0.1),), (Validation(1, 0, 0, math.inf, True),)):
        assert draw(Curve("a", Course(moments), 100))[0]


def test_fonts_that_were_installed_later_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import font_manager

    from charlm.views.fonts import OWN, families_for

    known = font_manager.fontManager.ttflist
    own = [entry for entry in known if entry.name == OWN]
    letters = {chr(code) for code in font_manager.get_font(own[0].fname).get_charmap()}
    # One of matplotlib's own that has a letter which its first has not.
    later, letter = next(
        (entry, min(more))
        for entry in known
        if (more := {*map(chr, font_manager.get_font(entry.fname).get_charmap())} - letters)
    )
    monkeypatch.setattr(font_manager.fontManager, "ttflist", list(own))
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    assert families_for(f"a{letter}") == ([], letter)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: ["no font", later.fname])
    assert families_for(f"a{letter}") == ([later.name], "")
    assert later.name in [entry.name for entry in font_manager.fontManager.ttflist]
    # Nothing is looked for where nothing is missing.
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: 1 / 0)
    assert families_for("abc") == ([], "")
