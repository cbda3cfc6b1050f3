"""Folders that appear whole, that one process works in at a time, and that are left tidy.

A folder is filled under a temporary name and renamed when it is complete. What a killed process
left under temporary names is swept away by the next one that works in the same place.
"""

import contextlib
import ctypes
import errno
import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from charlm.errors import FileSystemError, UsageError
from charlm.storage import files
from charlm.storage.files import (
    exists,
    is_file,
    is_folder,
    naming,
    refuse_links,
    remove,
    sync,
    sync_folder,
    write_bytes,
)
from charlm.storage.names import Owner, beginning, host, temporary_name

LOCK, HOLDER = ".lock", ".lock-holder"


def sweep(folder: Path, *, ours: bool = False) -> None:
    """Remove what processes of this machine that are no more left under temporary names.

    ours: this process has the folder's lock, so that no other can be at work in it.
    """
    for path in folder.glob(".*.tmp"):
        owner = Owner.of(path)
        if owner and owner.host == host() and (ours or _abandoned(path, owner)):
            remove(path)


def _abandoned(path: Path, owner: Owner) -> bool:
    if owner.alive is not None:
        return not owner.alive
    # Of another container, maybe: a folder that is being filled is locked.
    try:
        if not is_file(path / LOCK):
            return False
        FolderLock(path).release()
    except (FileSystemError, OSError):
        return False
    return True


