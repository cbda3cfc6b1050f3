"""The colours in which surprise is shown: cividis, on one scale for every text and model.

cividis looks much the same to people with and without colour blindness, and its lightness grows
evenly (Nuñez, Anderton & Renslow 2018, https://doi.org/10.1371/journal.pone.0199239).
"""

RGB = tuple[int, int, int]

# Bits of surprise at which the scale ends.
SCALE_BITS = 12.0

# At equal steps, from no surprise to the end of the scale; what lies between is interpolated.
_STOPS: list[RGB] = [
    (0, 34, 78), (0, 46, 106), (26, 56, 111), (50, 67, 109), (67, 78, 108), (83, 90, 109),
    (97, 101, 111), (111, 112, 115), (125, 124, 120), (140, 136, 120), (155, 148, 118),
    (171, 160, 114), (188, 174, 108), (205, 187, 99), (222, 201, 88), (240, 216, 70),
    (254, 232, 56),
]  # fmt: skip


def cividis(share: float) -> RGB:
    """The colour at a share of the scale; beyond 0 and 1, those of the ends."""
    place = min(max(share, 0.0), 1.0) * (len(_STOPS) - 1)
    below = min(int(place), len(_STOPS) - 2)
    return between(_STOPS[below], _STOPS[below + 1], place - below)


def between(one: RGB, other: RGB, share: float) -> RGB:
    """The colour at a share of the way from one to the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def foreground(rgb: RGB) -> RGB:
    """Black or white, whichever reads better on a colour: at least at a contrast of 4.58 to 1."""
    light = contrast(rgb, (255, 255, 255))
    return (255, 255, 255) if light > contrast(rgb, (0, 0, 0)) else (0, 0, 0)


def contrast(one: RGB, other: RGB) -> float:
    """1 for the same lightness, to 21 for black and white (https://www.w3.org/TR/WCAG22)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(rgb: RGB) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in rgb)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
