"""A run from its folder to its result, and the signals that may end it early."""

import json
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm.cli.told import Told
from charlm.data.corpus import Corpus
from charlm.errors import Stopped
from charlm.evaluation.evaluator import evaluate
from charlm.evaluation.metrics import Score
from charlm.model.network import open_model
from charlm.run import open_run, save_run
from charlm.training.checkpoint import find_checkpoint
from charlm.training.looks import Extent
from charlm.training.origin import Memory
from charlm.training.recorder import Recorder
from charlm.training.reports import Silent
from charlm.training.session import train_run
from charlm.training.signals import StopSignals
from charlm.training.trainer import Trainer

Prepare = Callable[..., tuple[Path, Any]]


@pytest.fixture
def prepare(
    make_corpus: Callable[..., Corpus], tiny_config: Any, tmp_path: Path, nonsense: Any
) -> Prepare:
    def call(**training: Any) -> tuple[Path, Any]:
        config, path = tiny_config(training=training), tmp_path / "run"
        path.mkdir()
        corpus = make_corpus(nonsense(1000))
        save_run(path, config, corpus, str(corpus.folder))
        return path, config

    return call


def test_a_run_holds_what_it_should(prepare: Prepare) -> None:
    path, config = prepare(eval_every=5, sample_every=10)
    result = train_run(path, config, reports=Told())
    assert {p.name for p in path.iterdir()} == {
        "config.json", "vocab.json", "model.safetensors", "checkpoints", "metrics.jsonl",
        "samples.txt", ".lock",
    }  # fmt: skip
    assert {p.name for p in (path / "checkpoints").iterdir()} == {
        "last.safetensors", "previous.safetensors",
    }  # fmt: skip
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "valid" in line] == [5, 10, 15, 20]
    assert [line["step"] for line in lines if "train_loss" in line] == list(range(1, 21))
    assert (path / "samples.txt").read_text().startswith("=== step 10\n")
    assert result.steps == 20
    assert result.to_dict()["valid"]["split"] == "valid"
    assert result.to_dict()["valid"]["whole"] is True


def test_the_model_that_is_kept_is_the_one_that_is_reported(prepare: Prepare) -> None:
    path, config = prepare()
    result = train_run(path, config, reports=Told())
    run = open_run(path)
    score = evaluate(open_model(run, "cpu"), run.open_corpus().split("valid"), run.vocab)
    assert result.valid is not None
    assert score.nats_per_token == pytest.approx(result.valid.nats_per_token, abs=1e-6)
    assert run.facts["valid"]["nats_per_char"] == result.valid.nats_per_token


