"""charlm neurons"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from charlm.cli.completion import complete_files, complete_runs_or_files
from charlm.cli.inputs import load_run
from charlm.cli.options import corpus_option, json_option, model_option
from charlm.cli.output import note, print_json, show
from charlm.cli.pages import check_page, write_page
from charlm.cli.told import reading_bar
from charlm.data.inputs import source_of
from charlm.errors import DataError, ModelError, UsageError, typed
from charlm.views.unit_row import UnitRow

if TYPE_CHECKING:
    from charlm.data.vocab import Ids
    from charlm.evaluation.activations import Bytes, Correlations, Finding, Unit
    from charlm.generation.stepper import Stepper
    from charlm.run import Run

# Characters that are read of a text, and of them those that a page shows.
MOST, SHOWN = 50_000, 10_000
# Units that --json tells of for each feature.
BEST = 5


class Text(NamedTuple):
    """name: what it is, for people. characters, ids (T,): as the model reads it."""

    name: str
    characters: str
    ids: "Ids"


@click.command()
@click.argument("run", required=False, shell_complete=complete_runs_or_files)
@click.argument("text", required=False, shell_complete=complete_files)
@model_option
@corpus_option
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Show the first N rows.")
@click.option(
    "--min-correlation", type=click.FloatRange(0, 1), default=0.5, show_default=True, metavar="R",
    help="Show only what a unit follows with a correlation of R or more, or -R or less.",
)  # fmt: skip
@click.option(
    "--html", metavar="PAGE", type=click.Path(path_type=Path),
    help="Write a page of the text tinted by what a unit holds, for the unit of each row.",
)  # fmt: skip
@json_option
def neurons(
    run: str | None, text: str | None, model: str | None, corpus: Path | None, top: int | None,
    min_correlation: float, html: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Show which units of the model RUN follow something that a person can name in TEXT (a file, a
    folder or -): the place in the line, brackets, words, comments and more.

    A row for each such feature, with the unit that follows it best on the first half of the text,
    and Pearson's correlation of the two: on the second half, which the unit was not chosen on, and
    on the first. A unit is an output h of a layer or a cell of an LSTM, of which tanh(c) is taken.

    Without TEXT: the validation part of the corpus that RUN was trained on. With -m RUN, TEXT comes
    first. Up to 50,000 characters are read. --json tells of all units, whatever they follow."""
    run, text = _told_apart(run, text, model)
    if html:
        check_page(html)
    opened = load_run(run, corpus)
    _check_kind(opened)
    read = _file(text, opened) if text is not None else _validation_part(opened)
    stepper, found = _correlations(opened, read)
    best = [
        finding
        for finding in found.best
        if finding.unseen * finding.seen > 0 and abs(finding.unseen) >= min_correlation
    ][:top]
    if html and best:
        _write_page(html, opened, read, best, _held(stepper, read, found, best))
    if as_json:
        print_json({"run": str(opened.path), "text": text, **_figures(opened, read, found)})
        return
    note(_what_was_read(read))
    if not best:
        lacking = ": there is no page" if html else ""
        note(f"no unit of {opened.path} has a correlation of {min_correlation:g} or more{lacking}")
        return
    from charlm.views.neurons import table

    show(table([(_row(finding, opened), finding.seen) for finding in best]))


def _told_apart(
    run: str | None, text: str | None, model: str | None
) -> tuple[str | None, str | None]:
    """RUN and TEXT: where -m names the run, there is a TEXT alone."""
    from charlm.storage.files import is_file

    if model is not None:
        if text is not None:
            raise UsageError(f"-m {typed(model)} is the run: give one TEXT beside it")
        return model, run
    if text is None and run is not None and (run == "-" or is_file(Path(run))):
        raise UsageError(f"{run} is a text, not a run: charlm neurons -m RUN {typed(run)}")
    return run, text


def _check_kind(run: "Run") -> None:
    """Raises ModelError for a model whose units cannot be followed from character to character."""
    if run.config.model.bidirectional:
        raise ModelError(
            f"{run.path} is a bidirectional model: half of its units have read what comes after a "
            "character, and cannot be followed from left to right"
        )
    if run.vocab.level != "char":
        raise ModelError(
            f"{run.path} is a model of words: what charlm neurons looks for is told of characters; "
            "train one with --level char"
        )


