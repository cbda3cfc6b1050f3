"""charlm train"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charlm.cli.completion import complete_configs, complete_files, complete_runs
from charlm.cli.options import (
    TEXT_SETTINGS,
    as_typed,
    began,
    corpus_option,
    force_option,
    given_changes,
    json_option,
    option_name,
    setting_options,
    typed_settings,
)
from charlm.cli.output import note, note_for_people, print_json, show_for_people
from charlm.cli.refusals import Typed, refuse_idle
from charlm.cli.told import Told
from charlm.errors import Stopped, UsageError
from charlm.settings import Changes

if TYPE_CHECKING:
    from charlm.training.distributed import World
    from charlm.training.reports import Prospect
    from charlm.training.result import Result

MODEL_SETTINGS = [
    "model.rnn_type", "model.embedding_size", "model.hidden_size", "model.num_layers",
    "model.dropout", "model.tied", "model.nonlinearity", "model.proj_size",
    "model.implementation", "model.bidirectional",
]  # fmt: skip
TRAINING_SETTINGS = [
    "training.time", "training.epochs", "training.max_steps", "training.seq_len",
    "training.batch_size", "training.sampling", "training.optimizer", "training.lr",
    "training.schedule", "training.grad_clip", "training.weight_decay", "training.freeze",
    "training.seed", "training.device", "training.threads", "training.precision",
    "training.eval_every", "training.save_every", "training.sample_every",
    "training.sample_prefix", "training.tensorboard",
]  # fmt: skip
OPTIONS = {
    path: option_name(path) for path in (*MODEL_SETTINGS, *TRAINING_SETTINGS, *TEXT_SETTINGS)
}


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
    help="Go on with the model of another run on this text; what is new in it gets symbols.",
)  # fmt: skip
@corpus_option
@force_option
@click.option(
    "--explain",
    is_flag=True,
    help="Tell of the model, every tensor and the arithmetic of a step, before it is trained.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be trained, and stop.")
@setting_options(*TEXT_SETTINGS)
@json_option
def train(
    inputs: tuple[str, ...], output: Path | None, config_file: Path | None,
    assignments: tuple[str, ...], resume: str | None, init_from: str | None,
    corpus: Path | None, force: bool, explain: bool, dry_run: bool, as_json: bool, **options: Any,
) -> int:  # fmt: skip
    """Train a model on INPUT: texts, folders, - for standard input, or one corpus; without any, on
    the sample that every Python carries. Makes a run. What is not given is chosen for the text, the
    machine and the time; without a limit, that takes ten minutes at most.

    Ctrl-C ends the training and keeps the model so far; --resume goes on."""
    from charlm.cli.explain import exit_code
    from charlm.training.distributed import join, leading

    world = join()
    if world.rank:
        from charlm.training.following import follow

        code, _ = follow(world, exit_code)
        return code
    with leading(world, exit_code):
        given = given_changes(options, config_file, assignments)
        beside = {"-o": output, "--init-from": init_from, "--force": force, "--corpus": corpus}
        flags = {"INPUT": inputs or resume, "--dry-run": dry_run, "--explain": explain, **beside}
        typed = {**typed_settings(options, assignments), **flags}
        if resume is not None:
            _refuse_beside(resume, {"INPUT": inputs, **beside, "--corpus": None})
            with as_typed(options):
                _resume(Path(resume), corpus, given, typed, as_json, world)
        else:
            _train(inputs, given, typed, options, as_json, world)
    return 0


def _train(
    inputs: tuple[str, ...], given: Changes, typed: Typed, options: dict[str, Any], as_json: bool,
    world: "World",
) -> None:  # fmt: skip
    """Make a run, and train it."""
    from charlm.training.job import open_job

    if typed["--corpus"] is not None:
        raise UsageError("--corpus goes with --resume; to train on a corpus, name it as INPUT")
    if typed["--force"] and typed["-o"] is None and not typed["--dry-run"]:
        raise UsageError("--force replaces the run that -o names: without it, a new one is made")
    begins_with = Path(typed["--init-from"]) if typed["--init-from"] else None
    with as_typed(options):
        job = open_job(
            inputs, given, init_from=begins_with, started=began(),
            refuse=lambda config: refuse_idle(typed, config, OPTIONS),
        )  # fmt: skip
        output, explain = typed["-o"], typed["--explain"]
        if typed["--dry-run"]:
            _show_plan(job.prospect(output, Told()), explain, as_json)
        else:
            told, force = Told(explains=explain), typed["--force"]
            try:
                result = job.train(output, told, replace=force, world=world)
            except Stopped as error:
                if told.run is None:
                    kept = f"{error} before the training began: nothing of it is kept"
                    raise Stopped(error.number, kept) from None
                raise
            _show(result, as_json)


def _resume(
    path: Path, corpus: Path | None, given: Changes, typed: Typed, as_json: bool, world: "World"
) -> None:
    """Go on with a run, under its own settings."""
    from charlm.training.resumed import Resumed

    resumed = Resumed(path, given, corpus=corpus)
    refuse_idle(typed, resumed.prospect.config, OPTIONS)
    explain = typed["--explain"]
    if typed["--dry-run"]:
        _show_plan(resumed.prospect, explain, as_json)
    else:
        _show(resumed.train(Told(explains=explain), started=began(), world=world), as_json)


def _refuse_beside(resume: str, beside: dict[str, Any]) -> None:
    """Raises UsageError for what does not go with --resume."""
    if refused := [option for option, value in beside.items() if value]:
        raise UsageError(f"--resume goes on with what {resume} was begun with: drop {refused[0]}")


def _show_plan(prospect: "Prospect", explain: bool, as_json: bool) -> None:
    from charlm.cli.plan import describe, explanation, plan_figures

    if as_json:
        print_json(plan_figures(prospect))
    else:
        show_for_people(describe(prospect) + "\n")
    if explain:
        tell = note_for_people if as_json else show_for_people
        tell(f"\n{explanation(prospect)}\n")


def _show(result: "Result", as_json: bool) -> None:
    """The summary; then, at leisure, the run's curves."""
    from charlm.cli.summary import summary
    from charlm.run import open_run
    from charlm.views.plot import add_curves

    if as_json:
        print_json(result.to_dict())
    else:
        show_for_people(summary(result, open_run(result.run)))
    sys.stdout.flush()
    add_curves(result.run, note)
