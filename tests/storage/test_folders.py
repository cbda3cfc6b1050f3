"""Who may work in a folder, and what of the dead is swept away."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from charlm.errors import FileSystemError, ModelError, UsageError
from charlm.storage import files
from charlm.storage import names as names_module
from charlm.storage.files import write_bytes
from charlm.storage.folders import HOLDER, LOCK, FolderLock, locked, new_folder, sweep, try_output
from charlm.storage.names import Owner, process_space, temporary_name


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def in_another_container(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary name of a process that this one cannot ask after."""
    with monkeypatch.context() as patch:
        patch.setattr(names_module, "process_space", lambda: "another")
        return temporary_name(folder / "run")


def test_a_name_tells_whose_it_is(tmp_path: Path) -> None:
    owner = Owner.of(temporary_name(tmp_path / "a.b-c"))
    assert owner == Owner(names_module.host(), os.getpid(), process_space())
    assert owner.alive
    # As it was before there was a space in it.
    assert Owner.of(Path(f".a.{owner.host}-17-0123abcd.tmp")) == Owner(owner.host, 17, owner.space)
    for name in (".a.tmp", ".tmp", ".a.x-y-z.tmp", ".a.x-1.tmp", ".a.b-c-d-e-f.tmp"):
        assert Owner.of(Path(name)) is None
    assert Owner(owner.host, 10**30, owner.space).alive is False


def test_work_in_another_container_is_swept_only_once_its_lock_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    living, dead, file = (in_another_container(tmp_path, monkeypatch) for _ in range(3))
    living.mkdir()
    dead.mkdir()
    FolderLock(dead).release()
    file.write_bytes(b"")
    lock = FolderLock(living)
    sweep(tmp_path)
    assert names(tmp_path) == sorted([living.name, file.name])
    lock.release()
    sweep(tmp_path)
    # Of a lone file one cannot tell, but in a folder whose lock one has, all is left over.
    assert names(tmp_path) == [file.name]
    with locked(tmp_path):
        assert names(tmp_path) == [LOCK, HOLDER]


NEW_FOLDER = """
import sys, time
from pathlib import Path
from charlm.storage.folders import new_folder
with new_folder(Path(sys.argv[1])) as staging:
    print(staging, flush=True)
    time.sleep(60)
"""


def test_a_folder_that_is_being_filled_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", NEW_FOLDER, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    staging = Path(child.stdout.readline().strip())
    monkeypatch.setattr("charlm.storage.names.process_space", lambda: "another")
    sweep(tmp_path)
    assert staging.is_dir()
    child.kill()
    child.wait()
    child.stdout.close()
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_a_lock_is_kept_when_the_folder_gets_its_name(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with ExitStack() as lock:
        with new_folder(run, hold=lock) as staging:
            write_bytes(staging / "config.json", b"{}")
        in_use = f"run is in use by process {os.getpid()}"
        with pytest.raises(FileSystemError, match=in_use), locked(run):
            pass
        with (
            pytest.raises(FileSystemError, match=in_use),
            new_folder(run, replace=True, marks=("config.json",)),
        ):
            pass
        # Nobody is sent to replace, or to go on with, what another is at work in.
        with pytest.raises(FileSystemError, match=in_use):
            try_output(run, marks=("config.json",))
    with locked(run):
        pass
    with pytest.raises(UsageError, match="already exists"):
        try_output(run, marks=("config.json",))
    assert names(run) == [LOCK, "config.json"]


def test_a_training_that_begins_in_a_run_that_is_being_replaced_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_bytes(b"old")
    begun: list[FolderLock] = []

    def begins(operation: str, path: Path) -> None:
        if operation == "sync" and path.name == "large" and not begun:
            begun.append(FolderLock(run))

    monkeypatch.setattr(files, "before_operation", begins)
    with (
        pytest.raises(FileSystemError, match=f"run is in use by process {os.getpid()}"),
        new_folder(run, replace=True, marks=("config.json",)) as staging,
    ):
        (staging / "large").write_bytes(b"new")
    begun[0].release()
    assert names(tmp_path) == ["run"]
    assert (run / "config.json").read_bytes() == b"old"


def test_a_name_that_another_has_taken_in_the_last_moment_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    def another_is_quicker(operation: str, path: Path) -> None:
        if operation == "rename" and not run.exists():
            run.mkdir()
            (run / "config.json").write_text("theirs")

    monkeypatch.setattr(files, "before_operation", another_is_quicker)
    with (
        pytest.raises(UsageError, match="run was made by another in the meantime"),
        new_folder(run, marks=("config.json",)) as folder,
    ):
        (folder / "config.json").write_text("mine")
    assert (run / "config.json").read_text() == "theirs"
    assert names(tmp_path) == ["run"]


@pytest.mark.parametrize("name", [".", "..", "a/..", "/"])
def test_an_output_without_a_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="has no name of its own"), new_folder(Path(name)):
        pass


def test_a_folder_that_is_nobodys_has_no_lock(tmp_path: Path) -> None:
    for _ in range(2):
        with new_folder(tmp_path / "corpus", replace=True, marks=("a",)) as staging:
            write_bytes(staging / "a", b"")
        assert names(tmp_path / "corpus") == ["a"]


def test_row_09_an_output_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "large-disk").mkdir()
    (tmp_path / "run").symlink_to("large-disk/run")
    for content in (b"old", b"new"):
        with new_folder(tmp_path / "run", replace=True, marks=("config.json",)) as staging:
            write_bytes(staging / "config.json", content)
    assert (tmp_path / "run").is_symlink()
    assert (tmp_path / "large-disk" / "run" / "config.json").read_bytes() == b"new"
    assert names(tmp_path) == ["large-disk", "run"]
    assert names(tmp_path / "large-disk") == ["run"]


@pytest.mark.parametrize("name", [LOCK, HOLDER])
def test_a_lock_that_is_a_link_is_refused_and_leads_nowhere(tmp_path: Path, name: str) -> None:
    victim, run = tmp_path / "victim", tmp_path / "run"
    victim.write_bytes(b"precious")
    run.mkdir()
    (run / "config.json").touch()
    (run / name).symlink_to(victim)
    with pytest.raises(ModelError, match=f"run/{name} is a link"), locked(run):
        pass
    with (
        pytest.raises(ModelError, match=f"run/{name} is a link"),
        new_folder(run, replace=True, marks=("config.json",)),
    ):
        pass
    assert victim.read_bytes() == b"precious"
    assert names(tmp_path) == ["run", "victim"]


def test_links_are_swept_and_what_they_lead_to_is_not(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").touch()
    run = tmp_path / "run"
    run.mkdir()
    temporary_name(run / "a").symlink_to(victim)
    with locked(run):
        assert names(run) == [LOCK, HOLDER]
    assert names(victim) == ["precious"]


def test_a_file_system_without_locks_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*arguments: Any, **options: Any) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", missing)
    with pytest.raises(FileSystemError, match="this file system has no locks"), locked(tmp_path):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else for a while")
@pytest.mark.parametrize("command", [["info"], ["generate", "-m"], ["vocab"], ["train"]])
def test_a_folder_that_one_may_not_enter_is_one_line(
    charlm: Any, tmp_path: Path, command: list[str]
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    charlm(*command, secret / "none")  # all is imported that this user alone may read
    os.seteuid(65534)
    try:
        refused = charlm(*command, secret / "run")
    finally:
        os.seteuid(0)
    assert refused.code == 5
    assert refused.err.startswith(f"Error: {secret / 'run'}")
    assert refused.err.endswith(": Permission denied\n")
    assert refused.err.count("\n") == 1
