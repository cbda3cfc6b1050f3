"""charlm preprocess"""

import time
from pathlib import Path
from typing import Any

import click

from charlm.cli.completion import complete_files
from charlm.cli.options import (
    TEXT_SETTINGS,
    as_typed,
    changes_of,
    force_option,
    json_option,
    setting_options,
)
from charlm.cli.output import print_json, show
from charlm.cli.told import Told
from charlm.data.inputs import load_vocab, texts_of
from charlm.data.words import unit_of
from charlm.settings import resolved


@click.command()
@click.argument(
    "inputs", nargs=-1, required=True, metavar="INPUT...", shell_complete=complete_files
)
@click.option(
    "-o", "--output", required=True, metavar="CORPUS", type=click.Path(path_type=Path),
    help="The folder to make.",
)  # fmt: skip
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
    help="Read so many files side by side, each by a process.",
)  # fmt: skip
@setting_options(*TEXT_SETTINGS)
@force_option
@json_option
def preprocess(
    inputs: tuple[str, ...], output: Path, jobs: int, force: bool, as_json: bool, **options: Any
) -> None:
    """Read INPUT (files, folders, or - for standard input), clean it, build its vocabulary, and
    save it encoded and split, ready for charlm train."""
    from charlm.data.corpus import HEADER, write_corpus
    from charlm.data.jobs import Jobs
    from charlm.data.measure import measure
    from charlm.storage.folders import new_folder, try_output

    with as_typed(options):
        config, told = resolved(changes_of(options)), Told()
    try_output(output, replace=force, marks=(HEADER,))
    vocab = load_vocab(Path(config.data.vocab)) if config.data.vocab else None
    source = texts_of(inputs, config)
    started = time.perf_counter()
    with Jobs(jobs) as side_by_side:
        with told.reading(source.name) as reading:
            measured = measure(source, config.text, config.data, vocab, *reading, side_by_side)
        with (
            new_folder(output, replace=force, marks=(HEADER,)) as folder,
            told.reading(source.name) as reading,
        ):
            corpus = write_corpus(
                source, config.text, config.data, folder, measured, *reading, side_by_side
            )
    seconds = max(1e-9, time.perf_counter() - started)
    if as_json:
        print_json(
            {
                "corpus": str(output),
                "files": len(source.texts),
                "characters": corpus.characters,
                "tokens": corpus.tokens,
                "vocab_size": len(corpus.vocab),
                "splits": corpus.splits,
                "sha256": corpus.sha256,
                "seconds": round(seconds, 3),
            }
        )
        return
    distinct = len(corpus.vocab) - 1 - len(config.data.reserve)
    unit = f"{unit_of(config.text.level)}s"
    parts = ", ".join(f"{name} {size:,}" for name, size in corpus.splits.items() if size)
    show(f"{output}: {len(source.texts)} file{'s' * (len(source.texts) != 1)}\n")
    show(f"  {corpus.characters:,} characters, {corpus.tokens:,} {unit} as tokens\n")
    show(f"  {distinct:,} distinct {unit}, a vocabulary of {len(corpus.vocab):,}\n")
    show(f"  {parts}\n")
    show(f"  {corpus.characters / 1e6 / seconds:.1f} million characters a second\n")
