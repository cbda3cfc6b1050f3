"""A prepared corpus on disk: encoded splits, their vocabulary, and how they were made.

corpus.json   format, cleaning, counts, SHA-256 of the cleaned text in UTF-8, and which parts were
              texts of their own
vocab.json
train.bin  valid.bin  test.bin   ids, little-endian, of the narrowest width that fits
train-00000.bin ...              those of a long part, in several files
                                 corpus.json lists all of them: tokens, bytes, SHA-256
"""

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

import charlm
from charlm.config import Config, DataConfig, TextConfig
from charlm.data.drift import is_unlike
from charlm.data.ids import FiledIds, map_ids, open_ids
from charlm.data.jobs import ALONE, Jobs, OnDone
from charlm.data.shards import Shard, ShardedIds, Shards, digests_of, map_shards
from charlm.data.splits import SPLITS
from charlm.data.vocab import Ids, Vocab, id_type
from charlm.errors import DataError, ModelError, UsageError
from charlm.settings import configured, to_dict
from charlm.storage.files import found, is_file, naming, write_json

# Whoever opens a corpus, or a run, waits for nothing that only the making of one takes.
if TYPE_CHECKING:
    from charlm.data.measure import Measured, OnNote
    from charlm.data.source import Source

CORPUS_FORMAT = SHARDS_SINCE = 3
HEADER = "corpus.json"
# A longer part is not read from end to end before it is used: what is read of it is looked at then.
CHECKED_BYTES = 1 << 28


