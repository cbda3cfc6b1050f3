"""Fonts for what matplotlib's own has no letters for, such as Chinese."""

from contextlib import suppress

OWN = "DejaVu Sans"


def families_for(text: str) -> tuple[list[str], str]:
    """Families of this machine that have letters of the text which matplotlib's own font lacks, and
    the letters that none has."""
    from matplotlib.font_manager import findfont, fontManager, get_font

    missing = set(text) - _letters(get_font(findfont(OWN)))
    families: list[str] = []
    for entry in sorted(fontManager.ttflist, key=lambda entry: (entry.weight != 400, entry.fname)):
        if not missing:
            break
        if "Last Resort" in entry.name:  # which has a box for everything
            continue
        with suppress(OSError, RuntimeError):  # not every file that is found can be read
            if found := missing & _letters(get_font(entry.fname)):
                missing -= found
                families.append(entry.name)
    return families, "".join(sorted(missing))


def _letters(font: object) -> set[str]:
    return {chr(code) for code in font.get_charmap()}  # type: ignore[attr-defined]
