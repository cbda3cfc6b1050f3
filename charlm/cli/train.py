"""charlm train"""

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charlm.cli.ahead import import_ahead
from charlm.cli.completion import complete_configs, complete_files, complete_runs
from charlm.cli.inputs import RUNS, load_run, unknown_in
from charlm.cli.job import Job, describe, open_job, plan_figures, resuming
from charlm.cli.options import (
    TEXT_SETTINGS,
    Changes,
    began,
    corpus_option,
    force_option,
    given_changes,
    json_option,
    resolve,
    setting_options,
)
from charlm.cli.output import note, print_json, show
from charlm.cli.plot import add_curves, need_extra
from charlm.cli.summary import Yardstick, summary, yardstick
from charlm.config import LIMITS, Config, check
from charlm.errors import DataError, UsageError
from charlm.settings import configured

if TYPE_CHECKING:
    from charlm.data.measure import Measured
    from charlm.data.vocab import Vocab
    from charlm.run import Run
    from charlm.training.session import Result

# What `describe` tells of: name, config, sizes of the parts, symbols, epochs.
About = tuple[str, Config, dict[str, int], int, float | None]

MODEL_SETTINGS = [
    "model.rnn_type", "model.embedding_size", "model.hidden_size", "model.num_layers",
    "model.dropout", "model.tied", "model.nonlinearity", "model.proj_size",
    "model.implementation", "model.bidirectional",
]  # fmt: skip
TRAINING_SETTINGS = [
    "training.time", "training.epochs", "training.max_steps", "training.seq_len",
    "training.batch_size", "training.sampling", "training.optimizer", "training.lr",
    "training.schedule", "training.grad_clip", "training.weight_decay", "training.seed",
    "training.device", "training.threads", "training.precision", "training.eval_every",
    "training.save_every", "training.sample_every", "training.sample_prefix",
    "training.tensorboard",
]  # fmt: skip
# Settings that do not change what a model's weights mean: all others of `model` must agree.
FREE_OF_SHAPE = ("dropout", "forget_bias", "init", "implementation")
# Which the run does not keep: it has the texts themselves.
NAMES = ("val", "test")
# What a training that is resumed may do otherwise than it began: when it ends, and what shows.
FREE_TO_RESUME = (
    *LIMITS, "patience", "device", "threads", "precision", "save_every", "sample_every",
    "sample_prefix", "tensorboard",
)  # fmt: skip