def test_training_starts_from_the_weights_of_another_run(prepare: Prepare, trained: Path) -> None:
    path, config = prepare(lr=1e-12)
    start = open_run(trained)
    train_run(path, config, start, reports=Told())
    for name, array in open_run(path).weights.items():
        assert abs(array - start.weights[name]).max() < 1e-6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_training_after_the_step_and_saves(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    path, config = prepare()
    step = Trainer.step

    def step_under_fire(self: Trainer, batch: Any) -> float:
        if self.done == 4:
            os.kill(os.getpid(), number)
        return step(self, batch)

    monkeypatch.setattr(Trainer, "step", step_under_fire)
    with pytest.raises(Stopped) as error:
        train_run(path, config, reports=Told())
    assert error.value.exit_code == 128 + number
    name = "Ctrl-C" if number == signal.SIGINT else number.name
    assert str(error.value) == (
        f"stopped by {name} after step 5 of 20; go on with charlm train --resume {path}"
    )
    assert open_run(path).facts["step"] == 5


def test_one_step_is_told_of_as_one(prepare: Prepare) -> None:
    path, config = prepare(max_steps=1)
    assert " over the last epoch, 1 step, " in str(train_run(path, config, reports=Told()))


def test_a_second_interrupt_ends_at_once_and_the_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopSignals(Path("runs/text"), print) as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received == signal.SIGINT
        with pytest.raises(
            Stopped, match="before all was saved; charlm train --resume runs/text goes on"
        ):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_training_that_gives_up_says_so_and_has_nothing_left_to_do(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charlm.training.trainer.LEAST_STEPS_TO_GIVE_UP", 3)
    # By a rate that changes nothing, no validation after the first is a new best.
    path, config = prepare(lr=1e-30, eval_every=1, patience=2)
    result = train_run(path, config, reports=Told())
    assert (result.steps, result.to_dict()["ended_early"]) == (3, True)
    assert str(result).endswith("; ended early, after 2 validations without a new best")
    again = train_run(path, config, checkpoint=find_checkpoint(path), reports=Told())
    assert again.steps == 3
    assert "a second" not in str(again)


def test_a_model_worse_than_guessing_is_called_so(
    prepare: Prepare, capsys: pytest.CaptureFixture[str]
) -> None:
    path, config = prepare(optimizer="sgd", lr=1e4, max_steps=3)
    train_run(path, config, reports=Told())
    assert "Warning: the model is worse than guessing" in capsys.readouterr().err


def test_a_model_without_a_finite_score_is_not_said_to_have_had_no_validation(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, config = prepare()
    nowhere = Score(nats=math.nan, tokens=9, level="char", unknown=0)
    monkeypatch.setattr("charlm.training.validator.evaluate", lambda *_, **__: nowhere)
    result = train_run(path, config, reports=Told())
    assert str(result).startswith("validation: no finite score\n")
    assert result.to_dict()["valid"] is None
    assert str(Memory("old", nowhere, nowhere)).endswith("nan forgotten")


def test_metrics_that_cannot_be_written_do_not_end_the_training(
    prepare: Prepare, capsys: pytest.CaptureFixture[str]
) -> None:
    path, config = prepare(eval_every=5)
    (path / "metrics.jsonl").mkdir()
    assert train_run(path, config, reports=Told()).steps == 20
    warnings = [line for line in capsys.readouterr().err.splitlines() if "Warning" in line]
    assert warnings == [f"Warning: {path}/metrics.jsonl: Is a directory; no more is logged"]


def test_losses_are_logged_now_and_then(prepare: Prepare) -> None:
    path, config = prepare(max_steps=450, eval_every=450)
    trainer = Trainer(config, open_run(path).open_corpus())
    recorder = Recorder(path, trainer, Silent(), started=time.monotonic())
    trainer.fit(recorder)
    recorder.progress.close()
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert 200 <= sum("train_loss" in line for line in lines) <= 230


def test_a_validation_on_a_part_of_the_part_says_so(prepare: Prepare) -> None:
    path, config = prepare(eval_tokens=50)
    result = train_run(path, config, reports=Told())
    assert result.to_dict()["valid"]["whole"] is False
    assert result.to_dict()["valid"]["characters"] == 49
    assert str(result).startswith("validation, the beginning of the part: perplexity ")


def test_where_looks_are_at_a_part_the_last_figure_is_over_the_whole(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "charlm.training.validator.affordable", lambda tokens, *_: Extent(30, tokens)
    )
    path, config = prepare(max_steps=None, time=2.0, eval_every=5)
    result = train_run(path, config, reports=Silent())
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    seen = [line for line in lines if "valid" in line]
    assert len(seen) > 1
    assert {(line["provisional"], line["valid"]["characters"]) for line in seen} == {(True, 29)}
    run = open_run(path)
    valid = run.open_corpus().split("valid")
    score = evaluate(open_model(run, "cpu"), valid, run.vocab)
    assert result.to_dict()["valid"]["whole"] is True
    assert score.tokens == len(valid) - 1 == result.to_dict()["valid"]["characters"]
    assert result.valid is not None
    assert score.nats_per_token == pytest.approx(result.valid.nats_per_token, abs=1e-6)
    best = min(seen, key=lambda line: line["valid"]["nats_per_char"])
    assert run.facts["step"] == best["step"]
    # All is done: there is nothing to go on with, and nothing is scored again.
    monkeypatch.setattr("charlm.training.validator.evaluate", None)
    again = train_run(path, config, checkpoint=find_checkpoint(path), reports=Silent())
    assert again.to_dict()["valid"] == result.to_dict()["valid"]
