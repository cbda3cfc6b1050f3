import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charlm.config import Config
from charlm.data.batches import Batch
from charlm.data.corpus import Corpus
from charlm.errors import DivergedError
from charlm.evaluation.evaluator import evaluate
from charlm.evaluation.metrics import Score
from charlm.model.network import IMPLEMENTATIONS, load_weights, weights_of
from charlm.training.checkpoint import (
    LAST,
    PREVIOUS,
    open_checkpoint,
    restore_trainer,
    save_checkpoint,
)
from charlm.training.frequencies import counts_of
from charlm.training.looks import Extent
from charlm.training.recorder import score_facts
from charlm.training.trainer import Trainer
from charlm.training.validator import Best

Make = Callable[..., Corpus]
Settings = Callable[..., Config]


class Silence:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.scores: list[tuple[int, float, bool]] = []
        self.checkpoints: list[int] = []
        self.last: list[Score] = []
        self.weights: dict[str, Any] = {}
        self.samples: list[int] = []

    def stepped(self, trainer: Trainer, loss: float) -> None:
        self.losses.append(loss)

    def validated(self, trainer: Trainer, score: Score, best: bool) -> None:
        self.scores.append((trainer.done, score.nats_per_token, best))
        if best:
            self.weights = weights_of(trainer.model)

    def concluded(self, trainer: Trainer, score: Score) -> None:
        self.last.append(score)

    def kept(self) -> dict[str, Any]:
        return self.weights

    def checkpoint_due(self, trainer: Trainer) -> None:
        self.checkpoints.append(trainer.done)

    def sample_due(self, trainer: Trainer) -> None:
        self.samples.append(trainer.done)


@pytest.mark.parametrize("sampling", ["sequential", "random"])
@pytest.mark.parametrize("cell", IMPLEMENTATIONS["torch"])
def test_it_learns_a_text_by_heart(
    make_corpus: Make, tiny_config: Settings, cell: str, sampling: str
) -> None:
    corpus = make_corpus("the quick brown fox jumps over the lazy dog. " * 20, val_frac=0.1)
    training = {"max_steps": 150, "sampling": sampling, "lr": 0.02}
    model = {"rnn_type": cell, "hidden_size": 32}
    trainer = Trainer(tiny_config(model=model, training=training), corpus)
    watcher = Silence()
    trainer.fit(watcher)
    assert watcher.scores[-1][1] < 0.5 < 2.5 < watcher.losses[0]


def test_a_step_is_the_textbooks(make_corpus: Make, tiny_config: Settings, nonsense: Any) -> None:
    """Plain SGD, against autograd by hand."""
    corpus = make_corpus(nonsense(2000))
    training = {"optimizer": "sgd", "lr": 0.5, "warmup": 0.0, "schedule": "constant",
                "grad_clip": 0.1, "reset": 0.0}  # fmt: skip
    trainer, other = (Trainer(tiny_config(training=training), corpus) for _ in range(2))
    state = None
    for k in range(3):
        batch = trainer.batches[k]
        logits, state = other.model(torch.from_numpy(batch.inputs), state)
        state = tuple(part.detach() for part in state)
        targets = torch.from_numpy(batch.targets)
        loss = -logits.log_softmax(-1).gather(2, targets[..., None]).mean()
        other.model.zero_grad()
        torch.autograd.backward(loss)
        norm = torch.cat([p.grad.flatten() for p in other.model.parameters()]).norm()
        for p in other.model.parameters():
            p.data -= 0.5 * min(1.0, 0.1 / norm.item()) * p.grad
        assert trainer.step(batch) == pytest.approx(loss.item(), rel=1e-5)
    for p, q in zip(trainer.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-6)


def weights_after(trainer: Trainer, steps: int) -> list[bytes]:
    while trainer.done < steps:
        trainer.step(trainer.batches[trainer.done])
    return [array.tobytes() for _, array in sorted(weights_of(trainer.model).items())]


