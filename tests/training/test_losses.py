"""Over a sample of the symbols a loss is on average what it is over all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.model.network import CharLM
from charlm.training.losses import FullSoftmax, SampledSoftmax, make_loss

SYMBOLS = 40
COUNTS = np.arange(SYMBOLS, 0, -1) ** 2
TARGETS = np.random.default_rng(0).integers(SYMBOLS, size=(6, 3))


@pytest.fixture
def model() -> CharLM:
    torch.manual_seed(0)
    return CharLM(ModelConfig(embedding_size=8, hidden_size=8), SYMBOLS)


@pytest.fixture
def outputs() -> torch.Tensor:
    return torch.randn(6, 3, 8, generator=torch.Generator().manual_seed(1))


def sampled(model: CharLM, number: int, tokens: int = TARGETS.size) -> SampledSoftmax:
    return SampledSoftmax(model, COUNTS, number, tokens, seed=0)


def loss_of(loss: Any, outputs: torch.Tensor, step: int = 0) -> torch.Tensor:
    found = loss(outputs, torch.from_numpy(TARGETS), loss.drawn(TARGETS, step))
    assert isinstance(found, torch.Tensor)
    return found


@pytest.mark.parametrize("number", [SYMBOLS, SYMBOLS + 1, 10 * SYMBOLS])
def test_a_sample_of_all_is_all(model: CharLM, outputs: torch.Tensor, number: int) -> None:
    exact = loss_of(FullSoftmax(model), outputs)
    torch.testing.assert_close(loss_of(sampled(model, number), outputs), exact)


def test_the_sum_over_a_sample_is_right_on_average(model: CharLM) -> None:
    """exp of the nats times the likelihood is that sum, over the sum over all."""
    outputs = torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(2))
    # The batch's other tokens come as often as the text has them.
    loss, generator = sampled(model, 10, tokens=9), np.random.default_rng(3)
    target = torch.tensor([[5]])
    exact = FullSoftmax(model)(outputs, target, None)
    ratios = []
    with torch.no_grad():
        for step in range(4000):
            batch = generator.choice(SYMBOLS, size=9, p=COUNTS / COUNTS.sum())
            batch[0] = 5
            nats = loss(outputs, target, loss.drawn(batch, step))
            ratios.append(float(torch.exp(nats - exact)))
    assert np.std(ratios) > 0.01
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.02)


def test_the_sample_is_a_function_of_the_step_and_has_what_it_must(model: CharLM) -> None:
    loss = sampled(model, 10)
    draws = [loss.drawn(TARGETS, step) for step in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    for drawn in draws:
        assert set(TARGETS.ravel()) | set(range(5)) <= set(drawn.tolist())  # 5: the most frequent
        assert drawn.tolist() == sorted(set(drawn.tolist()))


@pytest.mark.parametrize("tied", [False, True])
def test_no_gradient_for_what_was_not_drawn(outputs: torch.Tensor, tied: bool) -> None:
    model = CharLM(ModelConfig(embedding_size=8, hidden_size=8, tied=tied), SYMBOLS)
    loss = sampled(model, 4)
    drawn = loss.drawn(TARGETS[:1], 0)
    loss(outputs[:1], torch.from_numpy(TARGETS[:1]), drawn).backward()
    assert model.head.weight.grad is not None
    moved = model.head.weight.grad.abs().sum(1).nonzero().ravel()
    assert moved.tolist() == drawn.tolist()
    assert len(drawn) < SYMBOLS


def test_what_the_settings_ask_for(model: CharLM, tiny_config: Callable[..., Any]) -> None:
    for number, kind in ((0, FullSoftmax), (8, SampledSoftmax), (SYMBOLS // 2, FullSoftmax)):
        training = tiny_config(training={"sampled": number}).training
        assert type(make_loss(model, training, COUNTS)) is kind


def test_a_short_text_has_no_more_streams_than_it_fills(
    model: CharLM, tiny_config: Callable[..., Any]
) -> None:
    chances = [
        make_loss(model, tiny_config(
            training={"sampled": 8, "seq_len": 10, "batch_size": streams}).training, counts)
        ._log_chance for streams in (4, 400) for counts in [np.ones(SYMBOLS, np.int64)]
    ]  # fmt: skip
    assert torch.equal(*chances)
