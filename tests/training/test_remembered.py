"""What was measured here is not measured twice; what is no measurement is not believed."""

import json
import os
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from charlm.config import Config, ModelConfig, TrainingConfig
from charlm.settings import configured
from charlm.training import remembered
from charlm.training.remembered import BEARING, NAME, Remembered

SMALL = configured(Config(), {"model": {"hidden_size": 8}, "training": {"threads": 2}})


class Machine:
    """Counts what is measured of it."""

    def __init__(self, speed: float | None = 1e5) -> None:
        self.speed, self.measured = speed, 0

    def __call__(self, config: Config) -> float | None:
        self.measured += 1
        return self.speed


def asked(folder: Path, *configs: Config, machine: Machine, symbols: int = 65) -> list[Any]:
    memory = Remembered(folder, symbols)
    speed = memory.or_measured(machine)
    found = [speed(config) for config in configs]
    memory.save()
    return found


def test_nothing_is_measured_twice(tmp_path: Path) -> None:
    machine = Machine()
    assert asked(tmp_path, SMALL, machine=machine) == [1e5]
    assert machine.measured == 1
    machine.speed = 2e5
    assert asked(tmp_path, SMALL, machine=machine) == [1e5]
    # A speed is that of one size, one vocabulary, one way to compute.
    assert asked(tmp_path, SMALL, machine=machine, symbols=66) == [2e5]
    assert asked(tmp_path, Config(), machine=machine) == [2e5]
    assert asked(tmp_path, SMALL, machine=machine) == [1e5]


def test_what_has_no_bearing_makes_no_difference(tmp_path: Path) -> None:
    machine = Machine()
    other = configured(SMALL, {"training": {"lr": 0.5, "seed": 7}, "model": {"init": "normal"}})
    asked(tmp_path, SMALL, machine=machine)
    asked(tmp_path, other, machine=machine)
    assert machine.measured == 1
    (known,) = json.loads((tmp_path / NAME).read_text())["speeds"].values()
    (entry,) = known.items()
    assert entry == ("hidden_size=8, threads=2, symbols=65", [1e5, pytest.approx(time.time())])
    dropping = configured(SMALL, {"model": {"dropout": 0.2}})
    asked(tmp_path, dropping, machine=machine)
    assert machine.measured == 2


def test_all_settings_bear_or_do_not() -> None:
    """A new one has to be put on one side."""
    aside = {"init", "forget_bias", "dropout"}
    assert set(BEARING[ModelConfig]) == {f.name for f in fields(ModelConfig)} - aside
    assert set(BEARING[TrainingConfig]) < {f.name for f in fields(TrainingConfig)}


def test_what_could_not_be_trained_is_tried_again(tmp_path: Path) -> None:
    machine = Machine(None)
    for _ in range(2):
        assert asked(tmp_path, SMALL, machine=machine) == [None]
    assert machine.measured == 2
    assert not (tmp_path / NAME).exists()


def test_another_machine_is_measured_and_neither_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(tmp_path, SMALL, machine=Machine(1.0))
    with monkeypatch.context() as patch:
        patch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
        assert asked(tmp_path, SMALL, machine=Machine(2.0)) == [2.0]
    assert asked(tmp_path, SMALL, machine=Machine(3.0)) == [1.0]


def test_what_is_a_day_old_is_measured_anew_and_what_is_younger_is_not(tmp_path: Path) -> None:
    for hours, config in ((25, SMALL), (23, Config())):
        early = Remembered(tmp_path, 65, now=lambda hours=hours: time.time() - 3600 * hours)
        early.or_measured(Machine(1.0))(config)
        early.save()
    assert asked(tmp_path, SMALL, Config(), machine=Machine(2.0)) == [2.0, 1.0]


