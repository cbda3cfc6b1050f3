"""Read texts, in pieces and as often as needed: files, folders, standard input, the sample."""

import codecs
import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from charlm.data.encoding import AROUND, check_encoding, decoded, diagnosis, likely, marked, packed
from charlm.data.folder import listed, texts_below
from charlm.errors import DataError, UsageError
from charlm.storage.files import naming

PIECE_BYTES = 1 << 20
# So many files are looked into, to tell which encodings they are in.
MOST_LOOKED_AT = 1000

# Begins to read a text, in pieces of any length.
Read = Callable[[], Iterator[str]]


@dataclass(frozen=True)
class Source:
    """One text or several, one after the other, that can be read more than once.

    name: what a run on them may be called; label: what messages call them; notes: what is odd about
    them and no error; held_out: what "valid" or "test" is, where it is no part of these texts;
    in_files: other processes can read them too.
    """

    name: str
    label: str
    texts: tuple[Read, ...]
    notes: tuple[str, ...] = ()
    held_out: Mapping[str, "Source"] = field(default_factory=dict)
    in_files: bool = False

    def read(self) -> Iterator[str]:
        """All of its texts."""
        for text in self.texts:
            yield from text()


def text_source(name: str, text: str) -> Source:
    """A text that is already in memory."""
    return Source(name, name, (lambda: iter([text]),))


def sample_source() -> Source:
    """The bundled sample: Python's own language reference, as `help()` shows it.

    Half a million characters of English that every CPython carries, each version with changes of
    its own, so that figures compare within one version only; where one lacks them, the docstrings
    of the standard library's modules.
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

    A folder stands for the files below it, in the order of their names; what is left out of them is
    noted. A line break is put between two files where the first does not end in one. Standard input
    and pipes are copied to a temporary file, so that they too can be read twice.
    Raises UsageError for an unknown encoding or a missing file; DataError, while reading, for bytes
    that the encoding does not have and for binary data.
    """
    check_encoding(encoding)
    files: list[_File] = []
    notes: list[str] = []
    for name in inputs:
        files += _files(name, encoding, notes)
    twice = [name for name in dict.fromkeys(inputs) if inputs.count(name) > 1]
    notes += [f"{name} is named {inputs.count(name)} times, and read as often" for name in twice]
    name = "stdin" if inputs[0] == "-" else Path(inputs[0]).resolve().stem.lstrip(".") or "text"
    label = inputs[0] if len(inputs) == 1 else f"{inputs[0]} and {len(inputs) - 1} more"
    texts = (partial(_read, files, number, encoding) for number in range(len(files)))
    in_files = not any(isinstance(one, _Spool) for one in files)
    return Source(name, label, tuple(texts), tuple(notes), in_files=in_files)


@dataclass(frozen=True)
class _File:
    name: str
    open: Callable[[], BinaryIO]


class _Spool(_File):
    """What could be read only once, copied to a file without a name."""


def _files(name: str, encoding: str, notes: list[str]) -> list[_File]:
    """What one input stands for; adds to the notes what it leaves out."""
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
            below, left_out = texts_below(path, encoding)
            notes += left_out
            return [_File(str(path), partial(_open, path)) for path in below]
        if stat.S_ISFIFO(mode):
            with path.open("rb") as file:
                return [_spooled(name, file)]
    if not stat.S_ISREG(mode):
        raise UsageError(f"{name} is a device, not a text")
    return [_File(name, partial(_open, path))]


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _spooled(name: str, stream: BinaryIO) -> _Spool:
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

    return _Spool(name, open_again)


def _read(files: Sequence[_File], number: int, encoding: str) -> Iterator[str]:
    """One of the files, ended by a line break if another follows it."""
    name, last = files[number].name, "\n"
    with naming(name), files[number].open() as file:
        try:
            for piece in decode(file, encoding, name):
                last = piece
                yield piece
        except UndecodableError as error:
            raise DataError(f"{error}{_by_encoding(files, encoding)}") from None
    if number + 1 < len(files) and not last.endswith(("\n", "\r")):
        yield "\n"


