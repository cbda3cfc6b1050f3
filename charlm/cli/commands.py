"""The commands of `charlm`, each in a module of its own that is imported when it runs."""

from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

import click

import charlm
from charlm.training.distributed import follows

# What each does. A command `train` is the function `train` in the module `charlm.cli.train`.
COMMANDS = {
    "preprocess": "Read, clean and encode texts into a corpus.",
    "vocab": "Show the vocabulary of a text, a corpus, a run or a vocab.json.",
    "train": "Train a model on texts or a corpus.",
    "evaluate": "Score a text: perplexity, bits and nats per character.",
    "generate": "Continue a prefix with text from a model.",
    "play": "Write a text in turns with a model, at a prompt.",
    "fill": "Fill the gaps of a text with a bidirectional model.",
    "score": "Score each line of a text: bits and nats, as rows or as a heat-map.",
    "compare": "Tell which of two models a text is likelier for, line by line.",
    "plot": "Draw how trainings went.",
    "info": "Show the card of a model.",
    "runs": "List the runs below a folder, best first.",
    "neurons": "Show which units of a model follow what a person can name.",
    "export": "Write a model for elsewhere: a page, ONNX, or a folder for torch.",
}


class Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"charlm.cli.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        near = get_close_matches(name, COMMANDS, 1)
        if near and name not in COMMANDS and not ctx.resilient_parsing:
            ctx.fail(f"No such command {name!r}; is {near[0]!r} meant?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


CONTEXT = {
    "help_option_names": ["-h", "--help"],
    # --hidden_size is --hidden-size.
    "token_normalize_func": lambda name: name.replace("_", "-"),
    "max_content_width": 100,
}


@click.group(cls=Commands, context_settings=CONTEXT, invoke_without_command=True)
@click.version_option(charlm.__version__, prog_name="charlm")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Train, evaluate and sample character-level recurrent language models.

    charlm COMMAND --help tells a command's options. Where a command needs a model it takes the one
    named with -m, else $CHARLM_MODEL, else the newest below ./runs.
    """
    if follows() and ctx.invoked_subcommand != "train":
        ctx.exit()  # what the first process does is enough
    if ctx.invoked_subcommand is None:
        from charlm.cli.output import show

        show(ctx.get_help() + "\n")
    with suppress(PermissionError):
        Path.cwd()  # Where it is gone, that is one line here; later on MKL would end the process.
