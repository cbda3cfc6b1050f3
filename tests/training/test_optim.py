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
from charlm.training import optim
from charlm.training.optim import OPTIMIZERS, SCHEDULES, clip, clip_on_device, learning_rate


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


def weights_after(name: str, gradients: list[Tensor], **settings: Any) -> Tensor:
    """What some steps make of a matrix of zeros."""
    model = nn.Linear(gradients[0].shape[1], gradients[0].shape[0], bias=False).to(gradients[0])
    nn.init.zeros_(model.weight)
    optimizer = OPTIMIZERS[name](model, TrainingConfig(weight_decay=0.0, **settings))
    for gradient in gradients:
        model.weight.grad = gradient.clone()
        optimizer.step(0.1)
    return model.weight.detach()


@pytest.mark.parametrize("beta1", [0.0, 0.9])
@pytest.mark.parametrize("columns", [6, 12])
def test_in_its_own_basis_the_columns_ways_make_no_difference(
    beta1: float, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients whose columns are turned give steps that are turned alike; not so Adam's."""
    monkeypatch.setattr(optim, "BLOCK", 6)
    monkeypatch.setattr(optim, "LOOK_EVERY", 1)
    monkeypatch.setattr(optim, "TURN_EVERY", 2)
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scales = 2.0 ** torch.arange(6).repeat(columns // 6)
    gradients = [scales * draw(40, columns) for _ in range(7)]
    turn, _ = torch.linalg.qr(draw(6, 6))
    turns = torch.block_diag(*[turn] * (columns // 6))
    for name, agrees in (("soap", True), ("adamw", False)):
        plain = weights_after(name, gradients, beta1=beta1) @ turns
        turned = weights_after(name, [gradient @ turns for gradient in gradients], beta1=beta1)
        assert torch.allclose(plain, turned, atol=1e-6) == agrees


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("columns", [1, 100, 128, 200, 256, 257, 384, 514, 1031])
def test_what_is_kept_of_a_parameter_has_the_sizes_that_are_told(name: str, columns: int) -> None:
    model = nn.Linear(columns, 3)
    model(torch.ones(2, columns)).sum().backward()
    optimizer = OPTIMIZERS[name](model, TrainingConfig())
    optimizer.step(0.1)
    for place in range(len(optimizer.parameters)):
        sizes = {
            key: tuple(value.shape) or (1,) for key, value in optimizer.state.get(place, {}).items()
        }
        assert sizes == optimizer.state_shapes(place)


def test_columns_come_in_equal_blocks_or_whole() -> None:
    blocks = {64: 64, 128: 128, 129: 129, 256: 128, 257: 257, 384: 128, 514: 0, 768: 128}
    for columns, block in blocks.items():
        assert optim._block(torch.zeros(2, columns)) == block
    assert optim._block(torch.zeros(2)) == 0
    matrix = torch.arange(3.0 * 256).reshape(3, 256)
    assert torch.equal(optim._whole(optim._blocks(matrix)), matrix)
    assert torch.equal(optim._blocks(matrix)[1], matrix[:, 128:])


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


@pytest.mark.parametrize("largest", [0.0, 1.0, 100.0])
def test_to_clip_where_the_gradient_lies_is_to_clip(largest: float) -> None:
    found = []
    for clipped in (clip, clip_on_device):
        model = nn.Linear(3, 2)
        model.weight.grad, model.bias.grad = torch.full((2, 3), 3.0), torch.full((2,), -4.0)
        norm = clipped(model, largest)
        found.append([torch.as_tensor(norm), model.weight.grad, model.bias.grad])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_that_is_skipped_changes_no_weight_whatever_the_gradient(name: str) -> None:
    """And one that is not skipped is the step that it would have been."""
    config, found = TrainingConfig(optimizer=name, weight_decay=0.5), []
    for skips in (None, torch.zeros(())):
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        optimizer = OPTIMIZERS[name](model, config)
        for k in range(6):
            for p in model.parameters():
                p.grad = torch.full_like(p, k + 1.0).cumsum(0)
            optimizer.step(0.1, skips)
        found.append([p.detach().clone() for p in model.parameters()])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
    for gradient in (math.nan, math.inf, 1.0):
        for p in model.parameters():
            p.grad = torch.full_like(p, gradient)
        optimizer.step(0.1, torch.ones(()))
        for p, before in zip(model.parameters(), found[1], strict=True):
            assert torch.equal(p, before)


def test_the_number_of_a_step_goes_on_where_its_state_was_restored() -> None:
    """It is read once, and counted from there on."""
    torch.manual_seed(0)
    model, numbers = nn.Linear(4, 3), []
    optimizer = optim.SOAP(model, TrainingConfig())
    place = next(i for i, p in enumerate(optimizer.parameters) if p.ndim == 2)
    for k in range(6):
        if k == 3:
            state = {name: value.clone() for name, value in optimizer.state[place].items()}
            optimizer.state = {**optimizer.state, place: {**state, "step": torch.tensor(40.0)}}
        for p in model.parameters():
            p.grad = torch.ones_like(p)
        optimizer.step(0.1)
        numbers.append(optimizer._numbers[place][1])
        assert numbers[-1] == optimizer.state[place]["step"].item()
    assert numbers == [1, 2, 3, 41, 42, 43]
