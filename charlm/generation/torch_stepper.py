"""The same steps by `CharLM`, on a device: for GPUs, behind the same sampler."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charlm.generation.stepper import READ_AT_ONCE
from charlm.model.cells import State
from charlm.model.network import CharLM, map_state

Work = Callable[[], None]


def cuda_graph(work: Work, device: torch.device) -> Work:
    """Record what `work` has a GPU do; what comes back has it done again, in a single call.

    A step's kernels take less time than launching them one by one does. `work` must read and write
    the same tensors each time. It is run beforehand, as CUDA asks, on a stream of its own. Streams
    and recordings are those of the current device, which need not be the model's: it is made so.
    """
    with torch.cuda.device(device):
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            work()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()

    def replay() -> None:
        with torch.cuda.device(device):
            graph.replay()

    return replay


class RecordedStep:
    """A step of B streams in tensors that stay where they are. state: (L, B, H), or a pair."""

    def __init__(self, model: CharLM, state: State, record: Callable[[Work], Work]) -> None:
        self.state = map_state(state, Tensor.clone)
        self.streams = _parts(state)[0].shape[1]
        self._ids = torch.zeros(1, self.streams, dtype=torch.int64, device=model.head.weight.device)
        self._logits = model.head.weight.new_empty(1, self.streams, model.vocab_size)

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
    """rows: where the streams stand in `recorded`, in order; it steps those that ended too."""

    state: State | None = None
    recorded: RecordedStep | None = None
    rows: list[int] = field(default_factory=list)


class TorchStepper:
    """`Stepper`'s interface on a model in torch.

    record: what makes a step that can be repeated; by default a CUDA graph, where there is CUDA.
    """

    def __init__(self, model: CharLM, record: Callable[[Work], Work] | None = None) -> None:
        self._model = model.eval()
        self._device = model.head.weight.device
        self._record = record
        if record is None and self._device.type == "cuda":
            self._record = partial(cuda_graph, device=self._device)

    def start(self, streams: int = 1) -> StreamStates:
        return StreamStates()

    def take(self, streams: StreamStates, rows: Sequence[int]) -> StreamStates:
        """The streams of `rows`, in that order. Those that have ended stay in a recorded step,
        until they are half of it: to record anew takes longer than to step them."""
        state, recorded = streams.state, streams.recorded
        if recorded is not None:
            rows, state = [streams.rows[row] for row in rows], recorded.state
            if 2 * len(rows) > recorded.streams and rows == sorted(set(rows)):
                return StreamStates(state, recorded, rows)
        assert state is not None
        index = torch.tensor(rows, device=self._device)
        return StreamStates(map_state(state, lambda part: part.index_select(1, index)))

    @torch.inference_mode()
    def put(self, streams: StreamStates, rows: Sequence[int], stream: StreamStates) -> None:
        """Set the streams of these rows to where a single other one is, in place."""
        assert streams.state is not None
        assert stream.state is not None
        places = [streams.rows[row] for row in rows] if streams.recorded else rows
        index = torch.tensor(places, device=self._device)
        for part, other in zip(_parts(streams.state), _parts(stream.state), strict=True):
            part.index_copy_(1, index, other.expand(-1, len(places), -1))

    @torch.inference_mode()
    def step(self, ids: Sequence[int], streams: StreamStates) -> npt.NDArray[np.float32]:
        """One symbol for each stream: ids (B,) -> logits (B, V)."""
        if self._record is not None and streams.state is not None and streams.recorded is None:
            self._begin_recorded(streams, self._record)
        inputs, recorded = torch.tensor(ids)[None, :], streams.recorded
        if recorded is None:
            return self._forward(inputs, streams)
        if len(ids) == recorded.streams:
            return _on_cpu(recorded(inputs))
        among = inputs.new_zeros(1, recorded.streams)
        among[:, streams.rows] = inputs
        return _on_cpu(recorded(among))[streams.rows]

    def _begin_recorded(self, streams: StreamStates, record: Callable[[Work], Work]) -> None:
        """Record a step, or, where the device or its driver cannot, do without from then on."""
        assert streams.state is not None
        try:
            streams.recorded = RecordedStep(self._model, streams.state, record)
        except RuntimeError:
            self._record = None
        else:
            streams.state = streams.recorded.state
            streams.rows = list(range(streams.recorded.streams))

    @torch.inference_mode()
    def read(self, ids: Sequence[int], streams: StreamStates) -> npt.NDArray[np.float32]:
        """A text for a single stream: ids (T,) -> the last logits (1, V)."""
        for begin in range(0, len(ids), READ_AT_ONCE):
            piece = torch.tensor(ids[begin : begin + READ_AT_ONCE])
            logits = self._forward(piece[:, None], streams)
        return logits

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
