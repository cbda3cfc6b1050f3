"""charlm score"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from charlm.cli.completion import complete_files
from charlm.cli.inputs import load_run
from charlm.cli.options import json_option, model_option
from charlm.cli.output import note, print_json, show, show_painted, terminal_width
from charlm.cli.pages import check_page, write_page
from charlm.data.inputs import refuse_folders_of_ours
from charlm.errors import DataError, UsageError

if TYPE_CHECKING:
    from charlm.data.vocab import Vocab
    from charlm.evaluation.lines import LineReader, ReadLine, Total
    from charlm.run import Run
    from charlm.views.scored_line import ScoredLine

# Characters (or words) of a page, after which it ends with the line: more make browsers slow.
MOST_ON_PAGE = 200_000


class Show(NamedTuple):
    """How lines are shown. head: before the first one. line: each, with its number from 1."""

    head: Callable[[], None]
    line: Callable[[int, "ReadLine"], None]


@click.command()
@click.argument("file", default="-", shell_complete=complete_files)
@model_option
@click.option(
    "--carry", is_flag=True,
    help="Read the lines as one text, each going on from the one before; the sum is then what "
    "charlm evaluate gives.",
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
    shows = {"--json": as_json, "--tsv": tsv, "--heatmap": heatmap or underline, "--html": html}
    _check_together([name for name, given in shows.items() if given], per_char)
    if html:
        check_page(html)
    from charlm.run import need_direction

    run = load_run(model)
    need_direction(run, bidirectional=False)
    refuse_folders_of_ours((file,))
    from charlm.evaluation.lines import Total, reader_of
    from charlm.generation.blas import one_thread

    reader = reader_of(run, eol=eol, details=html is not None)
    total, page = Total(run.vocab.level), list["ScoredLine"]()
    if html:
        shown = _page(page, run.vocab)
    elif heatmap or underline:
        shown = _heatmap(run.vocab, underline=underline)
    else:
        shown = _rows(run, reader, as_json=as_json, tsv=tsv, per_token=per_char)
    one_by_one = unbuffered or (file == "-" and sys.stdin.isatty())
    with one_thread():
        for group in _read(file, encoding, run, reader, carry=carry, one_by_one=one_by_one):
            for line in group:
                total.add(line.score)
                if total.lines == 1:
                    shown.head()
                shown.line(total.lines, line)
            sys.stdout.flush()
    name = "standard input" if file == "-" else file
    if not total.lines:
        raise DataError(f"{name}: the text is empty")
    if html:
        _write_page(html, run, name, page, total)
    for told in in_words(total, name):
        note(told)


def _check_together(chosen: list[str], per_char: bool) -> None:
    """Raises UsageError for ways to show the lines that are not for each other."""
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)}: one at a time")
    if per_char and chosen and chosen[0] in ("--heatmap", "--html"):
        raise UsageError(f"--per-char and {chosen[0]}: it shows every character already")


def _read(
    file: str,
    encoding: str | None,
    run: "Run",
    reader: "LineReader",
    *,
    carry: bool,
    one_by_one: bool,
) -> Iterator[list["ReadLine"]]:
    """The lines in groups, each of which can be shown before the next is read."""
    from charlm.data.stream import lines_of, read_once
    from charlm.evaluation.lines import groups

    config = run.config.text
    lines = lines_of(read_once(file, encoding or config.encoding), config)
    if carry:
        yield from ([line] for line in reader.in_order(lines))
        return
    for group in groups(lines, one_by_one=one_by_one):
        yield reader.afresh(group)


def _rows(run: "Run", reader: "LineReader", *, as_json: bool, tsv: bool, per_token: bool) -> Show:
    from charlm.cli.score_rows import ScoreRows

    rows = ScoreRows(run.vocab.level, scores_unknown=reader.scores_unknown, per_token=per_token)
    if as_json:
        return Show(lambda: None, lambda number, line: print_json(rows.figures(number, line)))
    if tsv:
        return Show(
            lambda: show(rows.tsv_header() + "\n"),
            lambda number, line: show(rows.tsv(number, line) + "\n"),
        )
    cells = terminal_width()
    return Show(lambda: note(rows.header()), lambda _, line: show(rows.row(line, cells) + "\n"))


def _heatmap(vocab: "Vocab", *, underline: bool) -> Show:
    from charlm.views.terminal import Heatmap, fitting_style

    cells = terminal_width()
    style = fitting_style(os.environ, terminal=cells is not None, underline=underline)
    heatmap = Heatmap(style, vocab.level, cells)
    return Show(
        lambda: show_painted(heatmap.legend()),
        lambda _, line: show_painted(heatmap.line(scored_line(line, vocab))),
    )


def _page(lines: list["ScoredLine"], vocab: "Vocab") -> Show:
    size = 0

    def add(_: int, line: "ReadLine") -> None:
        nonlocal size
        if size < MOST_ON_PAGE:
            lines.append(scored_line(line, vocab))
            size += len(lines[-1].tokens)

    return Show(lambda: None, add)


def scored_line(line: "ReadLine", vocab: "Vocab") -> "ScoredLine":
    from charlm.cli.score_rows import bits_of
    from charlm.data.text import tokenize
    from charlm.views.scored_line import ScoredLine

    tokens, bits = tuple(tokenize(line.read, vocab.level)), tuple(bits_of(line))
    details = line.score.details
    if details is None:
        return ScoredLine(tokens, bits)
    expected = tuple(
        tuple((vocab.tokens[i], share) for i, share in zip(ids, shares, strict=True) if share > 0)
        for ids, shares in zip(details.expected.tolist(), details.likelihood.tolist(), strict=True)
    )
    return ScoredLine(tokens, bits, tuple(details.rank.tolist()), expected)


def _write_page(
    page: Path, run: "Run", name: str, lines: list["ScoredLine"], total: "Total"
) -> None:
    from charlm.views.heatmap_page import heatmap_page

    facts = {"model": str(run.path), "text": name, "lines": f"{total.lines:,}"}
    if len(lines) < total.lines:
        facts["shown"] = f"the first {len(lines):,} lines; the figures up here are of all"
        note(f"note: {page} shows the first {len(lines):,} of {total.lines:,} lines")
    if score := total.score():
        unit, plural = ("character", "characters") if total.level == "char" else ("word", "words")
        facts |= {
            plural: f"{total.tokens:,}",
            f"bits per {unit}": f"{score.bits_per_token:.4f}",
            "nats": f"{total.nats:,.1f}",
            "perplexity": f"{score.perplexity:.3f} per {unit}",
        }
    if total.unknown:
        facts["unknown to the model"] = f"{total.unknown:,}" + ", left out" * (total.left_out > 0)
    html = heatmap_page(f"{run.path} reads {name}", lines, facts, level=total.level)
    write_page(page, html)


def in_words(total: "Total", name: str) -> Iterator[str]:
    """What all lines come to."""
    score = total.score()
    lines = f"{total.lines:,} line" + "s" * (total.lines != 1)
    yield f"{name}: {score or 'nothing to score'} in {lines}"
    if total.unknown > total.left_out:
        yield "  unknown characters count as <unk>, with the probability it has"
    if total.left_out:
        what = "character" if total.level == "char" else "word"
        are = f"{what} is" if total.left_out == 1 else f"{what}s are"
        yield (
            f"  {total.left_out:,} unknown {are} left out of the figures: the model has never met "
            "any"
        )
