"""charlm score"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from charlm.cli.completion import complete_files
from charlm.cli.inputs import load_run
from charlm.cli.options import json_option, model_option
from charlm.cli.output import note
from charlm.cli.pages import check_page
from charlm.cli.watch import TYPING, Watch, is_typed_in
from charlm.data.inputs import refuse_folders_of_ours
from charlm.data.words import unit_of
from charlm.errors import DataError, Stopped, UsageError

if TYPE_CHECKING:
    from charlm.cli.score_shows import Show
    from charlm.evaluation.lines import LineReader, ReadLine, Total
    from charlm.run import Run


@click.command()
@click.argument("file", default="-", shell_complete=complete_files)
@model_option
@click.option(
    "--carry", is_flag=True,
    help="Read the lines as one text, each going on from the one before; the sum is then what "
    "charlm evaluate gives, of the known characters alone where unknown ones are left out.",
)  # fmt: skip
@click.option(
    "--eol/--no-eol", default=True,
    help="Score the end of each line too, as one more character.  [default: eol]",
)  # fmt: skip
@click.option("--per-char", is_flag=True, help="Show the bits of every character (or word).")
@click.option("--tsv", is_flag=True, help="Print tab-separated values.")
@click.option("--unbuffered", is_flag=True, help="Answer each line before the next one is read.")
@click.option(
    "--heatmap", is_flag=True,
    help="Show the text itself, each character tinted by its bits of surprise.",
)  # fmt: skip
@click.option("--underline", is_flag=True, help="A heat-map by underlining instead of colours.")
@click.option(
    "--html", metavar="PAGE", type=click.Path(path_type=Path),
    help="Write the heat-map as a page, with what the model expected.",
)  # fmt: skip
@click.option(
    "--encoding", metavar="NAME",
    help="How FILE is encoded.  [default: as the run's text was]",
)  # fmt: skip
@json_option
def score(
    file: str, model: str | None, carry: bool, eol: bool, per_char: bool, tsv: bool,
    unbuffered: bool, heatmap: bool, underline: bool, html: Path | None, encoding: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Score each line of FILE (- for standard input): a line out for each line in, as they come.

    Bits (base 2) are per character, nats (base e) are the line's sum, perplexity is exp(nats /
    characters). Each line is read as if after a line break, and its own end is scored with it.
    Unknown characters are scored as <unk> where the model has met rare ones as that; else they are
    left out of the figures, and counted. The text is shown as it came, on a terminal cut to its
    width. The header and the total go to standard error.

    With --json, an object a line: line, bits_per_char, nats, characters, perplexity, unknown, of
    these left_out, text; with --per-char also tokens, as the model read them, and bits. A model of
    words tells bits_per_word, words and perplexity_per_word."""
    shows = {
        "--json": as_json, "--tsv": tsv, "--heatmap": heatmap,
        "--underline": underline and not heatmap, "--html": html,
    }  # fmt: skip
    _check_together([name for name, given in shows.items() if given], per_char)
    if html:
        check_page(html)
    from charlm.run import need_direction

    run = load_run(model)
    need_direction(run, bidirectional=False)
    refuse_folders_of_ours((file,))
    from charlm.cli.score_shows import HeatmapShow, PageShow, RowsShow
    from charlm.evaluation.lines import reader_of

    typed_in = is_typed_in(file)
    unit = f"{unit_of(run.vocab.level)}s"
    watch = Watch(unit, shown=typed_in or sys.stdout.isatty())
    reader = reader_of(run, eol=eol, details=html is not None, on_scored=watch.scored)
    if html:
        shown: Show = PageShow(run, html)
    elif heatmap or underline:
        shown = HeatmapShow(run.vocab, underline=underline)
    else:
        shown = RowsShow(run, reader, as_json=as_json, tsv=tsv, per_token=per_char)
    if typed_in:
        note(TYPING)
    lines = watch.over(_lines(file, encoding, run))
    groups = _in_order(lines, reader) if carry else _afresh(lines, reader, unbuffered or typed_in)
    name = "standard input" if file == "-" else file
    _show_all(groups, shown, watch, run.vocab.level, name)


def _show_all(
    groups: Iterator[list["ReadLine"]], shown: "Show", watch: Watch, level: str, name: str
) -> None:
    """All lines as they come, and what they come to, which is told too where a signal ends them.

    name: of the text. Raises DataError where it has no lines.
    """
    from charlm.evaluation.lines import Total
    from charlm.generation.blas import one_thread

    total = Total(level)
    try:
        with one_thread():
            for group in groups:
                watch.give_way()
                for line in group:
                    total.add(line.score)
                    if total.lines == 1:
                        shown.begin()
                    shown.line(total.lines, line)
                sys.stdout.flush()
        watch.give_way()
    except (Stopped, KeyboardInterrupt):
        sys.stdout.flush()
        if sys.stderr.isatty():
            # What the terminal shows of the key is left on a line of its own.
            note("")
        for told in in_words(total, name) if total.lines else ():
            note(told)
        raise
    if not total.lines:
        raise DataError(f"{name}: the text is empty")
    shown.end(name, total)
    for told in in_words(total, name):
        note(told)


def _check_together(chosen: list[str], per_char: bool) -> None:
    """Raises UsageError for ways to show the lines that are not for each other."""
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)}: one at a time")
    if per_char and chosen and chosen[0] in ("--heatmap", "--underline", "--html"):
        raise UsageError(f"--per-char and {chosen[0]}: it shows every character already")


def _lines(file: str, encoding: str | None, run: "Run") -> Iterator[str]:
    from charlm.data.stream import lines_of, read_once

    config = run.config.text
    return lines_of(read_once(file, encoding or config.encoding), config)


def _in_order(lines: Iterable[str], reader: "LineReader") -> Iterator[list["ReadLine"]]:
    return ([line] for line in reader.in_order(lines))


def _afresh(
    lines: Iterable[str], reader: "LineReader", one_by_one: bool
) -> Iterator[list["ReadLine"]]:
    """The lines in groups, each of which can be shown before the next is read."""
    from charlm.evaluation.lines import groups

    for group in groups(lines, one_by_one=one_by_one):
        yield reader.afresh(group)


def in_words(total: "Total", name: str) -> Iterator[str]:
    """What all lines come to."""
    score = total.score()
    lines = f"{total.lines:,} line" + "s" * (total.lines != 1)
    yield f"{name}: {score or 'nothing to score'} in {lines}"
    what = unit_of(total.level)
    if total.unknown > total.left_out:
        yield f"  unknown {what}s count as <unk>, with the probability it has"
    if total.left_out:
        are = f"{what} is" if total.left_out == 1 else f"{what}s are"
        yield (
            f"  {total.left_out:,} unknown {are} left out of the figures: the model has never met "
            "any"
        )
