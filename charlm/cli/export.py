"""charlm export"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from charlm.cli.completion import complete_files, complete_runs
from charlm.cli.inputs import load_run, uses
from charlm.cli.options import force_option, json_option, model_option
from charlm.cli.output import note, print_json, show
from charlm.errors import FileSystemError, UsageError, need_extra, typed

if TYPE_CHECKING:
    from charlm.export.written import Written
    from charlm.run import Run

PRECISIONS = ("float32", "float16", "int8")


@click.command()
@click.argument("run", required=False, shell_complete=complete_runs)
@model_option
@click.option(
    "-o", "--output", metavar="FILE", required=True, shell_complete=complete_files,
    help="What to write: a page (.html), a model (.onnx), or a folder (FOLDER/).",
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(PRECISIONS),
    help=f"Numbers in which a page holds the weights.  [default: {PRECISIONS[0]}]",
)  # fmt: skip
@force_option
@json_option
def export(
    run: str | None,
    model: str | None,
    output: str,
    precision: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a model for elsewhere: PAGE.html runs it in any browser, offline; MODEL.onnx is one
    step of it, from a symbol and a state to logits and the next state (of a model that fills gaps,
    all of a text), and needs onnx and onnxruntime; FOLDER/ holds safetensors with the names of
    torch.nn, a card, and a loader in plain torch.

    Without RUN: $CHARLM_MODEL, or the newest run below ./runs.
    """
    if run and model:
        raise UsageError(f"{run} and -m {model} both name a run: give one")
    kind = _kind(output)
    if precision and kind != ".html":
        raise UsageError(f"--precision {precision} is for a page: name one with -o PAGE.html")
    if kind == ".onnx":
        need_extra("charlm export to .onnx", "onnx", "onnxruntime")
    if kind:
        _check_file(Path(output), force)
    written = WRITERS[kind](load_run(run or model), Path(output), precision or PRECISIONS[0], force)
    if as_json:
        print_json({"output": output, **written.facts})
    else:
        note(written.told)
        show(f"{output}\n")


def _page(run: "Run", output: Path, precision: str, force: bool) -> "Written":
    from charlm.export.page import write_page

    return write_page(run, output, precision)


def _onnx(run: "Run", output: Path, precision: str, force: bool) -> "Written":
    from charlm.export.onnx import write_onnx

    return write_onnx(run, output)


def _folder(run: "Run", output: Path, precision: str, force: bool) -> "Written":
    from charlm.export.folder import write_folder

    use = uses(Path(output.resolve().name), run.config.model)
    return write_folder(run, output, use, replace=force)


# By the end of the output's name; a folder has none.
WRITERS: dict[str, Callable[["Run", Path, str, bool], "Written"]] = {
    ".html": _page,
    ".onnx": _onnx,
    "": _folder,
}


def _kind(output: str) -> str:
    """A key of `WRITERS`. Raises UsageError where the name says of no kind what it is to be."""
    from charlm.storage.files import is_folder

    if output == "-":
        raise UsageError("--output -: name a file or a folder")
    if output.endswith(("/", os.sep)) or is_folder(Path(output)):
        return ""
    kind = Path(output).suffix.lower()
    if kind not in WRITERS:
        raise UsageError(
            f"--output {output}: name a page (.html), a model (.onnx) or a folder "
            f"({typed(f'{output}/')})"
        )
    return kind


def _check_file(output: Path, force: bool) -> None:
    """Refuse, before any work, a file that is in the way (UsageError) or has no folder to be in
    (FileSystemError)."""
    from charlm.storage.files import exists, is_file, is_folder

    if exists(output) and not is_file(output):
        raise UsageError(f"--output {output}: what is there is no file; give another name")
    if exists(output) and not force:
        raise UsageError(
            f"the output {output} already exists; give another name (-o), or replace it (--force)"
        )
    if not is_folder(output.parent):
        raise FileSystemError(f"{output}: there is no folder {output.parent}; make it first")
