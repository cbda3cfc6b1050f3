"""`charlm.train`: what `charlm train` does, by the same code."""

import os
import signal
import time as clock
from contextlib import suppress
from pathlib import Path
from typing import Any

from charlm.data.inputs import LONGEST_NAME, named_or_text
from charlm.data.source import Source
from charlm.errors import DataError, OutOfMemoryError, Stopped, UsageError, is_out_of_memory
from charlm.library.model import Model, Text, optional_path
from charlm.library.progress import Callback, Quiet, reports_to
from charlm.library.wording import in_python
from charlm.run import open_run
from charlm.settings import Changes, by_name, given_over, read_toml
from charlm.training.distributed import World, join, leading
from charlm.training.job import Job, open_job
from charlm.views.plot import add_curves

SECTIONS = ("training", "model", "text", "data", "generation")
# What the first argument is.
NOT_HERE = ("input",)


@in_python()
def train(
    text_or_path: Text,
    *,
    time: str | float | None = None,
    output: str | os.PathLike[str] | None = None,
    progress: Callback | bool | None = None,
    replace: bool = False,
    init_from: "str | os.PathLike[str] | Model | None" = None,
    config: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Model:
    """Train a model on a text, as `charlm train` does, and give it back.

    text_or_path: a str that is the name of a file or folder that exists is that path; any other str
    is the text itself, but for a line that looks like the name of a file, which is refused. A
    `pathlib.Path` is always a path, a list or tuple one of paths, and a folder may be a prepared
    corpus. time: seconds in all, or "90s", "2m", "1h"; without a limit, as
    long as the text is worth, ten minutes at most. output: the run's folder; by default runs/NAME,
    or the next such name that is free. replace: the run that is there. progress: called with a
    `charlm.library.progress.Step` after every step and validation (losses in nats), or True for a
    bar, which knows notebooks; nothing is printed without. init_from: a run, or a model, whose
    weights to start from. config: a TOML file of settings. settings: any other, by the names of
    config.py (hidden_size=256, epochs=3, level="word"), those of one section also as a dictionary
    (generation={"temperature": 0.5}).

    KeyboardInterrupt (Ctrl-C, or a notebook's stop button) once training has begun ends it after
    the step and gives back the model so far: that of the best validation, and a resume point for
    `charlm train --resume`. A second one ends it at once. Any other signal that asks to stop has
    its usual effect after all is saved.

    Where `torchrun` began several processes, all of which call this, they train together: the first
    reports, raises and writes; each gets the model, or ends with the first's exit code.

    Raises UsageError for settings that are unknown or make no sense, DataError for a text that
    cannot be used, and what else there is of CharlmError.
    """
    started = clock.perf_counter()
    world = join()
    if world.rank:
        return _followed(world)
    with leading(world):
        reports = reports_to(progress)
        if not isinstance(replace, bool):
            raise UsageError(f"replace is {replace!r:.60}; it must be True or False")
        given = _given(time, optional_path(config, "config"), settings)
        place = optional_path(output, "output")
        text = named_or_text(text_or_path, "text")
        start = optional_path(
            init_from.path if isinstance(init_from, Model) else init_from, "init_from"
        )
        try:
            job = open_job(text, given, init_from=start, started=started)
            return _trained(job, place, reports, world, replace=replace)
        except DataError as error:
            if isinstance(text, Source) and _could_be_a_name(text_or_path):
                raise DataError(f"{error}; nor is there a file called {text_or_path!r}") from None
            raise


def _followed(world: World) -> Model:
    """What the first of several processes has trained, with this one. Raises SystemExit where it
    has told what ended it."""
    from charlm.training.following import follow

    code, run = follow(world)
    if run is None or code not in (0, 128 + signal.SIGINT):
        raise SystemExit(code)
    return Model(open_run(run))


def _given(time: str | float | None, config: Path | None, settings: dict[str, Any]) -> Changes:
    """What of the settings is the user's."""
    if unused := [name for name in NOT_HERE if name in settings]:
        raise UsageError(f"{unused[0]} is not a setting here: it is the first argument")
    if time is not None:
        settings = {**settings, "time": time}
    given = by_name(settings, *SECTIONS)
    return given if config is None else given_over(read_toml(config), given)


def _trained(job: Job, place: Path | None, reports: Quiet, world: World, *, replace: bool) -> Model:
    try:
        result = job.train(place, reports, replace=replace, world=world)
    except Stopped as stopped:
        if not stopped.saved or reports.run is None:
            raise KeyboardInterrupt(str(stopped)) from None
        reports.note(str(stopped))
        if stopped.number != signal.SIGINT:
            signal.raise_signal(stopped.number)
        return Model(open_run(reports.run.path))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError("out of memory: lower batch_size, seq_len or hidden_size") from error
    with suppress(KeyboardInterrupt):  # the model is there, and drawing takes a second or two
        add_curves(result.run, reports.note)
    return Model(open_run(result.run))


def _could_be_a_name(given: object) -> bool:
    return isinstance(given, str) and len(given) <= LONGEST_NAME and "\n" not in given
