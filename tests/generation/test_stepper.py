"""The NumPy stepper and the torch stepper are the model, to 1e-5."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import partial
from itertools import product
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.generation import layers
from charlm.generation import stepper as stepper_module
from charlm.generation.layers import ROW_BY_ROW
from charlm.generation.stepper import READ_AT_ONCE, Stepper
from charlm.generation.torch_stepper import StreamStates, TorchStepper, Work, cuda_graph
from charlm.model.network import IMPLEMENTATIONS, CharLM, weights_of

V, H, T, B = 13, 24, 20, 3
CASES = [
    ModelConfig(rnn_type=cell, num_layers=layers, embedding_size=width, hidden_size=H, bias=bias,
                tied=width == H)
    for cell, layers, (width, bias) in product(
        IMPLEMENTATIONS["torch"], (1, 2, 3), [(5, True), (0, True), (H, True), (5, False)]
    )
] + [
    ModelConfig(rnn_type="rnn", nonlinearity="relu", num_layers=2, embedding_size=5, hidden_size=H),
    ModelConfig(rnn_type="lstm", num_layers=2, proj_size=7, embedding_size=7, hidden_size=H,
                tied=True),
]  # fmt: skip
every_case = pytest.mark.parametrize(
    "config", CASES, ids=lambda c: f"{c.rnn_type}-{c.num_layers}-{c.embedding_size}-{c.bias}"
)


def model_of(config: ModelConfig) -> CharLM:
    torch.manual_seed(0)
    model = CharLM(config, V).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # Far from zero, where gates saturate and biases count.
            parameter += 0.3 * torch.randn_like(parameter)
            if config.nonlinearity == "relu":
                parameter *= 0.3  # else it grows without bound
    return model


TEXT = np.random.default_rng(0).integers(V, size=(T, B))


def logits_of(model: CharLM) -> np.ndarray:
    """In double precision: of two that round, neither is the measure of the other."""
    with torch.no_grad():
        return deepcopy(model).double()(torch.from_numpy(TEXT))[0].numpy()


@every_case
def test_stepping_is_the_model(config: ModelConfig) -> None:
    model = model_of(config)
    stepper = Stepper(config, weights_of(model))
    state = stepper.start(B)
    steps = np.stack([stepper.step(TEXT[t], state).copy() for t in range(T)])
    np.testing.assert_allclose(steps, logits_of(model), atol=1e-5, rtol=0)


@every_case
@pytest.mark.parametrize("at_once", [READ_AT_ONCE, 3])
def test_reading_is_stepping(
    config: ModelConfig, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepper_module, "READ_AT_ONCE", at_once)
    model = model_of(config)
    stepper = Stepper(config, weights_of(model))
    read, stepped = stepper.start(), stepper.start()
    first = stepper.read(TEXT[:7, 0], read).copy()
    second = stepper.read(TEXT[7:, 0], read).copy()
    expected = logits_of(model)[:, :1]
    np.testing.assert_allclose(first, expected[6], atol=1e-5, rtol=0)
    np.testing.assert_allclose(second, expected[-1], atol=1e-5, rtol=0)
    for t in range(T):
        last = stepper.step(TEXT[t, :1], stepped)
    np.testing.assert_allclose(second, last, atol=1e-5, rtol=0)


def held_by_torch(model: CharLM) -> np.ndarray:
    """Of each layer h and, of an LSTM, tanh(c), after each symbol, by a step of torch for each."""
    model, state, rows = deepcopy(model).double(), None, []
    with torch.no_grad():
        for symbol in torch.from_numpy(TEXT[:, :1]):
            _, state = model(symbol[None], state)
            h, c = state if isinstance(state, tuple) else (state, None)
            parts = [h] if c is None else [h, c.tanh()]
            rows.append(torch.cat([part[k, 0] for k in range(len(h)) for part in parts]))
    return torch.stack(rows).numpy()


@every_case
@pytest.mark.parametrize("at_once", [READ_AT_ONCE, 3])
def test_what_the_units_hold_is_what_torch_s_hold(
    config: ModelConfig, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepper_module, "READ_AT_ONCE", at_once)
    model = model_of(config)
    stepper = Stepper(config, weights_of(model))
    state = stepper.start()
    held = [*stepper.activations(TEXT[:7, 0], state), *stepper.activations(TEXT[7:, 0], state)]
    assert max(len(piece) for piece in held) == min(at_once, T - 7)
    np.testing.assert_allclose(np.concatenate(held), held_by_torch(model), atol=1e-5, rtol=0)


@every_case
def test_without_the_table_of_first_products_it_is_the_model(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "LARGEST_TABLE", 0)
    model = model_of(config)
    stepper = Stepper(config, weights_of(model))
    state, read = stepper.start(B), stepper.start()
    steps = np.stack([stepper.step(TEXT[t].tolist(), state).copy() for t in range(T)])
    np.testing.assert_allclose(steps, logits_of(model), atol=1e-5, rtol=0)
    last = stepper.read(TEXT[:, 0].tolist(), read)
    np.testing.assert_allclose(last, logits_of(model)[-1, :1], atol=1e-5, rtol=0)


def test_a_large_vocabulary_takes_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ModelConfig(embedding_size=4, hidden_size=64)
    weights = weights_of(CharLM(config, 5_000))
    peaks = []
    for largest in (0, layers.LARGEST_TABLE):
        monkeypatch.setattr(layers, "LARGEST_TABLE", largest)
        tracemalloc.start()
        Stepper(config, weights)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] > 5_000 * 4 * 64 * 4


@pytest.mark.parametrize("depth", [1, 2])
def test_a_long_prefix_takes_no_memory_of_its_own(depth: int) -> None:
    config = ModelConfig(num_layers=depth, embedding_size=4, hidden_size=64)
    stepper = Stepper(config, weights_of(CharLM(config, V)))
    peaks = []
    for pieces in (1, 6):
        ids, state = [1, 2] * (READ_AT_ONCE * pieces // 2), stepper.start()
        tracemalloc.start()
        stepper.read(ids, state)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


@every_case
def test_a_stream_is_the_same_to_the_bit_alone_and_among_a_few(config: ModelConfig) -> None:
    # Of a size at which a product of several rows rounds unlike one of a single row.
    sizes = {"hidden_size": 150, "embedding_size": config.embedding_size and 150}
    config = replace(config, **sizes, proj_size=config.proj_size and 150 - 1, tied=False)
    stepper = Stepper(config, weights_of(model_of(config)))
    text = np.random.default_rng(1).integers(V, size=(40, ROW_BY_ROW))
    alone = stepper.start()
    steps = [stepper.step(text[t, :1].tolist(), alone).copy() for t in range(len(text))]
    for streams in range(2, ROW_BY_ROW + 1):
        state = stepper.start(streams)
        for ids, expected in zip(text[:, :streams].tolist(), steps, strict=True):
            assert (stepper.step(ids, state)[0] == expected[0]).all()


def repeated(work: Work) -> Work:
    """What a CUDA graph does, on a CPU: runs the work once, and gives it back to be run again."""
    work()
    return work


@pytest.mark.parametrize("cell", IMPLEMENTATIONS["torch"])
def test_streams_taken_go_on_as_they_were(cell: str) -> None:
    config = ModelConfig(rnn_type=cell, num_layers=2, embedding_size=5, hidden_size=H)
    model = model_of(config)
    steppers = (
        Stepper(config, weights_of(model)),
        TorchStepper(model),
        TorchStepper(model, repeated),
    )
    for engine in steppers:
        state = engine.start(B)
        for t in range(T - 1):
            engine.step(TEXT[t].tolist(), state)
        chosen = engine.take(engine.take(state, [2, 0, 1]), [0, 1, 0])
        last = engine.step(TEXT[-1][[2, 0, 2]].tolist(), chosen)
        np.testing.assert_allclose(last, logits_of(model)[-1][[2, 0, 2]], atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", IMPLEMENTATIONS["torch"])
def test_a_recorded_step_is_recorded_once_and_is_the_model(cell: str) -> None:
    config = ModelConfig(rnn_type=cell, num_layers=2, embedding_size=5, hidden_size=H)
    model, record = model_of(config), MagicMock(side_effect=repeated)
    engine = TorchStepper(model, record)
    state = engine.start()
    steps = [engine.read(TEXT[:2, 0].tolist(), state)]
    steps += [engine.step(TEXT[t, :1].tolist(), state).copy() for t in range(2, T)]
    np.testing.assert_allclose(steps, logits_of(model)[1:, :1], atol=1e-5, rtol=0)
    record.assert_called_once()


class Cuda:
    """What `cuda_graph` asks of torch.cuda, on a machine with two GPUs, of which 0 is current.

    done: what was done, and on which device.
    """

    def __init__(self) -> None:
        self.current, self.done = 0, []
        self.CUDAGraph = lambda: SimpleNamespace(replay=partial(self.log, "replay"))
        self.Stream = self.current_stream = self.stream_of_current

    def log(self, what: str) -> None:
        self.done.append((what, self.current))

    def stream_of_current(self) -> SimpleNamespace:
        return SimpleNamespace(device=self.current, wait_stream=lambda other: None)

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        before, self.current = self.current, device.index
        yield
        self.current = before

    @contextmanager
    def stream(self, stream: SimpleNamespace) -> Iterator[None]:
        assert stream.device == self.current
        self.log("aside")
        yield

    @contextmanager
    def graph(self, graph: SimpleNamespace) -> Iterator[None]:
        self.log("record")
        yield


@pytest.mark.parametrize("index", [0, 1])
def test_a_cuda_graph_is_recorded_and_replayed_on_the_models_device(
    monkeypatch: pytest.MonkeyPatch, index: int
) -> None:
    cuda = Cuda()
    monkeypatch.setattr(torch, "cuda", cuda)
    replay = cuda_graph(partial(cuda.log, "work"), torch.device("cuda", index))
    replay()
    steps = ["aside", "work", "record", "work", "replay"]
    assert cuda.done == [(step, index) for step in steps]
    assert cuda.current == 0


def test_where_nothing_can_be_recorded_it_goes_on_without() -> None:
    config = ModelConfig(num_layers=2, embedding_size=5, hidden_size=H)

    def record(work: Work) -> Work:
        work()  # the step is run, and its recording fails after that
        tried.append(work)
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    model, tried = model_of(config), []
    engine = TorchStepper(model, record)
    state = engine.start()
    steps = [engine.read(TEXT[:2, 0].tolist(), state)]
    steps += [engine.step(TEXT[t, :1].tolist(), state) for t in range(2, T)]
    np.testing.assert_allclose(steps, logits_of(model)[1:, :1], atol=1e-5, rtol=0)
    assert len(tried) == 1


def test_streams_that_end_are_dropped_without_recording_anew_until_half_have_ended() -> None:
    config = ModelConfig(num_layers=2, embedding_size=5, hidden_size=H)
    model, record = model_of(config), MagicMock(side_effect=repeated)
    engine = TorchStepper(model, record)
    text = np.random.default_rng(2).integers(V, size=(T, 8))
    with torch.no_grad():
        expected = deepcopy(model).double()(torch.from_numpy(text))[0].numpy()
    # From the zero state, eight of them: what a recording begins with is a state.
    shape = (config.num_layers, 8, H)
    state = StreamStates((torch.zeros(shape), torch.zeros(shape)))
    going = list(range(8))
    for t in range(T):
        logits = engine.step(text[t, going].tolist(), state)
        np.testing.assert_allclose(logits, expected[t, going], atol=1e-5, rtol=0)
        if t % 2 and len(going) > 1:
            ended = len(going) // 2
            state = engine.take(state, [k for k in range(len(going)) if k != ended])
            del going[ended]
    assert len(going) == 1
    # Of 8 streams, of 4, 2 and 1.
    assert record.call_count == 4


@pytest.mark.parametrize("cell", IMPLEMENTATIONS["torch"])
def test_the_torch_stepper_is_the_model(cell: str) -> None:
    config = ModelConfig(rnn_type=cell, num_layers=2, embedding_size=5, hidden_size=H)
    model = model_of(config)
    engine = TorchStepper(model)
    state = engine.start()
    read = engine.read(TEXT[:-1, 0].tolist(), state)
    np.testing.assert_allclose(read[0], logits_of(model)[-2, 0], atol=1e-5, rtol=0)
    stepped = engine.step(TEXT[-1, :1].tolist(), state)
    np.testing.assert_allclose(stepped[0], logits_of(model)[-1, 0], atol=1e-5, rtol=0)


def test_a_step_allocates_no_state_of_its_own() -> None:
    config = ModelConfig(hidden_size=H, embedding_size=5)
    stepper = Stepper(config, weights_of(model_of(config)))
    state = stepper.start()
    hidden, logits = state[0].h, stepper.step([1], state)
    assert stepper.step([2], state) is logits
    assert state[0].h is hidden
