"""The one place from which commands write: results to standard output, notes to standard error."""

import json
import sys
from typing import Any, TextIO


def show(text: str, *, out: TextIO | None = None) -> None:
    """Write a text as it is; on a terminal, with its controls and marks of direction escaped."""
    from charlm.data.text import for_terminal

    out = out or sys.stdout
    out.write(for_terminal(text) if out.isatty() else text)


def note(message: str) -> None:
    """A line that is not a result."""
    show(message + "\n", out=sys.stderr)


def print_json(value: dict[str, Any]) -> None:
    """One object, one line."""
    show(json.dumps(value, ensure_ascii=False) + "\n")
