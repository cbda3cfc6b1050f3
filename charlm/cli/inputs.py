"""Which run a command uses, and how to use one."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.cli.output import note
from charlm.config import RUNS, ModelConfig
from charlm.errors import ModelError, UsageError, typed

if TYPE_CHECKING:
    from charlm.listing import Listed
    from charlm.run import Run


def load_run(name: str | None, corpus: Path | None = None) -> "Run":
    """The run that `find_run` finds. corpus: where its corpus is, where the user says so.

    Raises ModelError; of a run that nobody named, it says so, and what to do.
    """
    from charlm.run import open_run

    path = find_run(name)
    if name or os.environ.get("CHARLM_MODEL"):
        return open_run(path, corpus)
    try:
        run = open_run(path, corpus)
        _ = run.weights  # which whoever asks for the newest run is about to use
        return run
    except ModelError as error:
        raise _newest_is_damaged(path, str(error)) from None


def find_run(name: str | None) -> Path:
    """The run called `name`, else `$CHARLM_MODEL`, else the newest below ./runs.

    Raises ModelError where the newest has lost its model; one that has none yet is passed over.
    """
    from charlm.run import MODEL
    from charlm.storage.files import exists

    name = name or os.environ.get("CHARLM_MODEL")
    if name:
        return Path(name)
    found = _by_age()
    for run in found:
        if exists(run / MODEL):
            return run
        if (listed := _at_a_glance(run)) and listed.state == "damaged":
            raise _newest_is_damaged(run, listed.problem or "")
        if listed:
            begun = "a training is at work in it" if listed.state == "running" else "stopped early"
            note(f"note: {run}, the newest run, has no model yet ({begun}): taking another")
    if found:
        raise UsageError(f"{found[0]} has no model yet: charlm train --resume {typed(found[0])}")
    raise UsageError("there is no model here: train one with charlm train, or name one with -m")


def _by_age() -> list[Path]:
    """The runs below ./runs, the newest first: by their models, or by what else they have."""
    from charlm.run import CHECKPOINTS, CONFIG, LAST, MODEL
    from charlm.storage.files import naming

    # Not below hidden names: a run that is being made, or is on its way out, has one.
    with naming(RUNS):
        runs = [run for run in RUNS.iterdir() if run.name[0] != "."] if RUNS.is_dir() else []
    ages = {}
    for run in runs:
        for names in ((MODEL,), (CONFIG, f"{CHECKPOINTS}/{LAST}")):
            times = [there.st_mtime for name in names if (there := _glimpse(run / name))]
            if times and run not in ages:
                ages[run] = max(times)
    return sorted(ages, key=ages.__getitem__, reverse=True)


def _glimpse(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # it is none, or is gone since it was listed
        return None


def _at_a_glance(run: Path) -> "Listed | None":
    """None for a folder of something else, that happens to hold a config.json."""
    from charlm.listing import runs_below

    return next((listed for listed in runs_below(run) if listed.path == run), None)


def _newest_is_damaged(run: Path, problem: str) -> ModelError:
    from charlm.run import CHECKPOINTS, LAST, MODEL
    from charlm.storage.files import exists

    anew = ""
    if MODEL in problem and exists(run / CHECKPOINTS / LAST):
        anew = f"charlm train --resume {typed(run)} makes its model anew; or "
    return ModelError(
        f"{problem}; {run} is the newest run below ./{RUNS}: {anew}name another (charlm runs lists "
        "them)"
    )


def how_to_use(path: Path, model: ModelConfig) -> str:
    """The command that shows what a model can do."""
    if model.bidirectional:
        return f'charlm fill -m {typed(path)} "a text with g_ps"'
    return f'charlm generate -m {typed(path)} --prefix "…"'


def uses(path: Path, model: ModelConfig) -> list[str]:
    """Commands that show what a model can do."""
    first = how_to_use(path, model)
    return [first] if model.bidirectional else [first, f"charlm evaluate -m {typed(path)} TEXT"]