@pytest.mark.parametrize("sampling", ["sequential", "random"])
@pytest.mark.parametrize("cell", IMPLEMENTATIONS["torch"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_restored_trainer_goes_on_bit_for_bit(
    make_corpus: Make, tiny_config: Settings, tmp_path: Path, nonsense: Any, cell: str,
    sampling: str, optimizer: str,
) -> None:  # fmt: skip
    corpus = make_corpus(nonsense(1000))
    config = tiny_config(
        model={"rnn_type": cell, "dropout": 0.3, "num_layers": 2},
        training={"sampling": sampling, "optimizer": optimizer, "reset": 0.2},
    )
    run = tmp_path / "run"
    run.mkdir()
    trainer = Trainer(config, corpus)
    weights_after(trainer, 7)
    save_checkpoint(run, trainer, trainer.resume_point())
    expected = weights_after(trainer, 19)

    torch.manual_seed(99)
    restored = Trainer(config, corpus)
    restore_trainer(open_checkpoint(run / "checkpoints" / LAST), restored)
    assert restored.done == 7
    assert weights_after(restored, 19) == expected
    assert restored.train_perplexity == trainer.train_perplexity


def test_the_checkpoint_before_is_kept(
    make_corpus: Make, tiny_config: Settings, tmp_path: Path, nonsense: Any
) -> None:
    trainer = Trainer(tiny_config(), make_corpus(nonsense(500)))
    run = tmp_path / "run"
    run.mkdir()
    for step in (1, 2, 3):
        weights_after(trainer, step)
        save_checkpoint(run, trainer, trainer.resume_point())
    for name, step in ((LAST, 3), (PREVIOUS, 2)):
        restored = Trainer(tiny_config(), trainer.corpus)
        restore_trainer(open_checkpoint(run / "checkpoints" / name), restored)
        assert restored.done == step


def test_two_trainings_with_one_seed_are_one(
    make_corpus: Make, tiny_config: Settings, nonsense: Any
) -> None:
    corpus = make_corpus(nonsense(1000))
    one, same, other = (
        weights_after(Trainer(tiny_config(training={"seed": seed}), corpus), 10)
        for seed in (1, 1, 2)
    )
    assert one == same != other


def test_row_32_a_gradient_that_is_not_finite_stops_before_it_does_harm(
    make_corpus: Make, tiny_config: Settings, nonsense: Any
) -> None:
    trainer = Trainer(tiny_config(), make_corpus(nonsense(500)))
    before = weights_after(trainer, 3)
    trainer.model.head.register_forward_hook(lambda *_: _[2] * math.nan)
    with pytest.raises(DivergedError) as error:
        trainer.step(trainer.batches[3])
    assert str(error.value) == (
        "the gradient became nan at step 4: lower --lr (0.01) or --grad-clip"
    )
    assert weights_after(trainer, 3) == before


def test_what_is_due_comes_when_it_is_asked_for(
    make_corpus: Make, tiny_config: Settings, nonsense: Any
) -> None:
    training = {"eval_every": 8, "save_every": 6, "sample_every": 9, "patience": 0}
    watcher = Silence()
    trainer = Trainer(tiny_config(training=training), make_corpus(nonsense(500)))
    trainer.fit(watcher)
    assert [step for step, _, _ in watcher.scores] == [8, 16, 20]
    assert watcher.checkpoints == [6, 12, 18]
    assert watcher.samples == [9, 18]
    assert len(watcher.losses) == 20


def test_without_a_validation_part_there_is_no_validation(
    make_corpus: Make, tiny_config: Settings, nonsense: Any
) -> None:
    trainer, watcher = Trainer(tiny_config(), make_corpus(nonsense(500), val_frac=0.0)), Silence()
    trainer.fit(watcher)
    assert watcher.scores == []
    assert trainer.done == 20


def test_it_ends_early_when_validation_gets_no_better(
    make_corpus: Make, tiny_config: Settings, nonsense: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charlm.training.trainer.LEAST_STEPS_TO_GIVE_UP", 7)
    rising = iter(range(100))
    monkeypatch.setattr(
        "charlm.training.validator.evaluate", lambda *_, **__: Score(nats=next(rising), tokens=1)
    )
    training = {"eval_every": 2, "patience": 3}
    watcher = Silence()
    trainer = Trainer(tiny_config(training=training), make_corpus(nonsense(500)))
    trainer.fit(watcher)
    assert [(step, best) for step, _, best in watcher.scores] == [
        (2, True), (4, False), (6, False), (8, False),
    ]  # fmt: skip


def test_it_stops_between_two_steps(
    make_corpus: Make, tiny_config: Settings, nonsense: Any
) -> None:
    trainer, watcher = (
        Trainer(tiny_config(training={"eval_every": 5}), make_corpus(nonsense(500))),
        Silence(),
    )
    trainer.fit(watcher, lambda: trainer.done >= 7)
    assert trainer.done == 7
    assert [step for step, _, _ in watcher.scores] == [5]


def test_the_training_perplexity_is_that_of_the_last_epoch(
    make_corpus: Make, tiny_config: Settings, nonsense: Any
) -> None:
    training = {"epochs": 3.0, "max_steps": None}
    watcher = Silence()
    trainer = Trainer(tiny_config(training=training), make_corpus(nonsense(300)))
    trainer.fit(watcher)
    steps = trainer.batches.per_epoch
    assert trainer.done == 3 * steps
    sizes = [trainer.batches[k].inputs.size for k in range(2 * steps, 3 * steps)]
    mean = np.average(watcher.losses[-steps:], weights=sizes)
    assert trainer.train_perplexity == pytest.approx(math.exp(mean))


def test_validation_is_the_evaluators_over_the_whole_part(
    make_corpus: Make, tiny_config: Settings, nonsense: Any
) -> None:
    corpus = make_corpus(nonsense(500))
    trainer, watcher = Trainer(tiny_config(), corpus), Silence()
    trainer.fit(watcher)
    whole = evaluate(trainer.model, corpus.split("valid"), corpus.vocab)
    assert whole.tokens == 49
    assert watcher.scores[-1][1] == whole.nats_per_token


def test_a_validation_of_a_state_that_does_not_settle_reads_a_part_and_says_so(
    make_corpus: Make, tiny_config: Settings, nonsense: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charlm.evaluation.evaluator.SHORTEST_STREAM", 200)
    monkeypatch.setattr("charlm.training.validator.UNSETTLED_TOKENS", 300)
    corpus = make_corpus(nonsense(8000))
    trainer, watcher = Trainer(tiny_config(model={"rnn_type": "rnn"}), corpus), Silence()
    assert score_facts(trainer, trainer_score(trainer, watcher))["whole"] is True
    trainer.model.rnn.weight_hh_l0.data *= 20
    score = trainer_score(trainer, watcher)
    assert score.tokens == 300
    assert score_facts(trainer, score)["whole"] is False
    assert score == evaluate(trainer.model, corpus.split("valid")[:301], corpus.vocab, streams=1)
    # So do those after it, which are compared with it; and those after a resume.
    trainer.model.rnn.weight_hh_l0.data /= 20
    assert trainer_score(trainer, watcher).tokens == 300
    point = trainer.resume_point()
    resumed = Trainer(trainer.config, corpus, before=point)
    resumed.go_on_from(point)
    assert trainer_score(resumed, watcher).tokens == 300


def test_after_looks_at_a_part_the_last_figure_is_of_the_kept_weights_over_all(
    make_corpus: Make, tiny_config: Settings, nonsense: Any
) -> None:
    corpus = make_corpus(nonsense(3000))
    # By a rate that makes it worse and worse, the first look is at the best.
    training = {"eval_every": 5, "lr": 3.0, "schedule": "constant", "warmup": 0.0}
    trainer, watcher = Trainer(tiny_config(training=training), corpus), Silence()
    trainer.validator.narrow(Extent(100, 300))
    trainer.fit(watcher)
    kept = min(watcher.scores, key=lambda seen: seen[1])
    assert [step for step, _, _ in watcher.scores] == [5, 10, 15, 20]
    assert kept[0] != 20
    after = weights_of(trainer.model)
    load_weights(trainer.model, watcher.weights)
    valid = corpus.split("valid")
    assert watcher.last == [evaluate(trainer.model, valid, corpus.vocab)]
    assert evaluate(trainer.model, valid[:100], corpus.vocab).nats_per_token == kept[1]
    # The weights of the last step are left as they were.
    assert any((after[name] != watcher.weights[name]).any() for name in after)


def test_where_less_is_read_from_here_on_the_best_so_far_is_read_again(
    make_corpus: Make, tiny_config: Settings, nonsense: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = make_corpus(nonsense(8000))
    trainer, watcher = Trainer(tiny_config(model={"rnn_type": "rnn"}), corpus), Silence()
    trainer.done = 1
    trainer.validate(watcher)
    before = trainer.best.nats_per_token
    monkeypatch.setattr("charlm.evaluation.evaluator.SHORTEST_STREAM", 200)
    monkeypatch.setattr("charlm.training.validator.UNSETTLED_TOKENS", 300)
    trainer.model.rnn.weight_hh_l0.data *= 20
    trainer.done = 2
    trainer.validate(watcher)
    load_weights(trainer.model, watcher.weights)
    again = evaluate(trainer.model, corpus.split("valid")[:301], corpus.vocab).nats_per_token
    assert trainer.best.nats_per_token == pytest.approx(again, abs=1e-6)
    assert before != pytest.approx(again, abs=1e-4)
    assert trainer.best.step == 1


def test_nothing_is_validated_twice(
    make_corpus: Make, tiny_config: Settings, nonsense: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[int] = []

    def counting(*arguments: Any, **settings: Any) -> Score:
        scored.append(trainer.done)
        return evaluate(*arguments, **settings)

    monkeypatch.setattr("charlm.training.validator.evaluate", counting)
    trainer = Trainer(tiny_config(training={"eval_every": 5}), make_corpus(nonsense(3000)))
    trainer.fit(Silence())
    trainer.fit(Silence())
    assert scored == [5, 10, 15, 20]


def trainer_score(trainer: Trainer, watcher: Any) -> Any:
    """What a validation of the moment tells the watcher."""
    found = []
    watcher.validated = lambda trainer, score, best: found.append(score)
    trainer.validate(watcher)
    return found[0]


def test_streams_that_start_anew_start_from_zero(
    make_corpus: Make, tiny_config: Settings, nonsense: Any
) -> None:
    """A batch of which no stream is carried gives the loss that a fresh state gives."""
    corpus = make_corpus(nonsense(500))
    trainer, fresh = (Trainer(tiny_config(), corpus) for _ in range(2))
    batch = trainer.batches[1]
    cut = Batch(batch.inputs, batch.targets, np.zeros_like(batch.carried))
    trainer.state, _ = None, trainer.model
    _, trainer.state = trainer.model(torch.from_numpy(trainer.batches[0].inputs))
    carried_on = Trainer(tiny_config(), corpus)
    carried_on.state = trainer.state
    assert trainer.step(cut) == pytest.approx(fresh.step(cut), abs=1e-7)
    assert carried_on.step(batch) != pytest.approx(fresh.step(batch), abs=1e-4)


def test_the_best_validation_is_remembered() -> None:
    best = Best()
    taken = [best.take(Score(nats=n, tokens=1), step) for step, n in enumerate((3, 2, 2, 4, 1))]
    assert taken == [True, True, False, False, True]
    assert (best.nats_per_token, best.step, best.failures) == (1, 4, 0)


@pytest.mark.parametrize(
    ("model", "begun"),
    [
        ({}, True),
        ({"implementation": "scratch"}, True),
        ({"bidirectional": True}, True),
        ({"tied": True, "embedding_size": 16, "hidden_size": 16}, True),
        ({"init": "normal"}, False),
        ({"init": "torch"}, False),
    ],
    ids=str,
)
def test_a_model_begins_at_the_frequencies_but_for_the_textbook_s(
    make_corpus: Make, tiny_config: Settings, nonsense: Any, model: dict[str, Any], begun: bool
) -> None:
    corpus = make_corpus(nonsense(2000) + "zz")
    trainer = Trainer(tiny_config(model=model), corpus)
    counts = np.bincount(corpus.split("train"), minlength=len(corpus.vocab))
    found = torch.softmax(trainer.model.head.bias.detach(), 0).numpy()
    near = np.allclose(found, counts / counts.sum(), atol=2e-3)
    assert near == begun
    if begun:
        assert (found > 0).all()  # <unk>, which the text does not have, too


def test_of_a_long_text_blocks_all_over_it_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.repeat(np.arange(4), 1000)
    assert counts_of(ids, 5).tolist() == [1000] * 4 + [0]
    monkeypatch.setattr("charlm.training.frequencies.MOST_COUNTED", 640)
    counts = counts_of(ids, 5)
    assert counts.sum() == 640
    assert counts[:4] == pytest.approx(160, abs=10)
