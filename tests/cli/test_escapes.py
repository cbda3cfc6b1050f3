"""Escapes are what Python makes of them."""

import ast
import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.cli.escapes import escapes_in, with_escapes
from charlm.errors import UsageError

PARTS = st.sampled_from(
    [*"\\\\\\ntabfvruUxN0179'é龙 \n{}", "\\x41", "\\u4e09", "\\U0001f600", "\\U00110000",
     "\\N{BULLET}", "\\N{no such}", "\\N{}", "\\ud800", "\\777", "\\٣"]
)  # fmt: skip


def as_python_reads(text: str) -> str | None:
    """None where it is no string, or one that Python warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return str(ast.literal_eval(f'"""{text}"""'))
        except (SyntaxError, ValueError):
            return None


@given(st.lists(PARTS, max_size=8).map("".join) | st.text(max_size=8))
def test_escapes_are_read_as_python_reads_them(text: str) -> None:
    # What ends such a string, and line ends that Python's reader changes, are not the matter.
    text = text.replace('"', "'").replace("\r", "").replace("\0", "")
    expected = as_python_reads(text)
    try:
        found = with_escapes(text, "--prefix")
    except UsageError:
        # Of a backslash before a letter beyond ASCII, Python says nothing.
        assert expected is None or re.search(r"\\[^\x00-\x7f]", text)
    else:
        # Octal beyond a byte is read, as Python does with a warning.
        assert found == expected or (expected is None and "\\777" in text)


@pytest.mark.parametrize(
    ("escape", "wrong"),
    [
        *((escape, f"{escape} is no escape of Python's")
          for escape in ("\\", "\\q", "\\U00110000", "\\N{no}")),
        ("\\x4", "\\x needs two hexadecimal digits behind it"),
        ("\\u12", "\\u needs four hexadecimal digits behind it"),
        ("\\U0011", "\\U needs eight hexadecimal digits behind it"),
        ("\\N", "\\N needs a name in braces, as in \\N{BULLET}, behind it"),
    ],
)  # fmt: skip
def test_what_is_no_escape_is_named(escape: str, wrong: str) -> None:
    with pytest.raises(UsageError) as error:
        with_escapes(f"a{escape}", "--stop")
    assert str(error.value) == f"--stop: {wrong}; a backslash itself is \\\\"


def test_escapes_in_a_text() -> None:
    assert escapes_in(r"A:\nB\tC\q\\") == {r"\n": "\n", r"\t": "\t", r"\\": "\\"}
    assert escapes_in("A:\nB") == {}
