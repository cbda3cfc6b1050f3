"""The ids of a training where a GPU reads them: a batch is cut there, and none of it is copied."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charlm.config import Config
from charlm.data.batches import Batches, Share, Streams, Windows, all_of, make_batches
from charlm.data.corpus import Corpus
from charlm.data.shards import ShardedIds
from charlm.data.vocab import Ids
from charlm.training.memory import free_memory

# Of what is free on the device, the ids may take this share.
SHARE = 0.25


@dataclass(frozen=True)
class ResidentBatch:
    """A `Batch` whose ids are on a device. inputs, targets: (T, B) int64; carried: (B,) float32."""

    inputs: Tensor
    targets: Tensor
    carried: npt.NDArray[np.float32]

    @property
    def tokens(self) -> int:
        return self.inputs.numel()

    @property
    def predicted(self) -> int:
        return self.tokens


class ResidentBatches:
    """Those of `batches`, cut from the same ids on a device; what is copied is where they begin."""

    def __init__(self, batches: Streams | Windows, ids: Ids, device: torch.device) -> None:
        self._batches, self._device = batches, device
        self.share: Share = all_of  # all are cut, whatever it is: there that costs next to nothing
        self.per_epoch = batches.per_epoch
        # torch knows too little of integers without a sign that are wider than a byte.
        signed = ids.dtype if ids.itemsize == 1 else np.dtype(f"i{ids.itemsize}")
        self._mask = (1 << 8 * ids.itemsize) - 1
        self._ids = torch.from_numpy(np.array(ids).view(signed)).to(device)
        self._within = torch.zeros(0, 1, dtype=torch.int64, device=device)

    def __getitem__(self, step: int) -> ResidentBatch:
        place = self._batches.place(step)
        if len(self._within) != place.size + 1:
            self._within = torch.arange(place.size + 1, device=self._device)[:, None]
        read = self._ids[self._within + sent(place.starts, self._device)].long() & self._mask
        return ResidentBatch(read[:-1], read[1:], place.carried)


def batches_for(config: Config, corpus: Corpus, device: torch.device) -> Batches | ResidentBatches:
    """What is trained on. From a GPU's memory, where it holds the ids, and where nothing of a batch
    is reckoned outside of it: not which symbols a sample has, nor which tokens are masked."""
    batches, ids = make_batches(config, corpus), corpus.split("train")
    sampled = config.training.is_sampled(len(corpus.vocab))
    if device.type != "cuda" or sampled or config.model.bidirectional:
        return batches
    assert isinstance(batches, Streams | Windows)
    # Those in several files are read as they are needed: reading all would keep the first waiting.
    free = free_memory(device)
    if isinstance(ids, ShardedIds) or (free is not None and ids.nbytes > SHARE * free):
        return batches
    return ResidentBatches(batches, ids, device)


def sent(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """An array on a device. CUDA copies it when its turn comes, and nobody waits."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        # From memory that stays as it is until then, and that need not be paged in.
        tensor = tensor.contiguous().pin_memory()
    return tensor.to(device, non_blocking=device.type == "cuda")
