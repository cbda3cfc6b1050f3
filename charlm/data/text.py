"""Clean and tokenize a text that comes in pieces, as if it came whole."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Literal

from charlm.config import TextConfig
from charlm.errors import UsageError

Pieces = Iterable[str]


def clean(pieces: Pieces, config: TextConfig) -> Iterator[str]:
    """The cleaned text in pieces, none of which cuts a word: equal to cleaning it whole.

    In order: line ends, Unicode normal form, `keep`, `strip_lines`, lower case.
    """
    if config.newlines == "lf" or config.strip_lines:
        pieces = _with_lf(pieces)
    if config.normalize != "none" or config.lowercase or config.strip_lines or _by_words(config):
        # What these do to a character may depend on its neighbours, but not across a line break.
        pieces = _whole_lines(pieces)
    if config.normalize != "none":
        form: Literal["NFC", "NFKC"] = "NFC" if config.normalize == "nfc" else "NFKC"
        pieces = _mapped(pieces, lambda piece: unicodedata.normalize(form, piece))
    if config.strip_lines:
        pieces = _stripped_lines(pieces, config)
    elif config.keep is not None:
        pieces = _kept(pieces, _others(config.keep))
    if config.lowercase:
        pieces = _mapped(pieces, str.lower)
    return (piece for piece in pieces if piece)


# What a terminal acts upon, line breaks and tabs aside: controls, and marks of direction by which
# a text can show itself other than it is.
ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def for_terminal(text: str) -> str:
    """The text with escapes in place of the characters that a terminal would act upon."""
    return ACTIVE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def clean_text(text: str, config: TextConfig) -> str:
    """A short text, such as a prefix, cleaned as the corpus was."""
    return "".join(clean([text], config))


def tokenize(text: str, level: str) -> list[str]:
    """Characters (code points), or words between white space."""
    if level == "char":
        return list(text)
    if level == "word":
        return text.split()
    raise UsageError(f"level is {level!r}; it can be char or word")


def detokenize(tokens: Iterable[str], level: str) -> str:
    """Tokens as a text: characters joined, words with a space between."""
    return ("" if level == "char" else " ").join(tokens)


def _by_words(config: TextConfig) -> bool:
    return config.level == "word"


def _mapped(pieces: Pieces, change: Callable[[str], str]) -> Iterator[str]:
    for piece in pieces:
        yield change(piece)


def _with_lf(pieces: Pieces) -> Iterator[str]:
    """CRLF and CR as LF. A CR that ends a piece waits for the next, which may begin with LF."""
    held = ""
    for piece in pieces:
        piece = held + piece
        held = "\r" if piece.endswith("\r") else ""
        piece = piece.removesuffix("\r")
        # Most texts have no CR at all, and looking for it costs less than replacing it.
        yield piece.replace("\r\n", "\n").replace("\r", "\n") if "\r" in piece else piece
    if held:
        yield "\n"


def _whole_lines(pieces: Pieces) -> Iterator[str]:
    """The same text in pieces that end after a line break (or at the end of the text)."""
    held: list[str] = []
    for piece in pieces:
        cut = piece.rfind("\n") + 1
        if cut:
            yield "".join(chain(held, [piece[:cut]]))
            held = []
        held.append(piece[cut:])
    yield "".join(held)


def _others(keep: str) -> re.Pattern[str]:
    try:
        return re.compile(f"[^{keep}]+")
    except re.error as error:
        raise UsageError(f"--keep {keep!r} is no class of characters: {error}") from None


def _kept(pieces: Pieces, others: re.Pattern[str]) -> Iterator[str]:
    """Runs of `others` as one space, also where a run goes on from piece to piece."""
    in_run = False
    for piece in filter(None, pieces):
        spaced = others.sub(" ", piece)
        yield spaced[1:] if in_run and others.match(piece) else spaced
        in_run = others.match(piece[-1]) is not None


def _stripped_lines(pieces: Pieces, config: TextConfig) -> Iterator[str]:
    others = _others(config.keep) if config.keep is not None else None
    # Words stay apart where the line break between them goes.
    end = "\n" if _by_words(config) else ""
    for piece in filter(None, pieces):
        lines = piece.removesuffix("\n").split("\n")
        if others:
            lines = [others.sub(" ", line) for line in lines]
        yield "".join(line.strip() + end for line in lines)
