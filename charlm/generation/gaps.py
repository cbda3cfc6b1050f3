"""The gaps of a text, as they are marked, and the ids of what stands around them."""

import dataclasses
import re

from charlm.data.text import clean_text
from charlm.data.vocab import Vocab
from charlm.data.words import PUNCTUATION, is_sign
from charlm.errors import DataError, UsageError
from charlm.run import Run, check_known


def check_mask(mask: str) -> None:
    """Raises UsageError for what cannot mark a gap."""
    if len(mask) != 1:
        raise UsageError(f"--mask {mask!r}: it must be one character")


def _beside(piece: str, vocab: Vocab, follows: bool, goes_on: bool) -> tuple[str, str]:
    """A word to stand for the gap on either side, where a mark is joined to it that is a token of
    its own: what a mark is joined to is part of what it is."""
    word = next((token for token in vocab.tokens[1:] if token[0].isalpha()), "")
    if PUNCTUATION not in vocab.level or not piece:
        return "", ""
    begins, ends = follows and is_sign(piece[0]), goes_on and is_sign(piece[-1])
    return word * begins, word * ends


def read_gaps(text: str, mask: str, run: Run) -> list[int | None]:
    """The ids of the text, None for each gap. Raises DataError if it has none."""
    # The edges of a piece are no edges of a line: nothing is stripped there.
    cleaning = dataclasses.replace(run.config.text, strip_lines=False)
    ids: list[int | None] = []
    # The line break that ends it is the shell's or the file's.
    text = re.sub(r"(\r\n|\n|\r)\Z", "", text)
    pieces = re.split(f"({re.escape(mask)}+)", text)
    for k, piece in enumerate(pieces):
        if k % 2:
            ids += [None] * (len(piece) if run.vocab.level == "char" else 1)
            continue
        cleaned = clean_text(piece, cleaning)
        before, after = _beside(cleaned, run.vocab, k > 0, k + 1 < len(pieces))
        cleaned = f"{before}{cleaned}{after}"
        check_known(cleaned, run, "the text")
        encoded = run.vocab.encode(cleaned).tolist()
        ids += encoded[bool(before) : len(encoded) - bool(after)]
    if None not in ids:
        raise DataError(f"the text has no gap: mark what is to be filled with {mask!r} (--mask)")
    return ids
