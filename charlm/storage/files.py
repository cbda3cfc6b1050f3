"""The one place that writes files for keeps.

A file is written under a temporary name beside its place, synced, and renamed over it: whoever
looks, and whenever the power fails, sees the whole old file or the whole new one.

Nothing is written through a link, but where the user named one: a folder from a stranger may hold
links that lead to the user's own files.
"""

import contextlib
import errno
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from charlm.errors import FileSystemError, ModelError
from charlm.storage.names import temporary_name

try:
    import fcntl

    # On a Mac, fsync goes no further than to the drive's cache.
    FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)
except ImportError:  # Windows
    FULL_SYNC = None

# Called before every operation that changes the disk, with its name and path. The tests put
# something here that fails or kills the process at the N-th.
before_operation: Callable[[str, Path], None] = lambda operation, path: None  # noqa: E731

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What file systems that cannot sync a folder answer (CIFS, 9p, some of FUSE), or refuse to open.
UNSYNCABLE = (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES)
# A file that someone else has open cannot be replaced on Windows: access denied, sharing violation.
IN_USE, PATIENCE_SECONDS = (5, 32), 1.0


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


def found(path: Path) -> os.stat_result | None:
    """What is at `path`, links followed; None where nothing is.

    pathlib's own questions let an OSError out where a folder may not be entered or a name is too
    long, and from Python 3.14 on they answer that nothing is there. Raises FileSystemError.
    """
    with naming(path):
        try:
            return path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:  # a NUL, or half a surrogate pair: no file has such a name
            return None


def exists(path: Path) -> bool:
    return found(path) is not None


def is_file(path: Path) -> bool:
    """Whether there is a file, and no pipe or device that reading might wait for."""
    there = found(path)
    return there is not None and stat.S_ISREG(there.st_mode)


def is_folder(path: Path) -> bool:
    there = found(path)
    return there is not None and stat.S_ISDIR(there.st_mode)


def refuse_links(*paths: Path) -> None:
    """Refuse, before anything is written there, what is no file or folder of its own.

    Raises ModelError.
    """
    for path in paths:
        with naming(path):
            try:
                mode = path.lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                continue
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            kind = "a link" if stat.S_ISLNK(mode) else "a pipe or a device"
            raise ModelError(
                f"{path} is {kind}, and inside a run nothing is written through one: put what it "
                "leads to in its place"
            )


def remove(path: Path) -> None:
    """A file or a folder, as far as it can be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def write_bytes(path: Path, data: bytes, *, follow: bool = False) -> None:
    """Replace what is at `path`, whole or not at all.

    follow: the user named the path, so that where it is a link, it stays, and the file that it
    points to is replaced. Otherwise the link itself is.
    Raises FileSystemError; what was there before is then still there.
    """
    with naming(path, size=len(data)):
        target = Path(os.path.realpath(path)) if follow else path
        with _replacement(target) as temporary:
            with output(temporary) as file:
                file.write(data)
                before_operation("sync", temporary)
                file.flush()
                sync(file.fileno())
            if target.is_file() and not target.is_symlink():
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
        _replace(temporary, target)
    except BaseException:
        remove(temporary)
        raise


def _replace(temporary: Path, target: Path) -> None:
    """Rename; on Windows, wait a moment for whoever is reading the file that is to go."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            temporary.replace(target)
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in IN_USE or time.monotonic() > until:
                raise
        time.sleep(0.02)


def write_json(path: Path, value: Any, *, follow: bool = False) -> None:
    """`value` as indented JSON in UTF-8, every script as itself. follow: as of `write_bytes`."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    # A file's name need not be UTF-8: it then has lone surrogates, which JSON's reader takes back.
    write_bytes(path, (text + "\n").encode("utf-8", "surrogatepass"), follow=follow)


def make_folder(path: Path) -> None:
    """A folder in one that exists, unless it is there already. Raises FileSystemError."""
    with naming(path):
        before_operation("make folder", path)
        path.mkdir(exist_ok=True)


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


def append(path: Path, data: bytes) -> None:
    """Add to the end of a log. Raises OSError."""
    before_operation("append", path)
    descriptor = _open_itself(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with os.fdopen(descriptor, "ab") as file:
        file.write(data)


def _open_itself(path: Path, flags: int) -> int:
    """Open a file to write in it, where the system can tell, only if it is no link and no pipe."""
    for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, flag, 0)
    return os.open(path, flags, 0o666)


def size(path: Path) -> int:
    """The bytes of a file; 0 where there is none."""
    there = found(path)
    return there.st_size if there and stat.S_ISREG(there.st_mode) else 0


def truncate(path: Path, length: int) -> None:
    """Cut off what a log has beyond its first `length` bytes."""
    if size(path) > length:
        with naming(path):
            before_operation("truncate", path)
            descriptor = _open_itself(path, os.O_WRONLY)
            try:
                os.ftruncate(descriptor, length)
            finally:
                os.close(descriptor)


def keep_copy(path: Path, copy: Path) -> None:
    """Make `copy` what `path` is, if there is such a file; `path` itself stays throughout."""
    # Where a save failed, `copy` may be a link to `path` already: to rename one link over another
    # would do nothing, and leave it.
    if not exists(path) or (exists(copy) and path.samefile(copy)):
        return
    with naming(copy), _replacement(copy) as temporary:
        before_operation("copy", temporary)
        try:
            os.link(path, temporary)
        except OSError:  # not every file system has links
            shutil.copy2(path, temporary)


def sync(descriptor: int) -> None:
    """Make what was written survive a power cut."""
    if FULL_SYNC is not None:
        with contextlib.suppress(OSError):  # not every file system has it
            fcntl.fcntl(descriptor, FULL_SYNC)
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut, where the file system can (Windows needs not).

    One that cannot has still renamed: that is no failure.
    """
    before_operation("sync folder", folder)
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in UNSYNCABLE:
            raise
