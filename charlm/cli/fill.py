"""charlm fill"""

import dataclasses
import re
import sys
from typing import TYPE_CHECKING

import click

from charlm.cli.inputs import check_known, load_run, need_direction
from charlm.cli.options import json_option, model_option
from charlm.cli.output import print_json, show
from charlm.errors import DataError, UsageError

if TYPE_CHECKING:
    from charlm.run import Run


@click.command()
@click.argument("text")
@model_option
@click.option("--mask", default="_", show_default=True, metavar="CHAR", help="What marks a gap.")
@click.option(
    "-n", "--num-samples", type=click.IntRange(min=1), default=1, show_default=True,
    help="Fillings to print, best first; more than one with their probabilities.",
)  # fmt: skip
@click.option("--device", metavar="DEVICE", default="cpu", help="cpu, cuda, cuda:N or mps.")
@json_option
def fill(
    text: str, model: str | None, mask: str, num_samples: int, device: str, as_json: bool
) -> None:
    """Fill each gap of TEXT (- for standard input) with a bidirectional model.

    Every _ is one character to find; at word level, a run of them is one word."""
    if len(mask) != 1:
        raise UsageError(f"--mask {mask!r}: it must be one character")
    run = load_run(model)
    need_direction(run, bidirectional=True)
    ids = _read(sys.stdin.read() if text == "-" else text, mask, run)
    from charlm.generation.filler import Filler
    from charlm.model.network import open_model

    for filling in Filler(open_model(run, device), run.vocab).fill(ids, num_samples):
        filled = run.vocab.decode(filling.ids)
        if as_json:
            fills = [run.vocab.tokens[i] for i, gap in zip(filling.ids, ids, strict=True)
                     if gap is None]  # fmt: skip
            print_json({"text": filled, "fills": fills, "probability": filling.probability})
        elif num_samples == 1:
            show(f"{filled}\n")
        else:
            show(f"{filling.probability:.4f}\t{filled}\n")


def _read(text: str, mask: str, run: "Run") -> list[int | None]:
    """The ids of the text, None for each gap. Raises DataError if it has none."""
    from charlm.data.text import clean_text

    # The edges of a piece are no edges of a line: nothing is stripped there.
    cleaning = dataclasses.replace(run.config.text, strip_lines=False)
    ids: list[int | None] = []
    for k, piece in enumerate(re.split(f"({re.escape(mask)}+)", text.removesuffix("\n"))):
        if k % 2:
            ids += [None] * (len(piece) if run.vocab.level == "char" else 1)
            continue
        cleaned = clean_text(piece, cleaning)
        check_known(cleaned, run, "the text")
        ids += [int(i) for i in run.vocab.encode(cleaned)]
    if None not in ids:
        raise DataError(f"the text has no gap: mark what is to be filled with {mask!r} (--mask)")
    return ids
