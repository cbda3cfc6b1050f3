"""A prepared corpus on disk: encoded splits, their vocabulary, and how they were made.

corpus.json   format, cleaning, counts, SHA-256 of the cleaned text in UTF-8, and which parts were
              texts of their own
vocab.json
train.bin  valid.bin  test.bin   ids, little-endian, of the narrowest width that fits, each under a
                                 SHA-256 that corpus.json holds
"""

import dataclasses
import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import charlm
from charlm.config import Config, DataConfig, TextConfig
from charlm.data.drift import is_unlike
from charlm.data.ids import ids_writer, map_ids, open_ids
from charlm.data.measure import Measured, OnNote, OnRead, measure
from charlm.data.source import Source
from charlm.data.splits import SPLITS, Segment
from charlm.data.text import clean
from charlm.data.vocab import Ids, Vocab, id_type
from charlm.errors import DataError, ModelError, UsageError
from charlm.settings import configured, to_dict
from charlm.storage.files import found, is_file, naming, write_json

CORPUS_FORMAT = 2
HEADER = "corpus.json"


@dataclass(frozen=True)
class Corpus:
    """An opened corpus. `split` gives the ids of a part, memory-mapped.

    digests: the SHA-256 of each part's file; none where an older charlm made it.
    just_made: by this process, which knows what it wrote.
    """

    folder: Path
    text: TextConfig
    data: DataConfig
    vocab: Vocab
    sha256: str
    characters: int
    splits: dict[str, int]
    digests: Mapping[str, str] = field(default_factory=dict)
    just_made: bool = field(default=False, compare=False, repr=False)
    _opened: dict[str, npt.NDArray[Any]] = field(default_factory=dict, compare=False, repr=False)

    def split(self, name: str) -> npt.NDArray[Any]:
        """The ids of "train", "valid" or "test", of an unsigned type.

        A part is checked when it is first asked for: to read it all takes a second a gigabyte.
        Raises DataError where it is damaged.
        """
        if not self.splits[name]:
            return np.empty(0, dtype=id_type(len(self.vocab)))
        if name not in self._opened:
            path, size = self.folder / f"{name}.bin", len(self.vocab)
            if not self.just_made:
                self._opened[name] = open_ids(path, size, self.digests.get(name))
            else:
                self._opened[name] = map_ids(path, size)
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
    return write_corpus(source, text, data, folder, measured, progress, note)


def write_corpus(
    source: Source,
    text: TextConfig,
    data: DataConfig,
    folder: Path,
    measured: Measured,
    progress: OnRead = lambda size: None,
    note: OnNote = lambda message: None,
) -> Corpus:
    """Encode a text that has been measured, and write a corpus into an existing folder.

    Raises DataError if the text is no longer the one that was measured.
    """
    sha256, digests = _write_parts(source, text, measured, folder, progress)
    if sha256 != measured.sha256:
        raise DataError(f"{source.label}: the text changed while it was being read; run it again")
    corpus = Corpus(
        folder, text, _nameless(data), measured.vocab,
        sha256, measured.characters, measured.sizes, digests, True,
    )  # fmt: skip
    measured.vocab.save(folder / "vocab.json")
    write_json(folder / HEADER, _header(corpus) | {"own_texts": [*source.held_out]})
    at_the_end = data.val_split == "tail" and "valid" not in source.held_out
    if at_the_end and is_unlike(corpus.split("valid"), corpus.split("train")):
        note(f"{source.label}: {UNLIKE}")
    return corpus


UNLIKE = (
    "the end of the text, held out to validate, is unlike the rest, so that its score says little "
    "of it; --val-split blocks holds out blocks from all over the text"
)


def _nameless(data: DataConfig) -> DataConfig:
    """The text itself and the names of its files are not the corpus's to tell."""
    return dataclasses.replace(data, text=None, input=(), vocab=None, val=None, test=None)


def _write_parts(
    source: Source, text: TextConfig, measured: Measured, folder: Path, progress: OnRead
) -> tuple[str, dict[str, str]]:
    """Encode the texts into the .bin files; the SHA-256 of what was read, and of each file."""
    digest, sizes = hashlib.sha256(), measured.sizes
    sources = [(source, measured.segments)]
    sources += [(own, [(part, sizes[part])]) for part, own in source.held_out.items()]
    with ExitStack() as stack:
        stack.enter_context(naming(folder))
        files = {p: stack.enter_context(ids_writer(folder / f"{p}.bin")) for p in SPLITS}
        for one, segments in sources:
            left = deque(segments)
            for read in one.texts:
                for piece in clean(read(), text):
                    data = piece.encode("utf-8", "surrogatepass")
                    digest.update(data)
                    for part, ids in _along(left, measured.vocab.encode(piece)):
                        files[part].write(ids.data)
                    progress(len(data))
        return digest.hexdigest(), {part: file.sha256 for part, file in files.items()}


def _along(left: deque[Segment], ids: Ids) -> Iterator[tuple[str, Ids]]:
    """The ids cut along the segments that are left, which are used up by as much."""
    while len(ids) and left:
        part, size = left.popleft()
        if size > len(ids):
            left.appendleft((part, size - len(ids)))
        yield part, ids[:size]
        ids = ids[size:]


def _header(corpus: Corpus) -> dict[str, Any]:
    return {
        "format": CORPUS_FORMAT,
        "charlm": charlm.__version__,
        "text": to_dict(corpus.text),
        "data": to_dict(corpus.data),
        "sha256": corpus.sha256,
        "characters": corpus.characters,
        "tokens": corpus.tokens,
        "vocab_size": len(corpus.vocab),
        "vocab_sha256": corpus.vocab.sha256,
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
    if not is_file(folder / "vocab.json"):
        raise DataError(f"{folder} is not a corpus: it has no vocab.json")
    vocab = Vocab.load(folder / "vocab.json")
    if len(vocab) != header["vocab_size"]:
        raise DataError(
            f"{folder}: {HEADER} says {header['vocab_size']} tokens, vocab.json has {len(vocab)}"
        )
    if header.get("vocab_sha256", vocab.sha256) != vocab.sha256:  # an older charlm did not tell
        raise DataError(f"{folder / 'vocab.json'} is damaged: its tokens are not those of {HEADER}")
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
