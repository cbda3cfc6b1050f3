"""charlm compare"""

import dataclasses
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from charlm.cli.completion import complete_files, complete_runs
from charlm.cli.inputs import load_run
from charlm.cli.options import json_option
from charlm.cli.output import note, print_json, show, terminal_width
from charlm.cli.watch import TYPING, Watch, is_typed_in
from charlm.data.inputs import refuse_folders_of_ours
from charlm.data.words import unit_of
from charlm.errors import DataError, ModelError
from charlm.views.columns import Column, Columns

if TYPE_CHECKING:
    from charlm.evaluation.comparison import Cost
    from charlm.run import Run


class Compared(NamedTuple):
    """A line as it came, what it costs either model, which is the better, and by how many bits."""

    text: str
    a: "Cost"
    b: "Cost"
    better: str | None
    by: float | None


COLUMNS = [
    Column("A bits", 8, 4), Column("B bits", 8, 3), Column("better by", 10, 5),
    Column("A unknown", 9, 2), Column("B unknown", 9, 1),
]  # fmt: skip


@click.command()
@click.argument("a", shell_complete=complete_runs)
@click.argument("b", shell_complete=complete_runs)
@click.argument("text", shell_complete=complete_files)
@click.option("--encoding", metavar="NAME", help="How TEXT is encoded.  [default: as A's text was]")
@json_option
def compare(a: str, b: str, text: str, encoding: str | None, as_json: bool) -> None:
    """Tell for which of the models A and B each line of TEXT (a file, or - for standard input) is
    likelier, by how much, and the same of all of them: of two authors or languages, whose it is.

    Bits (base 2) are per character; the model that needs fewer is the better. Lines are read as
    charlm score reads them. A character that a model does not know counts 20.1 bits, as one of
    Unicode's code points, all alike, so that ignorance is no advantage; how many there are is told.
    Where both know fewer than a tenth of the letters and digits, neither is called the better.
    The header and the total go to standard error.

    With --json, an object a line: line, text, A and B (bits_per_char, characters, unknown, and of
    the known characters alone known_bits_per_char), better ("A", "B", or null where they are even
    or neither knows the script), by; at the end one for all, its line null, which also tells lines,
    and of A and B run and better_lines."""
    from charlm.run import need_direction

    runs = load_run(a), load_run(b)
    for run in runs:
        need_direction(run, bidirectional=False)
    _check_alike(*runs)
    refuse_folders_of_ours((text,))
    total = Total(*runs)
    columns = Columns(COLUMNS, terminal_width())
    things = f"{unit_of(runs[0].vocab.level)}s"
    watch = Watch(f"{things} by two models", shown=is_typed_in(text) or sys.stdout.isatty())
    for line in _compared(text, runs, encoding or runs[0].config.text.encoding, watch):
        watch.give_way()
        total.add(line)
        if as_json:
            print_json({"line": total.lines, "text": line.text, **total.figures(line)})
            continue
        if total.lines == 1:
            note(columns.header("text"))
        show(columns.row(_figures(line), line.text) + "\n")
    if not total.lines:
        raise DataError(f"{'standard input' if text == '-' else text}: the text is empty")
    if as_json:
        print_json(total.summary())
    for told in total.in_words():
        note(told)


def _check_alike(a: "Run", b: "Run") -> None:
    """Raises ModelError for models of different things; notes where they read a text otherwise."""
    levels = {run.vocab.level: run.path for run in (a, b)}
    if len(levels) > 1:
        from charlm.data.words import in_words

        one_level, other_level = sorted(levels)
        raise ModelError(
            f"{levels[one_level]} is a model of {in_words(one_level)}, {levels[other_level]} one "
            f"of {in_words(other_level)}: their bits are of different things"
        )
    one, other = (dataclasses.asdict(run.config.text) for run in (a, b))
    if different := [key for key in one if key != "encoding" and one[key] != other[key]]:
        names = ", ".join("--" + key.replace("_", "-") for key in different)
        note(f"note: {a.path} and {b.path} clean a text differently ({names}): each reads its own")


