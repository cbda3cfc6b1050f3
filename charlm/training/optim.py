"""Optimisers and the course of the learning rate."""

import math
from collections.abc import Callable
from math import prod
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from charlm.config import TrainingConfig


class Optimizer(Protocol):
    """What `step` does to the parameters, by their gradients. Those without one are left alone.

    skip: (), on the device: 1 where all are to be, however the gradients are; 0 where not.
    state: what its next step needs to know of a parameter, by its place in `parameters`; of which
    `state_shapes` tells the names and sizes (a number's is (1,)).

    torch.optim's own classes do the same; but to make one is to wait a second for the import of
    torch's compiler, which nobody here asks for.
    """

    parameters: list[Tensor]
    state: dict[int, dict[str, Tensor]]

    def step(self, rate: float, skip: Tensor | None = None) -> None: ...
    def state_shapes(self, place: int) -> dict[str, tuple[int, ...]]: ...


def learning(model: nn.Module) -> list[Tensor]:
    """The parameters that are not frozen."""
    return [p for p in model.parameters() if p.requires_grad]


def numbers_kept(optimizer: Optimizer) -> int:
    """How many it keeps from step to step."""
    places = range(len(optimizer.parameters))
    return sum(prod(shape) for i in places for shape in optimizer.state_shapes(i).values())


class AdamW:
    """Loshchilov & Hutter 2019. Matrices decay, biases do not."""

    def __init__(self, model: nn.Module, config: TrainingConfig) -> None:
        # In this order their state is kept in checkpoints.
        self.parameters: list[Tensor] = sorted(learning(model), key=lambda p: p.ndim <= 1)
        self.state: dict[int, dict[str, Tensor]] = {}
        self._config = config

    @torch.no_grad()
    def step(self, rate: float, skip: Tensor | None = None) -> None:
        decaying = [i for i, p in enumerate(self.parameters) if p.ndim > 1]
        others = [i for i, p in enumerate(self.parameters) if p.ndim <= 1]
        for places, decay in ((decaying, self._config.weight_decay), (others, 0.0)):
            places = [i for i in places if self.parameters[i].grad is not None]
            self._step(places, rate, decay, skip)

    def _step(self, places: list[int], rate: float, decay: float, skip: Tensor | None) -> None:
        gradients = [g for i in places if (g := self.parameters[i].grad) is not None]
        self._apply([self.parameters[i] for i in places], gradients, places, rate, decay, skip)

    def _apply(
        self, parameters: list[Tensor], gradients: list[Tensor], places: list[int], rate: float,
        decay: float, skip: Tensor | None,
    ) -> None:  # fmt: skip
        """A step of these parameters by these gradients, with the state of those at `places`."""
        state = [self._state(i) for i in places]
        steps, means, squares = (
            [entries[name] for entries in state] for name in ("step", "exp_avg", "exp_avg_sq")
        )
        adamw(
            parameters, gradients, means, squares, [], steps,
            fused=True,  # one pass over all parameters, where the default makes a dozen
            found_inf=skip, amsgrad=False, maximize=False, eps=1e-8, lr=rate, weight_decay=decay,
            beta1=self._config.beta1, beta2=self._config.beta2,
        )  # fmt: skip

    def state_shapes(self, place: int) -> dict[str, tuple[int, ...]]:
        shape = tuple(self.parameters[place].shape)
        return {"step": (1,), "exp_avg": shape, "exp_avg_sq": shape}

    def _state(self, place: int) -> dict[str, Tensor]:
        if place not in self.state:
            p = self.parameters[place]
            self.state[place] = {
                "step": torch.zeros((), device=p.device),
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": torch.zeros_like(p),
            }
        return self.state[place]


# Columns of a matrix that are turned together, where they come to equal blocks of no more; the
# largest block that pays, where they do not.
BLOCK, LARGEST_BLOCK = 128, 512
# Steps from one look at the gradient's directions to the next, the share of a look in what is
# known of them, and steps from one turn of the basis to the next.
LOOK_EVERY, LOOK, TURN_EVERY = 4, 0.05, 40


