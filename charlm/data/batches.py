"""Windows of ids to train on. A batch is a function of the step number alone.

So the position in the corpus is one whole number that can be saved: nothing else is needed to go on
with the very batches that would have come.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from charlm.config import Config
from charlm.data.corpus import Corpus
from charlm.data.masks import MaskShape, draw_mask, mask_shape
from charlm.data.shards import ShardedIds
from charlm.data.shuffle import Shuffle
from charlm.data.vocab import Ids
from charlm.errors import DataError

# The target of a place that is not predicted; torch's cross_entropy leaves it out.
IGNORED = -100
# Steps whose resets, or whose windows, are drawn together.
STEPS_TOGETHER = 256


@dataclass(frozen=True)
class Batch:
    """T time steps of B streams.

    inputs, targets: (T, B) int64; a target is the token after its input.
    carried: (B,) float32; 1 where a stream goes on from the batch before, 0 where it starts anew
    from a zero state. has_gaps: whether a target may be IGNORED.
    """

    inputs: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    carried: npt.NDArray[np.float32]
    has_gaps: bool = True

    @property
    def tokens(self) -> int:
        return self.inputs.size

    @property
    def predicted(self) -> int:
        """How many tokens are predicted."""
        if not self.has_gaps:  # a large batch takes a while to be looked at
            return self.targets.size
        return int(np.count_nonzero(self.targets != IGNORED))


# Of so many streams, those that are read.
Share = Callable[[int], slice]


def all_of(streams: int) -> slice:
    return slice(0, streams)


@dataclass(frozen=True)
class Place:
    """Where a batch lies: `size` tokens from each of `starts` (B,) on, and the one after them.
    carried: as a batch has it."""

    starts: npt.NDArray[np.int64]
    size: int
    carried: npt.NDArray[np.float32]


class Batches(Protocol):
    """What training reads: `batches[step]`, without end; every `per_epoch` of them a full pass.

    share: the streams that are read, all unless it is said; the ids of others are 0.
    """

    per_epoch: int
    share: Share

    def __getitem__(self, step: int) -> Batch: ...


def _generator(seed: int, *place: int) -> np.random.Generator:
    return np.random.default_rng((seed, *place))


def _offset(seed: int, epoch: int, choices: int) -> int:
    """Where an epoch starts: at one of the first `choices` tokens."""
    return int(_generator(seed, epoch, 1).integers(choices))


class Streams:
    """Sequential sampling: the corpus as B parallel streams, read window by window.

    The state is carried from window to window. With the chance `reset` a stream's state is zeroed
    all the same, so that the model stays good at starting from nothing, which is how it is
    evaluated and used; streams carried for a whole epoch drift off into states of their own.
    """

    def __init__(
        self,
        ids: Ids | ShardedIds,
        batch_size: int,
        seq_len: int,
        *,
        seed: int = 0,
        reset: float = 0.0,
        random_offset: bool = False,
    ) -> None:
        self.share: Share = all_of
        self._batch_size = fitting_batch_size(len(ids), batch_size, seq_len)
        spare = len(ids) - 1 - self._batch_size * seq_len
        self._offsets = min(seq_len, spare + 1) if random_offset else 1
        self._length = (len(ids) - self._offsets) // self._batch_size
        self._ids, self._seq_len, self._seed, self._reset = quick_to_cut(ids), seq_len, seed, reset
        # The last window of an epoch may be shorter: no tail is dropped.
        self.per_epoch = -(-self._length // seq_len)
        # Remembered from step to step, since making a random generator takes a while.
        self._starts = lru_cache(maxsize=1)(self._draw_starts)
        self._kept = lru_cache(maxsize=1)(self._draw_kept)

    def __getitem__(self, step: int) -> Batch:
        return _batch(self._ids, self.place(step), self.share)

    def place(self, step: int) -> Place:
        epoch, window = divmod(step, self.per_epoch)
        block, row = divmod(step, STEPS_TOGETHER)
        carried = self._kept(block)[row] if window else np.zeros(self._batch_size, np.float32)
        begin = window * self._seq_len
        size = min(self._seq_len, self._length - begin)
        return Place(self._starts(epoch) + begin, size, carried)

    def _draw_starts(self, epoch: int) -> npt.NDArray[np.int64]:
        """Where the streams of an epoch begin, (B,)."""
        offset = _offset(self._seed, epoch, self._offsets)
        return offset + self._length * np.arange(self._batch_size, dtype=np.int64)

    def _draw_kept(self, block: int) -> npt.NDArray[np.float32]:
        """For each of a block of steps, (B,): 1 where a stream's state is kept, 0 where reset."""
        shape = (STEPS_TOGETHER, self._batch_size)
        if not self._reset:
            return np.ones(shape, np.float32)
        return (_generator(self._seed, block, 2).random(shape) >= self._reset).astype(np.float32)


