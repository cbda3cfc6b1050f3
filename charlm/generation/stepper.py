"""Stepper: one time step of a trained model for B streams, in plain NumPy.

Called once a character, `nn.LSTM` spends its time on being called and on packing its weights anew.
Here they are packed once, and a step is little more than its matrix products:

* the first layer's input product, of which there are only V, is looked up;
* a layer's output goes to three places: the layer above or the head, now, and back into its own
  layer, at the next step. All that it is multiplied by stands side by side, and is one product;
* a one stands beside that output, which brings the biases along;
* sigmoid(x) = (1 + tanh(x / 2)) / 2, with the halves put into the weights (a power of two, so
  nothing is rounded): one call of tanh serves all the gates of a layer;
* every array of a step is made beforehand and written in place.

The letters are the papers': i, f, g, o of the LSTM (Hochreiter & Schmidhuber 1997; Gers et al.
2000), r, z, n of the GRU (Cho et al. 2014, torch's variant); W for inputs, U for states.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from charlm.config import ModelConfig
from charlm.data.vocab import Ids
from charlm.model.shapes import GATES

Array = npt.NDArray[np.float32]
Symbols = Ids | Sequence[int]


@dataclass(frozen=True)
class CellWeights:
    """A layer's weights as torch keeps them, the gates one below the other.

    w: (G*H, X), u: (G*H, P), b_w and b_u: (G*H); r: (P, H), an LSTM's projection, if any.
    """

    w: Array
    u: Array
    b_w: Array
    b_u: Array
    gates: int
    r: Array | None = None

    def gate(self, k: int, scale: float = 1.0) -> "CellWeights":
        """The weights of the k-th gate, scaled."""
        rows = slice(k * self.hidden, (k + 1) * self.hidden)
        w, u, b_w, b_u = (np.float32(scale) * part[rows] for part in self.parts)
        return CellWeights(w, u, b_w, b_u, gates=1)

    @property
    def hidden(self) -> int:
        return len(self.u) // self.gates

    @property
    def parts(self) -> tuple[Array, Array, Array, Array]:
        return self.w, self.u, self.b_w, self.b_u

    @staticmethod
    def stacked(gates: Sequence["CellWeights"]) -> "CellWeights":
        """Gates one below the other again, in the order given."""
        parts = zip(*(gate.parts for gate in gates), strict=True)
        w, u, b_w, b_u = (np.concatenate(part) for part in parts)
        return CellWeights(w, u, b_w, b_u, gates=len(gates))


def _columns(rows: Array) -> Array:
    """Transposed and laid out so that `x @ columns` reads memory in order."""
    return np.ascontiguousarray(rows.T, dtype=np.float32)


class LayerState:
    """What a layer carries from step to step, and the scratch arrays of a step.

    output: (B, P + 1), h and a one; c: (B, H), an LSTM's cell; full: (B, H), h before its
    projection. products: (B, G*H + A), all that the output is multiplied by: `gates`, U h + b_u, in
    which the next step is worked out, `gate` each of them, `sigmoids` all but the last; `above`,
    for the layer above.
    """

    def __init__(self, streams: int, hidden: int, output: int, gates: int, above: int) -> None:
        def zeros(size: int) -> Array:
            return np.zeros((streams, size), np.float32)

        self.output, self.c, self.full = zeros(output + 1), zeros(hidden), zeros(hidden)
        self.output[:, -1] = 1
        self.h = self.output[:, :-1]
        self.products = zeros(gates * hidden + above)
        self.gates, self.above = self.products[:, : gates * hidden], self.products[:, -above:]
        self.gate = [self.gates[:, k * hidden : (k + 1) * hidden] for k in range(gates)]
        self.sigmoids = self.gates[:, :-hidden]


class Cell(Protocol):
    """A kind of recurrent layer. weights: in the order and scale of its own steps."""

    weights: CellWeights

    def step(self, inputs: Array, state: LayerState) -> None:
        """Advance h, in place. inputs: (B, G*H), W x + b_w; U h + b_u is in `state.gates`."""
        ...


def _to_sigmoid(sigmoids: Array) -> None:
    """From tanh(x / 2) to sigmoid(x), in place."""
    sigmoids *= 0.5
    sigmoids += 0.5


class RNNCell:
    """h = tanh(W x + U h + b), or relu."""

    def __init__(self, weights: CellWeights, nonlinearity: str) -> None:
        self.weights = weights
        self._relu = nonlinearity == "relu"

    def step(self, inputs: Array, state: LayerState) -> None:
        state.gates += inputs
        if self._relu:
            np.maximum(state.gates, 0, out=state.h)
        else:
            np.tanh(state.gates, out=state.h)


class LSTMCell:
    """i, f, o = sigmoid(W x + U h + b); g = tanh(W x + U h + b); c = f c + i g; h = o tanh(c)."""

    def __init__(self, weights: CellWeights, nonlinearity: str) -> None:
        # From torch's order i, f, g, o: the three sigmoids are then one slice.
        i, f, o = (weights.gate(k, scale=0.5) for k in (0, 1, 3))
        self.weights = CellWeights.stacked([i, f, o, weights.gate(2)])
        self._projection = None if weights.r is None else _columns(weights.r)

    def step(self, inputs: Array, state: LayerState) -> None:
        state.gates += inputs
        np.tanh(state.gates, out=state.gates)
        _to_sigmoid(state.sigmoids)
        c, full, (i, f, o, g) = state.c, state.full, state.gate
        c *= f
        i *= g
        c += i
        np.tanh(c, out=full)
        if self._projection is None:
            np.multiply(full, o, out=state.h)
        else:
            full *= o
            np.matmul(full, self._projection, out=state.h)


class GRUCell:
    """r, z = sigmoid(W x + U h + b); n = tanh(W x + b_w + r (U h + b_u)); h = n + z (h - n)."""

    def __init__(self, weights: CellWeights, nonlinearity: str) -> None:
        r, z, n = weights.gate(0, scale=0.5), weights.gate(1, scale=0.5), weights.gate(2)
        self.weights = CellWeights.stacked([r, z, n])

    def step(self, inputs: Array, state: LayerState) -> None:
        h, sigmoids, (r, z, n) = state.h, state.sigmoids, state.gate
        r_z = sigmoids.shape[1]
        sigmoids += inputs[:, :r_z]
        np.tanh(sigmoids, out=sigmoids)
        _to_sigmoid(sigmoids)
        n *= r
        n += inputs[:, r_z:]
        np.tanh(n, out=n)
        h -= n
        h *= z
        h += n


CELLS: dict[str, type[RNNCell] | type[GRUCell] | type[LSTMCell]] = {
    "rnn": RNNCell,
    "gru": GRUCell,
    "lstm": LSTMCell,
}


class Layer:
    """A cell, and what its output is multiplied by: its own U and, (A, P), what reads it above."""

    def __init__(self, cell: Cell, above: Array, bias: Array) -> None:
        self._cell = cell
        weights = _columns(np.concatenate([cell.weights.u, above]))
        self._columns = np.vstack([weights, np.concatenate([cell.weights.b_u, bias])])
        gates = len(cell.weights.u)
        self._u, self._above = self._columns[:, :gates], self._columns[:, gates:]

    def start(self, streams: int) -> LayerState:
        """B streams at a zero state: of U h + b_u, b_u is left."""
        weights, (outputs, above) = self._cell.weights, self._above.shape
        state = LayerState(streams, weights.hidden, outputs - 1, weights.gates, above)
        state.gates[:] = weights.b_u
        return state

    def step(self, inputs: Array, state: LayerState) -> Array:
        """inputs (B, G*H) -> what the layer above gets, (B, A)."""
        self._cell.step(inputs, state)
        np.matmul(state.output, self._columns, out=state.products)
        return state.above

    def read(self, inputs: Array, state: LayerState) -> Array:
        """T steps of a single stream: inputs (T, G*H) -> outputs (T, P + 1)."""
        outputs = np.empty((len(inputs), state.output.shape[1]), np.float32)
        for t in range(len(inputs)):
            self._cell.step(inputs[t : t + 1], state)
            np.matmul(state.output, self._u, out=state.gates)
            outputs[t] = state.output[0]
        return outputs

    def pass_up(self, outputs: Array) -> Array:
        """outputs (T, P + 1) -> what the layer above gets, (T, A)."""
        product: Array = outputs @ self._above
        return product


# The state of B streams, layer by layer. `Stepper` advances it in place.
LayerStates = list[LayerState]


class Stepper:
    """A model packed for generation; weights as in `CharLM.state_dict`."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        kind, gates = CELLS[config.rnn_type], GATES[config.rnn_type]
        cells = [
            kind(_cell_weights(weights, k, gates), config.nonlinearity)
            for k in range(config.num_layers)
        ]
        head = weights["embedding.weight" if config.tied else "head.weight"]
        above = [(cell.weights.w, cell.weights.b_w) for cell in cells[1:]]
        above.append((head, weights["head.bias"]))
        self._layers = [Layer(cell, *reader) for cell, reader in zip(cells, above, strict=True)]
        # (V, G*H): what the first layer gets for each symbol.
        first, embedding = _columns(cells[0].weights.w), weights.get("embedding.weight")
        self._table = cells[0].weights.b_w + (first if embedding is None else embedding @ first)
        self.vocab_size = len(head)

    def start(self, streams: int = 1) -> LayerStates:
        """B streams at a zero state."""
        return [layer.start(streams) for layer in self._layers]

    def take(self, state: LayerStates, rows: Sequence[int]) -> LayerStates:
        """A new state of the chosen streams, in that order; a stream may be chosen repeatedly."""
        index = np.asarray(rows, dtype=np.intp)
        taken = self.start(len(index))
        for new, old in zip(taken, state, strict=True):
            new.h[:], new.c[:], new.products[:] = old.h[index], old.c[index], old.products[index]
        return taken

    def step(self, ids: Symbols, state: LayerStates) -> Array:
        """One symbol for each stream: ids (B,) -> logits (B, V), good until the next call."""
        # Of a single row, a view is had much faster than a copy.
        x = self._table[ids] if len(ids) > 1 else self._table[ids[0] : ids[0] + 1]
        for layer, part in zip(self._layers, state, strict=True):
            x = layer.step(x, part)
        return x

    def read(self, ids: Symbols, state: LayerStates) -> Array:
        """A text of at least one symbol for a single stream: ids (T,) -> the last logits (1, V).

        Layer by layer, so that the input products of the whole text are one.
        """
        x = self._table[ids]
        *lower, (top, last) = zip(self._layers, state, strict=True)
        for layer, part in lower:
            x = layer.pass_up(layer.read(x, part))
        return top.pass_up(top.read(x, last)[-1:])


def _cell_weights(weights: Mapping[str, npt.NDArray[Any]], k: int, gates: int) -> CellWeights:
    w, u = weights[f"rnn.weight_ih_l{k}"], weights[f"rnn.weight_hh_l{k}"]
    none = np.zeros(len(w), np.float32)
    b_w, b_u = (weights.get(f"rnn.bias_{part}_l{k}", none) for part in ("ih", "hh"))
    return CellWeights(w, u, b_w, b_u, gates, weights.get(f"rnn.weight_hr_l{k}"))
