"""charlm plot"""

from pathlib import Path

import click

from charlm.cli.completion import complete_runs
from charlm.cli.inputs import find_run
from charlm.cli.output import note, show
from charlm.cli.pages import check_folder
from charlm.errors import UsageError, need_extra

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
    from charlm.views.plot import picture_of

    need_extra("charlm plot", "matplotlib")
    kind = _kind(output)
    paths = [Path(name) for name in runs] or [find_run(None)]
    picture, missing = picture_of(paths, kind, [str(path) for path in paths], over == "seconds")
    write_bytes(output, picture, follow=True)
    if missing:
        note(f"note: no font here has {missing}: they are boxes in the picture, but not in an .svg")
    show(f"{output}\n")


def _kind(output: Path) -> str:
    """svg or png. Raises UsageError for any other, and for what is there and is no picture."""
    from charlm.storage.files import exists, is_file, naming

    kind = output.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise UsageError(f"--output {output}: name a file that ends in .svg or .png")
    check_folder("--output", output)
    if exists(output):
        with naming(output):
            begin = output.read_bytes()[:8] if is_file(output) else b""
        if not begin.startswith(KINDS[kind]):
            raise UsageError(
                f"--output {output}: what is there is no {kind.upper()}; give another name"
            )
    return kind
