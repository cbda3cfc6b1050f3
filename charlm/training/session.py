"""A run trained from its folder to its result."""

import math
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from signal import SIGTERM

import torch

from charlm.config import Config
from charlm.data.record import about_text, corpus_record
from charlm.data.words import unit_of
from charlm.errors import LostRankError, ModelError, Stopped, typed
from charlm.evaluation.advice import advice
from charlm.model.device import (
    computing,
    conditions,
    gpu_in_words,
    pick_device,
    trains_in,
    usable_cores,
)
from charlm.run import (
    CHECKPOINTS,
    CONFIG,
    Run,
    config_record,
    open_run,
    refuse_links_in,
    train_perplexity_name,
)
from charlm.settings import configured
from charlm.storage.files import write_json
from charlm.storage.folders import locked, sweep
from charlm.training.checkpoint import (
    Checkpoint,
    checked_weights,
    go_back_to,
    open_checkpoint,
    restore_trainer,
)
from charlm.training.distributed import Alone, World
from charlm.training.following import lead, lost
from charlm.training.limits import StepLimit, limits_of, seconds_left
from charlm.training.origin import Memory, Origin
from charlm.training.recorder import Recorder, score_facts
from charlm.training.reports import Reports
from charlm.training.result import Result
from charlm.training.resume_point import ResumePoint
from charlm.training.signals import StopSignals, name_of
from charlm.training.trainer import Trainer
from charlm.training.validator import Best
from charlm.views.shown_text import in_sight


def train_run(
    path: Path,
    config: Config,
    start_run: Run | None = None,
    *,
    checkpoint: Path | None = None,
    started: float | None = None,
    corpus: Path | None = None,
    locked_already: bool = False,
    reports: Reports,
    speed: float | None = None,
    world: World | None = None,
) -> Result:
    """Train the run at `path`, as made by `save_run`.

    start_run: whose weights to start from. checkpoint: where to go on from, in a run begun before.
    started: when the command began (`time.perf_counter`). corpus: where the run's corpus is now,
    where the user says so. locked_already: the caller has the run's lock, and keeps it.
    reports: is told how it goes.
    speed: tokens a second that it is expected to train on. world: who trains with this process.
    Raises LostRankError where one of them is gone, and Stopped where a signal ended the
    training early; all is saved.
    """
    started = time.perf_counter() if started is None else started
    world = world or Alone()
    lock = nullcontext() if locked_already else locked(path)
    threads = config.training.threads
    if threads is not None:
        threads = min(threads, usable_cores())  # it may have been begun on a larger machine
    with StopSignals(path, reports.stopping) as signals, computing(threads), lock:
        refuse_links_in(path)
        sweep(path / CHECKPOINTS, ours=True)
        run = open_run(path, corpus)
        origin = memory = None
        if checkpoint:
            go_back_to(checkpoint)
            saved = open_checkpoint(checkpoint)
            trainer, recorder = _resumed(run, config, saved, reports, started, world)
        else:
            origin = Origin(start_run, run.open_corpus(), config) if start_run else None
            trainer, recorder = _begun(run, config, origin, reports, started, speed, world)
        try:
            if not trainer.finished:
                _fit(trainer, recorder, world, signals)
        except LostRankError as error:
            # With it are the states of its streams, and what was done since the last resume point.
            raise LostRankError(lost(error, path)) from None
        finally:
            recorder.progress.close()
        received = signals.received or (SIGTERM if trainer.was_stopped else None)
        if origin and received is None:
            memory = origin.memory(open_run(path, corpus))
    if received is not None:
        raise _stopped(received, trainer, path)
    return _result(trainer, recorder, time.perf_counter() - started, memory)


def _fit(trainer: Trainer, recorder: Recorder, world: World, signals: StopSignals) -> None:
    """All that is left of the steps, by all that train together."""
    if world.size > 1:
        each = torch.get_num_threads()
        recorder.progress.note(f"{world.size} processes, {each} thread{'s' * (each > 1)} each")
    if trainer.device.type == "cuda":
        precision = trainer.config.training.precision
        recorder.progress.note(gpu_in_words(trainer.device, precision))
    lead(world, recorder.run, trainer)
    trainer.fit(recorder, lambda: signals.received is not None)
    world.training = False
    recorder.finish(trainer)


def _stopped(received: int, trainer: Trainer, path: Path) -> Stopped:
    return Stopped(
        received,
        f"stopped by {name_of(received)} after step {trainer.done} of "
        f"{trainer.limit.total}; go on with charlm train --resume {typed(path)}",
        saved=True,
    )


def _result(trainer: Trainer, recorder: Recorder, seconds: float, memory: Memory | None) -> Result:
    """seconds: that the command took."""
    config = trainer.config
    estimated = config.training.is_sampled(len(trainer.corpus.vocab))
    bits = [seen.bits for seen in recorder.logs.validations]
    return Result(
        run=recorder.run,
        steps=trainer.done,
        epochs=trainer.epochs,
        seconds=seconds,
        training_seconds=recorder.seconds,
        unit=unit_of(trainer.corpus.vocab.level),
        tokens_per_second=recorder.tokens_per_second(trainer),
        train_perplexity_name=train_perplexity_name(config.model),
        train_perplexity=trainer.train_perplexity,
        estimated=estimated,
        validates=trainer.validates,
        valid=recorder.best_score,
        valid_facts=score_facts(trainer, recorder.best_score),
        gave_up_after=trainer.best.failures if trainer.gave_up else None,
        advice=advice(
            trainer.last_epoch.mean / math.log(2), bits, trainer.epochs, estimated=estimated
        ),
        memory=memory,
    )


