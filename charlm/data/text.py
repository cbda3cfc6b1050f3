"""Clean and tokenize a text that comes in pieces, as if it came whole."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Literal

from charlm.config import TextConfig
from charlm.data.encoding import check_encoding
from charlm.data.words import WORD_LEVELS, split_words, word_pieces
from charlm.errors import UsageError

Pieces = Iterable[str]
BYTE_ORDER_MARK = "\ufeff"


def clean(pieces: Pieces, config: TextConfig) -> Iterator[str]:
    """The cleaned text in pieces, none of which cuts a word: equal to cleaning it whole.

    In order: byte-order marks, which are no text wherever two files were joined; line ends, Unicode
    normal form, `keep`, `strip_lines`, lower case.
    """
    pieces = _unmarked(pieces)
    if config.newlines == "lf" or config.strip_lines:
        pieces = _with_lf(pieces)
    if config.normalize != "none" or config.lowercase or config.level == "word":
        # What these do to a character may depend on its neighbours.
        pieces = _cut_between(pieces, words=config.level == "word")
    if config.normalize != "none":
        form: Literal["NFC", "NFKC"] = "NFC" if config.normalize == "nfc" else "NFKC"
        pieces = _mapped(pieces, lambda piece: unicodedata.normalize(form, piece))
    if config.keep is not None:
        # Lines that are stripped are kept apart until then.
        pieces = _kept(pieces, others(config.keep, but="\n" if config.strip_lines else ""))
    if config.strip_lines:
        # Words stay apart where the line break between them goes.
        pieces = _stripped_lines(pieces, end="\n" if config.level == "word" else "")
    if config.lowercase:
        pieces = _mapped(pieces, str.lower)
    return (piece for piece in pieces if piece)


# What a terminal acts upon, line breaks and tabs aside: controls, and marks of direction by which
# a text can show itself other than it is.
ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def for_terminal(text: str) -> str:
    """The text with escapes in place of the characters that a terminal would act upon."""
    return ACTIVE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def check_text(config: TextConfig) -> None:
    """Raises UsageError for an encoding that is none, or a class of characters to keep."""
    check_encoding(config.encoding)
    if config.keep is not None:
        others(config.keep)


def clean_text(text: str, config: TextConfig) -> str:
    """A short text, such as a prefix, cleaned as the corpus was."""
    return "".join(clean([text], config))


def tokenize(text: str, level: str) -> list[str]:
    """Characters (code points), or words (words.py)."""
    if level == "char":
        return list(text)
    if level in WORD_LEVELS:
        return split_words(text, level)
    raise UsageError(f"level is {level!r}; it can be char or word")


def detokenize(tokens: Iterable[str], level: str) -> str:
    """Tokens as a text: characters joined, words with a space between where one belongs."""
    return "".join(pieces_of(tokens, level))


def pieces_of(tokens: Iterable[str], level: str, before: str | None = None) -> Iterable[str]:
    """What each token adds to a text. before: the token that it ends in so far, if any."""
    return tokens if level == "char" else word_pieces(tokens, level, before)


def _mapped(pieces: Pieces, change: Callable[[str], str]) -> Iterator[str]:
    for piece in pieces:
        yield change(piece)


def _unmarked(pieces: Pieces) -> Iterator[str]:
    for piece in pieces:
        # Most texts have none, and counting them costs half of what replacing them would.
        yield piece.replace(BYTE_ORDER_MARK, "") if piece.count(BYTE_ORDER_MARK) else piece


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


def _cut_between(pieces: Pieces, *, words: bool) -> Iterator[str]:
    """The same text in pieces that end where nothing depends on what comes next.

    At a line break, where there is one; else before white space; else, unless `words` are to stay
    whole, between two letters that leave each other alone. So a text in one line comes in pieces
    too; only a word without end, of `words`, is held as a whole.
    """
    held: list[str] = []
    for piece in pieces:
        if cut := piece.rfind("\n") + 1 or _before_space(piece) or (not words and _apart(piece)):
            yield "".join(chain(held, [piece[:cut]]))
            held = []
        held.append(piece[cut:])
    yield "".join(held)


def _before_space(piece: str) -> int:
    """Where the last white space that `str.split` sees begins; 0 if nowhere behind the start."""
    begun = len(piece.rstrip())
    if begun < len(piece):
        return begun
    *before, _ = piece.rsplit(maxsplit=1) or [""]
    return len(before[0].rstrip()) if before else 0


# Letters and digits, and how many of the last ones are looked at for a place to cut.
_PLAIN = ("Lu", "Ll", "Lo", "Nd")
_LOOKED_AT = 1000


def _apart(piece: str) -> int:
    """The last place between two letters that may be cleaned without each other; 0 if none is near.

    Neither composes with the other, and neither is a sigma, whose lower case is another at the end
    of a word, or what stands between a sigma and that end.
    """
    for cut in range(len(piece) - 1, max(0, len(piece) - _LOOKED_AT), -1):
        one, other = piece[cut - 1], piece[cut]
        if _stands_alone(one) and _stands_alone(other):
            return cut
    return 0


def _stands_alone(character: str) -> bool:
    first = unicodedata.normalize("NFKD", character)[0]
    return (
        character not in "Σσς"
        and unicodedata.category(character) in _PLAIN
        # The vowels and final consonants of which Hangul syllables are composed.
        and not ("\u1160" <= first <= "\u11ff" or "\ud7b0" <= first <= "\ud7ff")
    )


# What would end a class of characters, or begin one within it, and is no escape.
_BRACKETS = re.compile(r"(\\.)|([\[\]&~|])", re.DOTALL)


def others(keep: str, but: str = "") -> re.Pattern[str]:
    """Runs of characters that are neither of the class `keep` nor `but`.

    Ranges (A-Z) and escapes (\\w) of `keep` are as in a regular expression; all else is itself.
    """
    inside = _BRACKETS.sub(lambda found: found[1] or "\\" + found[2], keep)
    try:
        # As a range, `but` cannot become part of one.
        return re.compile(f"[^{but and f'{but}-{but}'}{inside}]+")
    except re.error as error:
        raise UsageError(f"--keep {keep!r} is no class of characters: {error}") from None


def _kept(pieces: Pieces, others: re.Pattern[str]) -> Iterator[str]:
    """Runs of `others` as one space, also where a run goes on from piece to piece."""
    in_run = False
    for piece in filter(None, pieces):
        spaced = others.sub(" ", piece)
        yield spaced[1:] if in_run and others.match(piece) else spaced
        in_run = others.match(piece[-1]) is not None


def _stripped_lines(pieces: Pieces, end: str) -> Iterator[str]:
    """Each line without the white space around it, and with `end` in place of its line break.

    A line may go on from piece to piece: what it begins with is dropped, and what may turn out to
    be its end is held.
    """
    begun, held = False, ""
    for piece in pieces:
        *lines, rest = piece.split("\n")
        out: list[str] = []
        if lines:
            first = (held + lines[0]).rstrip() if begun else lines[0].strip()
            out = [first, *(line.strip() for line in lines[1:]), ""]
            begun, held = False, ""
        if not begun:
            rest = rest.lstrip()
        rest, begun = held + rest, begun or bool(rest)
        body = rest.rstrip()
        held = rest[len(body) :]
        yield end.join(out) + body
    if begun:
        yield end