class SOAP(AdamW):
    """AdamW in a basis in which a matrix's gradient goes its own ways (Vyas et al. 2025; after
    Shampoo, Gupta et al. 2018).

    Of a gradient G (m, n), Adam scales each number by its usual size, whatever the others do; but
    the columns of G go together. In the eigenvectors Q of the mean of G^T G they do so least:
    G Q is stepped by, and the step turned back. Of the columns alone, and block by block: the whole
    of it, for both sides, would cost more than it gives.
    """

    def __init__(self, model: nn.Module, config: TrainingConfig) -> None:
        super().__init__(model, config)
        self._numbers: dict[int, tuple[dict[str, Tensor], int]] = {}

    def state_shapes(self, place: int) -> dict[str, tuple[int, ...]]:
        shapes, block = super().state_shapes(place), _block(self.parameters[place])
        if block:
            square = (self.parameters[place].shape[1] // block, block, block)
            shapes |= {"gram": square, "basis": square}
        return shapes

    def _step(self, places: list[int], rate: float, decay: float, skip: Tensor | None) -> None:
        plain = [i for i in places if not _block(self.parameters[i])]
        super()._step(plain, rate, decay, skip)
        for i in places:
            gradient = self.parameters[i].grad
            if i not in plain and gradient is not None:
                self._step_turned(i, gradient, rate, decay, skip)

    def _step_turned(
        self, place: int, gradient: Tensor, rate: float, decay: float, skip: Tensor | None
    ) -> None:
        parameter, state = self.parameters[place], self._state(place)
        blocks, made = _blocks(gradient), 1.0 if skip is None else 1.0 - skip
        if skip is not None:
            blocks = blocks.masked_fill(skip > 0, 0.0)
        if "basis" not in state:
            state["gram"] = blocks.mT @ blocks
            state["basis"] = _decomposed(lambda gram: torch.linalg.eigh(gram)[1], state["gram"])
        basis, turned = state["basis"], torch.zeros_like(parameter)
        self._apply([turned], [_whole(blocks @ basis)], [place], rate, 0.0, skip)
        parameter.mul_(1 - rate * decay * made).add_(_whole(_blocks(turned) @ basis.mT))
        step = self._number(place)
        if step % LOOK_EVERY == 0:
            # The mean of the first looks: the one gradient that the basis began with is no guide.
            share = max(LOOK, 1 / (1 + step // LOOK_EVERY))
            state["gram"].lerp_(blocks.mT @ blocks, share * made)
        if step % TURN_EVERY == 0 or step.bit_count() == 1:  # often, at first: at 1, 2, 4, 8, …
            # Towards the eigenvectors by the power method, from those before.
            product = state["gram"] @ basis
            state["basis"] = _decomposed(lambda product: torch.linalg.qr(product)[0], product)
            change = basis.mT @ state["basis"]
            state["exp_avg"].copy_(_whole(_blocks(state["exp_avg"]) @ change))

    def _number(self, place: int) -> int:
        """Of the step of a parameter, as its state has it: read once, since reading may be waiting,
        and counted from there on."""
        state = self.state[place]
        of, number = self._numbers.get(place, (None, 0))
        number = number + 1 if of is state else int(state["step"].item())
        self._numbers[place] = state, number
        return number


def _decomposed(decompose: Callable[[Tensor], Tensor], matrix: Tensor) -> Tensor:
    """Rare and small; CUDA's GPUs can, and then nobody waits for them, others perhaps cannot."""
    here = matrix if matrix.device.type == "cuda" else matrix.cpu()
    return decompose(here).to(matrix.device).contiguous()


def _block(parameter: Tensor) -> int:
    """Columns that are turned together; 0 where none are."""
    if parameter.ndim < 2:
        return 0
    columns = parameter.shape[1]
    block, rest = divmod(columns, -(-columns // BLOCK))
    return block if not rest else columns if columns <= LARGEST_BLOCK else 0


def _blocks(matrix: Tensor) -> Tensor:
    """(m, n) -> (n / b, m, b)"""
    rows, columns = matrix.shape
    block = _block(matrix)
    return matrix.reshape(rows, columns // block, block).transpose(0, 1)


def _whole(blocks: Tensor) -> Tensor:
    """(n / b, m, b) -> (m, n)"""
    return blocks.transpose(0, 1).flatten(1)


class SGD:
    """Without momentum."""

    def __init__(self, model: nn.Module, config: TrainingConfig) -> None:
        self.parameters: list[Tensor] = learning(model)
        self.state: dict[int, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self, rate: float, skip: Tensor | None = None) -> None:
        for p in self.parameters:
            if p.grad is not None:
                gradient = p.grad if skip is None else p.grad.masked_fill(skip > 0, 0.0)
                p.add_(gradient, alpha=-rate)

    def state_shapes(self, place: int) -> dict[str, tuple[int, ...]]:
        return {}


def cosine(progress: float) -> float:
    """From 1 to 0 (Loshchilov & Hutter 2017, one cycle)."""
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def constant(progress: float) -> float:
    return 1.0


OPTIMIZERS: dict[str, Callable[[nn.Module, TrainingConfig], Optimizer]] = {
    "adamw": AdamW,
    "soap": SOAP,
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


def clip_on_device(model: nn.Module, largest_norm: float) -> Tensor:
    """The same, where to read the norm would be to wait for it."""
    parameters = [p for p in model.parameters() if p.grad is not None]
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if largest_norm:
        nn.utils.clip_grads_with_norm_(parameters, largest_norm, norm)
    return norm
