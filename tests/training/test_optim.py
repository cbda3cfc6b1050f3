import math

import pytest
import torch
from torch import nn

from charlm.config import TrainingConfig
from charlm.settings import fields_of
from charlm.training.optim import OPTIMIZERS, SCHEDULES, clip, learning_rate, set_rate


def test_the_registries_are_what_can_be_configured() -> None:
    assert set(fields_of("training")["optimizer"].metadata["choices"]) == set(OPTIMIZERS)
    assert set(fields_of("training")["schedule"].metadata["choices"]) == set(SCHEDULES)


def test_the_rate_rises_and_falls() -> None:
    config = TrainingConfig(lr=2.0, warmup=0.1, schedule="cosine")
    rates = [learning_rate(config, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert max(rates) == pytest.approx(2.0, rel=0.03)
    assert rates[-1] < 0.002
    assert learning_rate(config, 150, 100) == pytest.approx(0)


def test_a_constant_rate() -> None:
    config = TrainingConfig(lr=2.0, warmup=0.0, schedule="constant")
    assert {learning_rate(config, step, 100) for step in (0, 50, 99)} == {2.0}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_goes_downhill_at_the_rate_that_is_set(name: str) -> None:
    model = nn.Linear(2, 1)
    optimizer = OPTIMIZERS[name](model, TrainingConfig(optimizer=name))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    set_rate(optimizer, 0.0)
    loss = model(torch.ones(2)).square().sum()
    torch.autograd.backward(loss)
    optimizer.step()
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    set_rate(optimizer, 1e-3)
    optimizer.step()
    assert model(torch.ones(2)).square().sum() < loss


def test_biases_do_not_decay() -> None:
    optimizer = OPTIMIZERS["adamw"](nn.Linear(2, 1), TrainingConfig(weight_decay=0.5))
    decays = {p.ndim: group["weight_decay"] for group in optimizer.param_groups
              for p in group["params"]}  # fmt: skip
    assert decays == {2: 0.5, 1: 0.0}


def test_clipping_scales_the_gradient_to_the_norm() -> None:
    model = nn.Linear(2, 1, bias=False)
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    assert clip(model, 0) == pytest.approx(5)
    assert model.weight.grad.tolist() == [[3.0, 4.0]]
    assert clip(model, 1) == pytest.approx(5)
    assert model.weight.grad.norm().item() == pytest.approx(1, rel=1e-4)
    model.weight.grad = torch.tensor([[math.nan, 1.0]])
    assert math.isnan(clip(model, 1))
