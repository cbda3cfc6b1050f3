"""The NumPy stepper and the torch stepper are the model, to 1e-5."""

from copy import deepcopy
from itertools import product
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.generation.stepper import Stepper
from charlm.generation.torch_stepper import TorchStepper, Work, cuda_graph
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
def test_reading_is_stepping(config: ModelConfig) -> None:
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
        chosen = engine.take(state, [2, 0, 2])
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


def test_a_cuda_graph_is_warmed_up_aside_and_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, work = MagicMock(), MagicMock()
    monkeypatch.setattr(torch, "cuda", cuda)
    assert cuda_graph(work) is cuda.CUDAGraph.return_value.replay
    cuda.graph.assert_called_once_with(cuda.CUDAGraph.return_value)
    assert work.call_count == 2


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
