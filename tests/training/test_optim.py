import math
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from charlm.config import TrainingConfig
from charlm.settings import fields_of
from charlm.training.optim import OPTIMIZERS, SCHEDULES, clip, learning_rate


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
    loss = model(torch.ones(2)).square().sum()
    torch.autograd.backward(loss)
    optimizer.step(0.0)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    optimizer.step(1e-3)
    assert model(torch.ones(2)).square().sum() < loss


def test_they_are_torch_s_own() -> None:
    config = TrainingConfig(weight_decay=0.5, beta1=0.3)

    def trained(make: Any) -> list[Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
        step = make(model)
        for k in range(4):
            model.zero_grad()
            model(torch.full((5, 3), k + 1.0)).square().sum().backward()
            step()
        return list(model.parameters())

    def of_torch(model: nn.Module) -> Callable[[], object]:
        ps = list(model.parameters())
        decaying = {"params": [p for p in ps if p.ndim > 1], "weight_decay": 0.5}
        others = {"params": [p for p in ps if p.ndim <= 1], "weight_decay": 0.0}
        return torch.optim.AdamW([decaying, others], lr=0.1, betas=(0.3, 0.99), fused=True).step

    def of_ours(name: str) -> Callable[[nn.Module], Callable[[], None]]:
        return lambda model: partial(OPTIMIZERS[name](model, config).step, 0.1)

    for ours, theirs in (
        ("adamw", of_torch),
        ("sgd", lambda model: torch.optim.SGD(model.parameters(), lr=0.1).step),
    ):
        for a, b in zip(trained(of_ours(ours)), trained(theirs), strict=True):
            assert torch.equal(a, b)


def test_a_parameter_without_a_gradient_is_left_alone() -> None:
    for make in OPTIMIZERS.values():
        model = nn.Linear(2, 1)
        before = model.weight.clone()
        make(model, TrainingConfig(weight_decay=0.5)).step(0.1)
        assert torch.equal(model.weight, before)


def test_no_compiler_is_imported_to_train() -> None:
    script = (
        "import sys, torch; from charlm.config import TrainingConfig; "
        "from charlm.training.optim import AdamW; model = torch.nn.Linear(2, 1); "
        "model(torch.ones(2)).sum().backward(); AdamW(model, TrainingConfig()).step(0.1); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_clipping_scales_the_gradient_to_the_norm() -> None:
    model = nn.Linear(2, 1, bias=False)
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    assert clip(model, 0) == pytest.approx(5)
    assert model.weight.grad.tolist() == [[3.0, 4.0]]
    assert clip(model, 1) == pytest.approx(5)
    assert model.weight.grad.norm().item() == pytest.approx(1, rel=1e-4)
    model.weight.grad = torch.tensor([[math.nan, 1.0]])
    assert math.isnan(clip(model, 1))
