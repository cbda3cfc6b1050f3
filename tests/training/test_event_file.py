"""The course of a training as TensorBoard itself reads it back."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm.run import EVENTS
from charlm.training.trainer import Trainer

pytest.importorskip("tensorboard")

Charlm = Callable[..., Any]
OPTIONS = ["--eval-every", "6", "--save-every", "4", "--tensorboard"]


def events_of(run: Path) -> dict[str, list[tuple[int, float]]]:
    """By TensorBoard, for each tag, the steps and values; the times never go back."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(run), size_guidance={"scalars": 0})
    accumulator.Reload()
    tags = {}
    for tag in accumulator.Tags()["scalars"]:
        events = accumulator.Scalars(tag)
        assert [e.wall_time for e in events] == sorted(e.wall_time for e in events)
        tags[tag] = [(event.step, event.value) for event in events]
    return tags


def logged(run: Path) -> dict[str, list[tuple[int, float]]]:
    """The same from the run's own log."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [record for record in records if "train_loss" in record]
    seen = [(r["step"], r["valid"]["bits_per_char"]) for r in records if "valid" in r]
    return {
        "bits/train": [(r["step"], r["train_loss"] / math.log(2)) for r in losses],
        "rate": [(r["step"], r["rate"]) for r in losses],
        "bits/valid": seen,
    }


def check(run: Path) -> None:
    """TensorBoard's are the log's, each once (and no less exact than its single precision)."""
    events, log = events_of(run), logged(run)
    assert events.keys() == log.keys()
    for tag, points in log.items():
        assert [step for step, _ in events[tag]] == [step for step, _ in points]
        values = [value for _, value in points]
        assert [value for _, value in events[tag]] == pytest.approx(values, rel=1e-6)


class Killed(BaseException):
    pass


def train(charlm: Charlm, monkeypatch: pytest.MonkeyPatch, until: int, *arguments: Any) -> None:
    """Ended after so many steps as if killed."""
    step = Trainer.step

    def dying(self: Trainer, batch: Any) -> float:
        if self.done == until:
            raise Killed
        return step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", dying)
        with pytest.raises(Killed):
            charlm("train", *arguments)


def test_a_training_is_written_as_it_is_logged(
    charlm: Charlm, text_file: Path, tiny_options: list[str]
) -> None:
    assert charlm("train", text_file, *tiny_options, *OPTIONS, "-o", "run").code == 0
    check(Path("run"))
    assert [step for step, _ in events_of(Path("run"))["bits/valid"]] == [6, 12, 18, 20]
    assert charlm("train", text_file, *tiny_options, "-o", "without").code == 0
    assert not Path("without", EVENTS).exists()


def test_resumed_it_goes_on_without_a_gap_or_a_repetition(
    charlm: Charlm, text_file: Path, tiny_options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(charlm, monkeypatch, 11, text_file, *tiny_options, *OPTIONS, "-o", "run")
    assert [step for step, _ in events_of(Path("run"))["rate"]] == list(range(1, 12))
    train(charlm, monkeypatch, 15, "--resume", "run")
    assert charlm("train", "--resume", "run").code == 0
    check(Path("run"))
    assert [step for step, _ in events_of(Path("run"))["rate"]] == list(range(1, 21))


def test_asked_for_late_or_in_between_it_has_all(
    charlm: Charlm, text_file: Path, tiny_options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(charlm, monkeypatch, 9, text_file, *tiny_options, *OPTIONS[:4], "-o", "run")
    train(charlm, monkeypatch, 13, "--resume", "run", "--tensorboard")
    train(charlm, monkeypatch, 17, "--resume", "run", "--no-tensorboard")
    assert charlm("train", "--resume", "run", "--tensorboard").code == 0
    check(Path("run"))


def test_an_event_that_cannot_be_written_ends_no_training(
    charlm: Charlm, text_file: Path, tiny_options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("charlm.training.event_file.append", full)
    done = charlm("train", text_file, *tiny_options, *OPTIONS, "-o", "run")
    assert done.code == 0
    warnings = [line for line in done.err.splitlines() if "Warning" in line]
    assert warnings == [f"Warning: run/{EVENTS}: No space left on device; no more is logged"]


def test_without_tensorboard_it_is_refused_and_a_run_that_had_it_goes_on_without(
    charlm: Charlm, text_file: Path, tiny_options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(charlm, monkeypatch, 9, text_file, *tiny_options, *OPTIONS, "-o", "run")

    def find_none(name: str) -> None:
        return None

    def no_event(*arguments: Any) -> None:
        raise ImportError

    monkeypatch.setattr("charlm.errors.find_spec", find_none)
    monkeypatch.setattr("charlm.training.logs.EventFile", no_event)
    refused = charlm("train", text_file, "--tensorboard", "-o", "other")
    assert (refused.code, refused.err) == (
        2, "Error: --tensorboard needs tensorboard: pip install tensorboard\n",
    )  # fmt: skip
    assert not Path("other").exists()
    resumed = charlm("train", "--resume", "run")
    assert resumed.code == 0
    assert "Warning: no events for TensorBoard are written: pip install tensorboard" in resumed.err
