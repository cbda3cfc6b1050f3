"""Values as Markdown that shows them: whatever a file holds, it stays text."""

import re
from collections.abc import Iterable, Sequence

from charlm.views.shown_text import in_sight

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What CommonMark, tables, mathematics, emoji and links without marks could take for their own.
_MARKS = re.compile(r"[\\`*_{}\[\]#|~$@^=&<>]|:(?=\S)|(?<=www)\.")
_BACKTICKS = re.compile("`+")


def literal(text: str) -> str:
    """A text in one line, to be read as it stands."""
    return _MARKS.sub(lambda found: _HTML.get(found[0], f"\\{found[0]}"), in_sight(text))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = False) -> str:
    """A table of cells that are Markdown already. numbers: all columns but the first are."""
    rule = ["---", *(["---:" if numbers else "---"] * (len(header) - 1))]
    return "".join(f"| {' | '.join(row)} |\n" for row in (header, rule, *rows))


def shell(commands: Iterable[str]) -> str:
    """Commands in a block that none of them can end."""
    lines = "".join(f"{in_sight(command)}\n" for command in commands)
    longest = max((len(found) for found in _BACKTICKS.findall(lines)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{lines}{fence}\n"