def _begun(
    run: Run, config: Config, origin: Origin | None, reports: Reports, started: float,
    speed: float | None, world: World,
) -> tuple[Trainer, Recorder]:  # fmt: skip
    """Both at the first step; from the very beginning there is something to resume."""
    for line in origin.told() if origin else ():
        reports.note(line)
    # The old text is scored once more when all is trained.
    to_come = origin.seconds if origin else 0.0
    trainer = Trainer(
        config, run.open_corpus(), started=started - to_come, speed=speed, world=world
    )
    if origin:
        origin.begin(trainer.model)
    recorder = Recorder(run.path, trainer, reports, started=started)
    recorder.checkpoint_due(trainer)
    return trainer, recorder


def _resumed(
    run: Run,
    config: Config,
    checkpoint: Checkpoint,
    reports: Reports,
    started: float,
    world: World,
) -> tuple[Trainer, Recorder]:
    """Both as they were when the checkpoint was saved; the run gets its new limits."""
    point, asked = checkpoint.point, config
    if not point.precisions:  # an older charlm's
        begun = (0, run.config.training.precision)
        point = replace(point, precisions=(begun,))
    config = _in_a_precision_of_this_machine(config)
    checked_weights(checkpoint, config.model, len(run.vocab))  # before a model is made of it
    corpus = run.open_corpus()
    trainer = Trainer(config, corpus, started=started, before=point, world=world)
    restore_trainer(checkpoint, trainer)
    if point.limits != limits_of(config.training):
        trainer.best.failures = 0
    record = run.corpus_record
    if run.corpus_at is not None:
        where = str(run.corpus_at.resolve())
        record = corpus_record(run.path, corpus, where, about_text(run.corpus_record))
    if config != run.config or record != run.corpus_record:
        write_json(run.path / CONFIG, config_record(config, record))
    # Before the first validation, or the end, there is none.
    lost = _lost_model(run) if point.best_score or trainer.finished else None
    if lost:
        # Validated again, the weights of the resume point are the best there are.
        trainer.best = Best(failures=trainer.best.failures)
        point = replace(point, best_score=None)
    recorder = Recorder(run.path, trainer, reports, started=started, before=point)
    if lost:
        recorder.warned(f"Warning: {lost}; it is made anew from the resume point")
        _make_model(trainer, recorder)
    recorder.progress.note(
        f"going on from {in_sight(str(checkpoint.path))}, {_what_is_left(trainer, point)}"
    )
    if config != asked:
        recorder.warned(
            f"Warning: this machine cannot train in {asked.training.precision}, as the run was "
            f"begun; it goes on in {config.training.precision}"
        )
    if differing := _differences(point, trainer):
        recorder.progress.note(f"{differing}: the figures may differ in their last digits")
    return trainer, recorder


def _what_is_left(trainer: Trainer, point: ResumePoint) -> str:
    """after step 20 of 60 and 12 s of training: 40 steps are left"""
    total, limit, trained = trainer.limit.total, trainer.limit, f"{point.seconds:.0f} s of training"
    if trainer.finished:
        return f"after all of {trainer.done:,} steps and {trained}: nothing is left"
    if isinstance(limit, StepLimit):
        steps = total - trainer.done
        are = "step is" if steps == 1 else "steps are"
        return f"after step {trainer.done:,} of {total:,} and {trained}: {steps:,} {are} left"
    left = f"{seconds_left(trainer.config.training, point):.0f} s are left"
    return f"after step {trainer.done:,} and {trained}: {left}"


def _make_model(trainer: Trainer, recorder: Recorder) -> None:
    """A model of the weights as they are, in a training that may have nothing more to do."""
    failures = trainer.best.failures
    trainer.validate(recorder)
    trainer.best.failures = failures
    if recorder.best_score is None:
        recorder.save_model(trainer, None)
    if trainer.finished:
        trainer.conclude(recorder)


def _lost_model(run: Run) -> str | None:
    """What is wrong with the model that a run had; None where nothing is."""
    try:
        run.weights  # noqa: B018 - reading is checking
    except ModelError as error:
        return str(error)
    return None


def _in_a_precision_of_this_machine(config: Config) -> Config:
    training = config.training
    if trains_in(training.precision, pick_device(training.device), config.model.rnn_type):
        return config
    return configured(config, {"training": {"precision": "float32"}})


def _differences(point: ResumePoint, trainer: Trainer) -> str:
    """What is not here as it was where the training was saved, and bears on every sum."""
    return ", ".join(
        f"{name} {now}, where it was {point.conditions[name]}"
        for name, now in conditions(trainer.device).items()
        if name in point.conditions and point.conditions[name] != now
    )
