"""The recurrent cells from scratch: one step each on plain tensors, and one loop over time.

The plain statement of the mathematics to which `torch.nn` and the NumPy stepper are held. The input
product of a whole text, with every bias that may join it, is one matrix product made before the
loop, so that a step adds only what depends on the state. The gradient of the recurrent weights is
one product too, made after the loop back (`RecurrentWeights`). Operations on parts that stand side
by side are done together: a step is short work, and calling it costs as much as doing it.

    x (B, G*H): a step's input product       h (B, H), c (B, H): the state
    u (H, G*H): recurrent weights            r (H, P): an LSTM's projection, or None

The gates stand side by side in the order of `torch.nn`. LSTM: Hochreiter & Schmidhuber 1997, with
the forget gate of Gers et al. 2000 and the projection of Sak et al. 2014. GRU: Cho et al. 2014,
with the reset gate after the recurrent product, as in cuDNN.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

State = Tensor | tuple[Tensor, Tensor]


def rnn_step(
    x: Tensor, h: Tensor, u: Tensor, activation: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """h' = tanh(x + U h), or relu."""
    h = activation(torch.addmm(x, h, u))
    return h, h


def gru_step(x: Tensor, a: Tensor, h: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """r, z = sigmoid(a + U h); n = tanh(x + r * (a + U h)); h' = n + z * (h - n).

    x (B, H): the candidate's input product. a (B, 3*H): that of r and z, and the bias that stands
    with the candidate's U h, since r gates them.
    """
    hidden = h.shape[-1]
    r_z, product = torch.split(torch.addmm(a, h, u), [2 * hidden, hidden], dim=-1)
    r, z = torch.sigmoid(r_z).chunk(2, dim=-1)
    n = torch.tanh(torch.addcmul(x, r, product))
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
    step: Callable[..., tuple[Tensor, State]], inputs: Sequence[Tensor], state: State
) -> tuple[Tensor, State]:
    """The loop over time: `step` on each of inputs (T, B, ...); outputs (T, B, ...), last state."""
    outputs = []
    for parts in zip(*(tensor.unbind() for tensor in inputs), strict=True):
        output, state = step(*parts, state)
        outputs.append(output)
    return torch.stack(outputs), state


class RecurrentWeights(torch.autograd.Function):
    """Gives U its gradient, where the steps multiply by a U that autograd does not follow.

    A step computes s = a + h U. The gradient of U is the sum over time of h' ds, and ds is also the
    gradient of a: so one product over all steps does what autograd would do step by step.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, u: Tensor, hs: list[Tensor]) -> Tensor:
        """a (T, B, G*H) as it is. hs: is to hold the first h (B, H) and the outputs (T, B, H)."""
        ctx.hs = hs
        return a.view_as(a)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        first, outputs = ctx.hs
        later = outputs[:-1].flatten(0, 1).T @ gradient[1:].flatten(0, 1)
        return gradient, later.addmm_(first.T, gradient[0]), None


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
        self.bias, self.dropout = bias, dropout
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

    def _step(self, k: int, u: Tensor) -> Callable[..., tuple[Tensor, State]]:
        raise TypeError("a cell of its own defines this")

    def _weight(self, name: str, k: int) -> Any:
        """A layer's tensor, or None where it has none of that name."""
        return getattr(self, f"{name}_l{k}", None)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """x (T, B, X), state (L, B, H) or a pair -> outputs (T, B, H), state."""
        states = self._states(x, state)
        for k in range(self.num_layers):
            if k and self.dropout:
                x = nn.functional.dropout(x, self.dropout, self.training)
            x, states[k] = self._layer(k, x, states[k])
        if isinstance(states[0], tuple):
            hidden, cell = zip(*states, strict=True)
            return x, (torch.stack(hidden), torch.stack(cell))
        return x, torch.stack([part for part in states if isinstance(part, Tensor)])

    def _layer(self, k: int, x: Tensor, state: State) -> tuple[Tensor, State]:
        u, hs = self._weight("weight_hh", k).T, list[Tensor]()
        *others, added = self._inputs(k, x)
        added = RecurrentWeights.apply(added, u, hs)  # type: ignore[no-untyped-call]
        outputs, after = unroll(self._step(k, u.detach()), [*others, added], state)
        first = state[0] if isinstance(state, tuple) else state
        hs += [first.detach(), outputs.detach()]
        return outputs, after

    def _inputs(self, k: int, x: Tensor) -> list[Tensor]:
        """What the steps of a layer take, (T, B, G*H) each; h U is added to the last.

        Both biases are added before the loop, where no gate comes between.
        """
        bias = self._weight("bias_ih", k) + self._weight("bias_hh", k) if self.bias else None
        return [nn.functional.linear(x, self._weight("weight_ih", k), bias)]

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

    def _step(self, k: int, u: Tensor) -> Any:
        return partial(rnn_step, u=u, activation=self._activation)


class GRU(Recurrent):
    gates = 3

    def _inputs(self, k: int, x: Tensor) -> list[Tensor]:
        sizes = [2 * self.hidden_size, self.hidden_size]
        w_gates, w_candidate = self._weight("weight_ih", k).split(sizes)
        b_gates, b_candidate, c = None, None, x.new_zeros(self.hidden_size)
        if self.bias:
            c_gates, c = self._weight("bias_hh", k).split(sizes)
            b_gates, b_candidate = self._weight("bias_ih", k).split(sizes)
            b_gates = b_gates + c_gates
        gates = nn.functional.linear(x, w_gates, b_gates)
        candidate = nn.functional.linear(x, w_candidate, b_candidate)
        return [candidate, torch.cat([gates, c.expand_as(candidate)], dim=-1)]

    def _step(self, k: int, u: Tensor) -> Any:
        return partial(gru_step, u=u)


class LSTM(Recurrent):
    gates = 4

    def _step(self, k: int, u: Tensor) -> Any:
        r = self._weight("weight_hr", k)
        return partial(lstm_step, u=u, r=None if r is None else r.T)