@dataclass(frozen=True)
class Corpus:
    """An opened corpus. `split` gives the ids of a part, memory-mapped.

    shards: the files of each part; their SHA-256 is unknown where an old charlm made them.
    just_made: by this process, which knows what it wrote.
    """

    folder: Path
    text: TextConfig
    data: DataConfig
    vocab: Vocab
    sha256: str
    characters: int
    splits: dict[str, int]
    shards: Shards
    just_made: bool = field(default=False, compare=False, repr=False)
    _opened: dict[str, Ids] = field(default_factory=dict, compare=False, repr=False)

    def split(self, name: str) -> Ids:
        """The ids of "train", "valid" or "test", of an unsigned type.

        A part is checked when it is first asked for, which takes a second a gigabyte; a long one,
        where it is read. Raises DataError where it is damaged.
        """
        if not self.splits[name]:
            return np.empty(0, dtype=id_type(len(self.vocab)))
        if name not in self._opened:
            self._opened[name] = self._open(self.shards[name])
        return self._opened[name]

    def _open(self, shards: Sequence[Shard]) -> Ids:
        paths, size = [self.folder / one.name for one in shards], len(self.vocab)
        tokens = sum(one.tokens for one in shards)
        if len(shards) > 1 or tokens * id_type(size).itemsize > CHECKED_BYTES:
            # It reads as an array does.
            return cast(Ids, map_shards(paths, size))
        if self.just_made:
            return map_ids(paths[0], size)
        return open_ids(paths[0], size, shards[0].sha256)

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of the ids of each part; none where they are not known."""
        known = all(one.sha256 for files in self.shards.values() for one in files)
        return digests_of(self.shards) if known else {}

    @property
    def tokens(self) -> int:
        return sum(self.splits.values())


def is_corpus(path: Path) -> bool:
    return is_file(path / HEADER)


def build_corpus(
    source: "Source",
    text: TextConfig,
    data: DataConfig,
    folder: Path,
    vocab: Vocab | None = None,
    progress: OnDone = lambda size: None,
    note: "OnNote" = lambda message: None,
    jobs: Jobs = ALONE,
) -> Corpus:
    """Read `source` twice, to count and to encode, and write a corpus into an existing folder.

    `vocab`: use these ids and no others. jobs: so many texts are read side by side; what is written
    does not depend on it. Memory stays constant but for the vocabulary.
    Raises DataError if the text is too short, mostly unknown to `vocab`, or changes between the two
    passes.
    """
    from charlm.data.measure import measure

    measured = measure(source, text, data, vocab, progress, note, jobs)
    return write_corpus(source, text, data, folder, measured, progress, note, jobs)


def write_corpus(
    source: "Source",
    text: TextConfig,
    data: DataConfig,
    folder: Path,
    measured: "Measured",
    progress: OnDone = lambda size: None,
    note: "OnNote" = lambda message: None,
    jobs: Jobs = ALONE,
) -> Corpus:
    """Encode a text that has been measured, and write a corpus into an existing folder.

    Raises DataError if the text is no longer the one that was measured.
    """
    from charlm.data.measure import text_digest
    from charlm.data.parts import write_parts

    texts, shards = write_parts(source, text, measured, folder, jobs, progress)
    if text_digest(texts) != measured.sha256:
        raise DataError(f"{source.label}: the text changed while it was being read; run it again")
    corpus = Corpus(
        folder, text, _nameless(data), measured.vocab,
        measured.sha256, measured.characters, measured.sizes, shards, True,
    )  # fmt: skip
    measured.vocab.save(folder / "vocab.json")
    write_json(folder / HEADER, _header(corpus) | {"own_texts": [*source.held_out]})
    at_the_end = data.val_split == "tail" and "valid" not in source.held_out
    if at_the_end and is_unlike(*(_filed(corpus, part) for part in ("valid", "train"))):
        note(f"{source.label}: {UNLIKE}")
    return corpus


def _filed(corpus: Corpus, part: str) -> Ids:
    """The ids of a part, to look at a few of them."""
    paths, size = [corpus.folder / one.name for one in corpus.shards[part]], len(corpus.vocab)
    return cast(Ids, ShardedIds([FiledIds(path, size) for path in paths], paths, size))


UNLIKE = (
    "the end of the text, held out to validate, is unlike the rest, so that its score says little "
    "of it; --val-split blocks holds out blocks from all over the text"
)


def _nameless(data: DataConfig) -> DataConfig:
    """The text itself and the names of its files are not the corpus's to tell."""
    return dataclasses.replace(
        data, text=None, input=(), vocab=None, extend_vocab=False, val=None, test=None
    )


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
        "shards": {
            part: [
                {
                    "name": one.name,
                    "tokens": one.tokens,
                    "bytes": one.tokens * id_type(len(corpus.vocab)).itemsize,
                    "sha256": one.sha256,
                }
                for one in files
            ]
            for part, files in corpus.shards.items()
        },
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
    for files in corpus.shards.values():
        for one in files:
            _check_file(folder / one.name, one.tokens * id_type(len(corpus.vocab)).itemsize)
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
    splits = checked_splits(header["splits"])
    return Corpus(
        folder, config.text, config.data, vocab, str(header["sha256"]),
        checked_count(header["characters"]), splits, _checked_shards(header, splits),
    )  # fmt: skip


def _checked_shards(header: dict[str, Any], splits: dict[str, int]) -> Shards:
    """The files of each part, as a header tells them; one a part where it is an older charlm's."""
    if header["format"] < SHARDS_SINCE:
        digests = header.get("digests", {})
        return {
            part: (Shard(f"{part}.bin", size, str(digests.get(part, ""))),)
            for part, size in splits.items()
        }
    shards = {part: tuple(map(_checked_shard, header["shards"][part])) for part in SPLITS}
    for part, files in shards.items():
        if sum(one.tokens for one in files) != splits[part]:
            raise ValueError(f'the files of "{part}" do not have its {splits[part]} tokens')
    return shards


def _checked_shard(record: dict[str, Any]) -> Shard:
    """A file beside the header: a corpus may come from a stranger, and names no other place."""
    name, tokens = record["name"], checked_count(record["tokens"])
    if not isinstance(name, str) or not re.fullmatch(r"[a-z]+(-[0-9]{5,})?\.bin", name):
        raise ValueError(f"{name!r} is not the name of a file of ids")
    return Shard(name, tokens, str(record["sha256"]))


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
