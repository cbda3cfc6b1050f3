import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from charlm.cli.main import run_command
from charlm.listing import Listed, runs_below
from charlm.run import CHECKPOINTS, MODEL
from charlm.storage.folders import in_use, locked
from charlm.storage.tensors import read_tensors, write_tensors


@pytest.fixture
def copied(trained: Path, tmp_path: Path):
    """`copied("a", bits=2.0)`: a copy of the trained run, below ./runs, that scored so."""

    def copy(name: str, *, nats: float | None = None) -> Path:
        path = tmp_path / "runs" / name
        shutil.copytree(trained, path)
        if nats is not None:
            weights, facts = read_tensors(path / MODEL)
            facts["valid"]["nats_per_char"] = nats
            write_tensors(path / MODEL, weights, facts)
        return path

    return copy


def names(folder: Path) -> list[str]:
    return [str(run.path.relative_to(folder)) for run in runs_below(folder)]


def test_the_best_comes_first(copied, tmp_path: Path) -> None:
    for name, nats in (("a", 2.0), ("b", 1.0), ("c", 1.5)):
        copied(name, nats=nats)
    assert names(tmp_path / "runs") == ["b", "c", "a"]


def test_runs_of_one_text_stand_together(
    copied, tmp_path: Path, tiny_options: list[str], fill_run: Path
) -> None:
    copied("worse", nats=9.0)
    copied("best", nats=0.001)
    shutil.copytree(fill_run, tmp_path / "runs" / "fills")
    (tmp_path / "other.txt").write_text("ab" * 500)
    other = tmp_path / "runs" / "other"
    assert run_command(["train", str(tmp_path / "other.txt"), *tiny_options, "-o", str(other)]) == 0
    assert names(tmp_path / "runs") == ["best", "worse", "fills", "other"]


def test_a_run_is_finished_stopped_or_complete(copied, tmp_path: Path) -> None:
    copied("a")
    stopped, alone, begun = copied("b"), copied("c"), copied("d")
    path = stopped / CHECKPOINTS / "last.safetensors"
    arrays, facts = read_tensors(path)
    write_tensors(path, arrays, {**facts, "finished": False})
    shutil.rmtree(alone / CHECKPOINTS)
    (begun / MODEL).unlink()
    write_tensors(begun / CHECKPOINTS / "last.safetensors", arrays, {**facts, "finished": False})
    states = {run.path.name: run.state for run in runs_below(tmp_path / "runs")}
    assert states == {"a": "finished", "b": "stopped", "c": "complete", "d": "stopped"}


def test_of_an_older_run_the_steps_tell_whether_it_is_finished(copied, tmp_path: Path) -> None:
    path = copied("a") / CHECKPOINTS / "last.safetensors"
    arrays, facts = read_tensors(path)
    del facts["finished"]
    for total, state in ((20, "finished"), (21, "stopped")):
        write_tensors(path, arrays, {**facts, "total_steps": total})
        assert [run.state for run in runs_below(tmp_path / "runs")] == [state]


def test_a_run_that_is_being_trained_is_running(copied, tmp_path: Path) -> None:
    path = copied("a")
    with locked(path):
        assert in_use(path)
        assert [run.state for run in runs_below(tmp_path / "runs")] == ["running"]
    assert not in_use(path)


def test_a_lock_that_a_killed_process_left_is_none(copied) -> None:
    path = copied("a")
    (path / ".lock-holder").write_text("1\n")
    before = sorted(path.iterdir())
    assert not in_use(path)
    assert sorted(path.iterdir()) == before


def test_a_damaged_run_is_named_and_the_others_shown(copied, tmp_path: Path) -> None:
    copied("good")
    for name, file, data in (
        ("config", "config.json", b'{"charlm": 1'),
        ("model", MODEL, b"no model"),
        ("vocab", "vocab.json", b"[]"),
        ("point", f"{CHECKPOINTS}/last.safetensors", b""),
    ):
        (copied(name) / file).write_bytes(data)
    good, *bad = runs_below(tmp_path / "runs")
    assert (good.path.name, good.problem) == ("good", None)
    assert [run.path.name for run in bad] == ["config", "model", "point", "vocab"]
    for run in bad:
        assert run.state == "damaged"
        assert run.problem is not None
        assert str(run.path) in run.problem


def test_a_finished_run_without_a_model_is_damaged(copied, tmp_path: Path) -> None:
    (copied("a") / MODEL).unlink()
    [run] = runs_below(tmp_path / "runs")
    assert run.state == "damaged"
    assert run.problem is not None
    assert MODEL in run.problem


def test_runs_are_found_below_and_not_in_what_is_none(copied, tmp_path: Path) -> None:
    copied("deep/er/a")
    copied("b")
    copied(".hidden")
    (tmp_path / "runs" / "linked").symlink_to(tmp_path / "runs" / "b")
    (tmp_path / "runs" / "web").mkdir()
    (tmp_path / "runs" / "web" / "config.json").write_text('{"port": 80}')
    (tmp_path / "runs" / "loop").symlink_to(tmp_path / "runs")
    assert sorted(names(tmp_path / "runs")) == ["b", "deep/er/a", "linked"]
    assert names(tmp_path / "runs" / "b") == ["."]
    assert names(tmp_path / "runs" / "web") == []


def test_the_weights_are_not_read(copied, tmp_path: Path) -> None:
    model = copied("a") / MODEL
    data = model.read_bytes()
    model.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    [run] = runs_below(tmp_path / "runs")
    assert run.state == "finished"
    model.write_bytes(data[:-1])
    [run] = runs_below(tmp_path / "runs")
    assert run.state == "damaged"


def test_where_the_date_was_not_recorded_it_is_the_file_s(copied, tmp_path: Path) -> None:
    model = copied("a") / MODEL
    weights, facts = read_tensors(model)
    for saved in (None, "yesterday", 5):
        write_tensors(model, weights, {**facts, "saved": saved})
        os.utime(model, (86400, 86400))
        [run] = runs_below(tmp_path / "runs")
        assert run.to_dict()["saved"] == "1970-01-02T00:00:00+00:00"


def test_json_has_the_names_of_evaluate(copied, tmp_path: Path) -> None:
    copied("a")
    [run] = runs_below(tmp_path / "runs")
    assert run.validation is not None
    assert run.to_dict()["bits_per_char"] == run.validation.bits
    masked = replace(run, validation=replace(run.validation, masked=True, unit="word")).to_dict()
    assert masked["masked_bits_per_word"] == run.validation.bits
    assert masked["masked_perplexity_per_word"] == run.validation.perplexity
    assert Listed(Path("x"), "damaged").to_dict()["bits_per_char"] is None
