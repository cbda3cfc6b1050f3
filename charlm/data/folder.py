"""The texts of a folder: what below it is one, and what is left out and why."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from charlm.data.encoding import AROUND, WITHOUT_MARK, decoded, likely, marked
from charlm.errors import DataError

_WIDE = ("utf-16", "utf-32")


def texts_below(folder: Path, encoding: str) -> tuple[list[Path], list[str]]:
    """The texts below a folder, in the order of their names, and a note of what is no text.

    Left out are hidden files and folders, binary files, links to folders, and what charlm itself
    has made. Raises DataError if nothing is left.
    """
    texts: list[Path] = []
    left_out: dict[str, list[str]] = {}
    for path, reason in _walk(folder, encoding):
        if reason:
            left_out.setdefault(reason, []).append(str(path.relative_to(folder)))
        else:
            texts.append(path)
    reasons = [f"{len(names):,} {reason} ({listed(names)})" for reason, names in left_out.items()]
    if not texts:
        besides = f", but {', '.join(reasons)}" if reasons else ""
        raise DataError(f"{folder}: no text files in this folder{besides}")
    return texts, [f"{folder}: left out {', '.join(reasons)}"] if reasons else []


def listed(names: list[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _walk(folder: Path, encoding: str) -> Iterator[tuple[Path, str]]:
    """Files, with why each is left out, if it is; and folders that are left out as a whole."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            yield path, "hidden"
        elif path.is_dir():
            if made := made_by_charlm(path):
                yield path, made
            elif path.is_symlink():
                yield path, "linked"
            else:
                yield from _walk(path, encoding)
        elif path.is_file():
            yield path, _why_no_text(path, encoding)


def made_by_charlm(folder: Path) -> str:
    """ "run" or "corpus" for a folder that is one; else nothing."""
    for name, kind in (("corpus.json", "corpus"), ("config.json", "run")):
        path = folder / name
        if path.is_file():
            with path.open("rb") as file:
                if b'"charlm"' in file.read(200):
                    return kind
    return ""


def _why_no_text(path: Path, encoding: str) -> str:
    with path.open("rb") as file:
        start = file.read(AROUND)
    end = len(start) < AROUND
    if b"\0" not in start or marked(start):
        return ""
    if codecs.lookup(encoding).name.startswith(_WIDE) and decoded(start, encoding, end) is not None:
        return ""
    wide = [name for name in likely(start, end=end) if name in WITHOUT_MARK]
    return f"in {wide[0]}" if wide else "binary"
