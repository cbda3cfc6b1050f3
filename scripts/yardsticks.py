"""The bare PyTorch loops that the benches compare with, as a textbook writes them.

For bench_systems: one-hot input, plain SGD, gradients clipped to norm 1, 32 streams of windows of
35, state carried.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

B, T = 32, 35
Step = Callable[[], None]


def windows(ids: np.ndarray) -> list[tuple[Tensor, Tensor]]:
    """(T, B) inputs and targets of an epoch."""
    length = (len(ids) - 1) // B
    x = torch.from_numpy(ids[: length * B].astype(np.int64)).reshape(B, length).T
    y = torch.from_numpy(ids[1 : length * B + 1].astype(np.int64)).reshape(B, length).T
    pairs = zip(x.split(T), y.split(T), strict=True)
    return [(a.contiguous(), b.contiguous()) for a, b in pairs]


def layers_step(
    embed: Callable[[Tensor], Tensor],
    rnn: nn.Module,
    head: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> Callable[[Tensor, Tensor, Any], Any]:
    """A step of torch's layers, written as anyone would: inputs, targets, state -> state."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def step(x: Tensor, y: Tensor, state: Any) -> Any:
        if isinstance(state, tuple):
            state = tuple(part.detach() for part in state)
        elif state is not None:
            state = state.detach()
        outputs, state = rnn(embed(x), state)
        loss = F.cross_entropy(head(outputs).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        loss.item()
        return state

    return step


def layers_loop(
    cell: str, hidden: int, layers: int, rate: float, ids: np.ndarray, vocab_size: int
) -> Callable[[int], None]:
    """nn.RNN, nn.GRU or nn.LSTM and nn.Linear, trained for so many epochs."""
    rnn = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell](vocab_size, hidden, layers)
    head = nn.Linear(hidden, vocab_size)
    parameters = [*rnn.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=rate)
    step = layers_step(lambda x: F.one_hot(x, vocab_size).float(), rnn, head, optimizer)

    def train(epochs: int) -> None:
        for _ in range(epochs):
            state = None
            for x, y in windows(ids):
                state = step(x, y, state)

    return train


def scratch_loop(
    cell: str, hidden: int, rate: float, ids: np.ndarray, vocab_size: int
) -> Callable[[int], None]:
    """A cell written gate by gate, one-hot products at every step, autograd, SGD by hand."""
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[cell]

    def weight(*shape: int) -> Tensor:
        return (0.01 * torch.randn(*shape)).requires_grad_()

    def bias(size: int) -> Tensor:
        return torch.zeros(size, requires_grad=True)

    made = [(weight(vocab_size, hidden), weight(hidden, hidden), bias(hidden))
            for _ in range(gates)]  # fmt: skip
    w_q, b_q = weight(hidden, vocab_size), bias(vocab_size)
    parameters = [*(part for gate in made for part in gate), w_q, b_q]
    forward = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}[cell]

    def train(epochs: int) -> None:
        for _ in range(epochs):
            state = tuple(torch.zeros(B, hidden) for _ in range(2))
            for x, y in windows(ids):
                state = tuple(part.detach() for part in state)
                outputs = []
                for x_t in F.one_hot(x, vocab_size).float():
                    state = forward(x_t, state, made)
                    outputs.append(state[0] @ w_q + b_q)
                loss = F.cross_entropy(torch.cat(outputs), y.reshape(-1))
                for parameter in parameters:
                    parameter.grad = None
                loss.backward()
                norm = torch.sqrt(sum((p.grad**2).sum() for p in parameters))
                with torch.no_grad():
                    for parameter in parameters:
                        if norm > 1:
                            parameter.grad *= 1 / norm
                        parameter -= rate * parameter.grad
                loss.item()

    return train


Gates = list[tuple[Tensor, Tensor, Tensor]]
State = tuple[Tensor, ...]


def _rnn(x: Tensor, state: State, gates: Gates) -> State:
    h, c = state
    [(w, u, b)] = gates
    return torch.tanh(x @ w + h @ u + b), c


def _gru(x: Tensor, state: State, gates: Gates) -> State:
    h, c = state
    (w_z, u_z, b_z), (w_r, u_r, b_r), (w_h, u_h, b_h) = gates
    z = torch.sigmoid(x @ w_z + h @ u_z + b_z)
    r = torch.sigmoid(x @ w_r + h @ u_r + b_r)
    candidate = torch.tanh(x @ w_h + (r * h) @ u_h + b_h)
    return z * h + (1 - z) * candidate, c


def _lstm(x: Tensor, state: State, gates: Gates) -> State:
    h, c = state
    (w_i, u_i, b_i), (w_f, u_f, b_f), (w_o, u_o, b_o), (w_c, u_c, b_c) = gates
    i = torch.sigmoid(x @ w_i + h @ u_i + b_i)
    f = torch.sigmoid(x @ w_f + h @ u_f + b_f)
    o = torch.sigmoid(x @ w_o + h @ u_o + b_o)
    c = f * c + i * torch.tanh(x @ w_c + h @ u_c + b_c)
    return o * torch.tanh(c), c
