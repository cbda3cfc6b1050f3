"""Optimisers and the course of the learning rate."""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from charlm.config import TrainingConfig


class Optimizer(Protocol):
    """What `step` does to the parameters, by their gradients. Those without one are left alone.

    keeps: what its next step needs to know of a parameter; state: the tensors of these names, by
    the parameter's place in `parameters`.

    torch.optim's own classes do the same; but to make one is to wait a second for the import of
    torch's compiler, which nobody here asks for.
    """

    keeps: frozenset[str]
    parameters: list[Tensor]
    state: dict[int, dict[str, Tensor]]

    def step(self, rate: float) -> None: ...


class AdamW:
    """Loshchilov & Hutter 2019. Matrices decay, biases do not."""

    keeps = frozenset({"step", "exp_avg", "exp_avg_sq"})

    def __init__(self, model: nn.Module, config: TrainingConfig) -> None:
        # In this order their state is kept in checkpoints.
        self.parameters: list[Tensor] = sorted(model.parameters(), key=lambda p: p.ndim <= 1)
        self.state: dict[int, dict[str, Tensor]] = {}
        self._config = config

    @torch.no_grad()
    def step(self, rate: float) -> None:
        decaying = [i for i, p in enumerate(self.parameters) if p.ndim > 1]
        others = [i for i, p in enumerate(self.parameters) if p.ndim <= 1]
        for places, decay in ((decaying, self._config.weight_decay), (others, 0.0)):
            self._step([i for i in places if self.parameters[i].grad is not None], rate, decay)

    def _step(self, places: list[int], rate: float, decay: float) -> None:
        state = [self._state(i) for i in places]
        steps, means, squares = (
            [entries[name] for entries in state] for name in ("step", "exp_avg", "exp_avg_sq")
        )
        adamw(
            [self.parameters[i] for i in places],
            [g for i in places if (g := self.parameters[i].grad) is not None],
            means, squares, [], steps,
            fused=True,  # one pass over all parameters, where the default makes a dozen
            amsgrad=False, maximize=False, eps=1e-8, lr=rate, weight_decay=decay,
            beta1=self._config.beta1, beta2=self._config.beta2,
        )  # fmt: skip

    def _state(self, place: int) -> dict[str, Tensor]:
        if place not in self.state:
            p = self.parameters[place]
            self.state[place] = {
                "step": torch.zeros((), device=p.device),
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": torch.zeros_like(p),
            }
        return self.state[place]


class SGD:
    """Without momentum."""

    keeps = frozenset[str]()

    def __init__(self, model: nn.Module, config: TrainingConfig) -> None:
        self.parameters: list[Tensor] = list(model.parameters())
        self.state: dict[int, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for p in self.parameters:
            if p.grad is not None:
                p.add_(p.grad, alpha=-rate)


def cosine(progress: float) -> float:
    """From 1 to 0 (Loshchilov & Hutter 2017, one cycle)."""
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def constant(progress: float) -> float:
    return 1.0


OPTIMIZERS: dict[str, Callable[[nn.Module, TrainingConfig], Optimizer]] = {
    "adamw": AdamW,
    "sgd": SGD,
}
# Share of the training done, 0 to 1 -> share of the peak rate.
SCHEDULES: dict[str, Callable[[float], float]] = {"cosine": cosine, "constant": constant}


def learning_rate(config: TrainingConfig, step: int, total_steps: int) -> float:
    """The rate of step number `step`, counted from 0: a linear rise, then the schedule."""
    rise = min(1.0, (step + 1) / max(1.0, config.warmup * total_steps))
    return config.lr * rise * SCHEDULES[config.schedule](step / total_steps)


def clip(model: nn.Module, largest_norm: float) -> float:
    """Scale the gradient down to an L2 norm of `largest_norm` (0: leave it); the norm it had."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norms = torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients])
    norm: float = torch.linalg.vector_norm(norms).item()
    # Most gradients need no scaling, and passing over them to multiply by 1 is not free.
    if largest_norm and norm > largest_norm:
        for gradient in gradients:
            gradient.mul_(largest_norm / norm)
    return norm
