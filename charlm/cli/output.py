"""The one place from which commands write: results to standard output, notes to standard error."""

import json
import re
import shutil
import sys
from math import isfinite
from typing import Any, TextIO

from charlm.data.text import ACTIVE, for_terminal

_SURROGATE = re.compile("[\ud800-\udfff]")


def show(text: str, *, out: TextIO | None = None) -> None:
    """Write a text as it is; on a terminal, with its controls and marks of direction escaped."""
    out = out or sys.stdout
    out.write(for_terminal(text) if out.isatty() else text)


def show_painted(text: str) -> None:
    """Write what a view has made fit for the terminal, with its colours."""
    sys.stdout.write(text)


def terminal_width() -> int | None:
    """The cells in a line of the terminal that results go to; None where they go elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def note(message: str) -> None:
    """A line that is not a result."""
    show(message + "\n", out=sys.stderr)


def print_json(value: dict[str, Any]) -> None:
    """One object, one line; null for a number that is not finite, which JSON does not have."""
    out = sys.stdout
    value = _finite(value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    for pattern in (_SURROGATE, ACTIVE) if out.isatty() else (_SURROGATE,):
        text = pattern.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    if not _has(out.encoding, text):
        text = json.dumps(value, allow_nan=False)
    out.write(text + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _has(encoding: str | None, text: str) -> bool:
    """Whether an encoding has all characters of a text."""
    try:
        text.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
