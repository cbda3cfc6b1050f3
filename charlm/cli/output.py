"""The one place from which commands write: results to standard output, notes to standard error."""

import json
import locale
import os
import re
import shutil
import sys
from math import isfinite
from typing import Any, TextIO

from charlm.data.text import ACTIVE, for_terminal

# charlm's own signs, and what stands for them on a terminal that has ASCII alone.
_PLAIN = {"×": "x", "–": "-", "…": "~", "↵": "$", "⇥": ">", "²": "2"}
_PLAIN_SIGNS = str.maketrans(_PLAIN)
_SURROGATE = re.compile("[\ud800-\udfff]")


def show(text: str, *, out: TextIO | None = None) -> None:
    """Write a text as it is; on a terminal, with its controls and marks of direction escaped."""
    out = out or sys.stdout
    out.write(for_terminal(text) if out.isatty() else text)


def show_painted(text: str) -> None:
    """Write what a view has made fit for the terminal, with its colours."""
    out = sys.stdout
    out.write(in_characters_of(out, text) if out.isatty() else text)


def show_table(text: str) -> None:
    """Write what charlm has set itself; on a terminal, in signs that it has."""
    show(in_characters_of(sys.stdout, text) if sys.stdout.isatty() else text)


def show_for_people(text: str) -> None:
    """Write what nobody reads by a program; on a terminal in rows as wide as it is."""
    cells = terminal_width()
    if cells is not None:
        from charlm.views.cells import wrapped

        text = wrapped(text, cells)
    show_table(text)


def in_characters_of(terminal: TextIO, text: str) -> str:
    """The text with plain signs in place of charlm's own, each as wide, where it lacks those; what
    else it lacks is escaped as it is written."""
    return text if _has_all(terminal, "".join(_PLAIN)) else text.translate(_PLAIN_SIGNS)


def encodings_of(terminal: TextIO) -> list[str]:
    """What both the stream and the terminal behind it have to know."""
    encodings = [terminal.encoding or "ascii"]
    if os.name == "posix":
        # In the C locale Python writes UTF-8 all the same, which the terminal may not read.
        encodings.append(locale.getencoding())
    return encodings


def _has_all(terminal: TextIO, text: str) -> bool:
    try:
        return all(_has(encoding, text) for encoding in encodings_of(terminal))
    except LookupError:
        return False


def terminal_width() -> int | None:
    """The cells in a line of the terminal that results go to; None where they go elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def note(message: str) -> None:
    """A line that is not a result, its controls escaped wherever it goes."""
    message = for_terminal(message)
    if sys.stderr.isatty():
        message = in_characters_of(sys.stderr, message)
    show(message + "\n", out=sys.stderr)


def note_for_people(message: str) -> None:
    """Lines of a header; on a terminal in rows as wide as it is."""
    if sys.stderr.isatty():
        from charlm.views.cells import wrapped

        message = wrapped(message, cells_of(sys.stderr))
    note(message)


def cells_of(terminal: TextIO) -> int:
    """The cells in a line of a terminal, which may be another from moment to moment."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or 80
    except (OSError, ValueError):  # it is none
        return 80


def show_status(text: str) -> None:
    """In place of what stands on the line of the terminal at standard error."""
    sys.stderr.write("\r\x1b[K" + text)
    sys.stderr.flush()


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
