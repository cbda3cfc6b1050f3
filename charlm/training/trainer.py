"""Trainer: `step` reads as the textbook does, `fit` is the loop around it."""

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch

from charlm.config import Config
from charlm.data.corpus import Corpus
from charlm.evaluation.metrics import Score
from charlm.model.cells import State
from charlm.model.device import check_precision, conditions, pick_device
from charlm.model.network import CharLM, freeze, other_weights
from charlm.training.distributed import World
from charlm.training.frequencies import counts_of, log_frequencies
from charlm.training.gradient import Batch, Gradient
from charlm.training.last_epoch import LastEpoch
from charlm.training.limits import limits_of, make_limit
from charlm.training.looks import is_logged
from charlm.training.memory import check_memory
from charlm.training.optim import OPTIMIZERS, clip, clip_on_device, learning_rate
from charlm.training.outcomes import Outcome, Outcomes
from charlm.training.resident import batches_for
from charlm.training.resume_point import ResumePoint
from charlm.training.together import together
from charlm.training.validator import Best, Validator

# A checkpoint at least so often, unless the settings say otherwise: what a kill can cost.
SECONDS_BETWEEN_SAVES = 60.0
# Before so many steps nobody gives up: a short text's validations are only a few steps apart.
LEAST_STEPS_TO_GIVE_UP = 500


class Watcher(Protocol):
    """Who is told what happens in `fit`, and keeps of it what is worth keeping.

    kept: the weights of the best validation so far.
    """

    def stepped(self, trainer: "Trainer", loss: float) -> None: ...
    def warned(self, message: str) -> None: ...
    def validated(self, trainer: "Trainer", score: Score, best: bool) -> None: ...
    def concluded(self, trainer: "Trainer", score: Score) -> None: ...
    def kept(self) -> dict[str, Any]: ...
    def checkpoint_due(self, trainer: "Trainer") -> None: ...
    def sample_due(self, trainer: "Trainer") -> None: ...


