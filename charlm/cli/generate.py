"""charlm generate"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from charlm.cli.completion import complete_files
from charlm.cli.inputs import load_run
from charlm.cli.options import (
    as_typed,
    changes_of,
    corpus_option,
    json_option,
    model_option,
    setting_options,
)
from charlm.cli.output import note, print_json, show
from charlm.config import Config, GenerationConfig, check_generation
from charlm.data.inputs import source_of
from charlm.errors import UsageError
from charlm.settings import configured

if TYPE_CHECKING:
    from charlm.data.vocab import Ids
    from charlm.generation.novelty import Novelty
    from charlm.generation.sampler import Sample
    from charlm.run import Run

# On a pipe, text is passed on at least this often; on a terminal, at once.
FLUSH_SECONDS = 0.05
SEPARATOR = "-" * 8
# Of a text's characters: where as many are backslashes, as in source code, \n is meant as typed.
CODE_SHARE = 0.001


@click.command()
@click.option("--prefix", metavar="TEXT", help="The text to continue.")
@click.option(
    "--prefix-file", metavar="FILE", shell_complete=complete_files,
    help="Read the text to continue from a file, or -; a last line break is part of it.",
)  # fmt: skip
@click.option(
    "--escapes",
    is_flag=True,
    help=r"Read \n, \t, \\, \x…, \u… and \N{…} in --prefix and --stop as Python does.",
)
@model_option
@setting_options(*(f"generation.{key}" for key in GenerationConfig.__dataclass_fields__))
@click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:N or mps.  [default: cpu]")
@click.option(
    "--novelty",
    "report",
    is_flag=True,
    help="Say how much of each text is copied from the training text.",
)
@corpus_option
@click.option(
    "--encoding", "text__encoding", metavar="NAME",
    help="How the prefix file is encoded.  [default: as the run's text was]",
)  # fmt: skip
@click.option("--no-stream", is_flag=True, help="Print each text only when it is complete.")
@json_option
def generate(
    prefix: str | None, prefix_file: str | None, escapes: bool, model: str | None,
    device: str | None, report: bool, corpus: Path | None, no_stream: bool, as_json: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Continue a prefix with text from a model, printed as it is made.

    A run may have been trained with a [generation] of its own: its settings are then the defaults,
    in place of those shown here."""
    from charlm.generation.writer import Writer, engine_of
    from charlm.run import need_direction

    run = load_run(model, corpus)
    need_direction(run, bidirectional=False)
    if prefix is not None:
        prefix = _as_meant(prefix, "--prefix", escapes, run)
    stops = [_as_meant(stop, "--stop", escapes, run) for stop in options["generation__stop"]]
    options["generation__stop"] = tuple(stops)
    with as_typed(options):
        config = configured(run.config, changes_of(options))
    settings = config.generation
    check_generation(settings)
    if options["text__encoding"] and prefix_file is None:
        raise UsageError("--encoding is how the prefix file is encoded: it goes with --prefix-file")
    shown, ids = _read_prefix(prefix, prefix_file, run, config)
    writer = Writer(run, settings, engine_of(run, device), scored=as_json)
    samples, stream = writer.write(ids)
    # Opened beforehand: where it is gone, nothing is generated for nothing.
    training = run.open_corpus().split("train") if report else None
    streams = len(samples) == 1 and not no_stream and not as_json
    if streams:
        _print_as_it_comes(shown, stream, sys.stdout)
    for _ in stream:
        pass
    novelties = _novelties(samples, run, training)
    for number, (sample, novel) in enumerate(zip(samples, novelties, strict=True)):
        if as_json:
            _print_json(shown, sample, writer.seed, novel)
            continue
        if not streams:
            _print_whole(shown, sample, separate=number > 0)
        if novel:
            note(f"  {novel}")
    writer.check_finished(samples)


def _as_meant(text: str, option: str, escapes: bool, run: "Run") -> str:
    """A text of the command line with its escapes read, or with a note where they were meant."""
    from charlm.cli.escapes import escapes_in, with_escapes
    from charlm.data.vocab import describe_token

    if escapes:
        return with_escapes(text, option)
    backslashes = run.vocab.counts[run.vocab["\\"]] if "\\" in run.vocab.ids else 0
    meant = [(escape, character) for escape, character in escapes_in(text).items()
             if character != "\\" and character in run.vocab.ids]  # fmt: skip
    if meant and backslashes < CODE_SHARE * sum(run.vocab.counts):
        escape, character = meant[0]
        what = "a line break" if character == "\n" else describe_token(character)
        note(
            f"note: {option} has a backslash and {escape[1:]}, as typed; for {what} write it as "
            f"$'…{escape}…', or add --escapes"
        )
    return text


def _novelties(
    samples: "list[Sample]", run: "Run", training: "Ids | None"
) -> "Sequence[Novelty | None]":
    from charlm.generation.novelty import novelty

    if training is None:
        return [None] * len(samples)
    return novelty([sample.text for sample in samples], run.vocab, training)


def _read_prefix(
    prefix: str | None, prefix_file: str | None, run: "Run", config: Config
) -> tuple[str, list[int]]:
    """The prefix as the model reads it, and its ids. Raises DataError for unknown characters."""
    from charlm.generation.writer import read_prefix

    if prefix is not None and prefix_file is not None:
        raise UsageError("--prefix and --prefix-file both give the prefix: use one")
    if prefix_file is not None:
        prefix = "".join(source_of((prefix_file,), config).read())
    return read_prefix(prefix or "", run, config.generation.on_unknown)


def _print_as_it_comes(prefix: str, stream: Any, out: TextIO) -> None:
    show(prefix, out=out)
    out.flush()
    flushed, terminal, last = time.perf_counter(), out.isatty(), prefix[-1:]
    for _, text in stream:
        show(text, out=out)
        last = text[-1:] or last
        if terminal or time.perf_counter() - flushed > FLUSH_SECONDS:
            out.flush()
            flushed = time.perf_counter()
    if last != "\n":
        show("\n", out=out)
    out.flush()


def _print_json(prefix: str, sample: "Sample", seed: int, novel: "Novelty | None") -> None:
    figures = {"longest_copy": novel.longest, "copied_share": novel.share} if novel else {}
    print_json(
        {
            "prefix": prefix,
            "text": sample.text,
            "nats": sample.nats,
            "stop_reason": sample.stop_reason,
            "seed": seed,
            **figures,
        }
    )


def _print_whole(prefix: str, sample: "Sample", separate: bool) -> None:
    if separate:
        show(f"{SEPARATOR}\n")
    whole = prefix + sample.text
    show(whole if whole.endswith("\n") else f"{whole}\n")