def test_another_charlm_measures_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(tmp_path, SMALL, machine=Machine(1.0))
    monkeypatch.setattr(remembered, "__version__", "999")
    assert asked(tmp_path, SMALL, machine=Machine(2.0)) == [2.0]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "null", '{"format": 3, "speeds": {}}', '{"format": 2}',
     '{"format": 2, "speeds": [1]}', '{"format": 2, "speeds": {"a": [1]}}', "[" * 100_000,
     " " * (1 << 21) + '{"format": 2, "speeds": {}}'],
)  # fmt: skip
def test_a_file_that_is_none_of_ours_is_not_believed(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert asked(tmp_path, SMALL, machine=Machine(2.0)) == [2.0]
    assert asked(tmp_path, SMALL, machine=Machine(3.0)) == [2.0]


@pytest.mark.parametrize("speed", [0, -1, "fast", None, True, 1e999, 10**400, [1]])
def test_a_speed_that_is_none_is_not_believed(tmp_path: Path, speed: Any) -> None:
    not_believed(tmp_path, [speed, time.time()])


@pytest.mark.parametrize("entry", [5.0, [5.0], [5.0, 1.0, 1.0], [5.0, 1e12], [5.0, "now"], {}])
def test_an_entry_of_another_kind_is_not_believed(tmp_path: Path, entry: Any) -> None:
    not_believed(tmp_path, entry)


def not_believed(tmp_path: Path, entry: Any) -> None:
    machines = {remembered._machine(): {"hidden_size=8, threads=2, symbols=65": entry}}
    (tmp_path / NAME).write_text(json.dumps({"format": 2, "speeds": machines}))
    assert asked(tmp_path, SMALL, machine=Machine(2.0)) == [2.0]


def test_where_it_cannot_be_kept_it_is_measured_each_time(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    for _ in range(2):
        assert asked(tmp_path, SMALL, machine=Machine(2.0)) == [2.0]
    assert asked(tmp_path / "none", SMALL, machine=Machine(2.0)) == [2.0]
    assert not (tmp_path / "none").exists()


def test_a_second_training_measures_nothing(charlm: Any, text_file: Any, tmp_path: Path) -> None:
    options = ["--max-steps", 3, "--hidden-size", 8]
    assert charlm("train", text_file, *options, "--dry-run").code == 0
    assert not list(tmp_path.glob("**/" + NAME))
    assert charlm("train", text_file, *options).code == 0
    kept = (tmp_path / "runs" / NAME).read_bytes()
    again = charlm("train", text_file, *options)
    assert again.code == 0
    assert (tmp_path / "runs" / NAME).read_bytes() == kept
    assert "speeds as measured before: runs/.charlm-speeds.json" in again.err


def test_what_was_known_is_measured_where_it_is_asked_for_again(tmp_path: Path) -> None:
    asked(tmp_path, SMALL, machine=Machine(1.0))
    assert asked(tmp_path, SMALL, SMALL, machine=Machine(2.0)) == [1.0, 2.0]
    assert asked(tmp_path, SMALL, machine=Machine(3.0)) == [2.0]


def test_asked_again_it_measures_again_and_the_faster_is_kept(tmp_path: Path) -> None:
    memory, machine = Remembered(tmp_path, 65), Machine(1.0)
    speed = memory.or_measured(machine)
    assert speed(SMALL) == 1.0
    machine.speed = 3.0
    assert speed(SMALL) == 3.0
    machine.speed = 2.0
    assert speed(SMALL) == 2.0
    memory.save()
    assert asked(tmp_path, SMALL, machine=machine) == [3.0]


def test_two_commands_at_once_lose_nothing_and_keep_no_nonsense(tmp_path: Path) -> None:
    first = Remembered(tmp_path, 65)
    first.or_measured(Machine(1.0))(SMALL)
    asked(tmp_path, Config(), machine=Machine(2.0))
    record = json.loads((tmp_path / NAME).read_text())
    when = time.time()
    record["speeds"]["another"] = {"a": [float("nan"), when], "b": [4.0, when]}
    (tmp_path / NAME).write_text(json.dumps(record))
    first.save()
    assert asked(tmp_path, SMALL, Config(), machine=Machine(9.0)) == [1.0, 2.0]
    assert json.loads((tmp_path / NAME).read_text())["speeds"]["another"] == {"b": [4.0, when]}


def test_nobody_waits_at_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / NAME)
    assert asked(tmp_path, SMALL, machine=Machine(2.0)) == [2.0]
