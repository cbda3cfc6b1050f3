"""charlm fill"""

import re

import click

from charlm.cli.inputs import load_run
from charlm.cli.options import json_option, model_option
from charlm.cli.output import print_json, show
from charlm.config import GenerationConfig
from charlm.data.inputs import source_of

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
    from charlm.generation.gaps import check_mask, read_gaps
    from charlm.run import need_direction

    check_mask(mask)
    run = load_run(model)
    need_direction(run, bidirectional=True)
    if text == "-":
        text = "".join(source_of((text,), run.config).read())
    ids = read_gaps(text, mask, run)
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
