"""What commands read: texts as a source, vocabularies, runs."""

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.cli.output import note
from charlm.config import Config, ModelConfig, TextConfig
from charlm.errors import DataError, ModelError, UsageError, typed

if TYPE_CHECKING:
    from charlm.data.corpus import Corpus
    from charlm.data.measure import Counted, Measured
    from charlm.data.source import Source
    from charlm.data.vocab import Vocab
    from charlm.run import Run


RUNS = Path("runs")


def source_of(inputs: tuple[str, ...], config: Config) -> "Source":
    """The text to read: `inputs`, else what the config holds or names, else the sample."""
    from charlm.data.source import open_source, sample_source, text_source

    inputs = inputs or config.data.input
    if inputs:
        refuse_folders_of_ours(inputs)
        return open_source(inputs, config.text.encoding)
    if config.data.text is not None:
        return text_source("text", config.data.text)
    return sample_source()


def texts_of(inputs: tuple[str, ...], config: Config) -> "Source":
    """The text to make a corpus of, with what the settings hold out as texts of their own."""
    own = {"valid": config.data.val, "test": config.data.test}
    held_out = {part: source_of((name,), config) for part, name in own.items() if name is not None}
    return dataclasses.replace(source_of(inputs, config), held_out=held_out)


def refuse_folders_of_ours(inputs: tuple[str, ...]) -> None:
    """A run or a corpus is a folder of files, but none of them is a text. Raises UsageError."""
    from charlm.data.folder import made_by_charlm
    from charlm.storage.files import naming

    for name in inputs:
        with naming(name):
            made = name != "-" and made_by_charlm(Path(name))
        if made == "corpus":
            raise UsageError(
                f"{name} is a prepared corpus, not a text: "
                f"charlm train {typed(name)} trains on it, "
                f"charlm vocab {typed(name)} shows its vocabulary"
            )
        if made == "run":
            raise UsageError(
                f"{name} is a run, not a text: "
                f"charlm train {typed(f'{name}/corpus')} trains on its corpus, "
                f"charlm train --resume {typed(name)} goes on with it, "
                f"charlm evaluate -m {typed(name)} scores it"
            )


def corpus_among(inputs: tuple[str, ...]) -> Path | None:
    """The prepared corpus, where that is what `inputs` names."""
    from charlm.data.corpus import is_corpus

    found = [Path(name) for name in inputs if name != "-" and is_corpus(Path(name))]
    if found and len(inputs) > 1:
        raise UsageError(f"{found[0]} is a prepared corpus: train on it alone, or on texts")
    return found[0] if found else None


def load_vocab(path: Path) -> "Vocab":
    """The vocabulary at `path`: a vocab.json, a corpus or a run."""
    from charlm.data.vocab import Vocab

    return Vocab.load(path / "vocab.json" if path.is_dir() else path)


def load_run(name: str | None, corpus: Path | None = None) -> "Run":
    """The run that `find_run` finds. corpus: where its corpus is, where the user says so."""
    from charlm.run import open_run

    return open_run(find_run(name), corpus)


def find_run(name: str | None) -> Path:
    """The run called `name`, else `$CHARLM_MODEL`, else the newest below ./runs."""
    from charlm.run import MODEL
    from charlm.storage.files import naming

    name = name or os.environ.get("CHARLM_MODEL")
    if name:
        return Path(name)
    ages = {}
    # Not below hidden names: a run that is being made, or is on its way out, has one.
    with naming(RUNS):
        runs = [run for run in RUNS.iterdir() if run.name[0] != "."] if RUNS.is_dir() else []
    for run in runs:
        with contextlib.suppress(OSError):  # it has none, or is gone since it was listed
            ages[run] = (run / MODEL).stat().st_mtime
    if not ages:
        raise UsageError("there is no model here: train one with charlm train, or name one with -m")
    return max(ages, key=ages.__getitem__)


def how_to_use(path: Path, model: ModelConfig) -> str:
    """The command that shows what a model can do."""
    if model.bidirectional:
        return f'charlm fill -m {typed(path)} "a text with g_ps"'
    return f'charlm generate -m {typed(path)} --prefix "…"'


def need_direction(run: "Run", *, bidirectional: bool) -> None:
    """Refuse a model of the kind that the command cannot use. Raises ModelError."""
    if run.config.model.bidirectional and not bidirectional:
        raise ModelError(
            f"{run.path} is a bidirectional model: it has read the characters after a gap, so it "
            "can neither continue a text nor give a perplexity; use charlm fill"
        )
    if bidirectional and not run.config.model.bidirectional:
        raise ModelError(
            f"{run.path} reads from left to right alone, and cannot fill a gap from both sides; "
            "train a model with --bidirectional, or use charlm generate"
        )


def check_known(text: str, run: "Run", what: str, instead: str = "") -> None:
    """Refuse a text with tokens that the model lacks, listing them. Raises DataError."""
    if unknown := unknown_in(text, run.vocab):
        raise DataError(
            f"{what} has what {run.path} does not know: {unknown}; leave it out{instead}"
        )


def unknown_in(text: str, vocab: "Vocab") -> str:
    """The tokens of a cleaned text that a vocabulary lacks, told to people; "" where none is."""
    from charlm.data.vocab import describe_token

    unknown = vocab.unknown(text)
    listed = ", ".join(describe_token(token) for token in unknown[:10])
    return listed + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")


def build(source: "Source", config: Config, folder: Path, measured: "Measured") -> "Corpus":
    """Prepare a corpus in `folder`, with a progress bar."""
    from charlm.data.corpus import write_corpus

    with noting() as later, reading_bar(source.name) as progress:
        return write_corpus(source, config.text, config.data, folder, measured, progress, later)


def measured_text(source: "Source", config: Config, vocab: "Vocab | None") -> "Measured":
    """What a corpus of the text would be, refused as `build` would refuse it."""
    from charlm.data.measure import measure

    with noting() as note_later, reading_bar(source.name) as progress:
        return measure(source, config.text, config.data, vocab, progress, note_later)


def counted(source: "Source", config: TextConfig) -> "Counted":
    """A text's tokens, counted."""
    from charlm.data.measure import count_tokens

    with noting() as note_later, reading_bar(source.name) as progress:
        return count_tokens(source, config, progress, note_later)


@contextmanager
def noting() -> Iterator[Callable[[str], None]]:
    """Collects notes, and shows them at the end of the block, when no bar is in their way."""
    notes: list[str] = []
    try:
        yield notes.append
    finally:
        for message in notes:
            note(f"note: {message}")


@contextmanager
def reading_bar(name: str) -> Iterator[Callable[[int], None]]:
    """Shows, on a terminal and where it takes more than a moment, the bytes read so far."""
    from tqdm import tqdm

    from charlm.data.text import for_terminal

    with tqdm(
        desc=f"reading {for_terminal(name)}", unit="B", unit_scale=True, leave=False, delay=1,
        disable=not sys.stderr.isatty(),
    ) as bar:  # fmt: skip
        yield lambda size: bar.update(size) and None


def seconds_since(moment: float) -> float:
    return max(1e-9, time.perf_counter() - moment)
