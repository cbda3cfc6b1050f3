"""Escapes in what is typed: \\n and its like, read as Python reads them in a string."""

import re
import unicodedata

from charlm.errors import UsageError

_ESCAPE = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|[0-7]{1,3}|.|\Z)", re.DOTALL
)
_SINGLE = {
    "\\": "\\", "'": "'", '"': '"', "\n": "", "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r",
    "t": "\t", "v": "\v",
}  # fmt: skip

# What an escape that stands alone lacks.
_WANTS = {
    "x": "two hexadecimal digits", "u": "four hexadecimal digits", "U": "eight hexadecimal digits",
    "N": "a name in braces, as in \\N{BULLET},",
}  # fmt: skip


def with_escapes(text: str, option: str) -> str:
    """`text` with each escape read. Raises UsageError, naming the option, for one that is none."""

    def read(found: re.Match[str]) -> str:
        character = _character(found[0][1:])
        if character is None:
            cut = _WANTS.get(found[0][1:])
            wrong = f"needs {cut} behind it" if cut else "is no escape of Python's"
            raise UsageError(f"{option}: {found[0]} {wrong}; a backslash itself is \\\\")
        return character

    return _ESCAPE.sub(read, text)


def escapes_in(text: str) -> dict[str, str]:
    """What stands in a text as if it were an escape, and the character that it would be."""
    found = ((escape, _character(escape[1:])) for escape in _ESCAPE.findall(text))
    return {escape: character for escape, character in found if character}


def _character(code: str) -> str | None:
    """What the escape stands for, without its backslash; None where it is none."""
    try:
        if code in _SINGLE:
            return _SINGLE[code]
        if code[:1] == "N":
            return unicodedata.lookup(code[2:-1])
        if code[:1] in ("x", "u", "U"):
            return chr(int(code[1:], 16))
        return chr(int(code, 8)) if code.isascii() else None
    except (KeyError, ValueError, OverflowError):
        return None
