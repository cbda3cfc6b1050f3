import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm.errors import FileSystemError, ModelError, UsageError
from charlm.storage import files
from charlm.storage.files import (
    append,
    exists,
    found,
    is_file,
    is_folder,
    make_folder,
    refuse_links,
    sync_folder,
    truncate,
    write_bytes,
    write_json,
)
from charlm.storage.folders import new_folder
from charlm.storage.names import Owner, temporary_name


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_mode_is_kept_and_a_link_that_the_user_named(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    write_bytes(target, b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_bytes(link, b"new", follow=True)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_nothing_is_written_through_any_other_link(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_bytes(b"precious")
    victim.chmod(0o600)
    link.symlink_to(victim)
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        append(link, "more")
    with pytest.raises(FileSystemError, match="link: Too many levels of symbolic links"):
        truncate(link, 0)
    write_bytes(link, b"new")
    assert (link.is_symlink(), link.read_bytes()) == (False, b"new")
    assert link.stat().st_mode & 0o777 != 0o600
    assert victim.read_bytes() == b"precious"


def test_a_pipe_in_the_place_of_a_log_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    with pytest.raises(OSError, match="No such device"):
        append(tmp_path / "log", "more")
    truncate(tmp_path / "log", 0)


def test_what_is_no_file_or_folder_of_its_own_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    refuse_links(tmp_path, tmp_path / "file", tmp_path / "none")
    with pytest.raises(ModelError, match="link is a link, and inside a run nothing is written"):
        refuse_links(tmp_path / "file", tmp_path / "link")
    with pytest.raises(ModelError, match="pipe is a pipe or a device"):
        refuse_links(tmp_path / "pipe")


def test_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    answers = {
        name: [ask(tmp_path / name) for ask in (exists, is_file, is_folder)]
        for name in ("file", ".", "pipe", "none", "file/none", "a\0b", "a\ud800b")
    }
    assert answers == {
        "file": [True, True, False],
        ".": [True, False, True],
        "pipe": [True, False, False],
        "none": [False] * 3,
        "file/none": [False] * 3,
        "a\0b": [False] * 3,
        "a\ud800b": [False] * 3,
    }


def test_what_cannot_be_looked_at_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    with pytest.raises(FileSystemError, match="x: File name too long"):
        found(tmp_path / ("x" * 300))

    def denied(path: Path, **options: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "stat", denied)
    for ask in (exists, is_file, is_folder):
        with pytest.raises(FileSystemError, match="secret: Permission denied"):
            ask(Path("secret"))


@pytest.mark.parametrize("name", ["龙" * 85, "é" * 127, "x" * 255, "a" * 79 + "é" * 88])
def test_a_name_of_all_the_bytes_that_the_system_takes(tmp_path: Path, name: str) -> None:
    write_bytes(tmp_path / name, b"new")
    assert names(tmp_path) == [name]
    temporary = temporary_name(tmp_path / name)
    assert len(os.fsencode(temporary.name)) < 140
    assert Owner.of(temporary) == Owner.of(temporary_name(Path("a")))


def failing(number: int) -> Callable[..., None]:
    def fail(*arguments: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("code", ["EINVAL", "EBADF", "ENOTSUP", "EACCES"])
@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_file_system_that_does_not_sync_folders_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, call: str
) -> None:
    monkeypatch.setattr(os, call, failing(getattr(errno, code)))
    sync_folder(tmp_path)
    monkeypatch.setattr(os, call, failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        sync_folder(tmp_path)


def test_where_there_is_a_sync_to_the_disk_itself_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[int] = []
    monkeypatch.setattr(files, "FULL_SYNC", 51)
    monkeypatch.setattr(files.fcntl, "fcntl", lambda descriptor, command: commands.append(command))
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    write_bytes(tmp_path / "a", b"new")
    assert commands == [51, 51]  # the file, the folder
    # Not every file system has it.
    synced: list[int] = []
    monkeypatch.setattr(files.fcntl, "fcntl", failing(errno.ENOTSUP))
    monkeypatch.setattr(os, "fsync", synced.append)
    write_bytes(tmp_path / "a", b"newer")
    assert len(synced) == 2


def test_a_file_that_someone_reads_on_windows_is_replaced_once_they_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, tries = Path.replace, iter([32, 5, None, 3])

    def in_use(path: Path, target: Path) -> Path:
        if code := next(tries):
            error = PermissionError(errno.EACCES, "in use")
            error.winerror = code
            raise error
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", in_use)
    write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    with pytest.raises(FileSystemError, match="in use"):  # for another reason: at once
        write_bytes(tmp_path / "a", b"newer")
    monkeypatch.setattr(files, "PATIENCE_SECONDS", 0.05)
    tries = iter([32] * 100)
    with pytest.raises(FileSystemError, match="in use"):
        write_bytes(tmp_path / "a", b"newer")
    assert names(tmp_path) == ["a"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path / "a")
    make_folder(tmp_path / "a")
    with pytest.raises(FileSystemError, match="/none/b: No such file"):
        make_folder(tmp_path / "none" / "b")


def test_a_failing_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileSystemError) as error:
        write_bytes(path, b"new")
    assert str(error.value).startswith(f"{path}: No space left on device (")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_json_keeps_every_script_and_refuses_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"龙": "é"})
    assert "龙" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, float("nan"))


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run"
    with new_folder(path) as staging:
        (staging / "file").write_text("x")
        assert not path.exists()
    assert names(path) == ["file"]
    assert names(path.parent) == ["run"]


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "run") as staging:  # noqa: PT012
        (staging / "file").write_text("x")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_folder_in_the_way_is_refused_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / "config.json").write_text("old")
    with (
        pytest.raises(
            UsageError, match=r"already exists; give another name \(-o\), or replace it \(--force"
        ),
        new_folder(path, marks=("config.json",)),
    ):
        pass
    with new_folder(path, replace=True, marks=("config.json",)) as staging:
        (staging / "new").write_text("x")
    assert names(path) == ["new"]
    assert names(tmp_path) == ["run"]


def test_a_folder_of_someone_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("x")
    with (
        pytest.raises(UsageError, match="already holds other files"),
        new_folder(tmp_path / "photos", replace=True, marks=("config.json",)),
    ):
        pass
    assert names(tmp_path / "photos") == ["cat.png"]


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(UsageError, match="is a file; give the name of a folder"):
        new_folder(tmp_path / "a").__enter__()
