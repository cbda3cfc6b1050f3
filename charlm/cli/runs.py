"""charlm runs"""

from pathlib import Path

import click

from charlm.cli.options import json_option
from charlm.cli.output import note, print_json, show_table, terminal_width
from charlm.config import RUNS
from charlm.errors import UsageError


@click.command()
@click.argument(
    "folder", required=False, type=click.Path(path_type=Path), metavar="[FOLDER]", default=RUNS
)
@json_option
def runs(folder: Path, as_json: bool) -> None:
    """List the runs below FOLDER (./runs, unless given), best first, by the bits per character of
    their validation.

    Bits can be compared between runs of the same text alone: those stand together, and the texts
    come in the order of their best run. Of a run with "part", they are over the beginning of the
    validation part, and compare roughly. Models of words, and those that fill gaps, are measured
    otherwise and come after them. A run is looked at, not checked: charlm info reads all of one.
    """
    from charlm.listing import runs_below
    from charlm.storage.files import exists, is_folder
    from charlm.views.runs import table

    if not is_folder(folder):
        what = "is a file" if exists(folder) else "there is no such folder"
        raise UsageError(f"{folder}: {what}; charlm train makes runs below ./{RUNS}")
    found = runs_below(folder)
    if not found:
        raise UsageError(f"{folder}: there is no run below it; charlm train makes one")
    if as_json:
        print_json({"folder": str(folder), "runs": [run.to_dict() for run in found]})
        return
    show_table(table(found, folder, terminal_width()))
    for run in found:
        if run.problem and run.state == "damaged":
            note(f"damaged: {run.problem}")
