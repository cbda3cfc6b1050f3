"""The one place that writes files for keeps.

A file is written under a temporary name beside its place, synced, and renamed over it: whoever
looks, and whenever the power fails, sees the whole old file or the whole new one.
"""

import contextlib
import errno
import json
import os
import platform
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from charlm.errors import FileSystemError

# Called before every operation that changes the disk, with its name and path. The tests put
# something here that fails or kills the process at the N-th.
before_operation: Callable[[str, Path], None] = lambda operation, path: None  # noqa: E731

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def naming(path: Path | str, *, size: int | None = None) -> Iterator[None]:
    """Turn an OSError inside the block into a FileSystemError that names `path`.

    size: the bytes to be written there, for whoever has to make room.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in FULL:
            reason += _room(Path(path), size)
        raise FileSystemError(f"{path}: {reason}") from error


def _room(path: Path, size: int | None) -> str:
    """What is needed and what there is, as far as they are known."""
    needed = "" if size is None else f"{size / 1e6:,.3f} MB needed, "
    with contextlib.suppress(OSError):
        existing = next(folder for folder in path.absolute().parents if folder.exists())
        return f" ({needed}{shutil.disk_usage(existing).free / 1e6:,.3f} MB free); make room first"
    return ""


def temporary_name(path: Path) -> Path:
    """A name beside `path` that nothing else uses, and that says whose it is."""
    # The name's start alone is kept: a long name plus the suffix might pass the system's limit.
    owner = f"{host()}-{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f".{path.name[:80]}.{owner}.tmp")


def host() -> str:
    """A short name of this machine."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def remove(path: Path) -> None:
    """A file or a folder, as far as it can be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file at `path`, or the one that a link there points to, whole or not at all.

    Raises FileSystemError; what was there before is then still there.
    """
    with naming(path, size=len(data)):
        target = Path(os.path.realpath(path))
        with _replacement(target) as temporary:
            with output(temporary) as file:
                file.write(data)
                before_operation("sync", temporary)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                before_operation("mode", temporary)
                shutil.copymode(target, temporary)
        sync_folder(target.parent)


@contextlib.contextmanager
def _replacement(target: Path) -> Iterator[Path]:
    """A temporary name; what the block puts there takes the place of `target` at its end."""
    temporary = temporary_name(target)
    try:
        yield temporary
        before_operation("replace", target)
        temporary.replace(target)
    except BaseException:
        remove(temporary)
        raise


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON in UTF-8, every script as itself."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    # A file's name need not be UTF-8: it then has lone surrogates, which JSON's reader takes back.
    write_bytes(path, (text + "\n").encode("utf-8", "surrogatepass"))


class Output:
    """A new file that is written from its beginning to its end."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file = path, file
        self.flush, self.fileno = file.flush, file.fileno

    def write(self, data: bytes) -> None:
        before_operation("write", self._path)
        self._file.write(data)


@contextlib.contextmanager
def output(path: Path) -> Iterator[Output]:
    """Open a file that must not be there yet."""
    before_operation("open", path)
    with path.open("xb") as file:
        yield Output(path, file)


def append(path: Path, text: str) -> None:
    """Add to the end of a log. Raises OSError."""
    before_operation("append", path)
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(text)


def size(path: Path) -> int:
    """The bytes of a file; 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


def truncate(path: Path, length: int) -> None:
    """Cut off what a log has beyond its first `length` bytes."""
    if size(path) > length:
        with naming(path):
            before_operation("truncate", path)
            os.truncate(path, length)


def keep_copy(path: Path, copy: Path) -> None:
    """Make `copy` what `path` is, if there is such a file; `path` itself stays throughout."""
    # Where a save failed, `copy` may be a link to `path` already: to rename one link over another
    # would do nothing, and leave it.
    if not path.exists() or (copy.exists() and path.samefile(copy)):
        return
    with naming(copy), _replacement(copy) as temporary:
        before_operation("copy", temporary)
        try:
            os.link(path, temporary)
        except OSError:  # not every file system has links
            shutil.copy2(path, temporary)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut (Windows cannot, and needs not)."""
    before_operation("sync folder", folder)
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
