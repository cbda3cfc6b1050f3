"""A training that is resumed is the training that was never stopped."""

import hashlib
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charlm.errors import FileSystemError
from charlm.model.device import trains_in
from charlm.run import open_run
from charlm.storage.tensors import digest, read_tensors, write_tensors
from charlm.training.trainer import Trainer

Charlm = Callable[..., Any]
STEPS = ["--eval-every", "6", "--save-every", "4", "--sample-every", "5"]


def state_of(run: Path) -> dict[str, Any]:
    """All that two equal trainings have equal: weights, resume point, logs but for the times."""
    last, facts = read_tensors(run / "checkpoints" / "last.safetensors")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"], line["characters_per_second"]
    steps = {key: facts[key] for key in ("step", "tokens", "best", "best_score", "last_milestone")}
    return {
        "model": digest(open_run(run).weights, {}),
        "checkpoint": digest(last, {}),
        "facts": steps,
        "metrics": lines,
        "samples": hashlib.sha256((run / "samples.txt").read_bytes()).hexdigest(),
    }


class Killed(BaseException):
    """What nothing catches, as a kill is what nothing catches."""


@pytest.fixture
def killed_at(charlm: Charlm, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`killed_at(step, *arguments)`: `charlm train`, ended there as if killed, saving nothing."""
    original = Trainer.step

    def train(step: int, *arguments: Any) -> None:
        def dying(self: Trainer, batch: Any) -> float:
            if self.done == step:
                raise Killed
            return original(self, batch)

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "step", dying)
            with pytest.raises(Killed):
                charlm("train", *arguments)

    return train


@pytest.mark.parametrize(
    ("cell", "precision", "more"),
    [
        ("lstm", "float32", []),
        ("gru", "float32", []),
        ("lstm", "bfloat16", []),
        ("lstm", "float32", ["--set", "training.parts=2", "--set", "training.sampled=2"]),
        ("lstm", "float32", ["--optimizer", "adamw", "--set", "training.beta1=0.5"]),
    ],
)
@pytest.mark.parametrize("step", [0, 3, 4, 11, 19])
def test_row_01_a_killed_training_resumed_equals_one_never_killed(
    charlm: Charlm, killed_at: Any, text_file: Path, tiny_options: list[str], step: int, cell: str,
    precision: str, more: list[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("charlm.model.device.usable_cores", lambda: 2)
    monkeypatch.setattr("charlm.training.optim.LOOK_EVERY", 2)
    monkeypatch.setattr("charlm.training.optim.TURN_EVERY", 3)
    if not trains_in(precision, torch.device("cpu"), cell):
        pytest.skip(f"this processor trains no {cell} in {precision}")
    options = [*tiny_options, *STEPS, "--rnn-type", cell, "--dropout", "0.2"]
    options += ["--precision", precision, *more]
    assert charlm("train", text_file, *options, "-o", "whole").code == 0
    killed_at(step, text_file, *options, "-o", "killed")
    assert charlm("train", "--resume", "killed").code == 0
    assert state_of(Path("killed")) == state_of(Path("whole"))


def test_row_01_a_training_killed_again_and_again(
    charlm: Charlm, killed_at: Any, text_file: Path, tiny_options: list[str]
) -> None:
    options = [*tiny_options, *STEPS]
    assert charlm("train", text_file, *options, "-o", "whole").code == 0
    killed_at(2, text_file, *options, "-o", "killed")
    for step in (7, 7, 13, 18):
        killed_at(step, "--resume", "killed")
    assert charlm("train", "--resume", "killed").code == 0
    assert state_of(Path("killed")) == state_of(Path("whole"))


def test_row_05_a_signal_saves_and_says_how_to_go_on(
    charlm: Charlm, monkeypatch: Any, text_file: Path, tiny_options: list[str]
) -> None:
    options = [*tiny_options, *STEPS]
    assert charlm("train", text_file, *options, "-o", "whole").code == 0
    original = Trainer.step

    def interrupted(self: Trainer, batch: Any) -> float:
        if self.done == 9:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch)

    monkeypatch.setattr(Trainer, "step", interrupted)
    stopped = charlm("train", text_file, *options, "-o", "stopped")
    monkeypatch.setattr(Trainer, "step", original)
    assert stopped.code == 143
    assert stopped.err.splitlines()[-1] == (
        "Error: stopped by SIGTERM after step 10 of 20; go on with charlm train --resume stopped"
    )
    assert charlm("train", "--resume", "stopped").code == 0
    assert state_of(Path("stopped")) == state_of(Path("whole"))


def test_a_finished_run_is_extended_by_a_higher_limit(
    charlm: Charlm, text_file: Path, tiny_options: list[str]
) -> None:
    constant = ["--schedule", "constant", "--set", "training.warmup=0", *STEPS]
    assert charlm("train", text_file, *tiny_options, *constant, "-o", "a").code == 0
    longer = charlm("train", "--resume", "a", "--max-steps", 35, "--json")
    assert longer.code == 0
    assert json.loads(longer.out)["steps"] == 35
    whole = [*tiny_options, *constant, "--max-steps", "35"]
    assert charlm("train", text_file, *whole, "-o", "b").code == 0
    # The shorter one validated, and saved, at its end too; else they are one.
    weights = [read_tensors(Path(run, "checkpoints", "last.safetensors"))[0] for run in "ab"]
    assert digest(weights[0], {}) == digest(weights[1], {})
    assert open_run(Path("a")).config.training.max_steps == 35

    more = charlm("train", "--resume", "a", "--epochs", 2, "--json")
    assert more.code == 0
    assert json.loads(more.out)["epochs"] == pytest.approx(2, abs=0.01)


def test_where_it_goes_on_and_what_is_left_is_told(
    charlm: Charlm, killed_at: Any, text_file: Path, tiny_options: list[str]
) -> None:
    killed_at(10, text_file, *tiny_options, *STEPS, "-o", "run")

    def told(*arguments: Any) -> str:
        lines: list[str] = charlm("train", "--resume", *arguments).err.splitlines()
        assert lines[0].startswith("text: nonsense, ")
        [line] = [line for line in lines if line.startswith("going on from ")]
        return re.sub(r"\d+ s ", "N s ", line)

    last = "going on from run/checkpoints/last.safetensors, after "
    assert told("run") == f"{last}step 8 of 20 and N s of training: 12 steps are left"
    assert told("run") == f"{last}all of 20 steps and N s of training: nothing is left"
    previous = told("run/checkpoints/previous.safetensors", "--max-steps", 22)
    assert previous == (
        "going on from run/checkpoints/previous.safetensors, after step 16 of 22 and N s of "
        "training: 6 steps are left"
    )
    assert told("run", "--time", "3s").endswith(" of training: N s are left")


def test_a_run_by_time_is_extended_by_more_time(
    charlm: Charlm, text_file: Path, tiny_options: list[str]
) -> None:
    assert charlm("train", text_file, *tiny_options, "-o", "a").code == 0
    before = len(Path("a/metrics.jsonl").read_text().splitlines())
    result = charlm("train", "--resume", "a", "--time", "3s", "--json")
    assert result.code == 0
    assert json.loads(result.out)["steps"] > 20
    assert len(Path("a/metrics.jsonl").read_text().splitlines()) > before
    again = charlm("train", "--resume", "a", "--time", "1s")
    assert (again.code, len(again.err.splitlines())) == (2, 5)
    assert "trained for" in again.err


def test_a_finished_run_is_left_as_it_is(
    charlm: Charlm, text_file: Path, tiny_options: list[str]
) -> None:
    done = charlm("train", text_file, *tiny_options, *STEPS, "-o", "run", "--json")
    files = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    again = charlm("train", "--resume", "run", "--json")
    assert again.code == 0
    assert json.loads(again.out)["valid"] == json.loads(done.out)["valid"]
    assert {p: p.read_bytes() for p in Path("run").rglob("*") if p.is_file()} == files


def test_a_run_begun_in_bfloat16_goes_on_in_float32_where_it_must(
    charlm: Charlm, killed_at: Any, monkeypatch: Any, text_file: Path, tiny_options: list[str]
) -> None:
    def none_here(precision: str, device: torch.device, cell: str) -> bool:
        return precision == "float32"

    # Whatever this processor knows: the run says bfloat16.
    options = [*tiny_options, *STEPS, "--precision", "bfloat16", "-o", "run"]
    with monkeypatch.context() as patch:
        patch.setattr("charlm.model.device.trains_in", lambda *what: True)
        patch.setattr("charlm.training.gradient.in_precision", lambda *what: nullcontext())
        killed_at(10, text_file, *options)
    monkeypatch.setattr("charlm.model.device.trains_in", none_here)
    monkeypatch.setattr("charlm.training.session.trains_in", none_here)
    refused = charlm("train", "--resume", "run", "--precision", "bfloat16")
    assert refused.code == 2
    assert "--precision bfloat16: torch cannot train an LSTM in it" in refused.err
    resumed = charlm("train", "--resume", "run")
    assert resumed.code == 0, resumed.err
    warnings = [line for line in resumed.err.splitlines() if "Warning" in line]
    assert warnings == [
        "Warning: this machine cannot train in bfloat16, as the run was begun; it goes on in "
        "float32"
    ]
    assert open_run(Path("run")).config.training.precision == "float32"
    assert open_run(Path("run")).facts["precision"] == "bfloat16, float32 after step 8"


def test_what_is_otherwise_than_where_it_was_saved_is_said(
    charlm: Charlm, killed_at: Any, text_file: Path, tiny_options: list[str]
) -> None:
    killed_at(10, text_file, *tiny_options, *STEPS, "-o", "run")
    last = Path("run/checkpoints/last.safetensors")
    arrays, facts = read_tensors(last)
    assert set(facts["conditions"]) == {"torch", "processor", "capability", "threads", "device"}
    facts["conditions"] |= {"threads": 64, "torch": "2.11.0"}
    write_tensors(last, arrays, facts)
    told = charlm("train", "--resume", "run").err
    assert "threads 1, where it was 64: the figures may differ in their last digits" in told
    assert f"torch {torch.__version__}, where it was 2.11.0" in told


@pytest.mark.parametrize("damage", ["gone", "cut"])
@pytest.mark.parametrize("steps", [20, 30])
def test_a_model_that_was_lost_is_made_anew_from_the_resume_point(
    charlm: Charlm, text_file: Path, tiny_options: list[str], damage: str, steps: int
) -> None:
    assert charlm("train", text_file, *tiny_options, *STEPS, "-o", "run").code == 0
    model = Path("run/model.safetensors")
    if damage == "gone":
        model.unlink()
    else:
        model.write_bytes(model.read_bytes()[:-9])
    resumed = charlm("train", "--resume", "run", "--max-steps", steps)
    assert resumed.code == 0, resumed.err
    assert "it is made anew from the resume point" in resumed.err
    assert charlm("generate", "-m", "run", "-l", 5).code == 0
    assert "Warning" not in charlm("train", "--resume", "run").err


@pytest.mark.parametrize(
    "options", [["--val-frac", "0"], ["--set", "training.patience=1", "--eval-every", "1"]], ids=str
)
def test_a_lost_model_is_made_anew_where_nothing_is_left_to_train(
    charlm: Charlm, text_file: Path, tiny_options: list[str], options: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Without a validation part; and where it gave up, which it is not to forget."""
    monkeypatch.setattr("charlm.training.trainer.LEAST_STEPS_TO_GIVE_UP", 0)
    steps = STEPS[2:] if "--val-frac" in options else STEPS
    options = [*options, "--lr", "2", *steps, "-o", "run"]
    assert charlm("train", text_file, *tiny_options, *options).code == 0
    before = charlm("info", "run", "--json").out
    Path("run/model.safetensors").unlink()
    resumed = charlm("train", "--resume", "run")
    assert resumed.code == 0, resumed.err
    assert "it is made anew from the resume point" in resumed.err
    assert json.loads(charlm("info", "run", "--json").out)["trained"].keys() == (
        json.loads(before)["trained"].keys()
    )
    assert "Warning" not in charlm("train", "--resume", "run").err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--hidden-size", "128"], "--hidden-size is 128, but run was begun with 16"),
        (["--lr", "0.5"], "--lr is 0.5, but run was begun with 0.01"),
        (["--set", "data.val_frac=0.2"], "data.val_frac is 0.2, but run was begun with 0.1"),
        (["--lowercase"], "--lowercase is True, but run was begun with False"),
        (["book.txt"], "drop INPUT"),
        (["-o", "other"], "drop -o"),
        (["--force"], "drop --force"),
        (["--init-from", "other"], "drop --init-from"),
    ],
)
def test_what_would_change_the_run_is_refused_with_both_values(
    charlm: Charlm, text_file: Path, tiny_options: list[str], options: list[str], words: str
) -> None:
    assert charlm("train", text_file, *tiny_options, "-o", "run").code == 0
    refused = charlm("train", "--resume", "run", *options)
    assert refused.code == 2
    assert len(refused.err.splitlines()) == 1
    assert words in refused.err


