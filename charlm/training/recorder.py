"""What a training run leaves behind: model, checkpoints, metrics, samples."""

import dataclasses
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from charlm.config import ModelConfig, TrainingConfig
from charlm.data.text import detokenize
from charlm.evaluation.metrics import Score
from charlm.generation.filler import Filler
from charlm.generation.sampler import Sampler
from charlm.generation.stepper import Stepper
from charlm.model.network import weights_of
from charlm.run import METRICS, SAMPLES
from charlm.storage.files import append, size, truncate
from charlm.training.checkpoint import save_checkpoint, save_model
from charlm.training.progress import Progress
from charlm.training.trainer import Trainer

# Lines in metrics.jsonl for the training loss, however long the training.
LOSS_LINES = 200
SAMPLE_LENGTH = 200
# A sample of a model that fills gaps: so many tokens, every so many-th of them to be filled.
FILL_LENGTH, GAP_EVERY = 100, 12


class Recorder:
    """A `Watcher` that writes into a run folder and shows progress."""

    def __init__(
        self, run: Path, trainer: Trainer, *, started: float, facts: dict[str, Any] | None = None
    ) -> None:
        """started: when the command began (`time.monotonic`).

        facts: of the checkpoint that the trainer was restored from; what was logged after it was
        saved is cut off, since it will come again.
        """
        facts = facts or {}
        self.run = run
        self.progress = Progress(
            trainer.limit.total, tokens_per_step=trainer.tokens_per_step, first_step=trainer.done
        )
        self._command_started, self._seconds_of_all = started, float(facts.get("seconds_of_all", 0))
        self._started, self._seconds = time.monotonic(), float(facts.get("seconds", 0.0))
        self._first_token = trainer.tokens
        score = facts.get("best_score")
        self.best_score = Score(**score) if score else None
        self._saved_model = self.best_score is not None
        self._appends = True
        for name in (METRICS, SAMPLES):
            truncate(run / name, facts.get("logged", {}).get(name, 0))

    @property
    def seconds(self) -> float:
        """Of training, those before it was resumed included."""
        return self._seconds + time.monotonic() - self._started

    def tokens_per_second(self, trainer: Trainer) -> float:
        """Since training began, or was resumed."""
        seconds = time.monotonic() - self._started
        return (trainer.tokens - self._first_token) / max(seconds, 1e-9)

    def stepped(self, trainer: Trainer, loss: float) -> None:
        self.progress.step(trainer.done, trainer.limit.total, loss)
        if trainer.done % max(1, trainer.limit.total // LOSS_LINES) == 0:
            self._append_metrics(trainer, {"train_loss": loss, "rate": trainer.rate})

    def warned(self, message: str) -> None:
        self.progress.note(message)

    def validated(self, trainer: Trainer, score: Score, best: bool) -> None:
        self.progress.validation(trainer.done, score, best)
        self._append_metrics(trainer, {"valid": score.to_dict(), "best": best})
        if best:
            self.best_score = score
            self.save_model(trainer, score)

    def checkpoint_due(self, trainer: Trainer) -> None:
        """Write a resume point, and where nothing is validated, the model so far."""
        facts = {
            "limits": limits(trainer.config.training),
            "seconds": self.seconds,
            "seconds_of_all": self._seconds_of_all + time.monotonic() - self._command_started,
            "best_score": None if self.best_score is None else asdict(self.best_score),
            "logged": {name: size(self.run / name) for name in (METRICS, SAMPLES)},
        }
        save_checkpoint(self.run, trainer, facts)
        if trainer.done and not trainer.validates:
            self.save_model(trainer, None)

    def sample_due(self, trainer: Trainer) -> None:
        """Write a sample drawn from the weights of the moment."""
        text = filled(trainer) if trainer.config.model.bidirectional else written(trainer)
        self._append(SAMPLES, f"=== step {trainer.done}\n{text}\n\n")
        self.progress.sample(text)

    def finish(self, trainer: Trainer) -> None:
        """Called once, however training ended: nothing that was learned is lost."""
        self.checkpoint_due(trainer)
        if not self._saved_model:
            self.save_model(trainer, None)

    def save_model(self, trainer: Trainer, score: Score | None) -> None:
        """Make the weights of the moment the run's model."""
        facts = {
            "vocab": trainer.corpus.vocab.sha256,
            "step": trainer.done,
            "epochs": round(trainer.epochs, 4),
            "seconds": round(self.seconds, 1),
            "valid": score_facts(trainer, score),
            train_perplexity_name(trainer.config.model): trainer.train_perplexity,
        }
        save_model(self.run, weights_of(trainer.model), facts)
        self._saved_model = True

    def _append_metrics(self, trainer: Trainer, figures: dict[str, Any]) -> None:
        line = {
            "step": trainer.done,
            "epoch": round(trainer.epochs, 4),
            "seconds": round(self.seconds, 3),
            "characters_per_second": round(self.tokens_per_second(trainer), 1),
            **figures,
        }
        self._append(METRICS, json.dumps(line) + "\n")

    def _append(self, name: str, text: str) -> None:
        """A line that cannot be written is not worth ending the training for."""
        if not self._appends:
            return
        try:
            append(self.run / name, text)
        except OSError as error:
            self._appends = False
            self.progress.note(f"Warning: {self.run / name}: {error.strerror}; no more is logged")


def limits(settings: TrainingConfig) -> list[float | None]:
    """What ends a training, as a checkpoint remembers it."""
    return [settings.time, settings.epochs, settings.max_steps]


def train_perplexity_name(model: ModelConfig) -> str:
    """What the perplexity of the last epoch is called."""
    return "train_masked_perplexity" if model.bidirectional else "train_perplexity"


def score_facts(trainer: Trainer, score: Score | None) -> dict[str, Any] | None:
    """A validation's figures; `whole`: whether it read all of the part (see `eval_tokens`)."""
    if score is None:
        return None
    read_all = score.masked or score.tokens == len(trainer.valid) - 1
    return {
        **score.to_dict(), "split": "valid", "whole": trainer.validates_on_all and read_all,
    }  # fmt: skip


def written(trainer: Trainer) -> str:
    """A text from the weights of the moment."""
    config, vocab = trainer.config, trainer.corpus.vocab
    settings = dataclasses.replace(config.generation, length=SAMPLE_LENGTH, num_samples=1, stop=())
    sampler = Sampler(Stepper(config.model, weights_of(trainer.model)), vocab, settings)
    samples = sampler.start([])
    for _ in sampler.stream([], samples, trainer.done):
        pass
    return samples[0].text


def filled(trainer: Trainer) -> str:
    """The beginning of the held-out text (or of the text, where none is) with gaps, and filled."""
    corpus = trainer.corpus
    part = "valid" if corpus.splits["valid"] else "train"
    ids = [int(i) for i in corpus.split(part)[:FILL_LENGTH]]
    gaps: list[int | None] = [None if k % GAP_EVERY == GAP_EVERY - 1 else i
                              for k, i in enumerate(ids)]  # fmt: skip
    [filling] = Filler(trainer.model, corpus.vocab).fill(gaps)
    tokens = ("_" if i is None else corpus.vocab.tokens[i] for i in gaps)
    return f"{detokenize(tokens, corpus.vocab.level)}\n{corpus.vocab.decode(filling.ids)}"
