"""Which run a command uses, and how to use one."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.config import RUNS, ModelConfig
from charlm.errors import UsageError, typed

if TYPE_CHECKING:
    from charlm.run import Run


def load_run(name: str | None, corpus: Path | None = None) -> "Run":
    """The run that `find_run` finds. corpus: where its corpus is, where the user says so."""
    from charlm.run import open_run

    return open_run(find_run(name), corpus)


def find_run(name: str | None) -> Path:
    """The run called `name`, else `$CHARLM_MODEL`, else the newest below ./runs."""
    from charlm.run import MODEL
    from charlm.storage.files import naming

    name = name or os.environ.get("CHARLM_MODEL")
    if name:
        return Path(name)
    ages = {}
    # Not below hidden names: a run that is being made, or is on its way out, has one.
    with naming(RUNS):
        runs = [run for run in RUNS.iterdir() if run.name[0] != "."] if RUNS.is_dir() else []
    for run in runs:
        with contextlib.suppress(OSError):  # it has none, or is gone since it was listed
            ages[run] = (run / MODEL).stat().st_mtime
    if not ages:
        raise UsageError("there is no model here: train one with charlm train, or name one with -m")
    return max(ages, key=ages.__getitem__)


def how_to_use(path: Path, model: ModelConfig) -> str:
    """The command that shows what a model can do."""
    if model.bidirectional:
        return f'charlm fill -m {typed(path)} "a text with g_ps"'
    return f'charlm generate -m {typed(path)} --prefix "…"'
