"""`charlm`: the group of commands, and the one place where an error becomes a line and a code."""

import os
import signal
import sys
import time
from importlib import import_module
from types import FrameType
from typing import Any

# The command's own beginning: `train --time` counts from here, imports included.
STARTED = time.perf_counter()

import click  # noqa: E402

import charlm  # noqa: E402
from charlm.errors import CharlmError, Stopped, is_out_of_memory  # noqa: E402

# Command -> (module, what it does). A module is imported when its command runs.
COMMANDS = {
    "preprocess": "Read, clean and encode texts into a corpus.",
    "vocab": "Show the vocabulary of a text, a corpus, a run or a vocab.json.",
    "train": "Train a model on texts or a corpus.",
    "evaluate": "Score a text: perplexity, bits and nats per character.",
    "generate": "Continue a prefix with text from a model.",
    "fill": "Fill the gaps of a text with a bidirectional model.",
    "info": "Show the card of a model.",
}


class ClosedPipe(Exception):
    """Whoever read our output has had enough, as `head` does."""


class Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"charlm.cli.{cmd_name}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Keep from click what it would treat its own way: it ends with 1 on either of these."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ClosedPipe from None
        except KeyboardInterrupt:
            raise Stopped(signal.SIGINT, "stopped by Ctrl-C") from None

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
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """The entry point: runs a command and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shows its escape; no text may end the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _stop)
    try:
        code = run_command(sys.argv[1:])
        sys.stdout.flush()
    except (ClosedPipe, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _stop(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does, cleaning up on the way; training has handlers of its own, which save."""
    raise Stopped(number, f"stopped by {signal.Signals(number).name}")


def run_command(arguments: list[str]) -> int:
    """Run a command; its exit code. An error is printed as one line on standard error."""
    try:
        return cli.main(arguments, prog_name="charlm", standalone_mode=False) or 0
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "charlm"
        return _fail(f"{error.format_message().rstrip('.')} (see {where} --help)", 2)
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except ClosedPipe:
        raise
    except CharlmError as error:
        _traceback_if_asked(arguments)
        return _fail(str(error), error.exit_code)
    except Exception as error:
        if is_out_of_memory(error):
            return _fail("out of memory: lower --batch-size, --seq-len or --hidden-size", 6)
        _traceback_if_asked(arguments)
        return _fail(
            f"a bug in charlm: {type(error).__name__}: {error} (charlm --debug … shows where)", 1
        )


def _traceback_if_asked(arguments: list[str]) -> None:
    if "--debug" in arguments:
        import traceback

        traceback.print_exc()


def _fail(message: str, code: int) -> int:
    from charlm.data.text import for_terminal

    click.echo("Error: " + for_terminal(" ".join(message.split("\n"))), err=True)
    return code
