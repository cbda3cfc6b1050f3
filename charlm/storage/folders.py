"""Folders that appear whole, that one process works in at a time, and that are left tidy.

A folder is filled under a temporary name and renamed when it is complete. What a killed process
left under temporary names is swept away by the next one that works in the same place.
"""

import contextlib
import ctypes
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from charlm.errors import FileSystemError, UsageError
from charlm.storage import files
from charlm.storage.files import host, naming, remove, sync_folder, temporary_name, write_bytes

LOCK, HOLDER = ".lock", ".lock-holder"


def sweep(folder: Path) -> None:
    """Remove what processes of this machine that are no more left under temporary names."""
    for path in folder.glob(".*.tmp"):
        owner, _, rest = path.name.removesuffix(".tmp").rpartition(".")[2].partition("-")
        number = rest.partition("-")[0]
        if owner == host() and number.isdecimal() and not _alive(int(number)):
            remove(path)


def _alive(process: int) -> bool:
    if os.name == "nt":
        return True  # asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from working in `folder`; a process that dies lets go of it.

    Raises FileSystemError, naming the process that has it.
    """
    from filelock import FileLock, Timeout

    with naming(folder):
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise FileSystemError(
                f"{folder} is in use by process {_holder(folder)}; wait for it, or name another"
            ) from None
    try:
        # In a file of its own: to ask for the lock empties the lock's file.
        write_bytes(folder / HOLDER, f"{os.getpid()}\n".encode())
        sweep(folder)
        yield
    finally:
        remove(folder / HOLDER)
        lock.release()


def _holder(folder: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (folder / HOLDER).read_text(encoding="ascii").strip()[:20]
    return "(unknown)"


@contextlib.contextmanager
def new_folder(
    path: Path, *, replace: bool = False, marks: tuple[str, ...] = (), instead: str = ""
) -> Iterator[Path]:
    """Yield a temporary folder to fill; at the end of the block it becomes `path`.

    A folder already there is refused (UsageError), or, with `replace`, takes its leave once the new
    one is complete; only one that is empty or holds a file of `marks`, such as "config.json", is
    ever replaced. If the block raises, nothing is left behind. instead: what else a user whose
    folder is refused could do.
    """
    check_output(path, replace=replace, marks=marks, instead=instead)
    made_parent = not path.parent.exists()
    with naming(path):
        files.before_operation("make folder", path)
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        staging = temporary_name(path)
        staging.mkdir()
    try:
        yield staging
        check_output(path, replace=replace, marks=marks, instead=instead)
        with naming(path):
            _put_in_place(staging, path)
    except BaseException:
        remove(staging)
        if made_parent:
            with contextlib.suppress(OSError):
                path.parent.rmdir()
        raise


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
    with naming(path):
        if path.exists() and not path.is_dir():
            raise UsageError(f"the output {path} is a file; give the name of a folder")
        if not path.exists() or not any(path.iterdir()):
            return
        ours = any((path / mark).exists() for mark in marks)
    if not ours:
        raise UsageError(f"the output {path} already holds other files; give another with -o")
    if not replace:
        raise UsageError(
            f"the output {path} already exists; give another with -o{instead}, or add --force"
        )
    with locked(path):
        pass  # nobody is at work there


def _put_in_place(staging: Path, path: Path) -> None:
    for folder, _, names in os.walk(staging):
        for name in names:
            files.before_operation("sync", Path(folder) / name)
            with (Path(folder) / name).open("rb+") as file:
                os.fsync(file.fileno())
        sync_folder(Path(folder))
    files.before_operation("rename", path)
    if not path.exists():
        staging.rename(path)
    elif _exchanged(staging, path):
        remove(staging)
    else:
        # For a moment nothing has the name: what was there keeps one that nobody sweeps away.
        old = path.with_name(f"{path.name[:80]}.before-{secrets.token_hex(4)}")
        path.rename(old)
        try:
            files.before_operation("rename", staging)
            staging.rename(path)
        except OSError:
            old.rename(path)
            raise
        remove(old)
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
