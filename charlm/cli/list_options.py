"""What `charlm generate` is asked for lists, and which of its options go together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from charlm.cli.escapes import with_escapes
from charlm.config import LONGEST_LINE, SHORTEST_LINE
from charlm.errors import UsageError

if TYPE_CHECKING:
    from charlm.generation.writer import Writer
    from charlm.run import Run

Command = TypeVar("Command", bound=Callable[..., Any])

# What narrows down what is drawn among.
OF_DRAWS = ("--top-k", "--top-p", "--min-p", "--typical")
# Two options, and why they mean nothing together.
RIVALS = [
    ("--lines", "--num-samples", "so many lines are the number"),
    ("--lines", "--length", "a line ends where it ends; --max-length leaves longer ones out"),
    ("--lines", "--stop", "a line ends at its line break"),
    ("--lines", "--beam", "the likeliest line is one; a list is drawn"),
    ("--lines", "--temperatures", "a list is drawn at one temperature"),
    ("--lines", "--no-stream", "each line is printed when it is complete"),
    *(("--beam", option, "a search draws nothing")
      for option in ("--temperature", "--temperatures", *OF_DRAWS, "--seed")),
    *(("--match", option, "a text that keeps the one may have no way to the other")
      for option in ("--stop", "--no-repeat", "--beam")),
    ("--temperatures", "--temperature", "the one is a list of the other"),
    ("--temperatures", "--separator", "a heading parts the texts"),
    ("--separator", "--json", "each object is a line"),
    ("--score", "--json", "the objects have the nats"),
]  # fmt: skip
OF_LISTS = ("--unique", "--new", "--min-length", "--max-length", "--score")


def list_options(command: Command) -> Command:
    """The options of a list, and --separator, as options of a command."""
    positive = click.IntRange(min=1)
    for option in reversed([
        click.option(
            "--lines", metavar="N", type=positive,
            help="Print N lines and nothing else, each begun after a line break and ended by one; "
            "what a prefix has behind its last line break is what each begins with.",
        ),
        click.option("--unique", is_flag=True, help="Of --lines: none twice."),
        click.option(
            "--new", is_flag=True,
            help="Of --lines: none that the text has which the model was made from, its held-out "
            "parts included.",
        ),
        click.option(
            "--min-length", metavar="N", type=click.IntRange(min=0), default=SHORTEST_LINE,
            show_default=True, help="Of --lines: none of fewer characters (words, at word level).",
        ),
        click.option(
            "--max-length", metavar="N", type=positive, default=LONGEST_LINE, show_default=True,
            help="Of --lines: none of more characters (words, at word level).",
        ),
        click.option(
            "--score", is_flag=True,
            help="Of --lines: before each line its bits, those of its line break included, and a "
            "tab.",
        ),
        click.option(
            "--separator", metavar="TEXT",
            help=r"What ends each text or line in place of a line break; \0, \n and their like "
            "are read as Python does.",
        ),
    ]):  # fmt: skip
        command = option(command)
    return command


def refuse_what_means_nothing(context: click.Context) -> None:
    """Raises UsageError for options that were typed and mean nothing together, or alone."""
    given = {
        next(opt for opt in parameter.opts if opt.startswith("--"))
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") != ParameterSource.DEFAULT
    }
    for option, other, why in RIVALS:
        if {option, other} <= given:
            raise UsageError(f"{option} and {other} do not go together: {why}")
    if context.params.get("generation__temperature") == 0:
        for option in OF_DRAWS:
            if option in given:
                raise UsageError(
                    f"{option} does nothing with --temperature 0, which takes the likeliest: drop "
                    "it"
                )
    for option in OF_LISTS:
        if option in given and "--lines" not in given:
            raise UsageError(f"{option} is asked of the lines of a list: it goes with --lines")


@dataclass(frozen=True)
class Listed:
    """What is asked for of a list; of `lines` None, of texts."""

    lines: int | None
    unique: bool
    new: bool
    min_length: int
    max_length: int
    score: bool
    separator: str | None

    @staticmethod
    def taken_from(options: dict[str, Any]) -> "Listed":
        """Of a command's options, those of a list; they are taken out. Raises UsageError."""
        taken = {name: options.pop(name) for name in Listed.__dataclass_fields__}
        if taken["separator"] is not None:
            taken["separator"] = with_escapes(taken["separator"], "--separator")
        if taken["min_length"] > taken["max_length"]:
            raise UsageError(
                f"--min-length {taken['min_length']} is more than --max-length "
                f"{taken['max_length']}: no line is both"
            )
        return Listed(**taken)

    def print(self, writer: "Writer", ids: list[int], run: "Run", *, as_json: bool) -> list[str]:
        """Print the list; its lines."""
        from charlm.cli.written import print_lines, print_lines_as_json
        from charlm.generation.lines import Wanted
        from charlm.generation.writer import lines_known_to

        assert self.lines is not None
        known = lines_known_to(run) if self.new else None
        wanted = Wanted(self.lines, self.min_length, self.max_length, self.unique, known)
        lines = writer.lines(ids, wanted)
        if as_json:
            return print_lines_as_json(lines, writer.seed)
        end = "\n" if self.separator is None else self.separator
        return print_lines(lines, end, bits=self.score)