def _file(name: str, run: "Run") -> Text:
    """The beginning of a text, cleaned as that of the run was."""
    from charlm.data.text import clean

    source, pieces, size = source_of((name,), run.config), [], 0
    with reading_bar(source.name) as progress:
        for piece in clean(source.read(), run.config.text):
            pieces.append(piece)
            size += len(piece)
            progress(len(piece.encode("utf-8", "surrogatepass")))
            if size >= MOST:
                break
    characters = "".join(pieces)[:MOST]
    if not characters:
        raise DataError(f"{name}: the text is empty")
    return Text(name, characters, run.vocab.encode(characters))


def _validation_part(run: "Run") -> Text:
    corpus = run.open_corpus()
    if not corpus.splits["valid"]:
        raise DataError(
            f"{corpus.folder} has no validation part (see --val-frac): name a TEXT to read"
        )
    ids = corpus.split("valid")[:MOST]
    tokens = run.vocab.tokens
    # A token that is no character is <unk>, one character that the model does not know.
    letters = (tokens[i] if len(tokens[i]) == 1 else "\N{REPLACEMENT CHARACTER}" for i in ids)
    return Text("validation part", "".join(letters), ids)


def _what_was_read(text: Text) -> str:
    from charlm.data.vocab import UNK_ID

    size, unknown = len(text.ids), int((text.ids == UNK_ID).sum())
    first = "the first " * (size == MOST)
    beside = f", {unknown:,} of them unknown to the model" if unknown else ""
    return (
        f"{text.name}: {first}{size:,} characters{beside}; "
        "units are chosen on the first half of them, and measured on the unseen second"
    )


def _correlations(run: "Run", text: Text) -> tuple["Stepper", "Correlations"]:
    from charlm.evaluation.activations import correlate
    from charlm.evaluation.features import features_of
    from charlm.generation.stepper import Stepper

    stepper = Stepper(run.config.model, run.weights)
    with _bar(len(text.ids)) as on_read:
        return stepper, correlate(stepper, text.ids, features_of(text.characters), on_read)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], object]]:
    """Shows, on a terminal and where it takes more than a moment, the characters read so far."""
    from tqdm import tqdm

    with tqdm(
        desc="watching", total=total, unit="", unit_scale=True, leave=False, delay=1,
        disable=not sys.stderr.isatty(),
    ) as bar:  # fmt: skip
        yield bar.update


def _row(finding: "Finding", run: "Run") -> UnitRow:
    from charlm.evaluation.activations import units_of

    unit = units_of(run.config.model)[finding.column]
    return UnitRow(str(unit), finding.feature, finding.unseen)


def _figures(run: "Run", text: Text, found: "Correlations") -> dict[str, Any]:
    """For each feature the units that follow it best, and for each unit what it follows best: by
    the first half of the text."""
    from charlm.data.vocab import UNK_ID
    from charlm.evaluation.activations import units_of

    units = units_of(run.config.model)

    def figures(finding: "Finding") -> dict[str, Any]:
        unit: Unit = units[finding.column]
        return {
            "unit": str(unit),
            **vars(unit),
            "follows": finding.feature,
            "correlation": finding.unseen,
            "correlation_seen": finding.seen,
        }

    return {
        "characters": len(text.ids),
        "unknown": int((text.ids == UNK_ID).sum()),
        "features": {
            feature: [figures(finding) for finding in found.of_feature(feature, BEST)]
            for feature in found.features
        },
        "units": [figures(found.of_unit(column)) for column in range(len(units))],
    }


def _shown(text: Text) -> slice:
    """What a page shows: the beginning of the second half, on which units are measured."""
    half = len(text.ids) // 2
    return slice(half, min(half + SHOWN, len(text.ids)))


def _held(stepper: "Stepper", text: Text, found: "Correlations", best: list["Finding"]) -> "Bytes":
    from charlm.evaluation.activations import held

    columns = [finding.column for finding in best]
    return held(stepper, text.ids[_shown(text)], found.halfway, columns)


def _write_page(
    page: Path, run: "Run", text: Text, best: list["Finding"], activations: "Bytes"
) -> None:
    """activations: (T, U), of the units of the findings."""
    from charlm.views.neurons_page import neurons_page

    shown = _shown(text)
    facts = {
        "model": str(run.path),
        "text": text.name,
        "characters": f"{shown.start + 1:,} to {shown.stop:,}",
    }
    html = neurons_page(
        f"{run.path} reads {text.name}",
        list(text.characters[shown]),
        activations,
        [_row(finding, run) for finding in best],
        facts,
    )
    write_page(page, html)
