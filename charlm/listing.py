"""The runs below a folder, each at a glance: what it is and what it has reached. No torch."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

from charlm.card import Validation, text_of, validation_of
from charlm.config import ModelConfig
from charlm.data.folder import made_by_charlm
from charlm.errors import CharlmError
from charlm.model.shapes import parameters
from charlm.run import CHECKPOINTS, LAST, MODEL, Run, is_run, open_run
from charlm.storage.files import exists, found, naming
from charlm.storage.folders import in_use
from charlm.storage.tensors import read_facts
from charlm.training.resume_point import ResumePoint


@dataclass(frozen=True)
class Listed:
    """A run at a glance.

    state: running (a training is at work in it), finished, stopped (there is more to do), complete
    (it has its model and no resume point: whether there was more to do is not known), or damaged.
    validation: of the kept weights. text: what its text is called. sha256: of that. seconds: of
    training. saved: when the weights were. problem: what is wrong with it.
    """

    path: Path
    state: str
    model: ModelConfig | None = None
    parameters: int | None = None
    validation: Validation | None = None
    text: str | None = None
    sha256: str | None = None
    seconds: float | None = None
    saved: datetime | None = None
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, under the names of `charlm evaluate --json`."""
        seen = self.validation
        masked, unit = ("masked_" * seen.masked, seen.unit) if seen else ("", "character")
        per = "char" if unit == "character" else "word"
        return {
            "run": str(self.path),
            "state": self.state,
            f"{masked}bits_per_{per}": seen.bits if seen else None,
            f"{masked}perplexity{'_per_word' * (per == 'word')}": seen.perplexity if seen else None,
            "whole": seen.whole if seen else None,
            "text": self.text,
            "text_sha256": self.sha256,
            "model": vars(self.model) if self.model else None,
            "parameters": self.parameters,
            "seconds": self.seconds,
            "saved": self.saved.isoformat(timespec="seconds") if self.saved else None,
            "problem": self.problem,
        }


def runs_below(folder: Path) -> list[Listed]:
    """The run at a folder, or those below it: the runs of one text together, best first.

    The texts come in the order of their best run. Bits of characters come before those of words and
    of masked tokens, which are another measure; then what was not validated, and what is damaged.
    Raises FileSystemError where the folder cannot be read.
    """
    listed = [_listed(path) for path in _runs(folder)]
    best: dict[str | None, tuple[int, float]] = {}
    for run in listed:
        best[run.sha256] = min(best.get(run.sha256, (9, inf)), _worth(run))
    return sorted(
        listed,
        key=lambda run: (best[run.sha256], run.sha256 or "", _worth(run), str(run.path)),
    )


def _worth(run: Listed) -> tuple[int, float]:
    """To sort by: which measure, then bits."""
    if run.state == "damaged":
        return 4, inf
    seen = run.validation
    if seen is None:
        return 3, inf
    return 2 if seen.masked else 0 if seen.unit == "character" else 1, seen.bits


def _runs(folder: Path) -> Iterator[Path]:
    """Not in hidden folders, nor through links: a run being made has a hidden name."""
    if _looks_like_a_run(folder):
        yield folder
        return
    with naming(folder):
        below = sorted(entry.name for entry in os.scandir(folder)
                       if not entry.name.startswith(".") and entry.is_dir())  # fmt: skip
    for name in below:
        path = folder / name
        if _looks_like_a_run(path):
            yield path
        elif not path.is_symlink():
            yield from _within(path)


def _within(folder: Path) -> Iterator[Path]:
    """`_runs`, of a folder that nobody named: one that may not be read has none."""
    try:
        yield from _runs(folder)
    except CharlmError:
        return


def _looks_like_a_run(path: Path) -> bool:
    try:
        if is_run(path):
            return made_by_charlm(path) == "run" or exists(path / MODEL)
        return exists(path / MODEL) and exists(path / CHECKPOINTS)
    except (CharlmError, OSError):
        return False


def _listed(path: Path) -> Listed:
    try:
        return _at_a_glance(open_run(path))
    except CharlmError as error:
        return Listed(path, "running" if in_use(path) else "damaged", problem=str(error))


def _at_a_glance(run: Run) -> Listed:
    """Raises CharlmError where a part of it is damaged."""
    last = run.path / CHECKPOINTS / LAST
    point = ResumePoint.of(last, read_facts(last)) if exists(last) else None
    running = in_use(run.path)
    # Before the first validation there is no model yet, and that is no damage.
    going = running or (point is not None and not point.finished)
    waits = going and not exists(run.path / MODEL)
    facts = {} if waits else run.glance()
    if running:
        state = "running"
    elif point is None:
        state = "complete"
    else:
        state = "finished" if point.finished else "stopped"
    record = run.corpus_record
    return Listed(
        path=run.path,
        state=state,
        model=run.config.model,
        parameters=parameters(run.config.model, len(run.vocab)),
        validation=validation_of(facts),
        text=record.get("name"),
        sha256=record["sha256"],
        seconds=point.seconds if point else facts.get("seconds"),
        saved=_saved(run, facts),
    )


def _saved(run: Run, facts: dict[str, Any]) -> datetime | None:
    """When its weights were; of an older charlm's, when their file was written."""
    try:
        return datetime.fromisoformat(text_of(facts.get("saved")) or "").astimezone(UTC)
    except (ValueError, OverflowError):
        there = found(run.path / MODEL)
    return datetime.fromtimestamp(there.st_mtime, UTC) if there else None
