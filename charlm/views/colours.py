"""Tints that everybody can tell apart, and what can be read on them."""

RGB = tuple[int, int, int]

# Surprises of so many bits and more have the last colour of the scale.
SCALE_BITS = 12.0

# Cividis at 17 even steps, from 0 to 1: Nunez, Anderton & Renslow 2018, "Optimizing colormaps with
# consideration for color vision deficiency", PLoS ONE 13(7), supplementary table.
_CIVIDIS: tuple[RGB, ...] = (
    (0, 34, 78), (0, 46, 106), (26, 56, 111), (50, 67, 109), (67, 78, 108), (83, 90, 109),
    (97, 101, 111), (111, 112, 115), (125, 124, 120), (139, 135, 120), (154, 147, 118),
    (170, 160, 115), (187, 173, 109), (204, 186, 100), (221, 200, 88), (239, 215, 72),
    (254, 232, 56),
)  # fmt: skip
BLACK: RGB = (0, 0, 0)
WHITE: RGB = (255, 255, 255)


def cividis(share: float) -> RGB:
    """The colour at `share` of the scale: dark blue at 0, yellow at 1 and beyond."""
    place = min(max(share, 0.0), 1.0) * (len(_CIVIDIS) - 1)
    below = min(int(place), len(_CIVIDIS) - 2)
    return between(_CIVIDIS[below], _CIVIDIS[below + 1], place - below)


def between(one: RGB, other: RGB, share: float) -> RGB:
    """`one` at a share of 0, `other` at 1."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def foreground(rgb: RGB) -> RGB:
    """Black or white, whichever is the easier to read on a ground of this colour."""
    return max(BLACK, WHITE, key=lambda ink: contrast(ink, rgb))


def contrast(one: RGB, other: RGB) -> float:
    """From 1 to 21, as WCAG 2.2 defines it; 4.5 and more is fit for a text."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(rgb: RGB) -> float:
    """Relative luminance, from 0 to 1, of a colour of sRGB (WCAG 2.2)."""
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (value / 255 for value in rgb)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
