"""Read texts, in pieces and as often as needed: files, folders, standard input, the sample."""

import codecs
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from charlm.errors import DataError, UsageError
from charlm.storage.files import naming

PIECE_BYTES = 1 << 20
# Encodings worth naming when the given one fails, the strictest first: latin-1 reads anything.
CANDIDATES = ("utf-8", "utf-16", "gb18030", "big5", "shift_jis", "euc_kr", "cp1251", "cp1252")


@dataclass(frozen=True)
class Source:
    """A text that can be read more than once; `read()` yields it in pieces of any length.

    name: what a run on it may be called; label: what messages call it.
    """

    name: str
    label: str
    files: int
    read: Callable[[], Iterator[str]]


def text_source(name: str, text: str) -> Source:
    """A text that is already in memory."""
    return Source(name, name, 1, lambda: iter([text]))


def sample_source() -> Source:
    """The bundled sample: Python's own language reference, as `help()` shows it.

    Half a million characters of English that every CPython carries; where one lacks them, the
    docstrings of the standard library's modules.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return text_source("sample", _library_docstrings())
    return text_source("sample", "\n\n".join(topics[name] for name in sorted(topics)))


def _library_docstrings() -> str:
    import ast

    folder = Path(os.__file__).parent
    texts = []
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                texts.append(ast.get_docstring(node) or "")
    return "\n\n".join(filter(None, texts))


def open_source(inputs: Sequence[str], encoding: str) -> Source:
    """The texts named by `inputs` (files, folders, `-`), one after the other, as one source.

    A folder stands for the files below it, in the order of their names, hidden and binary ones left
    out. A line break is put between two files where the first does not end in one. Standard input
    and pipes are copied to a temporary file, so that they too can be read twice.
    Raises UsageError for an unknown encoding or a missing file; DataError, while reading, for bytes
    that the encoding does not have and for binary data.
    """
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise UsageError(f"--encoding {encoding!r}: Python knows no such encoding") from None
    openers = [opener for name in inputs for opener in _openers(name)]

    def read() -> Iterator[str]:
        last = "\n"
        for name, open_file in openers:
            if not last.endswith(("\n", "\r")):
                yield "\n"
            with naming(name), open_file() as file:
                for piece in decode(file, encoding, name):
                    last = piece or last
                    yield piece

    name = "stdin" if inputs[0] == "-" else Path(inputs[0]).resolve().stem or "text"
    label = inputs[0] if len(inputs) == 1 else f"{inputs[0]} and {len(inputs) - 1} more"
    return Source(name, label, len(openers), read)


Opener = tuple[str, Callable[[], BinaryIO]]


def _openers(name: str) -> list[Opener]:
    if name == "-":
        if sys.stdin is None:
            raise UsageError("- is standard input, which is closed: name a file, or pipe one in")
        return [_spooled("standard input", sys.stdin.buffer)]
    path = Path(name)
    with naming(name):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            raise UsageError(f"{name}: there is no such file or folder") from None
        if stat.S_ISDIR(mode):
            return _folder_openers(path)
        if stat.S_ISFIFO(mode):
            with path.open("rb") as file:
                return [_spooled(name, file)]
    if not stat.S_ISREG(mode):
        raise UsageError(f"{name} is a device, not a text")
    return [(name, partial(_open_binary, path))]


def _folder_openers(folder: Path) -> list[Opener]:
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    )
    texts = [path for path in paths if not _looks_binary(path)]
    if not texts:
        raise DataError(f"{folder}: no text files in this folder")
    return [(str(path), partial(_open_binary, path)) for path in texts]


def _open_binary(path: Path) -> BinaryIO:
    return path.open("rb")


def _looks_binary(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(8192)
    return b"\0" in start and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def _spooled(name: str, stream: BinaryIO) -> Opener:
    """Copy a stream that can be read only once."""
    with tempfile.TemporaryFile() as spool:
        while chunk := stream.read(PIECE_BYTES):
            spool.write(chunk)
        spool.flush()
        # This descriptor keeps the nameless file alive until the process ends.
        kept = os.dup(spool.fileno())

    def open_again() -> BinaryIO:
        copy = os.fdopen(os.dup(kept), "rb")
        copy.seek(0)
        return copy

    return name, open_again


def decode(file: BinaryIO, encoding: str, name: str, size: int = PIECE_BYTES) -> Iterator[str]:
    """Text of `file` in pieces, without a byte-order mark. `size`: bytes read at a time."""
    decoder = codecs.getincrementaldecoder(encoding)()
    read_bytes, lines, at_start = 0, 1, True
    while True:
        chunk = file.read(size)
        try:
            piece = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            # The decoder's object begins with the bytes it held back from earlier chunks.
            offset = read_bytes - (len(error.object) - len(chunk)) + error.start
            lines += error.object.count(b"\n", 0, error.start)
            raise DataError(_undecodable(file, encoding, name, offset, lines)) from None
        read_bytes += len(chunk)
        if at_start and piece:
            piece, at_start = piece.removeprefix("\ufeff"), False
        if "\0" in piece:
            lines += piece.count("\n", 0, piece.index("\0"))
            raise DataError(
                f"{name}: a NUL character in line {lines}; the file is binary, or in another "
                "encoding (give it with --encoding)"
            )
        lines += piece.count("\n")
        if piece:
            yield piece
        if not chunk:
            return


def _undecodable(file: BinaryIO, encoding: str, name: str, offset: int, line: int) -> str:
    message = f"{name}: byte {offset} (line {line}) is not {encoding}"
    file.seek(0)
    start = file.read(16 * PIECE_BYTES)
    readable = [c for c in CANDIDATES if c != encoding and _decodes(start, c)]
    if not readable:
        return f"{message}; --encoding latin-1 would read it, right or wrong"
    return f"{message}; --encoding {' or '.join(readable)} would read it"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        # Not final: the sample of a long file may end within a character.
        codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeError:
        return False
    # UTF-16 reads any even run of bytes; without its mark it is no suggestion.
    return encoding != "utf-16" or data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