class UndecodableError(DataError):
    """A text has bytes that are not of its encoding."""


def decode(file: BinaryIO, encoding: str, name: str, size: int = PIECE_BYTES) -> Iterator[str]:
    """Text of `file` in pieces, without a byte-order mark. `size`: bytes read at a time.

    Raises UndecodableError for bytes that the encoding does not have, DataError for binary data.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    read_bytes, at_start = 0, True
    while True:
        chunk = file.read(size)
        try:
            piece = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            _refuse_packed(file, name)
            # The decoder's object begins with the bytes it held back from earlier chunks.
            offset = read_bytes - (len(error.object) - len(chunk)) + error.start
            line = _line_at(file, encoding, offset)
            where = f"{name}: byte {offset} (line {line}) is not {encoding}"
            raise UndecodableError(f"{where}{diagnosis(file, encoding, offset)}") from None
        except UnicodeError as error:
            raise UndecodableError(_without_mark(file, encoding, name, error)) from None
        if at_start and piece:
            piece, at_start = piece.removeprefix("\ufeff"), False
        if "\0" in piece:
            _refuse_packed(file, name)
            line = _line_at(file, encoding, read_bytes) + piece.count("\n", 0, piece.index("\0"))
            raise DataError(_with_nul(file, name, line))
        read_bytes += len(chunk)
        if piece:
            yield piece
        if not chunk:
            return


def _refuse_packed(file: BinaryIO, name: str) -> None:
    file.seek(0)
    if kind := packed(file.read(8)):
        raise DataError(f"{name} is no text but {kind}")


def _line_at(file: BinaryIO, encoding: str, offset: int) -> int:
    """The number of the line in which a byte of a file stands; asked only where it is no text."""
    file.seek(0)
    decoder, line, left = codecs.getincrementaldecoder(encoding)("replace"), 1, offset
    # Whatever stands there, utf-16 and utf-32 go no further without their mark.
    with contextlib.suppress(UnicodeError):
        while left and (chunk := file.read(min(PIECE_BYTES, left))):
            line += decoder.decode(chunk).count("\n")
            left -= len(chunk)
    return line


def _without_mark(file: BinaryIO, encoding: str, name: str, error: UnicodeError) -> str:
    """What utf-16 and utf-32 say of a file that does not begin with their mark."""
    file.seek(0)
    start = file.read(AROUND)
    found = next(iter(likely(start, not_in=encoding, end=len(start) < AROUND)), None)
    instead = f"; --encoding {found} would read it" if found else ""
    return f"{name} is not {encoding}: {error}{instead}"


def _with_nul(file: BinaryIO, name: str, line: int) -> str:
    file.seek(0)
    start = file.read(AROUND)
    wide = [e for e in likely(start, end=len(start) < AROUND) if e.startswith(("utf-16", "utf-32"))]
    binary = "the file is binary, or in another encoding (give it with --encoding)"
    what = f"the file is in another encoding: add --encoding {wide[0]}" if wide else binary
    return f"{name}: a NUL character in line {line}; {what}"


def _by_encoding(files: Sequence[_File], encoding: str) -> str:
    """Which files are in which encoding, where they are not all in one; for a message."""
    found: dict[str, list[str]] = {}
    for one in files[:MOST_LOOKED_AT]:
        with naming(one.name), one.open() as file:
            start = file.read(AROUND)
        whole = len(start) < AROUND
        if start.isascii():
            continue  # reads alike in all of them
        if marked(start) is None and decoded(start, encoding, whole) is not None:
            found.setdefault(encoding, []).append(one.name)
        else:
            name = next(iter(likely(start, not_in=encoding, end=whole)), "unknown")
            found.setdefault(name, []).append(one.name)
    if len(found) < 2:
        return ""
    groups = "; ".join(f"{name}: {listed(names)}" for name, names in found.items())
    return f"; the files are in {len(found)} encodings ({groups}): bring them to one first"
