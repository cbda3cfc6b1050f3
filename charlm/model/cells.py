"""The recurrent cells from scratch: one step each on plain tensors, and one loop over time.

The plain statement of the mathematics to which `torch.nn` and the NumPy stepper are held. The input
product of a whole text, with every bias that may join it, is one matrix product made before the
loop, so that a step adds only what depends on the state. Operations on parts that stand side by
side are done together: a step is short work, and calling it costs as much as doing it.

    x (B, G*H): a step's input product       h (B, H), c (B, H): the state
    u (H, G*H): recurrent weights            r (H, P): an LSTM's projection, or None

The gates stand side by side in the order of `torch.nn`. LSTM: Hochreiter & Schmidhuber 1997, with
the forget gate of Gers et al. 2000 and the projection of Sak et al. 2014. GRU: Cho et al. 2014,
with the reset gate after the recurrent product, as in cuDNN.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

State = Tensor | tuple[Tensor, Tensor]


def rnn_step(
    x: Tensor, h: Tensor, u: Tensor, activation: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """h' = tanh(x + U h), or relu."""
    h = activation(torch.addmm(x, h, u))
    return h, h


def gru_step(x: Tensor, h: Tensor, u: Tensor, b: Tensor | None) -> tuple[Tensor, Tensor]:
    """r, z = sigmoid(x + U h); n = tanh(x + r * (U h + b)); h' = n + z * (h - n).

    b (3*H): biases that stand with U h, since r gates the candidate's.
    """
    gates = 2 * h.shape[-1]
    product = h @ u if b is None else torch.addmm(b, h, u)
    r, z = torch.sigmoid(x[:, :gates] + product[:, :gates]).chunk(2, dim=-1)
    n = torch.tanh(torch.addcmul(x[:, gates:], r, product[:, gates:]))
    h = torch.lerp(n, h, z)
    return h, h


def lstm_step(
    x: Tensor, state: tuple[Tensor, Tensor], u: Tensor, r: Tensor | None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """i, f, o = sigmoid(x + U h); g = tanh(x + U h); c' = f * c + i * g; h' = o * tanh(c')."""
    h, c = state
    hidden = c.shape[-1]
    i_f, g, o = torch.split(torch.addmm(x, h, u), [2 * hidden, hidden, hidden], dim=-1)
    i, f = torch.sigmoid(i_f).chunk(2, dim=-1)
    c = torch.addcmul(i * torch.tanh(g), f, c)
    h = torch.sigmoid(o) * torch.tanh(c)
    if r is not None:
        h = h @ r
    return h, (h, c)


def unroll(
    step: Callable[[Tensor, State], tuple[Tensor, State]], inputs: Tensor, state: State
) -> tuple[Tensor, State]:
    """The loop over time: `step` on each of inputs (T, B, ...); outputs (T, B, ...), last state."""
    outputs = []
    for x in inputs.unbind():
        output, state = step(x, state)
        outputs.append(output)
    return torch.stack(outputs), state


class Recurrent(nn.Module):
    """Layers of a cell, with the interface, the parameters and the names of `nn.RNN`.

    A subclass gives `gates` and `_step`, which binds a layer's weights to a step.
    """

    gates: int

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        proj_size: int = 0,
    ) -> None:
        super().__init__()
        self.hidden_size, self.num_layers, self.proj_size = hidden_size, num_layers, proj_size
        self.bias, self._dropout = bias, dropout
        rows, output_size = self.gates * hidden_size, proj_size or hidden_size
        for k in range(num_layers):
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (rows, output_size if k else input_size),
                "weight_hh": (rows, output_size),
            }
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for name, shape in shapes.items():
                # As torch.nn starts them.
                values = torch.empty(shape).uniform_(-(hidden_size**-0.5), hidden_size**-0.5)
                setattr(self, f"{name}_l{k}", nn.Parameter(values))

    def _step(self, k: int) -> Callable[[Tensor, State], tuple[Tensor, State]]:
        raise TypeError("a cell of its own defines this")

    def _weight(self, name: str, k: int) -> Any:
        """A layer's tensor, or None where it has none of that name."""
        return getattr(self, f"{name}_l{k}", None)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """x (T, B, X), state (L, B, H) or a pair -> outputs (T, B, H), state."""
        states = self._states(x, state)
        for k in range(self.num_layers):
            if k and self._dropout:
                x = nn.functional.dropout(x, self._dropout, self.training)
            inputs = nn.functional.linear(x, self._weight("weight_ih", k), self._input_bias(k))
            x, states[k] = unroll(self._step(k), inputs, states[k])
        if isinstance(states[0], tuple):
            hidden, cell = zip(*states, strict=True)
            return x, (torch.stack(hidden), torch.stack(cell))
        return x, torch.stack([part for part in states if isinstance(part, Tensor)])

    def _input_bias(self, k: int) -> Tensor | None:
        """The biases that can be added before the loop: both, where no gate comes between."""
        if not self.bias:
            return None
        both: Tensor = self._weight("bias_ih", k) + self._weight("bias_hh", k)
        return both

    def _states(self, x: Tensor, state: State | None) -> list[State]:
        """The state of each layer, zero where there is none."""
        if state is None:
            state = x.new_zeros(self.num_layers, x.shape[1], self.proj_size or self.hidden_size)
            if self.gates == 4:
                state = (state, x.new_zeros(self.num_layers, x.shape[1], self.hidden_size))
        if isinstance(state, tuple):
            return list(zip(*state, strict=True))
        return list(state.unbind())


class RNN(Recurrent):
    gates = 1

    def __init__(self, *sizes: int, nonlinearity: str = "tanh", **options: Any) -> None:
        super().__init__(*sizes, **options)
        self._activation = {"tanh": torch.tanh, "relu": torch.relu}[nonlinearity]

    def _step(self, k: int) -> Any:
        return partial(rnn_step, u=self._weight("weight_hh", k).T, activation=self._activation)


class GRU(Recurrent):
    gates = 3

    def _input_bias(self, k: int) -> Tensor | None:
        bias: Tensor | None = self._weight("bias_ih", k)
        return bias

    def _step(self, k: int) -> Any:
        return partial(gru_step, u=self._weight("weight_hh", k).T, b=self._weight("bias_hh", k))


class LSTM(Recurrent):
    gates = 4

    def _step(self, k: int) -> Any:
        r = self._weight("weight_hr", k)
        return partial(lstm_step, u=self._weight("weight_hh", k).T, r=None if r is None else r.T)
