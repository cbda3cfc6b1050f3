import os
from pathlib import Path

import pytest

from charlm.errors import FileSystemError, UsageError
from charlm.storage.files import write_bytes, write_json
from charlm.storage.folders import new_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_mode_and_links_are_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    write_bytes(target, b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640


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
        pytest.raises(UsageError, match="already exists; give another with -o, or add --force"),
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
