"""What a training run leaves behind: model, checkpoints, metrics, samples."""

import math
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import charlm
from charlm.course import Moment, Validation
from charlm.data.words import unit_of
from charlm.evaluation.metrics import Score
from charlm.model.device import conditions
from charlm.model.network import weights_of
from charlm.run import MODEL, train_perplexity_name
from charlm.storage.tensors import Arrays, read_tensors
from charlm.training.checkpoint import save_checkpoint, save_model
from charlm.training.logs import Logs
from charlm.training.looks import is_logged
from charlm.training.reports import Reports, Stretch
from charlm.training.resume_point import ResumePoint
from charlm.training.samples import sample
from charlm.training.trainer import Trainer


class Recorder:
    """A `Watcher` that writes into a run folder and reports progress."""

    def __init__(
        self,
        run: Path,
        trainer: Trainer,
        reports: Reports,
        *,
        started: float,
        before: ResumePoint | None = None,
    ) -> None:
        """started: when the command began (`time.perf_counter`).

        before: what the trainer was restored from; what was logged after it was saved is cut off,
        since it will come again.
        """
        self.run = run
        self.logs = Logs(run, before.logged if before else {})
        self._unit = unit_of(trainer.corpus.vocab.level)
        self.progress = reports.training(
            Stretch(
                trainer.limit.total, trainer.tokens_per_step, trainer.done, self._unit,
                self.logs.validations,
            )
        )  # fmt: skip
        self._command_started, self._started = started, time.perf_counter()
        self._seconds, self._seconds_of_all = (
            (before.seconds, before.seconds_of_all) if before else (0.0, 0.0)
        )
        self._first_token = trainer.tokens
        self._precisions = _with_precision(before.precisions if before else (), trainer)
        self.best_score = before.best_score if before else None
        self._saved_model = self.best_score is not None
        events = trainer.config.training.tensorboard
        self.logs.open(self.progress.note, events=events, seconds=self._seconds)

    @property
    def seconds(self) -> float:
        """Of training, those before it was resumed included."""
        return self._seconds + time.perf_counter() - self._started

    def tokens_per_second(self, trainer: Trainer) -> float:
        """Since training began, or was resumed."""
        seconds = time.perf_counter() - self._started
        return (trainer.tokens - self._first_token) / max(seconds, 1e-9)

    def stepped(self, trainer: Trainer, loss: float) -> None:
        self.progress.step(trainer.done, trainer.limit.total, loss)
        if is_logged(trainer.done, trainer.limit.total):
            self._append_metrics(trainer, {"train_loss": loss, "rate": trainer.rate})

    def warned(self, message: str) -> None:
        self.progress.note(message)

    def validated(self, trainer: Trainer, score: Score, best: bool) -> None:
        provisional = trainer.validator.is_provisional(score)
        figures = {"valid": score.to_dict(), "best": best}
        if provisional:
            figures["provisional"] = True  # of a part of what the last figure is over
        seen = self._append_metrics(trainer, figures)
        assert isinstance(seen, Validation)
        self.progress.validation(seen, trainer.tokens, score, provisional=provisional)
        if best:
            self.best_score = score
            self.save_model(trainer, score)

    def kept(self) -> Arrays:
        """The weights of the model that the run has."""
        return read_tensors(self.run / MODEL)[0]

    def concluded(self, trainer: Trainer, score: Score) -> None:
        """The figure of the model that was kept, in place of the one that it was chosen by."""
        self.best_score = score
        over = f"{score.tokens:,} {'masked ' * score.masked}{self._unit}s"
        self.progress.note(f"the best of them, over {over}: {score.bits_per_token:.4f} bits")
        weights, facts = read_tensors(self.run / MODEL)
        save_model(self.run, weights, {**facts, "valid": score_facts(trainer, score)})

    def checkpoint_due(self, trainer: Trainer) -> None:
        """Write a resume point, and where nothing is validated, the model so far."""
        point = trainer.resume_point(
            seconds=self.seconds,
            seconds_of_all=self._seconds_of_all + time.perf_counter() - self._command_started,
            best_score=self.best_score,
            logged=self.logs.sizes(),
            precisions=self._precisions,
        )
        save_checkpoint(self.run, trainer, point)
        if trainer.done and not trainer.validates:
            self.save_model(trainer, None)

    def sample_due(self, trainer: Trainer) -> None:
        """Write a sample drawn from the weights of the moment."""
        text = sample(trainer)
        self.logs.sample(trainer.done, text)
        self.progress.sample(text)

    def finish(self, trainer: Trainer) -> None:
        """Called once, however training ended: nothing that was learned is lost."""
        if trainer.finished and trainer.config.training.sample_prefix:
            self.sample_due(trainer)  # asked for, even where no milestone was reached
        self.checkpoint_due(trainer)
        if not self._saved_model:
            self.save_model(trainer, None)
        guessing = math.log(len(trainer.corpus.vocab))
        if self.best_score and self.best_score.nats_per_token > guessing:
            self.warned(
                "Warning: the model is worse than guessing, which would have "
                f"{guessing:.3f} nats: lower --lr ({trainer.config.training.lr:g})"
            )

    def save_model(self, trainer: Trainer, score: Score | None) -> None:
        """Make the weights of the moment the run's model."""
        facts = {
            "vocab": trainer.corpus.vocab.sha256,
            "step": trainer.done,
            "epochs": round(trainer.epochs, 4),
            "seconds": round(self.seconds, 1),
            "valid": score_facts(trainer, score),
            train_perplexity_name(trainer.config.model): trainer.train_perplexity,
            "precision": _in_words(self._precisions),
            "charlm": charlm.__version__,
            "saved": datetime.now(UTC).isoformat(timespec="seconds"),
            "conditions": conditions(trainer.device),
        }
        save_model(self.run, weights_of(trainer.model), facts)
        self._saved_model = True

    def _append_metrics(self, trainer: Trainer, figures: dict[str, Any]) -> Moment:
        """Log the figures of the moment; the moment as it is read from the log."""
        return self.logs.metrics(
            {
                "step": trainer.done,
                "epoch": round(trainer.epochs, 4),
                "seconds": round(self.seconds, 3),
                f"{self._unit}s_per_second": round(self.tokens_per_second(trainer), 1),
                **figures,
            }
        )


def score_facts(trainer: Trainer, score: Score | None) -> dict[str, Any] | None:
    """A validation's figures; `whole`: whether it read all of the part (see `eval_tokens`)."""
    if score is None:
        return None
    whole = trainer.validator.is_of_all(score)
    return {**score.to_dict(), "split": "valid", "whole": whole}


def _with_precision(
    precisions: tuple[tuple[int, str], ...], trainer: Trainer
) -> tuple[tuple[int, str], ...]:
    """The history of a training's precision, with that of the steps to come."""
    now = trainer.config.training.precision
    if precisions and precisions[-1][1] == now:
        return precisions
    return (*precisions, (trainer.done, now))


def _in_words(precisions: tuple[tuple[int, str], ...]) -> str:
    """bfloat16, float32 after step 400"""
    return ", ".join(f"{name} after step {step}" if step else name for step, name in precisions)
