"""A path in a message is one line, and can be pasted."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from charlm.errors import typed

NAMES = [
    "runs/a", "runs/三国", "sp ace", "it's", "a\nb", "a\tb's \\n", "\x1b[31mred", "\u202egnp.a",
    "wide\u3000space", "$HOME", "*", "a\n1",
]  # fmt: skip


def test_a_path_is_typed_in_one_line_that_shows_all_of_it() -> None:
    assert [typed(Path(name)) for name in NAMES[:4]] == [
        "runs/a", "runs/三国", "'sp ace'", "'it'\"'\"'s'",
    ]  # fmt: skip
    assert typed("a\nb's") == r"$'a\nb\'s'"
    assert typed(os.fsdecode(b"bad\xff.txt")) == r"$'bad\xff.txt'"
    assert typed("\ud800") == r"$'\xed\xa0\x80'"
    assert all(typed(name).isprintable() for name in NAMES)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_shell_reads_the_path_that_was_meant() -> None:
    names = [*map(os.fsencode, NAMES), b"bad\xff.txt"]
    words = " ".join(typed(os.fsdecode(name)) for name in names)
    done = subprocess.run(
        ["bash", "-c", rf"printf '%s\0' {words}"], stdout=subprocess.PIPE, check=True
    )
    assert done.stdout.split(b"\0")[:-1] == names