def _compared(
    text: str, runs: tuple["Run", "Run"], encoding: str, watch: Watch
) -> Iterator[Compared]:
    from charlm.config import TextConfig
    from charlm.data.stream import lines_of, read_once
    from charlm.evaluation.comparison import better_of, cost_of
    from charlm.evaluation.lines import groups, reader_of
    from charlm.generation.blas import one_thread

    level = runs[0].vocab.level
    keeps = all(run.config.text.newlines == "keep" for run in runs)
    cut = TextConfig(newlines="keep" if keeps else "lf")
    # The end of a line is one more character for both, or for neither.
    eol = all("\n" in run.vocab.ids for run in runs)
    a, b = (reader_of(run, eol=eol, on_scored=watch.scored) for run in runs)
    if one_by_one := is_typed_in(text):
        note(TYPING)
    lines = watch.over(lines_of(read_once(text, encoding), cut))
    with one_thread():
        for group in groups(lines, one_by_one=one_by_one):
            for line, other in zip(a.afresh(group), b.afresh(group), strict=True):
                costs = cost_of(line, level), cost_of(other, level)
                yield Compared(line.text, *costs, *better_of(*costs))
            sys.stdout.flush()


def _figures(line: Compared) -> list[str]:
    """One for each of COLUMNS."""
    from charlm.evaluation.metrics import in_digits

    a, b, by = (
        "-" if value is None else in_digits(value)
        for value in (line.a.bits_per_token, line.b.bits_per_token, line.by)
    )
    return [a, b, f"{line.better or '':<1} {by:>8}", f"{line.a.unknown}", f"{line.b.unknown}"]


class Total:
    """Of all lines so far: what they cost, and how often either model was the better."""

    def __init__(self, a: "Run", b: "Run") -> None:
        from charlm.evaluation.comparison import Cost

        self._runs, self._costs = {"A": a.path, "B": b.path}, {"A": Cost(), "B": Cost()}
        self._better = {"A": 0, "B": 0}
        level = a.vocab.level
        self._unit, self._plural = ("char", "characters") if level == "char" else ("word", "words")
        self.lines = 0

    def add(self, line: Compared) -> None:
        self.lines += 1
        self._costs = {"A": self._costs["A"] + line.a, "B": self._costs["B"] + line.b}
        if line.better:
            self._better[line.better] += 1

    def all(self) -> Compared:
        from charlm.evaluation.comparison import better_of

        a, b = self._costs.values()
        return Compared("", a, b, *better_of(a, b))

    def figures(self, line: Compared) -> dict[str, Any]:
        """By name."""

        def of(cost: "Cost") -> dict[str, Any]:
            return {
                f"bits_per_{self._unit}": cost.bits_per_token,
                self._plural: cost.tokens,
                "unknown": cost.unknown,
                f"known_bits_per_{self._unit}": cost.known_bits_per_token,
            }

        return {"A": of(line.a), "B": of(line.b), "better": line.better, "by": line.by}

    def summary(self) -> dict[str, Any]:
        """What --json ends with: `figures` of all lines, and of which run they are."""
        figures = {"line": None, "text": None, "lines": self.lines, **self.figures(self.all())}
        for name, run in self._runs.items():
            figures[name] |= {"run": str(run), "better_lines": self._better[name]}
        return figures

    def in_words(self) -> Iterator[str]:
        from charlm.evaluation.comparison import UNKNOWN_BITS
        from charlm.evaluation.metrics import in_digits

        unit, found = self._plural.removesuffix("s"), self.all()
        for name, cost in self._costs.items():
            if cost.bits_per_token is None:
                yield f"{name} {self._runs[name]}: nothing to compare"
                continue
            unknown, known = "", cost.known_bits_per_token
            if cost.unknown:
                alone = "" if known is None else f"; {in_digits(known)} over the known ones alone"
                dear = f"{UNKNOWN_BITS:.1f} bits a character"
                unknown = f", {cost.unknown:,} of them unknown ({dear}{alone})"
            yield (
                f"{name} {self._runs[name]}: {in_digits(cost.bits_per_token)} bits per {unit} over "
                f"{cost.tokens:,} {self._plural}{unknown}; the better on {self._better[name]:,} of "
                f"{self.lines:,} lines"
            )
        if found.by is None and found.a.tokens and found.b.tokens:
            yield "neither knows the script of this text: none is the better"
        if found.by is not None:
            better = f"{found.better} is the better by {in_digits(found.by)} bits per {unit}"
            yield better if found.better else "they are even"
