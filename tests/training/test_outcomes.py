"""Steps that are not waited for are those that are; here a CPU stands in for the GPU."""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from charlm.config import TrainingConfig
from charlm.data.corpus import Corpus
from charlm.errors import DivergedError
from charlm.evaluation.metrics import Score
from charlm.model import packed
from charlm.model.network import weights_of
from charlm.training import outcomes
from charlm.training.checkpoint import LAST, open_checkpoint, restore_trainer, save_checkpoint
from charlm.training.last_epoch import LastEpoch
from charlm.training.outcomes import AHEAD, Outcome, Outcomes
from charlm.training.trainer import Trainer

Make = Callable[..., Corpus]


class Watcher:
    """Keeps what it is told, and forbids to read between."""

    def __init__(self) -> None:
        self.losses: dict[int, float] = {}
        self.read_at: list[int] = []
        self.scores: list[float] = []

    def stepped(self, trainer: Trainer, loss: float) -> None:
        self.losses[trainer.done] = loss

    def validated(self, trainer: Trainer, score: Score, best: bool) -> None:
        assert not trainer.outcomes._unread
        self.scores.append(score.nats_per_token)

    def sample_due(self, trainer: Trainer) -> None:
        assert not trainer.outcomes._unread

    checkpoint_due = sample_due

    def concluded(self, trainer: Trainer, score: Score) -> None: ...
    def warned(self, message: str) -> None: ...
    def kept(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """What is reckoned counts as not yet there; nothing is read for the time that has passed."""

    def begin() -> None:
        monkeypatch.setattr("charlm.training.gradient.works_on", lambda device: True)
        monkeypatch.setattr(outcomes, "MOST_SECONDS", math.inf)

    return begin


@pytest.mark.parametrize("optimizer", ["adamw", "soap", "sgd"])
def test_what_is_read_later_is_what_it_would_have_been(
    make_corpus: Make, tiny_config: Any, nonsense: Any, as_on_a_gpu: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch, optimizer: str,
) -> None:  # fmt: skip
    corpus = make_corpus(nonsense(2000))
    training = {"max_steps": 30, "eval_every": 8, "save_every": 7, "sample_every": 11,
                "optimizer": optimizer, "grad_clip": 0.0, "patience": 0}  # fmt: skip
    config = tiny_config(model={"dropout": 0.2}, training=training)
    found = []
    for ahead in (False, True):
        if ahead:
            as_on_a_gpu()
            monkeypatch.setattr("charlm.training.trainer.is_logged", lambda step, _: step % 9 == 0)
        trainer, watcher = Trainer(config, corpus), Watcher()
        trainer.fit(watcher)
        found.append((trainer, watcher))
    (one, told), (other, later) = found
    assert sorted(told.losses) == list(range(1, 31))
    assert sorted(later.losses) == [7, 8, 9, 11, 14, 16, 18, 21, 22, 24, 27, 28, 30]
    assert later.losses == {step: told.losses[step] for step in later.losses}
    assert later.scores == told.scores
    assert other.train_perplexity == one.train_perplexity
    assert (other.done, other.tokens) == (one.done, one.tokens)
    for name, array in weights_of(one.model).items():
        np.testing.assert_array_equal(weights_of(other.model)[name], array)


@pytest.mark.parametrize("optimizer", ["adamw", "soap", "sgd"])
def test_row_32_no_step_is_made_from_one_on_that_cannot_be(
    make_corpus: Make, tiny_config: Any, nonsense: Any, as_on_a_gpu: Callable[[], None],
    optimizer: str,
) -> None:  # fmt: skip
    as_on_a_gpu()
    training = {"optimizer": optimizer, "weight_decay": 0.3}
    trainer = Trainer(tiny_config(training=training), make_corpus(nonsense(500)))
    for k in range(3):
        assert trainer.step(trainer.batches[k]) is None
    assert trainer.outcomes.read() is not None
    before = {name: array.tobytes() for name, array in weights_of(trainer.model).items()}
    hook = trainer.model.head.register_forward_hook(lambda *_: _[2] * math.nan)
    assert trainer.step(trainer.batches[3]) is None
    hook.remove()
    trainer.state = None
    for k in (4, 5):  # with gradients as good as any
        assert trainer.step(trainer.batches[k]) is None
    with pytest.raises(DivergedError) as error:
        trainer.outcomes.read()
    assert str(error.value) == (
        "the gradient became nan at step 4: lower --lr (0.01) or --grad-clip"
    )
    assert {n: array.tobytes() for n, array in weights_of(trainer.model).items()} == before


def test_a_training_that_diverges_ends_before_anything_is_kept_of_it(
    make_corpus: Make, tiny_config: Any, nonsense: Any, as_on_a_gpu: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    as_on_a_gpu()
    monkeypatch.setattr("charlm.training.trainer.is_logged", lambda *_: False)
    trainer, watcher = Trainer(tiny_config(), make_corpus(nonsense(500))), Watcher()
    trainer.model.head.register_forward_hook(lambda *_: _[2] * math.nan)
    with pytest.raises(DivergedError, match="at step 1:"):
        trainer.fit(watcher, lambda: trainer.done >= 5)
    assert not watcher.losses
    assert not watcher.scores


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_killed_and_resumed_the_same_units_are_dropped_between_layers_too(
    make_corpus: Make, tiny_config: Any, nonsense: Any, as_on_a_gpu: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, precision: str,
) -> None:  # fmt: skip
    """By torch's chance, which a resume point has; so every weight is the same to the last bit."""
    as_on_a_gpu()
    monkeypatch.setattr(packed, "_on_cudnn", lambda rnn: True)
    monkeypatch.setattr(packed, "_pack", lambda rnn: None)
    monkeypatch.setattr("charlm.training.trainer.check_precision", lambda *what: None)
    corpus = make_corpus(nonsense(1000))
    model = {"rnn_type": "gru", "num_layers": 2, "dropout": 0.4}
    config = tiny_config(model=model, training={"precision": precision})

    def after(trainer: Trainer, steps: int) -> dict[str, bytes]:
        while trainer.done < steps:
            trainer.step(trainer.batches[trainer.done])
        trainer.outcomes.read()
        return {name: array.tobytes() for name, array in weights_of(trainer.model).items()}

    trainer = Trainer(config, corpus)
    assert len(trainer.gradient._layers._calls) == 2
    after(trainer, 5)
    save_checkpoint(tmp_path, trainer, trainer.resume_point())
    expected = after(trainer, 9)
    torch.manual_seed(99)
    restored = Trainer(config, corpus)
    restore_trainer(open_checkpoint(tmp_path / "checkpoints" / LAST), restored)
    assert after(restored, 9) == expected
    assert restored.train_perplexity == trainer.train_perplexity


def test_of_several_processes_each_waits_for_its_step(
    make_corpus: Make, tiny_config: Any, nonsense: Any, as_on_a_gpu: Callable[[], None]
) -> None:
    as_on_a_gpu()
    trainer = Trainer(tiny_config(), make_corpus(nonsense(500)))
    assert not trainer.gradient.waits
    trainer.gradient.world = SimpleNamespace(size=2)  # type: ignore[assignment]
    assert trainer.gradient.waits


def outcome(step: int, norm: float | Tensor = 1.0) -> Outcome:
    return Outcome(step, torch.tensor(float(step)), torch.as_tensor(norm), 10)


def test_a_gpu_is_given_few_steps_ahead_of_the_one_it_is_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that the clock tells how long a step takes."""
    made: list[int] = []
    waited: list[int] = []

    class Event:
        def __init__(self, *, blocking: bool) -> None:
            self.number = len(made) + 1
            made.append(self.number)

        def record(self, stream: str) -> None:
            assert stream == "the stream of cuda:1"

        def synchronize(self) -> None:
            waited.append(self.number)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"the stream of {device}")
    steps = Outcomes(TrainingConfig(), LastEpoch(5), torch.device("cuda:1"))
    for step in range(1, 7):
        steps.take(outcome(step))
        steps.keep_close()
        assert waited == list(range(1, step - AHEAD + 1))


def test_figures_are_read_at_last_when_time_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    last_epoch = LastEpoch(5)
    steps = Outcomes(TrainingConfig(), last_epoch, torch.device("cpu"))
    assert not steps.overdue
    steps.take(outcome(1))
    assert not steps.overdue
    monkeypatch.setattr(outcomes, "MOST_SECONDS", -1.0)
    assert steps.overdue
    assert steps.take(outcome(3)) is None
    assert steps.read() == 3.0
    assert last_epoch.mean == 2.0
    assert not steps.overdue
    assert steps.read() is None


def test_where_steps_are_waited_for_all_is_known_at_once() -> None:
    last_epoch = LastEpoch(5)
    steps = Outcomes(TrainingConfig(lr=0.5), last_epoch, torch.device("cpu"))
    assert steps.take(Outcome(1, 2.5, 1.0, 10)) == 2.5
    assert steps.skip is None
    assert last_epoch.mean == 2.5
    with pytest.raises(DivergedError, match=r"became inf at step 2: lower --lr \(0.5\)"):
        steps.take(Outcome(2, 2.5, math.inf, 10))