class Trainer:
    """A model in training on a corpus.

    config, corpus, device: what it was made of
    model, optimizer, gradient, batches, validator: what it works with
    done, tokens, state, best: how far it is (`done` in steps); `limit`: how far it is to go
    last_milestone, last_validation: the steps of them
    world: who trains with it, from the same step; was_stopped: whether one of them was asked to
    """

    def __init__(
        self,
        config: Config,
        corpus: Corpus,
        *,
        started: float | None = None,
        before: ResumePoint | None = None,
        speed: float | None = None,
        world: World | None = None,
    ) -> None:
        """`started`: when the command began (`time.perf_counter`), from which its time counts.

        before: where an earlier command was, whose state is about to be restored. speed: tokens a
        second that it is expected to train on. world: who will train with it, for what memory
        each takes.
        Raises UsageError for a device or a precision that is not to be had here, OutOfMemoryError
        for sizes that will not fit.
        """
        settings = config.training
        self.config, self.corpus = config, corpus
        self.device = pick_device(settings.device)
        check_precision(settings.precision, self.device, config.model.rnn_type)
        vocab_size, train_tokens = len(corpus.vocab), corpus.splits["train"]
        check_memory(config, vocab_size, train_tokens, self.device, world)
        torch.manual_seed(settings.seed)
        self.model = CharLM(config.model, vocab_size).to(self.device)
        freeze(self.model, settings.freeze)
        counts = counts_of(corpus.split("train"), vocab_size)
        if config.model.init == "orthogonal":
            with torch.no_grad():
                self.model.head.bias.copy_(torch.from_numpy(log_frequencies(counts)))
        self.optimizer = OPTIMIZERS[settings.optimizer](self.model, settings)
        self.gradient = Gradient(self.model, config, counts)
        self.batches = batches_for(config, corpus, self.device)
        self.validator = Validator(config, corpus)
        self.was_stopped = False
        self.done = self.tokens = 0
        self.state: State | None = None
        self.best = Best()
        self.last_milestone = self.last_validation = 0
        self.last_epoch = LastEpoch(self.batches.per_epoch)
        self.outcomes = Outcomes(settings, self.last_epoch, self.device)
        self.tokens_per_step = self.batches[0].tokens
        started = time.perf_counter() if started is None else started
        costs = self.validator.look_costs(self.model, self.tokens_per_step, started, before)
        self.limit = make_limit(
            settings, self.batches.per_epoch, costs, started, before,
            self.tokens_per_step / speed if speed else 0.0,
        )  # fmt: skip

    @property
    def world(self) -> World:
        return self.gradient.world

    @world.setter
    def world(self, world: World) -> None:
        self.gradient.world = world
        if not self.config.training.is_sampled(len(self.corpus.vocab)):  # by all that comes in it
            self.batches.share = world.share

    def step(self, batch: Batch) -> float | None:
        """One update of the weights; the loss before it, in nats per token, or None where a GPU is
        still at it: then `outcomes` are to be read.

        Raises DivergedError, now or then, the weights untouched, if the gradient is not finite.
        """
        nats, state = self.gradient(batch, self.state, self.done + 1)
        clipped = clip if self.gradient.waits else clip_on_device
        norm = clipped(self.model, self.config.training.grad_clip)
        loss = self.outcomes.take(Outcome(self.done + 1, nats, norm, batch.predicted))
        self.optimizer.step(self.rate, self.outcomes.skip)
        self.state = state
        self.done += 1
        self.tokens += batch.tokens
        self.outcomes.keep_close()
        return loss

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
        if self._owes_a_look:
            self.validate(watcher)
        while self.done < limit.total and not self.gave_up and not self._is_stopped(stopped):
            parts = self.gradient.parts
            loss = self.step(self.batches[self.done])
            if self.gradient.parts > parts:
                watcher.warned(
                    f"Warning: out of memory at step {self.done}; the streams of a batch are "
                    f"trained in {self.gradient.parts} parts from here on, which is slower"
                )
            limit.after_step(self.done)
            late = time.perf_counter() - last_save > SECONDS_BETWEEN_SAVES
            milestone, late = self._agree(late)
            looking = self._due(self.config.training.eval_every, milestone)
            sampling = self._due(self.config.training.sample_every, milestone)
            saving = self._due(self.config.training.save_every, milestone or late)
            last = self.done >= limit.total
            asked = looking or sampling or saving or last or is_logged(self.done, limit.total)
            if loss is None and (asked or self.outcomes.overdue):
                loss = self.outcomes.read()
            if loss is not None:
                watcher.stepped(self, loss)
            if last:
                break
            with limit.elsewhere(looking=looking):
                if looking:
                    self.validate(watcher)
                if sampling:
                    watcher.sample_due(self)
                # Where there is nothing left to do, it is saved once all is done.
                if saving and not self.gave_up:
                    self.state = together(self.model, self.state, self.world, self.done)
                    watcher.checkpoint_due(self)
                    last_save = time.perf_counter()
            if looking or sampling or saving:
                # However long the first was at it; by its clock that may have been the last step.
                limit.total = self.world.from_the_first(limit.total)
        self.outcomes.read()
        self.state = together(self.model, self.state, self.world, self.done)
        if not self._is_stopped(stopped) and self.last_validation != self.done:
            self.validate(watcher)
        if self.finished:
            self.conclude(watcher)

    def _due(self, every: int | None, milestone: bool) -> bool:
        """Whether what is done every so many steps is due; by default, at every milestone."""
        return milestone if every is None else self.done % every == 0

    def _agree(self, late: bool) -> tuple[bool, bool]:
        """What the first's clock says of the limit, and whether a milestone is reached, and it is
        `late` for a resume point.

        Milestones part the training into equal stretches, with a look at the end of each.
        """
        limit = self.limit
        due = self.done - self.last_milestone >= limit.total / (limit.looks + 1)
        total, reached, is_late = self.world.first([limit.total, due, late])
        limit.total = int(total)
        if reached and self.done < limit.total:
            self.last_milestone = self.done
        return bool(reached), bool(is_late)

    @property
    def _owes_a_look(self) -> bool:
        """Whether the step done last was to be followed by a look, and a process was lost in it."""
        every = self.config.training.eval_every
        due = self.last_milestone == self.done if every is None else self.done % every == 0
        return due and 0 < self.done < self.limit.total and self.last_validation != self.done

    def _is_stopped(self, stopped: Callable[[], bool]) -> bool:
        """Whether any process was asked to stop."""
        self.was_stopped = self.world.is_any(stopped() or self.world.abandoned)
        return self.was_stopped

    @property
    def gave_up(self) -> bool:
        """Whether `patience` validations have brought no new best."""
        patience = self.config.training.patience
        early = self.done < LEAST_STEPS_TO_GIVE_UP
        return patience > 0 and self.best.failures >= patience and not early

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        at_the_end = self.done >= self.limit.total or self.gave_up
        return at_the_end and (self.last_validation == self.done or not self.validates)

    @property
    def validates(self) -> bool:
        """Whether there is a part to validate on."""
        return self.validator.works

    def validate(self, watcher: Watcher) -> None:
        """Score the weights of the moment, where there is a part to score."""
        if not self.validates:
            return
        looked_at = self.validator.extent.look
        score = self.validator.look(self.model, self.world)
        if self.validator.extent.look != looked_at and self.best.step:
            # What was best is put beside it on the same tokens.
            with other_weights(self.model, self.world.from_the_first(watcher.kept())):
                before = self.validator.look(self.model, self.world)
            self.best.nats_per_token = before.nats_per_token
        # Only now: where a process is lost on the way, it is to come again.
        self.last_validation = self.done
        watcher.validated(self, score, self.best.take(score, self.done))

    def conclude(self, watcher: Watcher) -> None:
        """The last figure, where looks have read only a part of what it is over."""
        if not (self.validates and self.validator.provisional and self.best.step):
            return
        kept = None if self.best.step == self.done else watcher.kept()
        with other_weights(self.model, self.world.from_the_first(kept)):
            score = self.validator.last(self.model, self.world)
        watcher.concluded(self, score)

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
            valid_tokens=self.validator.extent.look,
            last_tokens=self.validator.extent.last,
            looks=self.limit.looks if self.limit.planned else None,
            limits=limits_of(self.config.training),
            conditions=conditions(self.device),
            finished=self.finished,
            **of_the_command,
        )

    def go_on_from(self, point: ResumePoint) -> None:
        """Take over the counters of a resume point; the arrays come by `checkpoint.restore`."""
        self.done, self.tokens, self.gradient.parts = point.step, point.tokens, point.parts
        self.last_milestone, self.last_validation = point.last_milestone, point.last_validation
        nats, step, failures = point.best
        self.best = Best(float(nats), step, failures)
