"""charlm generate"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charlm.cli.completion import complete_files
from charlm.cli.inputs import load_run
from charlm.cli.list_options import Listed, list_options, refuse_what_means_nothing
from charlm.cli.options import (
    as_typed,
    changes_of,
    corpus_option,
    json_option,
    model_option,
    setting_options,
)
from charlm.cli.output import note
from charlm.config import Config, GenerationConfig
from charlm.consistency import check_generation
from charlm.data.inputs import source_of
from charlm.errors import UsageError
from charlm.settings import configured
from charlm.storage.files import is_folder

if TYPE_CHECKING:
    from charlm.generation.novelty import Novelty
    from charlm.generation.sampler import Sample
    from charlm.generation.writer import Writer
    from charlm.run import Run

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
@click.option(
    "--temperatures", metavar="T,T,…",
    help="A sheet of samples: some at each of these temperatures, below a heading.",
)  # fmt: skip
@list_options
@click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:N or mps.  [default: cpu]")
@click.option(
    "--novelty", "report", is_flag=True,
    help="Say how much of each text, and how many of its lines, are copied from the training text; "
    "beside it, the same of as much held-out text.",
)  # fmt: skip
@corpus_option
@click.option(
    "--encoding", "text__encoding", metavar="NAME",
    help="How the prefix file is encoded.  [default: as the run's text was]",
)  # fmt: skip
@click.option("--no-stream", is_flag=True, help="Print each text only when it is complete.")
@json_option
def generate(
    prefix: str | None, prefix_file: str | None, escapes: bool, model: str | None,
    temperatures: str | None, device: str | None, report: bool, corpus: Path | None,
    no_stream: bool, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Continue a prefix with text from a model, printed as it is made; or, with --lines, make a
    list.

    A run may have been trained with a [generation] of its own: its settings are then the defaults,
    in place of those shown here."""
    from charlm.generation.writer import Writer, engine_of
    from charlm.run import need_direction

    refuse_what_means_nothing(click.get_current_context())
    listed = Listed.taken_from(options)
    run = load_run(model, corpus)
    need_direction(run, bidirectional=False)
    if prefix is not None:
        prefix = _as_meant(prefix, "--prefix", escapes, run)
    stops = [_as_meant(stop, "--stop", escapes, run) for stop in options["generation__stop"]]
    options["generation__stop"] = tuple(stops)
    with as_typed(options):
        given = _without_rivals(run.config, options, listed, temperatures)
        config = configured(given, changes_of(options))
        sheet = _settings(config, temperatures)
    if options["text__encoding"] and prefix_file is None:
        raise UsageError("--encoding is how the prefix file is encoded: it goes with --prefix-file")
    shown, ids = _read_prefix(prefix, prefix_file, run, config)
    if report:
        run.open_corpus()  # where it is gone, nothing is generated for nothing
    engine = engine_of(run, device)
    for number, settings in enumerate(sheet):
        writer = Writer(run, settings, engine, scored=as_json or listed.score)
        if listed.lines:
            lines = listed.print(writer, ids, run, as_json=as_json)
            _tell(_novelties(["\n".join(["", *lines, ""])], run, report))
            continue
        heading = None if temperatures is None else settings.temperature
        _write(writer, settings, shown, ids, run, listed, report=report, as_json=as_json,
               whole=no_stream, heading=heading, first=number == 0)  # fmt: skip


def _write(
    writer: "Writer", settings: GenerationConfig, shown: str, ids: list[int], run: "Run",
    listed: Listed, *, report: bool, as_json: bool, whole: bool, heading: float | None, first: bool,
) -> None:  # fmt: skip
    """Texts that continue a prefix. heading: their temperature, where it is to be told."""
    from charlm.cli.written import print_as_it_comes, print_as_json, print_heading, print_whole

    samples, stream = writer.write(ids)
    streams = len(samples) == 1 and not whole and not as_json
    if heading is not None and not as_json:
        print_heading(heading, first=first)
    if streams:
        print_as_it_comes(shown, stream, listed.separator)
    for _ in stream:
        pass
    novelties = _novelties([sample.text for sample in samples], run, report)
    for number, (sample, novel) in enumerate(zip(samples, novelties, strict=True)):
        if as_json:
            told = {} if heading is None else {"temperature": heading}
            seed = None if settings.beam else writer.seed  # a search draws nothing
            print_as_json(shown, sample, seed, novel, **told)
            continue
        if not streams:
            print_whole(shown + sample.text, listed.separator, first=number == 0)
        _tell([novel])
    _tell_of_repetitions(samples, settings)
    writer.check_finished(samples)


def _tell(novelties: "Sequence[Novelty | None]") -> None:
    for novel in novelties:
        if novel:
            note(f"  {novel}")


def _tell_of_repetitions(samples: "Sequence[Sample]", settings: GenerationConfig) -> None:
    ended = [len(sample.text) for sample in samples if sample.stop_reason == "repeat"]
    if ended:
        note(
            f"note: after {min(ended)} characters every character would have made a run of "
            f"{settings.no_repeat} that was there before: give --no-repeat a larger number"
        )


def _settings(config: Config, temperatures: str | None) -> list[GenerationConfig]:
    """The settings to write with; of a sheet, one after the other."""
    found = []
    for value in temperatures.split(",") if temperatures is not None else [None]:
        try:
            changes = {} if value is None else {"temperature": float(value)}
        except ValueError:
            raise UsageError(
                f"--temperatures {temperatures!r}: write numbers with commas between, as in "
                "0.2,0.5,1"
            ) from None
        found.append(configured(config, {"generation": changes}).generation)
        check_generation(found[-1])
    return found


def _without_rivals(
    config: Config, options: dict[str, Any], listed: Listed, temperatures: str | None
) -> Config:
    """A run's own settings without those that what was typed leaves no room for."""
    from charlm.generation.rules import RULES

    rivals: dict[str, Any] = {}
    if options["generation__match"] is not None:
        rivals |= {"stop": (), "no_repeat": 0, "beam": 0}
    if any(options[f"generation__{name}"] for name in ("beam", "no_repeat", "stop")):
        rivals["match"] = None
    if listed.lines:
        rivals |= {"beam": 0, "num_samples": 1}
    drawing = [temperatures, *(options[f"generation__{name}"] for name in ("seed", *RULES))]
    if any(value is not None for value in drawing):
        rivals["beam"] = 0
    generation = dataclasses.replace(config.generation, **rivals)
    return dataclasses.replace(config, generation=generation)


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


def _novelties(texts: Sequence[str], run: "Run", report: bool) -> "Sequence[Novelty | None]":
    from charlm.generation.novelty import novelty

    if not report:
        return [None] * len(texts)
    corpus = run.open_corpus()
    held_out = corpus.split("valid") if corpus.splits["valid"] else None
    return novelty(texts, run.vocab, corpus.split("train"), held_out)


def _read_prefix(
    prefix: str | None, prefix_file: str | None, run: "Run", config: Config
) -> tuple[str, list[int]]:
    """The prefix as the model reads it, and its ids. Raises DataError for unknown characters."""
    from charlm.generation.writer import read_prefix

    if prefix is not None and prefix_file is not None:
        raise UsageError("--prefix and --prefix-file both give the prefix: use one")
    if prefix_file is not None:
        if is_folder(Path(prefix_file)):
            raise UsageError(f"--prefix-file {prefix_file} is a folder; name a file")
        prefix = "".join(source_of((prefix_file,), config).read())
    return read_prefix(prefix or "", run, config.generation.on_unknown)
