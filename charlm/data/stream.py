"""A text read once, as it comes: what is there is passed on, and nothing is kept."""

import codecs
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from charlm.config import TextConfig
from charlm.data.encoding import check_encoding
from charlm.data.source import PIECE_BYTES, open_source
from charlm.data.text import clean
from charlm.errors import DataError, UsageError
from charlm.storage.files import naming


def read_once(name: str, encoding: str) -> Iterator[str]:
    """The text called `name` (`-`: standard input) in pieces of any length.

    Raises UsageError for an unknown encoding or a missing file; DataError, while reading, for bytes
    that the encoding does not have and for binary data.
    """
    check_encoding(encoding)
    if name == "-":
        if sys.stdin is None:
            raise UsageError("- is standard input, which is closed: name a file, or pipe one in")
        yield from _decoded(sys.stdin.buffer, encoding, "standard input")
        return
    path = Path(name)
    with naming(name):
        if path.exists() and stat.S_ISFIFO(path.stat().st_mode):
            with path.open("rb") as file:
                yield from _decoded(file, encoding, name)
            return
    yield from open_source((name,), encoding).read()


def _decoded(stream: BinaryIO, encoding: str, name: str) -> Iterator[str]:
    decoder, line, at_start = codecs.getincrementaldecoder(encoding)(), 1, True
    with naming(name):
        while True:
            # What there is, and no wait for more.
            read: bytes = getattr(stream, "read1", stream.read)(PIECE_BYTES)
            try:
                piece = decoder.decode(read, final=not read)
            except UnicodeError as error:
                # As far as it goes, before whoever reads it is told where it ends.
                good = error.object[: error.start] if isinstance(error, UnicodeDecodeError) else b""
                line += good.count(b"\n")
                raise DataError(
                    f"{name}: line {line} is not {encoding}; --encoding names another"
                ) from None
            if at_start and piece:
                piece, at_start = piece.removeprefix("\ufeff"), False
            if "\0" in piece:
                line += piece.count("\n", 0, piece.index("\0"))
                raise DataError(
                    f"{name}: a NUL character in line {line}; it is binary, or in another "
                    "encoding (--encoding)"
                )
            line += piece.count("\n")
            if piece:
                yield piece
            if not read:
                return


def lines_of(pieces: Iterable[str], config: TextConfig) -> Iterator[str]:
    """The lines of a text, each with its line break; the last may have none."""
    # Only the line ends are seen to here: what else there is to clean comes line by line.
    plain = TextConfig(newlines=config.newlines if not config.strip_lines else "lf")
    held: list[str] = []
    for piece in clean(pieces, plain):
        *ended, rest = piece.split("\n")
        for line in ended:
            yield "".join([*held, line, "\n"])
            held = []
        if rest:
            held.append(rest)
    if held:
        yield "".join(held)


def cleaned_as_one(lines: Iterable[str], config: TextConfig) -> Iterator[str]:
    """The lines, each with its line break, cleaned as the one text that they are: what is left of
    each, in order, as soon as it is known."""
    taken, ended = 0, False

    def taking() -> Iterator[str]:
        nonlocal taken, ended
        for line in lines:
            taken, ended = taken + 1, line.endswith("\n")
            yield line

    number, rest = 1, ""  # the line that comes next, and of the last what is there already
    for piece in clean(taking(), config):
        # A piece is of the line that was read last; of those before it nothing was left.
        for _ in range(number, taken):
            yield ""
        number = taken
        if ended:  # then all of it is in this piece
            yield piece
            number += 1
        else:
            rest += piece
    for _ in range(number, taken):
        yield ""
    if number <= taken:
        yield rest
