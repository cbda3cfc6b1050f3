"""A prepared corpus on disk: encoded splits, their vocabulary, and how they were made.

corpus.json   format, cleaning, counts, SHA-256 of the cleaned text in UTF-8
vocab.json
train.bin  valid.bin  test.bin   ids, little-endian, of the narrowest width that fits, each under a
                                 SHA-256 that corpus.json holds
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import charlm
from charlm.config import Config, DataConfig, TextConfig
from charlm.data.ids import ids_writer, open_ids
from charlm.data.measure import Measured, OnNote, OnRead, measure
from charlm.data.source import Source
from charlm.data.splits import SPLITS
from charlm.data.text import clean
from charlm.data.vocab import Vocab, id_type
from charlm.errors import DataError, ModelError, UsageError
from charlm.settings import configured, to_dict
from charlm.storage.files import found, is_file, naming, write_json

CORPUS_FORMAT = 1
HEADER = "corpus.json"


@dataclass(frozen=True)
class Corpus:
    """An opened corpus. `split` gives the ids of a part, memory-mapped.

    digests: the SHA-256 of each part's file; none where an older charlm made it.
    """

    folder: Path
    text: TextConfig
    data: DataConfig
    vocab: Vocab
    sha256: str
    characters: int
    splits: dict[str, int]
    digests: Mapping[str, str] = field(default_factory=dict)
    _opened: dict[str, npt.NDArray[Any]] = field(default_factory=dict, compare=False, repr=False)

    def split(self, name: str) -> npt.NDArray[Any]:
        """The ids of "train", "valid" or "test", of an unsigned type.

        A part is checked when it is first asked for: to read it all takes a second a gigabyte.
        Raises DataError where it is damaged.
        """
        if not self.splits[name]:
            return np.empty(0, dtype=id_type(len(self.vocab)))
        if name not in self._opened:
            path, digest = self.folder / f"{name}.bin", self.digests.get(name)
            self._opened[name] = open_ids(path, len(self.vocab), digest)
        return self._opened[name]

    @property
    def tokens(self) -> int:
        return sum(self.splits.values())


def is_corpus(path: Path) -> bool:
    return is_file(path / HEADER)


def build_corpus(
    source: Source,
    text: TextConfig,
    data: DataConfig,
    folder: Path,
    vocab: Vocab | None = None,
    progress: OnRead = lambda size: None,
    note: OnNote = lambda message: None,
) -> Corpus:
    """Read `source` twice, to count and to encode, and write a corpus into an existing folder.

    `vocab`: use these ids and no others. Memory stays constant but for the vocabulary.
    Raises DataError if the text is too short, mostly unknown to `vocab`, or changes between the two
    passes.
    """
    measured = measure(source, text, data, vocab, progress, note)
    return write_corpus(source, text, data, folder, measured, progress)


def write_corpus(
    source: Source,
    text: TextConfig,
    data: DataConfig,
    folder: Path,
    measured: Measured,
    progress: OnRead = lambda size: None,
) -> Corpus:
    """Encode a text that has been measured, and write a corpus into an existing folder.

    Raises DataError if the text is no longer the one that was measured.
    """
    vocab, sizes = measured.vocab, measured.sizes
    sha256, digests = _write_splits(source, text, vocab, sizes, folder, progress)
    if sha256 != measured.sha256:
        raise DataError(f"{source.label}: the text changed while it was being read; run it again")
    corpus = Corpus(folder, text, data, vocab, sha256, measured.characters, sizes, digests)
    vocab.save(folder / "vocab.json")
    write_json(folder / HEADER, _header(corpus))
    return corpus


def _write_splits(
    source: Source,
    text: TextConfig,
    vocab: Vocab,
    sizes: dict[str, int],
    folder: Path,
    progress: OnRead,
) -> tuple[str, dict[str, str]]:
    """Encode the text into the .bin files; the SHA-256 of what was read, and of each file."""
    digest, position = hashlib.sha256(), 0
    ends = dict(zip(SPLITS, accumulate(sizes[part] for part in SPLITS), strict=True))
    with ExitStack() as stack:
        stack.enter_context(naming(folder))
        files = {p: stack.enter_context(ids_writer(folder / f"{p}.bin")) for p in SPLITS}
        for piece in clean(source.read(), text):
            data = piece.encode("utf-8", "surrogatepass")
            digest.update(data)
            ids = vocab.encode(piece)
            for part, file in files.items():
                start, end = ends[part] - sizes[part] - position, ends[part] - position
                file.write(ids[max(start, 0) : max(end, 0)].data)
            position += len(ids)
            progress(len(data))
        return digest.hexdigest(), {part: file.sha256 for part, file in files.items()}


def _header(corpus: Corpus) -> dict[str, Any]:
    # The text itself and the names of its files are not the corpus's to tell.
    data = dataclasses.replace(corpus.data, text=None, input=(), vocab=None)
    return {
        "format": CORPUS_FORMAT,
        "charlm": charlm.__version__,
        "text": to_dict(corpus.text),
        "data": to_dict(data),
        "sha256": corpus.sha256,
        "characters": corpus.characters,
        "tokens": corpus.tokens,
        "vocab_size": len(corpus.vocab),
        "splits": corpus.splits,
        "digests": dict(corpus.digests),
    }


def open_corpus(folder: Path) -> Corpus:
    """Open a prepared corpus. Raises DataError naming what does not fit."""
    path = folder / HEADER
    if not is_file(path):
        raise DataError(f"{folder} is not a corpus: it has no {HEADER}")
    with naming(path):
        try:
            header = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            raise DataError(f"{path} is not JSON") from None
    try:
        corpus = _from_header(folder, header)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} is not a corpus's header: {error!r}") from None
    except (UsageError, ModelError) as error:
        raise DataError(f"{path}: {error}") from None
    for name, size in corpus.splits.items():
        _check_file(folder / f"{name}.bin", size * id_type(len(corpus.vocab)).itemsize)
    return corpus


def _from_header(folder: Path, header: dict[str, Any]) -> Corpus:
    if header["format"] > CORPUS_FORMAT:
        raise DataError(f"{folder} was made by a newer charlm (format {header['format']})")
    config = configured(Config(), {"text": header["text"], "data": header["data"]})
    vocab = Vocab.load(folder / "vocab.json")
    if len(vocab) != header["vocab_size"]:
        raise DataError(
            f"{folder}: {HEADER} says {header['vocab_size']} tokens, vocab.json has {len(vocab)}"
        )
    return Corpus(
        folder, config.text, config.data, vocab, str(header["sha256"]),
        checked_count(header["characters"]), checked_splits(header["splits"]),
        {name: str(digest) for name, digest in header.get("digests", {}).items()},
    )  # fmt: skip


def checked_splits(splits: Any) -> dict[str, int]:
    """The sizes of the parts, as a file tells them. Raises KeyError, TypeError or ValueError."""
    return {name: checked_count(splits[name]) for name in SPLITS}


def checked_count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value


def _check_file(path: Path, size: int) -> None:
    there = found(path)
    if there is None or not is_file(path):
        raise DataError(f"{path} is missing; prepare the corpus again")
    if there.st_size != size:
        raise DataError(
            f"{path} has {there.st_size} bytes, its header says {size}; prepare it again"
        )
