"""The parts of a corpus, written: texts encoded, unit by unit, into shards.

A unit is as many texts as make up some tokens, or one long text. Its shards are its own, so that
units can be encoded side by side; what they are depends on the texts alone, not on by how many.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charlm.config import TextConfig
from charlm.data.jobs import Jobs, OnDone
from charlm.data.measure import Measured
from charlm.data.shards import Shard, Shards
from charlm.data.source import Read, Source
from charlm.data.splits import SPLITS, Segment
from charlm.data.text import clean
from charlm.data.vocab import Ids, Vocab, id_type
from charlm.storage.files import Output, naming, output

# A unit ends with the text with which it has so many tokens; a shard has so many bytes at most.
UNIT_TOKENS = 1 << 26
SHARD_BYTES = 1 << 30


@dataclass(frozen=True)
class Unit:
    """Texts, and where their tokens go, in the order of the text."""

    texts: tuple[Read, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class _Task:
    """A unit to be encoded, and the files to be made of it."""

    unit: Unit
    shards: Mapping[str, Sequence[Shard]]
    text: TextConfig
    vocab: Vocab
    folder: Path


@dataclass(frozen=True)
class _Written:
    """texts: the SHA-256 of each; shards: of each, by name."""

    texts: list[str]
    shards: dict[str, str]


def write_parts(
    source: Source,
    text: TextConfig,
    measured: Measured,
    folder: Path,
    jobs: Jobs,
    progress: OnDone,
) -> tuple[list[str], Shards]:
    """Encode the texts into files; the SHA-256 of each text that was read, and the files."""
    units = [*_units(source.texts, measured), *_held_out(source, measured)]
    laid_out = _lay_out(units, id_type(len(measured.vocab)).itemsize)
    tasks = [
        _Task(unit, shards, text, measured.vocab, folder)
        for unit, shards in zip(units, laid_out, strict=True)
    ]
    texts: list[str] = []
    digests: dict[str, str] = {}
    for written in jobs.do_all(_write_unit, tasks, progress):
        texts += written.texts
        digests |= written.shards
    return texts, {
        part: tuple(
            replace(shard, sha256=digests.get(shard.name, ""))
            for shards in laid_out
            for shard in shards.get(part, ())
        )
        for part in SPLITS
    }


def _units(texts: Sequence[Read], measured: Measured) -> Iterator[Unit]:
    left, begin, size = deque(measured.segments), 0, 0
    for number, tokens in enumerate(measured.tokens, start=1):
        size += tokens
        if size >= UNIT_TOKENS or number == len(texts):
            yield Unit(tuple(texts[begin:number]), tuple(_taken(left, size)))
            begin, size = number, 0


def _held_out(source: Source, measured: Measured) -> Iterator[Unit]:
    for part, own in source.held_out.items():
        yield Unit(own.texts, ((part, measured.sizes[part]),))


def _taken(left: deque[Segment], tokens: int) -> Iterator[Segment]:
    """The segments of the next `tokens` tokens, as far as there are any."""
    while tokens and left:
        part, size = left.popleft()
        if size > tokens:
            left.appendleft((part, size - tokens))
        if size:
            yield part, min(size, tokens)
        tokens -= min(size, tokens)


def _lay_out(units: Sequence[Unit], bytes_a_token: int) -> list[dict[str, list[Shard]]]:
    """The files of each unit: of each part, as many as its tokens there fill."""
    most, found = SHARD_BYTES // bytes_a_token, []
    for unit in units:
        sizes = dict.fromkeys(SPLITS, 0)
        for part, size in unit.segments:
            sizes[part] += size
        found.append({p: _cut(size, most) for p, size in sizes.items() if size})
    numbers = {part: sum(len(unit.get(part, ())) for unit in found) for part in SPLITS}
    named: list[dict[str, list[Shard]]] = [{} for _ in units]
    for part, count in numbers.items():
        number = 0
        if not count:  # a part that has nothing is a file that has nothing
            named[0][part] = [Shard(f"{part}.bin", 0)]
        for unit_sizes, shards in zip(found, named, strict=True):
            for size in unit_sizes.get(part, ()):
                name = f"{part}.bin" if count == 1 else f"{part}-{number:05}.bin"
                shards.setdefault(part, []).append(Shard(name, size))
                number += 1
    return named


def _cut(size: int, most: int) -> list[int]:
    return [min(most, size - begin) for begin in range(0, size, most)]


def _write_unit(task: _Task, progress: OnDone) -> _Written:
    left, digests = deque(task.unit.segments), []
    with ExitStack() as stack:
        stack.enter_context(naming(task.folder))
        beside = stack.enter_context(ThreadPoolExecutor(1))
        writers = {
            part: stack.enter_context(ShardWriter(task.folder, shards, beside))
            for part, shards in task.shards.items()
        }
        for read in task.unit.texts:
            digest = hashlib.sha256()
            for piece in clean(read(), task.text):
                data = piece.encode("utf-8", "surrogatepass")
                digest.update(data)
                ids = task.vocab.encode(piece)
                for part, size in _taken(left, len(ids)):
                    writers[part].write(ids[:size])
                    ids = ids[size:]
                progress(len(data))
            digests.append(digest.hexdigest())
    return _Written(
        digests, {name: sha for one in writers.values() for name, sha in one.digests.items()}
    )


class ShardWriter:
    """Files of ids, written one after the other, and digested beside.

    digests: SHA-256 by name, of the files that are complete.
    """

    def __init__(self, folder: Path, shards: Sequence[Shard], beside: ThreadPoolExecutor) -> None:
        self._folder, self._beside = folder, beside
        self._shards, self.digests = deque(shards), dict[str, str]()
        self._open: ExitStack | None = None
        self._last: Future[None] | None = None

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:  # which is told; that the file cannot be closed either is not
            if self._open is not None:
                with suppress(OSError):
                    self._open.close()
            return
        self._close()
        while self._shards and not self._shards[0].tokens:
            self._begin(self._shards[0])
            self._close()

    def write(self, ids: Ids) -> None:
        """Of the corpus's `id_type`; all in all no more than the shards have."""
        while len(ids):
            if self._open is None:
                self._begin(self._shards[0])
            size = min(self._left, len(ids))
            self._wait()
            data: Any = ids[:size].data
            # A thread's work, since it takes as long as the encoding and leaves Python alone.
            self._last = self._beside.submit(self._sha256.update, data)
            self._file.write(data)
            self._left -= size
            ids = ids[size:]
            if not self._left:
                self._close()

    def _begin(self, shard: Shard) -> None:
        self._open, self._sha256, self._left = ExitStack(), hashlib.sha256(), shard.tokens
        self._file: Output = self._open.enter_context(output(self._folder / shard.name))

    def _close(self) -> None:
        if self._open is not None:
            self._wait()
            self.digests[self._shards.popleft().name] = self._sha256.hexdigest()
            file, self._open = self._open, None
            file.close()

    def _wait(self) -> None:
        if self._last:
            self._last.result()
            self._last = None
