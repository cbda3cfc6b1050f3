"""The same steps by `CharLM`, on a device: for GPUs, behind the same sampler."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charlm.model.cells import State
from charlm.model.network import CharLM, map_state

Work = Callable[[], None]


def cuda_graph(work: Work) -> Work:
    """Record what `work` has a GPU do; what comes back has it done again, in a single call.

    A step's kernels take less time than launching them one by one does. `work` must read and write
    the same tensors each time. It is run beforehand, as CUDA asks, on a stream of its own.
    """
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        work()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class RecordedStep:
    """A step of B streams in tensors that stay where they are. state: (L, B, H), or a pair."""

    def __init__(self, model: CharLM, state: State, record: Callable[[Work], Work]) -> None:
        self.state = map_state(state, Tensor.clone)
        streams = _parts(state)[0].shape[1]
        self._ids = torch.zeros(1, streams, dtype=torch.int64, device=model.head.weight.device)
        self._logits = model.head.weight.new_empty(1, streams, model.vocab_size)

        def work() -> None:
            logits, after = model(self._ids, self.state)
            self._logits.copy_(logits)
            _write(after, self.state)

        self._replay = record(work)
        # Recording runs the step, or may: the state is set back.
        _write(state, self.state)

    def __call__(self, ids: Tensor) -> Tensor:
        """ids (1, B) -> logits (1, B, V), good until the next call; the state advances in place."""
        self._ids.copy_(ids)
        self._replay()
        return self._logits


@dataclass
class StreamStates:
    state: State | None = None
    recorded: RecordedStep | None = None


class TorchStepper:
    """`Stepper`'s interface on a model in torch.

    record: what makes a step that can be repeated; by default a CUDA graph, where there is CUDA.
    """

    def __init__(self, model: CharLM, record: Callable[[Work], Work] | None = None) -> None:
        self._model = model.eval()
        self._device = model.head.weight.device
        self._record = record or (cuda_graph if self._device.type == "cuda" else None)

    def start(self, streams: int = 1) -> StreamStates:
        return StreamStates()

    def take(self, streams: StreamStates, rows: Sequence[int]) -> StreamStates:
        index = torch.tensor(rows, device=self._device)
        assert streams.state is not None
        return StreamStates(map_state(streams.state, lambda part: part.index_select(1, index)))

    @torch.inference_mode()
    def step(self, ids: Sequence[int], streams: StreamStates) -> npt.NDArray[np.float32]:
        """One symbol for each stream: ids (B,) -> logits (B, V)."""
        inputs = torch.tensor(ids)[None, :]
        if self._record is None or streams.state is None:
            return self._forward(inputs, streams)
        if streams.recorded is None:
            streams.recorded = RecordedStep(self._model, streams.state, self._record)
            streams.state = streams.recorded.state
        return _on_cpu(streams.recorded(inputs))

    @torch.inference_mode()
    def read(self, ids: Sequence[int], streams: StreamStates) -> npt.NDArray[np.float32]:
        """A text for a single stream: ids (T,) -> the last logits (1, V)."""
        return self._forward(torch.tensor(ids)[:, None], streams)

    def _forward(self, ids: Tensor, streams: StreamStates) -> npt.NDArray[np.float32]:
        logits, streams.state = self._model(ids.to(self._device), streams.state)
        return _on_cpu(logits)


def _on_cpu(logits: Tensor) -> npt.NDArray[np.float32]:
    """The last time step's, (B, V)."""
    last: npt.NDArray[np.float32] = logits[-1].float().cpu().numpy()
    return last


def _parts(state: State) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def _write(state: State, into: State) -> None:
    for part, place in zip(_parts(state), _parts(into), strict=True):
        place.copy_(part)
