"""charlm fill"""

import dataclasses
import re
from typing import TYPE_CHECKING

import click

from charlm.cli.inputs import check_known, load_run, need_direction, source_of
from charlm.cli.options import json_option, model_option
from charlm.cli.output import print_json, show
from charlm.config import GenerationConfig
from charlm.errors import DataError, UsageError

if TYPE_CHECKING:
    from charlm.run import Run

# As of `charlm generate`.
MOST = GenerationConfig.__dataclass_fields__["num_samples"].metadata["limits"]["at_most"]
# What str.splitlines ends a line at.
_BREAK = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


@click.command()
@click.argument("text")
@model_option
@click.option("--mask", default="_", show_default=True, metavar="CHAR", help="What marks a gap.")
@click.option(
    "-n", "--num-samples", type=click.IntRange(1, MOST), default=1, show_default=True,
    help="Fillings to print, best first; more than one as rows: the probability, a tab, the text "
    "with its line breaks as \\n.",
)  # fmt: skip
@click.option("--device", metavar="DEVICE", default="cpu", help="cpu, cuda, cuda:N or mps.")
@json_option
def fill(
    text: str, model: str | None, mask: str, num_samples: int, device: str, as_json: bool
) -> None:
    """Fill each gap of TEXT (- for standard input, in the run's encoding) with a bidirectional
    model.

    Every _ is one character to find; at word level, a run of them is one word."""
    if len(mask) != 1:
        raise UsageError(f"--mask {mask!r}: it must be one character")
    run = load_run(model)
    need_direction(run, bidirectional=True)
    if text == "-":
        text = "".join(source_of((text,), run.config).read())
    ids = _read(text, mask, run)
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
            show(f"{filling.probability:.4f}\t{_on_one_line(filled)}\n")


def _on_one_line(text: str) -> str:
    """With escapes for its line breaks, of every kind that a reader of lines may know."""
    return _BREAK.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _read(text: str, mask: str, run: "Run") -> list[int | None]:
    """The ids of the text, None for each gap. Raises DataError if it has none."""
    from charlm.data.text import clean_text

    # The edges of a piece are no edges of a line: nothing is stripped there.
    cleaning = dataclasses.replace(run.config.text, strip_lines=False)
    ids: list[int | None] = []
    # The line break that ends it is the shell's or the file's.
    text = re.sub(r"(\r\n|\n|\r)\Z", "", text)
    for k, piece in enumerate(re.split(f"({re.escape(mask)}+)", text)):
        if k % 2:
            ids += [None] * (len(piece) if run.vocab.level == "char" else 1)
            continue
        cleaned = clean_text(piece, cleaning)
        check_known(cleaned, run, "the text")
        ids += [int(i) for i in run.vocab.encode(cleaned)]
    if None not in ids:
        raise DataError(f"the text has no gap: mark what is to be filled with {mask!r} (--mask)")
    return ids
