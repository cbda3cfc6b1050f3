"""Units and what they follow, as a table."""

from collections.abc import Sequence

from charlm.views.unit_row import UnitRow


def table(rows: Sequence[tuple[UnitRow, float]]) -> str:
    """A line each below a header, for rows with their correlations on the text that their units
    were chosen on."""
    width = max((len(row.unit) for row, _ in rows), default=0)
    lines = [f"{'r unseen':>8}  {'r seen':>6}  {'unit':<{width}}  follows"]
    lines += [
        f"{row.correlation:>+8.3f}  {seen:>+6.3f}  {row.unit:<{width}}  {row.follows}"
        for row, seen in rows
    ]
    return "".join(f"{line}\n" for line in lines)