class Windows:
    """Random sampling: each epoch the windows of the corpus in a new order, each from zero."""

    def __init__(
        self,
        ids: Ids | ShardedIds,
        batch_size: int,
        seq_len: int,
        *,
        seed: int = 0,
        reset: float = 0.0,
        random_offset: bool = False,
    ) -> None:
        self.share: Share = all_of
        self._batch_size = fitting_batch_size(len(ids), batch_size, seq_len)
        self._ids, self._seq_len, self._seed = quick_to_cut(ids), seq_len, seed
        self._offsets = min(seq_len, len(ids) - seq_len) if random_offset else 1
        self._windows = (len(ids) - self._offsets) // seq_len
        self.per_epoch = -(-self._windows // self._batch_size)
        self._order = lru_cache(maxsize=1)(self._draw_order)
        self._starts = lru_cache(maxsize=1)(self._draw_starts)

    def __getitem__(self, step: int) -> Batch:
        return _batch(self._ids, self.place(step), self.share)

    def place(self, step: int) -> Place:
        epoch, place = divmod(step, self.per_epoch)
        block, row = divmod(place, STEPS_TOGETHER)
        begin = row * self._batch_size
        starts = self._starts(epoch, block)[begin : begin + self._batch_size]
        return Place(starts, self._seq_len, np.zeros(len(starts), np.float32))

    def _draw_order(self, epoch: int) -> tuple[Shuffle, int]:
        """The order of an epoch's windows, and where the first of them begins."""
        order = Shuffle(self._windows, _generator(self._seed, epoch))
        return order, _offset(self._seed, epoch, self._offsets)

    def _draw_starts(self, epoch: int, block: int) -> npt.NDArray[np.int64]:
        """Where the windows of a block of steps begin."""
        order, first = self._order(epoch)
        size = STEPS_TOGETHER * self._batch_size
        places = np.arange(block * size, min((block + 1) * size, self._windows))
        return first + self._seq_len * order[places]


class MaskedWindows(Windows):
    """What a bidirectional model learns from: windows in which some tokens are masked.

    A target is the token under a mask, and IGNORED elsewhere, so that nothing is predicted that has
    been read. Each epoch begins at another offset.
    """

    def __init__(
        self,
        ids: Ids | ShardedIds,
        batch_size: int,
        seq_len: int,
        *,
        seed: int,
        mask_id: int,
        mask: MaskShape,
    ) -> None:
        super().__init__(ids, batch_size, seq_len, seed=seed, random_offset=True)
        self._mask_id, self._mask = mask_id, mask

    def __getitem__(self, step: int) -> Batch:
        batch = super().__getitem__(step)
        generator = _generator(self._seed, step, 3)
        mask = draw_mask(generator, batch.inputs.shape, self._mask)
        inputs = np.where(mask, self._mask_id, batch.inputs)
        return Batch(inputs, np.where(mask, batch.inputs, IGNORED), batch.carried)


SAMPLINGS: dict[str, type[Streams] | type[Windows]] = {"sequential": Streams, "random": Windows}


def make_batches(config: Config, corpus: Corpus) -> Batches:
    """What the settings train on: streams, windows, or windows with gaps to fill."""
    ids, settings = corpus.split("train"), config.training
    sizes = (settings.batch_size, settings.seq_len)
    if config.model.bidirectional:
        return MaskedWindows(
            ids, *sizes, seed=settings.seed, mask_id=len(corpus.vocab), mask=mask_shape(settings)
        )
    return SAMPLINGS[settings.sampling](
        ids, *sizes, seed=settings.seed, reset=settings.reset, random_offset=settings.random_offset
    )


def fitting_batch_size(tokens: int, batch_size: int, seq_len: int) -> int:
    """The streams of at least one window that a text fills, at most `batch_size`.

    Raises DataError for a text shorter than a window and the token after it.
    """
    if tokens < seq_len + 1:
        raise DataError(
            f"the train part has {tokens} tokens, need at least {seq_len + 1} for a window of "
            f"{seq_len}: give more text or a smaller --seq-len"
        )
    return min(batch_size, (tokens - 1) // seq_len)


def quick_to_cut(ids: Ids | ShardedIds) -> Ids | ShardedIds:
    """The same ids: slicing a plain array costs a fraction of slicing a memory map."""
    return ids if isinstance(ids, ShardedIds) else np.asarray(ids)


def _batch(ids: Ids | ShardedIds, place: Place, share: Share) -> Batch:
    """The windows of a place, one a stream; of a share of them."""
    own, length = share(len(place.starts)), place.size + 1
    tokens = np.zeros((length, len(place.starts)), np.int64)
    if len(begins := place.starts[own].tolist()):
        tokens[:, own] = np.stack([ids[begin : begin + length] for begin in begins], axis=1)
    return Batch(tokens[:-1], tokens[1:], place.carried, has_gaps=False)
