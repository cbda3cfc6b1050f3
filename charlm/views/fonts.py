"""Fonts for what matplotlib's own has no letters for, such as Chinese.

matplotlib looks for the fonts of a machine once, and remembers them: those that were installed
later it does not know. They are looked for here, where letters are missing without them, and only
those that have such letters are shown to it.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OWN = "DejaVu Sans"


def families_for(text: str) -> tuple[list[str], str]:
    """Families of this machine that have letters of the text which matplotlib's own font lacks, and
    the letters that none has."""
    from matplotlib.font_manager import findfont, fontManager, get_font

    missing = set(text) - _letters(get_font(findfont(OWN)))
    families: list[str] = []
    for path in _paths() if missing else ():
        with suppress(OSError, RuntimeError):  # not every file that is found can be read
            if found := missing & _letters(get_font(path)):
                if path not in (entry.fname for entry in fontManager.ttflist):
                    fontManager.addfont(path)
                families.append(next(e.name for e in fontManager.ttflist if e.fname == path))
                missing -= found
        if not missing:
            break
    return families, "".join(sorted(missing))


def _paths() -> Iterator[str]:
    """Of all fonts, those that matplotlib knows and the regular ones first."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = sorted(fontManager.ttflist, key=lambda entry: (entry.weight != 400, entry.fname))
    # The one called Last Resort has a box for everything.
    yield from (entry.fname for entry in known if "Last Resort" not in entry.name)
    found = set(findSystemFonts()) - {entry.fname for entry in known}
    named = (path for path in found if "LastResort" not in Path(path).name)
    yield from sorted(named, key=lambda path: ("regular" not in path.lower(), path))


def _letters(font: object) -> set[str]:
    return {chr(code) for code in font.get_charmap()}  # type: ignore[attr-defined]
