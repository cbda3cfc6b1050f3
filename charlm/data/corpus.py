"""A prepared corpus on disk: encoded splits, their vocabulary, and how they were made.

corpus.json   format, cleaning, counts, SHA-256 of the cleaned text in UTF-8
vocab.json
train.bin  valid.bin  test.bin   ids, little-endian, of the narrowest width that fits, each under a
                                 SHA-256 that corpus.json holds
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import charlm
from charlm.config import Config, DataConfig, TextConfig
from charlm.data.ids import ids_writer, map_ids, open_ids
from charlm.data.source import Source
from charlm.data.text import clean
from charlm.data.vocab import TokenCounter, Vocab, build_vocab, id_type, recounted
from charlm.errors import DataError, ModelError, UsageError
from charlm.settings import configured, to_dict
from charlm.storage.files import found, is_file, naming, write_json

CORPUS_FORMAT = 1
HEADER = "corpus.json"
SPLITS = ("train", "valid", "test")
# A part that is scored needs one token to read and one to predict.
LEAST_TOKENS = 2

# Told of every piece that was read, in bytes of UTF-8.
OnRead = Callable[[int], None]


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


def split_sizes(tokens: int, val_frac: float, test_frac: float) -> dict[str, int]:
    """Contiguous parts in the order train, valid, test; train has floor(n * (1 - val - test)).

    Reckoned in decimal: as binary fractions, 0.1 and 0.2 would now and then cost a token.
    """
    val, test = Decimal(str(val_frac)), Decimal(str(test_frac))
    train = floor(tokens * (1 - val - test))
    train_and_valid = floor(tokens * (1 - test)) if val else train
    return {"train": train, "valid": train_and_valid - train, "test": tokens - train_and_valid}


def check_sizes(sizes: dict[str, int], config: DataConfig, source: str) -> None:
    """Refuse a text too short to train on and to score. Raises DataError."""
    wanted = {"train": True, "valid": config.val_frac > 0, "test": config.test_frac > 0}
    short = [part for part in SPLITS if wanted[part] and sizes[part] < LEAST_TOKENS]
    if not short:
        return
    tokens, needed = sum(sizes.values()), LEAST_TOKENS
    while any(
        wanted[part] and size < LEAST_TOKENS
        for part, size in split_sizes(needed, config.val_frac, config.test_frac).items()
    ):
        needed += 1
    raise DataError(
        f"{source}: the text has {tokens} tokens, need at least {needed} for a {short[0]} part of "
        f"{LEAST_TOKENS} (see --val-frac)"
    )


def count_tokens(
    source: Source, config: TextConfig, progress: OnRead
) -> tuple[TokenCounter, str, int]:
    """One pass over the text: token counts, SHA-256 of the cleaned text, its characters."""
    counter, digest, characters = TokenCounter(config.level), hashlib.sha256(), 0
    for piece in clean(source.read(), config):
        counter.add(piece)
        data = piece.encode("utf-8", "surrogatepass")
        digest.update(data)
        characters += len(piece)
        progress(len(data))
    return counter, digest.hexdigest(), characters


def build_corpus(
    source: Source,
    text: TextConfig,
    data: DataConfig,
    folder: Path,
    vocab: Vocab | None = None,
    progress: OnRead = lambda size: None,
) -> Corpus:
    """Read `source` twice, to count and to encode, and write a corpus into an existing folder.

    `vocab`: use these ids and no others. Memory stays constant but for the vocabulary.
    Raises DataError if the text is too short or changes between the two passes.
    """
    counter, sha256, characters = count_tokens(source, text, progress)
    if vocab is None:
        vocab = build_vocab(counter, min_freq=data.min_freq, reserve=data.reserve)
    elif vocab.level != text.level:
        raise UsageError(f"--vocab is by {vocab.level}, the text by {text.level} (--level)")
    else:
        vocab = recounted(vocab, counter)
    tokens = min(counter.total, data.max_tokens or counter.total)
    sizes = split_sizes(tokens, data.val_frac, data.test_frac)
    check_sizes(sizes, data, source.label)
    sha256_again, digests = _write_splits(source, text, vocab, sizes, folder, progress)
    if sha256_again != sha256:
        raise DataError(f"{source.label}: the text changed while it was being read; run it again")
    corpus = Corpus(folder, text, data, vocab, sha256, characters, sizes, digests, True)
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
