"""charlm generate"""

import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from charlm.cli.completion import complete_files
from charlm.cli.inputs import (
    check_known,
    load_run,
    need_direction,
    source_of,
)
from charlm.cli.options import (
    changes_of,
    corpus_option,
    json_option,
    model_option,
    setting_options,
)
from charlm.cli.output import note, print_json, show
from charlm.config import Config, GenerationConfig
from charlm.errors import ModelError, UsageError
from charlm.settings import configured

if TYPE_CHECKING:
    from charlm.data.vocab import Ids
    from charlm.generation.novelty import Novelty
    from charlm.generation.sampler import Engine, Sample
    from charlm.run import Run

# On a pipe, text is passed on at least this often; on a terminal, at once.
FLUSH_SECONDS = 0.05
SEPARATOR = "-" * 8
# A shorter one would be over before it is known how many threads pay.
LONG_TEXT = 10_000
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
    from charlm.generation.sampler import Sampler

    run = load_run(model, corpus)
    need_direction(run, bidirectional=False)
    if prefix is not None:
        prefix = _as_meant(prefix, "--prefix", escapes, run)
    stops = [_as_meant(stop, "--stop", escapes, run) for stop in options["generation__stop"]]
    options["generation__stop"] = tuple(stops)
    config = configured(run.config, changes_of(options))
    settings = config.generation
    if "" in settings.stop:
        raise UsageError("--stop needs a text that is not empty")
    if options["text__encoding"] and prefix_file is None:
        raise UsageError("--encoding is how the prefix file is encoded: it goes with --prefix-file")
    shown, ids = _read_prefix(prefix, prefix_file, run, config)
    seed = secrets.randbelow(2**32) if settings.seed is None else settings.seed
    engine = _engine(run, device)
    sampler = Sampler(engine, run.vocab, settings, scored=as_json)
    samples = sampler.start(ids)
    stream = _threaded(engine, settings, sampler.stream(ids, samples, seed))
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
            _print_json(shown, sample, seed, novel)
            continue
        if not streams:
            _print_whole(shown, sample, separate=number > 0)
        if novel:
            note(f"  {novel}")
    _check_finished(samples, run)


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


def _check_finished(samples: "list[Sample]", run: "Run") -> None:
    """Raises ModelError where the model could not go on."""
    ended = [len(sample.text) for sample in samples if sample.stop_reason == "overflow"]
    if ended:
        raise ModelError(
            f"{run.path}: the state of this model grows beyond all bounds as it reads on (here, "
            f"{min(ended)} characters after the prefix): it has not learned to write longer texts"
        )


def _novelties(
    samples: "list[Sample]", run: "Run", training: "Ids | None"
) -> "Sequence[Novelty | None]":
    from charlm.generation.novelty import novelty

    if training is None:
        return [None] * len(samples)
    return novelty([sample.text for sample in samples], run.vocab, training)


def _engine(run: "Run", device: str | None) -> "Engine":
    """NumPy on a CPU, without waiting for torch; else torch on the device."""
    if device in (None, "cpu"):
        from charlm.generation.stepper import Stepper

        return Stepper(run.config.model, run.weights)
    from charlm.generation.torch_stepper import TorchStepper
    from charlm.model.network import open_model

    return TorchStepper(open_model(run, device))


def _threaded(
    engine: "Engine", settings: GenerationConfig, stream: Iterator[tuple[int, str]]
) -> Iterator[tuple[int, str]]:
    """A long text by as many of NumPy's threads as pay."""
    from charlm.generation.stepper import Stepper

    if settings.length * settings.num_samples < LONG_TEXT or not isinstance(engine, Stepper):
        return stream
    from charlm.generation.blas import in_fitting_threads

    return in_fitting_threads(engine, settings.num_samples, stream)


def _read_prefix(
    prefix: str | None, prefix_file: str | None, run: "Run", config: Config
) -> tuple[str, list[int]]:
    """The prefix as the model reads it, and its ids. Raises DataError for unknown characters."""
    from charlm.data.text import clean_text, detokenize, tokenize
    from charlm.data.vocab import UNK_ID

    if prefix is not None and prefix_file is not None:
        raise UsageError("--prefix and --prefix-file both give the prefix: use one")
    if prefix_file is not None:
        prefix = "".join(source_of((prefix_file,), config).read())
    level = run.config.text.level
    # As the model reads it: words with one space between.
    text = detokenize(tokenize(clean_text(prefix or "", run.config.text), level), level)
    if config.generation.on_unknown == "error":
        check_known(text, run, "the prefix", ", or add --on-unknown skip or replace")
    ids = [int(i) for i in run.vocab.encode(text)]
    if config.generation.on_unknown == "skip":
        ids = [i for i in ids if i != UNK_ID]
        text = run.vocab.decode(ids)
    return text, ids


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
