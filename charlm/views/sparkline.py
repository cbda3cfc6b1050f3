"""A course of numbers as a row of little bars."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
# For a terminal that has no other characters: the more ink, the more.
ASCII = ".:-=+*#@"


def sparkline(
    values: Sequence[float], width: int, *, low: float, high: float, ramp: str = BLOCKS
) -> str:
    """A character for each value, from `low` or less to `high` or more (NaN and infinity too).

    Of more values than `width` cells, each cell shows the last one of those that fall to it, so
    that the whole course is there and its end is the present.
    """
    if width < 1:
        return ""
    if len(values) > width:
        values = [values[(cell + 1) * len(values) // width - 1] for cell in range(width)]
    return "".join(ramp[_level(value, low, high, len(ramp))] for value in values)


def _level(value: float, low: float, high: float, levels: int) -> int:
    if not value < high:
        return levels - 1
    return max(0, int((value - low) / (high - low) * levels)) if value > low else 0
