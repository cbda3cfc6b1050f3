"""The same steps by `CharLM`, on a device: for GPUs, behind the same sampler."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from charlm.model.cells import State
from charlm.model.network import CharLM, map_state


@dataclass
class Streams:
    state: State | None = None


class TorchStepper:
    """`Stepper`'s interface on a model in torch."""

    def __init__(self, model: CharLM) -> None:
        self._model = model.eval()
        self._device = model.head.weight.device

    def start(self, streams: int = 1) -> Streams:
        return Streams()

    def take(self, streams: Streams, rows: Sequence[int]) -> Streams:
        index = torch.tensor(rows, device=self._device)
        assert streams.state is not None
        return Streams(map_state(streams.state, lambda part: part.index_select(1, index)))

    def step(self, ids: Sequence[int], streams: Streams) -> npt.NDArray[np.float32]:
        """One symbol for each stream: ids (B,) -> logits (B, V)."""
        return self._forward(torch.tensor(ids)[None, :], streams)

    def read(self, ids: Sequence[int], streams: Streams) -> npt.NDArray[np.float32]:
        """A text for a single stream: ids (T,) -> the last logits (1, V)."""
        return self._forward(torch.tensor(ids)[:, None], streams)

    @torch.inference_mode()
    def _forward(self, ids: torch.Tensor, streams: Streams) -> npt.NDArray[np.float32]:
        logits, streams.state = self._model(ids.to(self._device), streams.state)
        last: npt.NDArray[np.float32] = logits[-1].float().cpu().numpy()
        return last
