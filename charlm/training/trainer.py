"""Trainer: `step` reads as the textbook does, `fit` is the loop around it."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from charlm.config import Config, TrainingConfig
from charlm.data.batches import SAMPLINGS, Batch, Batches, MaskedWindows, MaskShape
from charlm.data.corpus import Corpus
from charlm.data.splits import LEAST_TOKENS
from charlm.data.vocab import Ids
from charlm.errors import DivergedError
from charlm.evaluation.evaluator import evaluate, evaluate_masked
from charlm.evaluation.metrics import Score
from charlm.evaluation.single_pass import seconds_of_losses
from charlm.model.cells import State
from charlm.model.device import check_precision, conditions, pick_device
from charlm.model.network import CharLM
from charlm.training.gradient import Gradient
from charlm.training.last_epoch import LastEpoch
from charlm.training.limits import limits_of, make_limit, validation_steps, validations
from charlm.training.losses import Counts
from charlm.training.optim import OPTIMIZERS, clip, learning_rate
from charlm.training.resume_point import ResumePoint

# A checkpoint at least so often, unless the settings say otherwise: what a kill can cost.
SECONDS_BETWEEN_SAVES = 60.0
# Before so many steps nobody gives up: a short text's validations are only a few steps apart.
LEAST_STEPS_TO_GIVE_UP = 500
# How many tokens are enough to tell how frequent each is, in so many blocks all over a text.
MOST_COUNTED, BLOCKS = 1 << 22, 64
# A validation of a model whose state does not settle has no streams to be quick with: it, and those
# after it, read no more than so many tokens, a second or so of work, and their figures say so.
UNSETTLED_TOKENS = 20_000


class Watcher(Protocol):
    """Who is told what happens in `fit`, and keeps of it what is worth keeping."""

    def stepped(self, trainer: "Trainer", loss: float) -> None: ...
    def warned(self, message: str) -> None: ...
    def validated(self, trainer: "Trainer", score: Score, best: bool) -> None: ...
    def checkpoint_due(self, trainer: "Trainer") -> None: ...
    def sample_due(self, trainer: "Trainer") -> None: ...


@dataclass
class Best:
    """The best validation so far, and how many have failed to better it since."""

    nats_per_token: float = math.inf
    step: int = 0
    failures: int = 0

    def take(self, score: Score, step: int) -> bool:
        """Whether `score` is a new best."""
        if score.nats_per_token < self.nats_per_token:
            self.nats_per_token, self.step, self.failures = score.nats_per_token, step, 0
            return True
        self.failures += 1
        return False


def mask_shape(settings: TrainingConfig) -> MaskShape:
    return MaskShape(settings.mask_frac, settings.mask_span, settings.mask_single)


def make_batches(config: Config, corpus: Corpus) -> Batches:
    """What the settings train on: streams, windows, or windows with gaps to fill."""
    ids, settings = corpus.split("train"), config.training
    sizes = (settings.batch_size, settings.seq_len)
    if config.model.bidirectional:
        return MaskedWindows(
            ids, *sizes, seed=settings.seed, mask_id=len(corpus.vocab), mask=mask_shape(settings)
        )
    return SAMPLINGS[settings.sampling](
        ids, *sizes, seed=settings.seed, reset=settings.reset, random_offset=settings.random_offset
    )


def counts_of(ids: Ids, vocab_size: int) -> Counts:
    """How often each symbol comes, (V,); in a long text, in parts of it."""
    if len(ids) > MOST_COUNTED:
        begins = np.linspace(0, len(ids) - MOST_COUNTED // BLOCKS, BLOCKS).astype(int)
        ids = np.concatenate([ids[i : i + MOST_COUNTED // BLOCKS] for i in begins])
    return np.bincount(ids, minlength=vocab_size)


def begin_at_the_frequencies(model: CharLM, counts: Counts) -> None:
    """Set the head's biases to the log of each token's frequency.

    That is what a model would learn first; so it need not. Smoothed as the unigram baseline is.
    """
    seen = np.count_nonzero(counts)
    frequencies = (counts + seen / len(counts)) / (counts.sum() + seen)
    with torch.no_grad():
        model.head.bias.copy_(torch.from_numpy(np.log(frequencies)))


class Trainer:
    """A model in training on a corpus.

    config, corpus, device: what it was made of
    model, optimizer, gradient, batches, valid: what it works with
    done, tokens, state, best: how far it is (`done` in steps); `limit`: how far it is to go
    last_milestone, last_validation: the steps of them
    """

    def __init__(
        self,
        config: Config,
        corpus: Corpus,
        *,
        started: float | None = None,
        before: ResumePoint | None = None,
    ) -> None:
        """`started`: when the command began (`time.perf_counter`), from which its time counts.

        before: where an earlier command was, whose state is about to be restored.
        Raises UsageError for a device or a precision that is not to be had here.
        """
        settings = config.training
        self.config, self.corpus = config, corpus
        self.device = pick_device(settings.device)
        check_precision(settings.precision, self.device, config.model.rnn_type)
        torch.manual_seed(settings.seed)
        self.model = CharLM(config.model, len(corpus.vocab)).to(self.device)
        counts = counts_of(corpus.split("train"), len(corpus.vocab))
        if config.model.init == "orthogonal":
            begin_at_the_frequencies(self.model, counts)
        self.optimizer = OPTIMIZERS[settings.optimizer](self.model, settings)
        self.gradient = Gradient(self.model, config, counts)
        self.batches = make_batches(config, corpus)
        self.valid = corpus.split("valid")[: settings.eval_tokens or None]
        self.validates_on_all = len(self.valid) == corpus.splits["valid"]
        self.done = self.tokens = 0
        self.state: State | None = None
        self.best = Best()
        self.last_milestone = self.last_validation = 0
        self.last_epoch = LastEpoch(self.batches.per_epoch)
        self.tokens_per_step = self.batches[0].inputs.size
        self._validation_cost = validation_steps(len(self.valid), self.tokens_per_step)
        self.limit = make_limit(
            settings, self.batches.per_epoch, self._validation_cost,
            started or time.perf_counter(), before,
            seconds_of_losses(self.model, len(self.valid)) if self.validates else 0.0,
        )  # fmt: skip

    def step(self, batch: Batch) -> float:
        """One update of the weights; the loss before it, in nats per token.

        Raises DivergedError, the weights untouched, if the gradient is not finite.
        """
        nats, state = self.gradient(batch, self.state, self.done + 1)
        norm = clip(self.model, self.config.training.grad_clip)
        if not math.isfinite(norm):
            raise DivergedError(
                f"the gradient became {norm} at step {self.done + 1}: lower --lr "
                f"({self.config.training.lr:g}) or --grad-clip"
            )
        self.optimizer.step(self.rate)
        self.state = state
        self.done += 1
        self.tokens += batch.inputs.size
        self.last_epoch.add(nats, batch.predicted)
        return nats

    @property
    def rate(self) -> float:
        """The learning rate of the step to come."""
        return learning_rate(self.config.training, self.done, self.limit.total)

    @property
    def epochs(self) -> float:
        return self.done / self.batches.per_epoch

    @property
    def train_perplexity(self) -> float:
        """exp of the mean loss over the last epoch, or over what there was of it."""
        return math.exp(min(self.last_epoch.mean, 700.0))

    def fit(self, watcher: Watcher, stopped: Callable[[], bool] = lambda: False) -> None:
        """Train to the limit.

        Ends early when `stopped()` says so between two steps, or when validation has not bettered
        itself `patience` times.
        """
        limit, last_save = self.limit, time.perf_counter()
        self.model.train()
        while self.done < limit.total and not self.gave_up and not stopped():
            parts = self.gradient.parts
            loss = self.step(self.batches[self.done])
            if self.gradient.parts > parts:
                watcher.warned(
                    f"Warning: out of memory at step {self.done}; the streams of a batch are "
                    f"trained in {self.gradient.parts} parts from here on, which is slower"
                )
            limit.after_step(self.done)
            watcher.stepped(self, loss)
            if self.done >= limit.total:
                break
            milestone = self._reached_milestone()
            if self._due(self.config.training.eval_every, milestone):
                with limit.elsewhere(validating=True):
                    self.validate(watcher)
            if self._due(self.config.training.sample_every, milestone):
                with limit.elsewhere():
                    watcher.sample_due(self)
            late = time.perf_counter() - last_save > SECONDS_BETWEEN_SAVES
            if self._due(self.config.training.save_every, milestone or late):
                with limit.elsewhere():
                    watcher.checkpoint_due(self)
                last_save = time.perf_counter()
        if not stopped() and self.last_validation != self.done:
            self.validate(watcher)

    def _due(self, every: int | None, milestone: bool) -> bool:
        """Whether what is done every so many steps is due; by default, at every milestone."""
        return milestone if every is None else self.done % every == 0

    def _reached_milestone(self) -> bool:
        """Milestones part the training into equal stretches, as many as validation can afford."""
        stretches = validations(self.limit.total, self._validation_cost) + 1
        if self.done - self.last_milestone < self.limit.total / stretches:
            return False
        self.last_milestone = self.done
        return True

    @property
    def gave_up(self) -> bool:
        """Whether `patience` validations have brought no new best."""
        patience = self.config.training.patience
        early = self.done < LEAST_STEPS_TO_GIVE_UP
        return patience > 0 and self.best.failures >= patience and not early

    @property
    def unit(self) -> str:
        """What a token is."""
        return "character" if self.corpus.vocab.level == "char" else "word"

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        at_the_end = self.done >= self.limit.total or self.gave_up
        return at_the_end and (self.last_validation == self.done or not self.validates)

    @property
    def validates(self) -> bool:
        """Whether there is a part to validate on."""
        return len(self.valid) >= LEAST_TOKENS

    def validate(self, watcher: Watcher) -> None:
        """Score the weights of the moment, where there is a part to score."""
        if not self.validates:
            return
        self.last_validation = self.done
        settings = self.config.training
        if self.config.model.bidirectional:
            score = evaluate_masked(
                self.model, self.valid, self.corpus.vocab,
                window=settings.seq_len, mask=mask_shape(settings),
            )  # fmt: skip
        else:
            score = evaluate(
                self.model, self.valid, self.corpus.vocab, unsettled_tokens=UNSETTLED_TOKENS
            )
            # From here on as much for every validation, so that they can be compared.
            self.valid = self.valid[: score.tokens + 1]
        watcher.validated(self, score, self.best.take(score, self.done))

    def resume_point(self, **of_the_command: Any) -> ResumePoint:
        """Where it is. of_the_command: what a command knows beside it."""
        best = self.best
        return ResumePoint(
            step=self.done,
            tokens=self.tokens,
            parts=self.gradient.parts,
            total_steps=self.limit.total,
            planned=self.limit.planned,
            last_milestone=self.last_milestone,
            last_validation=self.last_validation,
            best=(str(best.nats_per_token), best.step, best.failures),
            valid_tokens=len(self.valid),
            limits=limits_of(self.config.training),
            conditions=conditions(self.device),
            finished=self.finished,
            **of_the_command,
        )

    def go_on_from(self, point: ResumePoint) -> None:
        """Take over the counters of a resume point; the arrays come by `checkpoint.restore`."""
        self.done, self.tokens, self.gradient.parts = point.step, point.tokens, point.parts
        self.last_milestone, self.last_validation = point.last_milestone, point.last_validation
        self.valid = self.valid[: point.valid_tokens]
        nats, step, failures = point.best
        self.best = Best(float(nats), step, failures)