@click.command()
@click.argument("inputs", nargs=-1, metavar="[INPUT...]", shell_complete=complete_files)
@click.option(
    "-o", "--output", metavar="RUN", type=click.Path(path_type=Path),
    help="The folder to make.  [default: runs/NAME-OF-THE-TEXT]",
)  # fmt: skip
@setting_options(*MODEL_SETTINGS, *TRAINING_SETTINGS)
@click.option(
    "--config", "config_file", metavar="FILE", type=click.Path(path_type=Path),
    shell_complete=complete_configs,
    help="Read settings from a TOML file.",
)  # fmt: skip
@click.option(
    "--set", "assignments", metavar="KEY=VALUE", multiple=True,
    help="Set anything, such as training.warmup=0.1 (repeatable).",
)  # fmt: skip
@click.option(
    "--resume",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Go on with a training that was stopped, exactly; or, with a higher limit, that was done.",
)
@click.option(
    "--init-from", metavar="RUN", shell_complete=complete_runs,
    help="Start from the weights of another run.",
)  # fmt: skip
@corpus_option
@force_option
@click.option("--dry-run", is_flag=True, help="Show what would be trained, and stop.")
@setting_options(*TEXT_SETTINGS)
@json_option
def train(
    inputs: tuple[str, ...], output: Path | None, config_file: Path | None,
    assignments: tuple[str, ...], resume: str | None, init_from: str | None,
    corpus: Path | None, force: bool, dry_run: bool, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Train a model on INPUT: texts, folders, - for standard input, or one corpus; without any, on
    the sample that every Python carries. Makes a run. What is not given is chosen for the text, the
    machine and the time; without a limit, that takes ten minutes at most.

    Ctrl-C ends the training and keeps the model so far; --resume goes on."""
    if resume is not None:
        beside = {"INPUT": inputs, "-o": output, "--init-from": init_from, "--force": force}
        _resume(resume, corpus, config_file, assignments, options, beside, dry_run, as_json)
        return
    if corpus is not None:
        raise UsageError("--corpus goes with --resume; to train on a corpus, name it as INPUT")
    start_run = load_run(init_from) if init_from else None
    base = None
    if start_run:
        _ = start_run.weights  # which are checked, before a model of these sizes is made
        base = Config(text=start_run.config.text, model=start_run.config.model)
    config, given = resolve(options, base=base, config_file=config_file, assignments=assignments)
    if start_run:
        _refuse_other_settings(config, start_run)
    _refuse_unused(given, config, start_run)
    _train(open_job(inputs or config.data.input, config, given, start_run),
           output, force, dry_run, as_json)  # fmt: skip


def _train(job: Job, output: Path | None, force: bool, dry_run: bool, as_json: bool) -> None:
    """Measure the text, plan, make the run, train it."""
    from charlm.run import CONFIG
    from charlm.storage.folders import try_output

    import_ahead("torch")
    place = output or _free_name(job.name)
    _check_tensorboard(job.given)
    if not dry_run:
        try_output(place, replace=force, marks=(CONFIG,), instead=resuming(place))
    measured = job.measure()
    _check_sample_prefix(job.config, measured.vocab)
    from charlm.training.remembered import Remembered

    remembered = Remembered(place.parent, len(measured.vocab))
    plan = job.plan(measured, lambda: time.perf_counter() - began(), remembered)
    about = (job.name, plan.config, measured.sizes, len(measured.vocab), plan.epochs)
    if not dry_run:
        note(describe(*about))
    if remembered.recalled and not remembered.measured:
        note(f"speeds as measured before: {remembered.path} (delete it to measure anew)")
    if dry_run:
        _show_plan(about, as_json)
        return
    with ExitStack() as lock:
        output = _make_run(job, plan.config, measured, output, force, lock)
        remembered.save()
        from charlm.model.device import pick_device
        from charlm.run import open_run

        to_beat = _noted_yardstick(open_run(output))
        note(f"device: {pick_device(plan.config.training.device)}; run: {output}")
        from charlm.training.session import train_run

        result = train_run(output, plan.config, job.start_run, started=began(), locked_already=True)
        _show(result, plan.config, to_beat, as_json)


def _make_run(
    job: Job, config: Config, measured: "Measured", named: Path | None, force: bool,
    lock: ExitStack,
) -> Path:  # fmt: skip
    """The folder of the new run, locked: the one that was named, or the next name that is free."""
    while True:
        output = named or _free_name(job.name)
        try:
            job.make_run(config, measured, output, force, lock)
            return output
        except UsageError:
            # Another training may have taken a name of our choice in the meantime.
            if named or not output.exists():
                raise


def _noted_yardstick(run: "Run") -> Yardstick | None:
    """What a model has to beat, and is told beside at the end."""
    to_beat = yardstick(run)
    if to_beat:
        note(str(to_beat))
    elif not run.corpus_record["splits"].get("valid"):
        note("nothing to validate on")
    return to_beat


def _show_plan(about: About, as_json: bool) -> None:
    if as_json:
        print_json(plan_figures(*about))
    else:
        show(describe(*about) + "\n")


def _show(result: "Result", config: Config, to_beat: Yardstick | None, as_json: bool) -> None:
    """The summary; then, at leisure, the run's curves."""
    if as_json:
        print_json(result.to_dict())
    else:
        show(summary(result, config, to_beat))
    sys.stdout.flush()
    add_curves(result.run)


def _resume(
    name: str,
    corpus: Path | None,
    config_file: Path | None,
    assignments: tuple[str, ...],
    options: dict[str, Any],
    beside: dict[str, Any],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Go on with a run, under its own settings."""
    refused = [option for option, value in beside.items() if value]
    if refused:
        raise UsageError(f"--resume goes on with what {name} was begun with: drop {refused[0]}")
    from charlm.run import open_run

    path = Path(name)
    chosen = path if path.suffix == ".safetensors" else None
    run = open_run(path.parent.parent if chosen else path, corpus)
    given = given_changes(options, config_file, assignments)
    config = _same_but_for_limits(run, given)
    _check_tensorboard(given)
    _check_sample_prefix(config, run.vocab)
    from charlm.training.planner import check_machine

    # What was asked for is refused where it is not to be had; what a run had, is done without.
    check_machine(config, given)
    about = (run.path.name, config, run.open_corpus().splits, len(run.vocab), None)
    if dry_run:
        _show_plan(about, as_json)
        return
    note(describe(*about))
    from charlm.training.checkpoint import find_checkpoint
    from charlm.training.session import train_run

    checkpoint = chosen or find_checkpoint(run.path)
    to_beat = _noted_yardstick(run)
    result = train_run(run.path, config, checkpoint=checkpoint, started=began(), corpus=corpus)
    _show(result, config, to_beat, as_json)


def _same_but_for_limits(run: "Run", given: Changes) -> Config:
    """The run's settings with new limits. Raises UsageError for any other change, with both."""
    base = run.config
    training = given.get("training", {})
    if any(training.get(key) is not None for key in LIMITS):
        base = configured(base, {"training": dict.fromkeys(LIMITS)})
    config = configured(base, given)
    check(config)
    for section in given:
        for key, value in vars(getattr(config, section)).items():
            theirs = getattr(getattr(run.config, section), key)
            free = {"training": FREE_TO_RESUME, "data": NAMES}.get(section, ())
            if value != theirs and key not in free:
                raise UsageError(
                    f"{section}.{key} is {value}, but {run.path} was begun with {theirs}; a "
                    "training is resumed as it was begun"
                )
    return config


def _check_tensorboard(given: Changes) -> None:
    """Refuse to be asked for events where they cannot be written; a run that is resumed where
    they cannot goes on without. Raises UsageError."""
    if given.get("training", {}).get("tensorboard"):
        need_extra("tensorboard", "--tensorboard")


def _check_sample_prefix(config: Config, vocab: "Vocab") -> None:
    """Raises DataError for a prefix that the model will not be able to read."""
    from charlm.data.text import clean_text

    if unknown := unknown_in(clean_text(config.training.sample_prefix, config.text), vocab):
        raise DataError(f"--sample-prefix has what the text has not: {unknown}; leave it out")


def _refuse_unused(given: Changes, config: Config, start_run: "Run | None") -> None:
    """Refuse what was asked for and would do nothing."""
    if start_run and config.data.vocab:
        raise UsageError("--vocab: the vocabulary is that of --init-from's run")
    if config.training.optimizer == "sgd" and given.get("training", {}).get("weight_decay"):
        raise UsageError("training.weight_decay goes with adamw or soap; training.optimizer is sgd")


def _refuse_other_settings(config: Config, start_run: "Run") -> None:
    """--init-from takes over the shape of the model and the cleaning of the text."""
    for section, free in (("model", FREE_OF_SHAPE), ("text", ("encoding",))):
        for key, value in vars(getattr(config, section)).items():
            theirs = getattr(getattr(start_run.config, section), key)
            if key not in free and value != theirs:
                raise UsageError(f"{section}.{key} is {value}, but {theirs} in {start_run.path}")


def _free_name(name: str) -> Path:
    """runs/NAME, or runs/NAME-2 and so on where that is taken."""
    path, number = RUNS / name, 2
    while path.exists():
        path, number = RUNS / f"{name}-{number}", number + 1
    return path