def test_the_same_settings_are_no_change(
    charlm: Charlm, text_file: Path, tiny_options: list[str]
) -> None:
    assert charlm("train", text_file, *tiny_options, "-o", "run").code == 0
    assert charlm("train", "--resume", "run", *tiny_options).code == 0
    assert charlm("train", "--resume", "run", "--dry-run").code == 0


def full_disk(*arguments: Any) -> None:
    raise FileSystemError("the disk is full")


def test_a_config_that_named_texts_of_their_own_may_be_given_again(
    charlm: Charlm, text_file: Path, tiny_options: list[str]
) -> None:
    Path("held-out.txt").write_text(text_file.read_text()[:300])
    Path("own.toml").write_text('data.val = "held-out.txt"')
    options = ["--config", "own.toml"]
    assert charlm("train", text_file, *tiny_options, *options, "-o", "run").code == 0
    assert charlm("train", "--resume", "run", *options).code == 0


def test_row_11_a_damaged_resume_point_is_refused_and_the_one_before_named(
    charlm: Charlm, text_file: Path, tiny_options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [*tiny_options, "--save-every", "8"]
    assert charlm("train", text_file, *options, "-o", "run").code == 0
    last, previous = (Path("run/checkpoints", f"{n}.safetensors") for n in ("last", "previous"))
    whole = last.read_bytes()
    last.write_bytes(whole[:-1])
    refused = charlm("train", "--resume", "run")
    assert refused.code == 4
    assert refused.err.splitlines()[-1].endswith(
        f"the one before is good (step 16): charlm train --resume {previous}"
    )
    assert charlm("train", "--resume", previous).code == 0
    assert read_tensors(last)[1]["step"] == 20

    # To have gone back is to have made it the last: what was damaged is not kept in its place.
    last.write_bytes(whole[:-1])
    with monkeypatch.context() as patch:
        patch.setattr("charlm.training.checkpoint.write_tensors", full_disk)
        assert charlm("train", "--resume", previous, "--max-steps", 40).code == 5
    assert read_tensors(last)[1] == read_tensors(previous)[1]

    last.write_bytes(whole[:-1])
    previous.unlink()
    previous.write_bytes(b"")
    assert "previous.safetensors is damaged too" in charlm("train", "--resume", "run").err
    last.unlink()
    assert "there is nothing to go on from" in charlm("train", "--resume", "run").err


def test_row_08_another_corpus_on_resume_is_refused_with_both_hashes(
    charlm: Charlm, text_file: Path, tiny_options: list[str], nonsense: Any
) -> None:
    assert charlm("train", text_file, *tiny_options, "-o", "run").code == 0
    hashes = [open_run(Path("run")).corpus_record["sha256"]]
    other = Path("other.txt")
    other.write_text(nonsense(4000, seed=5), encoding="utf-8")
    assert charlm("preprocess", other, "-o", "run/corpus", "--force").code == 0
    hashes.append(json.loads(Path("run/corpus/corpus.json").read_text())["sha256"])
    refused = charlm("train", "--resume", "run")
    assert refused.code == 4
    assert all(value[:12] in refused.err for value in hashes)


def test_row_16_a_resume_point_of_another_model_is_refused(
    charlm: Charlm, text_file: Path, tiny_options: list[str]
) -> None:
    for name, size in (("a", "16"), ("b", "12")):
        options = [*tiny_options, "--hidden-size", size]
        assert charlm("train", text_file, *options, "-o", name).code == 0
    other = Path("b/checkpoints/last.safetensors").read_bytes()
    Path("a/checkpoints/last.safetensors").write_bytes(other)
    refused = charlm("train", "--resume", "a")
    assert refused.code == 4
    assert "config.json and vocab.json ask for" in refused.err


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        # A fused optimiser would write beyond the end of these.
        ("optimizer.0.exp_avg", (3,), "float32 (3,), config.json and vocab.json ask for"),
        ("optimizer.1.exp_avg_sq", (1,), "float32 (1,), config.json and vocab.json ask for"),
        ("optimizer.0.step", (4, 4), "float32 (4, 4), config.json and vocab.json ask for"),
        ("optimizer.99.step", (1,), "is no resume point of this run"),
        ("state.0", (1, 4, 5), "float32 (1, 4, 5), config.json and vocab.json ask for"),
        ("state.0", (1, 1, 16), "float32 (1, 1, 16), config.json and vocab.json ask for"),
        ("state.2", (1, 4, 16), "its state is not that of a lstm"),
        ("random.cpu", (3,), "is no resume point of this run"),
    ],
)
def test_row_16_arrays_of_other_sizes_than_the_model_has(
    charlm: Charlm, trained: Path, name: str, shape: tuple[int, ...], words: str
) -> None:
    shutil.copytree(trained, "run")
    last = Path("run/checkpoints/last.safetensors")
    arrays, facts = read_tensors(last)
    arrays[name] = np.zeros(shape, arrays[name].dtype if name in arrays else np.float32)
    write_tensors(last, arrays, facts)
    refused = charlm("train", "--resume", "run", "--max-steps", 30)
    assert refused.code == 4, refused
    assert words in refused.err.splitlines()[-1]


@pytest.mark.parametrize("options", [["--sampling", "random"], ["--bidirectional"]])
def test_the_last_windows_of_an_epoch_may_be_fewer(
    charlm: Charlm, text_file: Path, tiny_options: list[str], options: list[str]
) -> None:
    short = ["--set", "data.max_tokens=400", "--batch-size", "7"]
    for steps in range(1, 9):
        whole = [*tiny_options, *short, *options, "--max-steps", steps]
        assert charlm("train", text_file, *whole, "-o", f"run-{steps}").code == 0
        resumed = charlm("train", "--resume", f"run-{steps}", "--max-steps", 12)
        assert resumed.code == 0, resumed
