"""charlm plot"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from charlm.cli.completion import complete_runs
from charlm.cli.inputs import find_run
from charlm.cli.output import note, show
from charlm.errors import ModelError, UsageError

if TYPE_CHECKING:
    from charlm.run import Run

# How a picture begins, by the end of its name.
KINDS = {"png": (b"\x89PNG",), "svg": (b"<?xml", b"<svg")}


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN...]", shell_complete=complete_runs)
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), default=Path("curves.svg"),
    help="The picture to write, as .svg or .png.  [default: curves.svg]",
)  # fmt: skip
@click.option(
    "--over", type=click.Choice(("seconds", "characters")), default="seconds", show_default=True,
    help="What the curves run over: seconds of training, or characters (words) read in it.",
)  # fmt: skip
def plot(runs: tuple[str, ...], output: Path, over: str) -> None:
    """Draw how the trainings of each RUN went: bits per character of the training and of the
    validation part, and the learning rate; of several runs in one picture. Needs matplotlib.

    Training bits are those of steps, under dropout, and their running mean; validation bits are
    the model's.

    Without RUN: $CHARLM_MODEL, or the newest run below ./runs."""
    from charlm.storage.files import write_bytes

    need_extra("matplotlib", "charlm plot")
    kind = _kind(output)
    paths = [Path(name) for name in runs] or [find_run(None)]
    picture, missing = _picture(paths, kind, [str(path) for path in paths], over == "seconds")
    write_bytes(output, picture, follow=True)
    if missing:
        note(f"note: no font here has {missing}: they are boxes in the picture, but not in an .svg")
    show(f"{output}\n")


def need_extra(library: str, what: str) -> None:
    """Raises UsageError where a library is missing that only `what` needs."""
    if find_spec(library) is None:
        raise UsageError(f"{what} needs {library}: pip install {library}")


def add_curves(run: Path) -> None:
    """Draw a finished training into its run, where there is matplotlib to draw with and a log to be
    drawn; whatever goes wrong, the training is done."""
    from charlm.run import CURVES, METRICS
    from charlm.storage.files import is_file, write_bytes

    try:
        if find_spec("matplotlib") is None or not is_file(run / METRICS):
            return
        picture, _ = _picture([run], "svg", [run.resolve().name], by_time=True)
        write_bytes(run / CURVES, picture)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())
        note(f"Warning: no {CURVES} is drawn in {run}: {reason}")


def _picture(paths: list[Path], kind: str, names: list[str], by_time: bool) -> tuple[bytes, str]:
    """See `views.curves.picture`. Raises ModelError for runs that cannot stand in one picture."""
    from charlm.course import read_course
    from charlm.run import open_run
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
    unit = "character" if opened[0].vocab.level == "char" else "word"
    return picture(curves, kind=kind, by_time=by_time, bits=kinds[0], unit=unit)


def _bits(run: "Run") -> str:
    """What the figures of a run are."""
    masked = "masked " if run.config.model.bidirectional else ""
    return f"bits per {masked}{'character' if run.vocab.level == 'char' else 'word'}"


def _kind(output: Path) -> str:
    """svg or png. Raises UsageError for any other, and for what is there and is no picture."""
    from charlm.storage.files import exists, is_file, naming

    kind = output.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise UsageError(f"--output {output}: name a file that ends in .svg or .png")
    if exists(output):
        with naming(output):
            begin = output.read_bytes()[:8] if is_file(output) else b""
        if not begin.startswith(KINDS[kind]):
            raise UsageError(
                f"--output {output}: what is there is no {kind.upper()}; give another name"
            )
    return kind