class FolderLock:
    """The lock of a folder, held; a process that dies lets go of it.

    folder: where it is, and may be changed by whoever renames it.
    """

    def __init__(self, folder: Path) -> None:
        """Raises FileSystemError, naming the process that has it."""
        from filelock import FileLock, Timeout

        self.folder = folder
        refuse_links(folder / LOCK, folder / HOLDER)
        with naming(folder), warnings.catch_warnings():
            # Where a file system has no locks, newer versions of filelock make do, and say so.
            warnings.simplefilter("ignore", UserWarning)
            files.before_operation("lock", folder)
            self._lock = FileLock(folder / LOCK)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise FileSystemError(
                    f"{folder} is in use by process {_holder(folder)}; wait for it, or name another"
                ) from None
            except NotImplementedError:
                raise FileSystemError(
                    f"{folder}: this file system has no locks; update filelock, or use another"
                ) from None
        try:
            # In a file of its own: on Windows, what is locked cannot be read.
            write_bytes(folder / HOLDER, f"{os.getpid()}\n".encode())
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        remove(self.folder / HOLDER)
        self._lock.release()

    def discard(self) -> None:
        """Release it for good: the folder is complete, and nobody will work in it."""
        if os.name == "nt":
            self.release()  # a file that is open cannot be removed there
            remove(self.folder / LOCK)
        else:
            remove(self.folder / LOCK)
            self.release()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from working in `folder`.

    Raises FileSystemError, naming the process that has it.
    """
    lock = FolderLock(folder)
    try:
        sweep(folder, ours=True)
        yield
    finally:
        lock.release()


def in_use(folder: Path) -> bool:
    """Whether a process works in `folder` now; nothing in it is changed."""
    if not exists(folder / HOLDER):
        return False
    from filelock import FileLock, Timeout

    # Who was killed has left its name, and no lock. Asked for a moment, while nobody has it.
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except (Timeout, PermissionError):  # of another user, perhaps: a name that is there counts
        return True
    except (OSError, NotImplementedError):
        return False
    lock.release()
    return False


def _holder(folder: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (folder / HOLDER).read_text(encoding="ascii").strip()[:20]
    return "(unknown)"


@contextlib.contextmanager
def new_folder(
    path: Path,
    *,
    replace: bool = False,
    marks: tuple[str, ...] = (),
    instead: str = "",
    hold: ExitStack | None = None,
) -> Iterator[Path]:
    """Yield a temporary folder to fill; at the end of the block it becomes `path`.

    A folder already there is refused (UsageError), or, with `replace`, takes its leave once the new
    one is complete; only one that is empty or holds a file of `marks`, such as "config.json", is
    ever replaced. Where `path` is a link, it stays, and what it leads to is made or replaced. If
    the block raises, nothing is left behind.
    instead: what else a user whose folder is refused could do. hold: the folder is locked from
    before it has its name until this stack is closed; else it is nobody's once it has it.
    """
    with naming(path):
        path = Path(os.path.realpath(path)) if path.is_symlink() else path
    check_output(path, replace=replace, marks=marks, instead=instead)
    made_parent = not exists(path.parent)
    with naming(path):
        files.before_operation("make folder", path)
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        staging = temporary_name(path)
        staging.mkdir()
    lock = None
    try:
        lock = FolderLock(staging)
        yield staging
        with naming(path):
            _sync_all(staging)
        # Looked at again at the last moment: a training may have begun there meanwhile.
        check_output(path, replace=replace, marks=marks, instead=instead)
        with naming(path):
            _put_in_place(staging, path, lock, replace)
    except BaseException:
        if lock:
            lock.release()
        remove(staging)
        if made_parent:
            with contextlib.suppress(OSError):
                path.parent.rmdir()
        raise
    if hold is None:
        lock.discard()
    elif os.name == "nt":
        hold.enter_context(locked(path))
    else:
        hold.callback(lock.release)


def try_output(
    path: Path, *, replace: bool = False, marks: tuple[str, ...] = (), instead: str = ""
) -> None:
    """`check_output`, and a folder made there and removed: before long work, of which it would be a
    pity.
    """
    check_output(path, replace=replace, marks=marks, instead=instead)
    with naming(path):
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        files.before_operation("make folder", path)
        tried = temporary_name(parent / path.name)
        tried.mkdir()
        tried.rmdir()


def check_output(path: Path, *, replace: bool, marks: tuple[str, ...], instead: str = "") -> None:
    """Refuse an output folder that is in the way, before any work is done."""
    if path.name in ("", ".."):
        raise UsageError(f"the output {path} has no name of its own; give one, as in ./NAME")
    if not exists(path):
        return
    if not is_folder(path):
        raise UsageError(f"the output {path} is a file; give the name of a folder")
    with naming(path):
        if not any(path.iterdir()):
            return
    if not any(exists(path / mark) for mark in marks):
        raise UsageError(f"the output {path} already holds other files; give another name (-o)")
    if replace or exists(path / HOLDER):
        with locked(path):
            pass  # nobody is at work there
    if not replace:
        raise UsageError(
            f"the output {path} already exists; give another name (-o){instead}, or replace it "
            "(--force; in Python, replace=True)"
        )


def _sync_all(staging: Path) -> None:
    for folder, _, names in os.walk(staging):
        for name in set(names) - {LOCK, HOLDER}:
            files.before_operation("sync", Path(folder) / name)
            with (Path(folder) / name).open("rb+") as file:
                sync(file.fileno())
        sync_folder(Path(folder))


def _put_in_place(staging: Path, path: Path, lock: FolderLock, replace: bool) -> None:
    if os.name == "nt":
        lock.release()  # a folder with an open file in it cannot be renamed there
    files.before_operation("rename", path)
    if not replace or not path.exists():
        try:
            staging.rename(path)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                raise UsageError(f"the output {path} was made by another in the meantime") from None
            raise
    elif _exchanged(staging, path):
        remove(staging)
    else:
        # For a moment nothing has the name: what was there keeps one that nobody sweeps away.
        old = path.with_name(f"{beginning(path.name)}.before-{secrets.token_hex(4)}")
        path.rename(old)
        try:
            files.before_operation("rename", staging)
            staging.rename(path)
        except OSError:
            old.rename(path)
            raise
        remove(old)
    lock.folder = path
    sync_folder(path.parent)


def _exchanged(one: Path, other: Path) -> bool:
    """Swap two names at once, where the system has a call for it."""
    if os.name != "posix":
        return False
    libc: Any = ctypes.CDLL(None)
    names = os.fsencode(one), os.fsencode(other)
    if hasattr(libc, "renameat2"):  # Linux
        here, exchange = -100, 2
        return bool(libc.renameat2(here, names[0], here, names[1], exchange) == 0)
    if hasattr(libc, "renamex_np"):  # macOS
        swap = 2
        return bool(libc.renamex_np(*names, swap) == 0)
    return False
