"""The curves of runs: opened, held to be comparable, drawn."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from charlm.course import read_course
from charlm.data.words import unit_of
from charlm.errors import ModelError
from charlm.run import CURVES, METRICS, Run, open_run
from charlm.storage.files import is_file, write_bytes


def add_curves(run: Path, warn: Callable[[str], None]) -> None:
    """Draw a finished training into its run, where there is matplotlib to draw with and a log to be
    drawn; whatever goes wrong, the training is done. warn: is told, in a line, what did."""
    try:
        if find_spec("matplotlib") is None or not is_file(run / METRICS):
            return
        picture, _ = picture_of([run], "svg", [run.resolve().name], by_time=True)
        write_bytes(run / CURVES, picture)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())
        warn(f"Warning: no {CURVES} is drawn in {run}: {reason}")


def picture_of(paths: list[Path], kind: str, names: list[str], by_time: bool) -> tuple[bytes, str]:
    """See `views.curves.picture`. Raises ModelError for runs that cannot stand in one picture."""
    from charlm.views.curves import Curve, picture

    opened = [open_run(path) for path in paths]
    kinds = [_bits(run) for run in opened]
    for run, bits in zip(opened, kinds, strict=True):
        if bits != kinds[0]:
            raise ModelError(
                f"{run.path} has {bits}, {opened[0].path} {kinds[0]}: draw a picture of each"
            )
    curves: list[Curve] = [
        Curve(name, read_course(run.path), run.corpus_record["splits"]["train"])
        for name, run in zip(names, opened, strict=True)
    ]
    unit = unit_of(opened[0].vocab.level)
    return picture(curves, kind=kind, by_time=by_time, bits=kinds[0], unit=unit)


def _bits(run: Run) -> str:
    """What the figures of a run are."""
    masked = "masked " if run.config.model.bidirectional else ""
    return f"bits per {masked}{unit_of(run.vocab.level)}"
