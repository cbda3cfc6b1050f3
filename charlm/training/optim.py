"""Optimisers and the course of the learning rate."""

import math
from collections.abc import Callable

import torch
from torch import nn

from charlm.config import TrainingConfig


def adamw(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Loshchilov & Hutter 2019. Matrices decay, biases do not."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    # Fused: one pass over all parameters, where the default makes a dozen.
    return torch.optim.AdamW(groups, lr=config.lr, betas=(config.beta1, config.beta2), fused=True)


def sgd(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=config.lr)


def cosine(progress: float) -> float:
    """From 1 to 0 (Loshchilov & Hutter 2017, one cycle)."""
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def constant(progress: float) -> float:
    return 1.0


OPTIMIZERS: dict[str, Callable[[nn.Module, TrainingConfig], torch.optim.Optimizer]] = {
    "adamw": adamw,
    "sgd": sgd,
}
# Share of the training done, 0 to 1 -> share of the peak rate.
SCHEDULES: dict[str, Callable[[float], float]] = {"cosine": cosine, "constant": constant}


def learning_rate(config: TrainingConfig, step: int, total_steps: int) -> float:
    """The rate of step number `step`, counted from 0: a linear rise, then the schedule."""
    rise = min(1.0, (step + 1) / max(1.0, config.warmup * total_steps))
    return config.lr * rise * SCHEDULES[config.schedule](step / total_steps)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


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
