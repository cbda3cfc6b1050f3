"""Where no run is named it is the newest: and one that is damaged is named, not passed over."""

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """Two of them, the newer called so."""
    for age, name in enumerate(("newer", "older")):
        shutil.copytree(trained, tmp_path / "runs" / name)
        for path in (tmp_path / "runs" / name).rglob("*"):
            os.utime(path, (1e9 - age * 1000,) * 2)
    return tmp_path / "runs"


def test_the_newest_is_taken(charlm, runs: Path) -> None:
    assert "newer" in charlm("info").out
    os.utime(runs / "older/model.safetensors")
    assert "older" in charlm("info").out


@pytest.mark.parametrize("command", [["info"], ["evaluate"], ["generate", "-l", "3"], ["neurons"]])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_damaged_one_is_named_with_what_to_do(
    charlm, runs: Path, command: list[str], damage: str
) -> None:
    model = runs / "newer/model.safetensors"
    data = model.read_bytes()
    model.unlink()
    if damage == "cut":
        model.write_bytes(data[:-9])
    refused = charlm(*command)
    assert (refused.code, refused.out) == (4, "")
    assert refused.err.count("\n") == 1
    assert refused.err.startswith("Error: runs/newer/model.safetensors")
    assert refused.err.endswith(
        "; runs/newer is the newest run below ./runs: charlm train --resume runs/newer makes its "
        "model anew; or name another (charlm runs lists them)\n"
    )
    if command == ["info"]:
        assert charlm("train", "--resume", "runs/newer").code == 0
        assert charlm(*command).code == 0


def test_without_a_resume_point_nothing_can_be_made_anew(charlm, runs: Path) -> None:
    shutil.rmtree(runs / "newer/checkpoints")
    (runs / "newer/config.json").write_text("{}")
    refused = charlm("info")
    assert refused.code == 4
    assert refused.err.endswith(
        "; runs/newer is the newest run below ./runs: name another (charlm runs lists them)\n"
    )


def test_one_that_is_named_is_damaged_and_no_more_is_said(charlm, runs: Path) -> None:
    (runs / "newer/model.safetensors").write_bytes(b"x")
    refused = charlm("info", "runs/newer")
    assert refused.code == 4
    assert "newest" not in refused.err


def test_one_that_has_no_model_yet_is_passed_over_aloud(
    charlm, runs: Path, text_file: Path, tiny_options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from charlm.training.trainer import Trainer

    class Killed(BaseException):
        pass

    def die(self: Trainer, batch: object) -> float:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", die)
        with pytest.raises(Killed):
            charlm("train", text_file, *tiny_options, "-o", "runs/begun")
    told = charlm("info")
    assert told.code == 0
    assert told.err == (
        "note: runs/begun, the newest run, has no model yet (stopped early): taking another\n"
    )
    assert "newer" in told.out
    for name in ("newer", "older"):
        shutil.rmtree(runs / name)
    refused = charlm("info")
    assert (refused.code, refused.err.splitlines()[-1]) == (
        2, "Error: runs/begun has no model yet: charlm train --resume runs/begun",
    )  # fmt: skip


def test_other_folders_are_no_runs(charlm, runs: Path) -> None:
    (runs / "other").mkdir()
    (runs / "other/config.json").write_text('{"theirs": 1}')
    assert charlm("info").code == 0
