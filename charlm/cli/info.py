"""charlm info"""

from pathlib import Path

import click

from charlm.cli.completion import complete_runs
from charlm.cli.inputs import load_run, uses
from charlm.cli.options import json_option
from charlm.cli.output import print_json, show, show_table, terminal_width
from charlm.errors import UsageError


@click.command()
@click.argument("run", required=False, shell_complete=complete_runs)
@click.option("--markdown", is_flag=True, help="Print it as Markdown, to be shared with the model.")
@json_option
def info(run: str | None, markdown: bool, as_json: bool) -> None:
    """Show the card of a model: what it is, what it was trained on, what it reached, how to use it.

    Beside its score stands what counting makes of the same text: about, as it was found when the
    training began; with --markdown exactly, where the corpus is at hand.

    Without RUN: $CHARLM_MODEL, or the newest run below ./runs.
    """
    if markdown and as_json:
        raise UsageError("--markdown and --json are two ways to print it: give one")
    from charlm.card import card_of
    from charlm.views.card import as_markdown, as_text

    card = card_of(load_run(run), exact=markdown)
    if as_json:
        print_json(card.to_dict())
    elif markdown:
        show(as_markdown(card, uses(Path(card.name), card.config.model)))
    else:
        show_table(as_text(card, uses(card.path, card.config.model), terminal_width()))
