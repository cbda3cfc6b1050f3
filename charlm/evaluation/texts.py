"""What is scored: a text, a part of a corpus, or of the one that the model was trained on."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np

from charlm.config import Config
from charlm.data.corpus import Corpus, open_corpus
from charlm.data.inputs import corpus_among, source_of
from charlm.data.source import Source
from charlm.data.splits import too_short
from charlm.data.text import clean
from charlm.data.vocab import Ids
from charlm.errors import DataError, ModelError, UsageError, typed
from charlm.run import Run

# Inside its block a text of this name is read, and what it gives is told the bytes of each piece.
Reading = Callable[[str], AbstractContextManager[Callable[[int], None]]]


def ids_to_score(
    text: str | None, split: str | None, run: Run, config: Config, reading: Reading
) -> tuple[Ids, str | None]:
    """The ids, and the name of the part they are, where they are one.

    text: a file, a folder, - or a corpus; without it, a part of the run's corpus. split: which
    part, valid unless it is said. config: how the text is encoded and cleaned.
    """
    if text is None:
        split = split or "valid"
        return _part(run.open_corpus(), split), split
    folder = corpus_among((text,))
    if folder is None:
        if split:
            raise UsageError("--split names a part of a corpus; TEXT is a text")
        return ids_of(source_of((text,), config), text, run, config, reading), None
    corpus = open_corpus(folder)
    if corpus.vocab.tokens != run.vocab.tokens:
        raise ModelError(
            f"{folder} has another vocabulary than {run.path}; prepare it with "
            f"--vocab {typed(run.path / 'vocab.json')}"
        )
    split = split or "valid"
    return _part(corpus, split), split


def _part(corpus: Corpus, split: str) -> Ids:
    if not corpus.splits[split]:
        raise DataError(f"{corpus.folder} has no {split} part (see --val-frac and --test-frac)")
    return corpus.split(split)


def ids_of(source: Source, name: str, run: Run, config: Config, reading: Reading) -> Ids:
    """Of a text, as the run's model reads it. name: what it is called where it is too short."""
    with reading(source.name) as progress:
        parts = [run.vocab.encode("")]
        for piece in clean(source.read(), config.text):
            parts.append(run.vocab.encode(piece))
            progress(len(piece.encode("utf-8", "surrogatepass")))
    ids = np.concatenate(parts)
    if len(ids) < 2:
        raise DataError(f"{name}: {too_short(len(ids), '2 to score')}")
    return ids
