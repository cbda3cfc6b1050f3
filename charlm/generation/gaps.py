"""The gaps of a text, as they are marked, and the ids of what stands around them."""

import dataclasses
import re

from charlm.data.text import clean_text
from charlm.errors import DataError, UsageError
from charlm.run import Run, check_known


def check_mask(mask: str) -> None:
    """Raises UsageError for what cannot mark a gap."""
    if len(mask) != 1:
        raise UsageError(f"--mask {mask!r}: it must be one character")


def read_gaps(text: str, mask: str, run: Run) -> list[int | None]:
    """The ids of the text, None for each gap. Raises DataError if it has none."""
    # The edges of a piece are no edges of a line: nothing is stripped there.
    cleaning = dataclasses.replace(run.config.text, strip_lines=False)
    ids: list[int | None] = []
    # The line break that ends it is the shell's or the file's.
    text = re.sub(r"(\r\n|\n|\r)\Z", "", text)
    for k, piece in enumerate(re.split(f"({re.escape(mask)}+)", text)):
        if k % 2:
            ids += [None] * (len(piece) if run.vocab.level == "char" else 1)
            continue
        cleaned = clean_text(piece, cleaning)
        check_known(cleaned, run, "the text")
        ids += [int(i) for i in run.vocab.encode(cleaned)]
    if None not in ids:
        raise DataError(f"the text has no gap: mark what is to be filled with {mask!r} (--mask)")
    return ids
