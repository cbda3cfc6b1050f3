"""The one place that writes files for keeps.

A file is written under a temporary name beside its place, synced, and renamed over it: whoever
looks, and whenever the power fails, sees the whole old file or the whole new one. A folder is
filled under a temporary name and renamed when it is complete.
"""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from charlm.errors import FileSystemError, UsageError


@contextlib.contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Turn an OSError inside the block into a FileSystemError that names `path`."""
    try:
        yield
    except OSError as error:
        raise FileSystemError(f"{path}: {error.strerror or error}") from error


def temporary_name(path: Path) -> Path:
    """A name beside `path` that nothing else uses, and that says whose it is."""
    # The name's start alone is kept: a long name plus the suffix might pass the system's limit.
    return path.with_name(f".{path.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file at `path`, or the one that a link there points to, whole or not at all.

    Raises FileSystemError; what was there before is then still there.
    """
    with naming(path):
        target = Path(os.path.realpath(path))
        temporary = temporary_name(target)
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON in UTF-8, every script as itself."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    write_bytes(path, (text + "\n").encode("utf-8"))


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut (Windows cannot, and needs not)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def new_folder(path: Path, *, replace: bool = False, marks: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield a temporary folder to fill; at the end of the block it becomes `path`.

    A folder already there is refused (UsageError), or, with `replace`, takes its leave once the new
    one is complete; only one that is empty or holds a file of `marks`, such as "config.json", is
    ever replaced. If the block raises, nothing is left behind.
    """
    check_output(path, replace=replace, marks=marks)
    made_parent = not path.parent.exists()
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = temporary_name(path)
        staging.mkdir()
    try:
        yield staging
        with naming(path):
            _swap(staging, path)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        if made_parent:
            with contextlib.suppress(OSError):
                path.parent.rmdir()
        raise


def check_output(path: Path, *, replace: bool, marks: tuple[str, ...]) -> None:
    """Refuse an output folder that is in the way, before any work is done."""
    with naming(path):
        if path.exists() and not path.is_dir():
            raise UsageError(f"the output {path} is a file; give the name of a folder")
        if not path.exists() or not any(path.iterdir()):
            return
        ours = any((path / mark).exists() for mark in marks)
    if not ours:
        raise UsageError(f"the output {path} already holds other files; give another with -o")
    if not replace:
        raise UsageError(f"the output {path} already exists; give another with -o, or add --force")


def _swap(staging: Path, path: Path) -> None:
    for folder, _, names in os.walk(staging):
        for name in names:
            with (Path(folder) / name).open("rb+") as file:
                os.fsync(file.fileno())
        sync_folder(Path(folder))
    old = temporary_name(path)
    with contextlib.suppress(FileNotFoundError):
        path.rename(old)
    try:
        staging.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    sync_folder(path.parent)
    if old.exists():
        shutil.rmtree(old)
