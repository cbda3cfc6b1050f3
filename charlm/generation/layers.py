"""The recurrent layers in NumPy: what one step of each cell does to the state of B streams.

Up to `ROW_BY_ROW` streams are multiplied one by one, by the very product of a lone one: what a
stream gives is then the same to the bit, whoever stands beside it. A product of many rows is
another routine, which sums in another order. For so few it is hardly faster, and often slower,
since it lays out the weights anew; for more it is several times as fast.

The letters are the papers': i, f, g, o of the LSTM (Hochreiter & Schmidhuber 1997; Gers et al.
2000), r, z, n of the GRU (Cho et al. 2014, torch's variant); W for inputs, U for states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from charlm.data.vocab import Ids
from charlm.generation.memory import in_large_pages

Array = npt.NDArray[np.float32]
Symbols = Ids | Sequence[int]

ROW_BY_ROW = 8
# Numbers in the table of the first layer's input products, at most: 64 MB.
LARGEST_TABLE = 1 << 24


# A product has a multiple of so many columns. Threads that share it out then compute each as one
# alone would, to the bit; otherwise the last columns may be rounded differently.
WIDTH = 64


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


def _one_by_one(rows: Array) -> Array:
    """(B, X) as what `np.matmul` multiplies: where B is small, a stack of single rows."""
    return rows[:, None] if 1 < len(rows) <= ROW_BY_ROW else rows


class LayerState:
    """What a layer carries from step to step, and the scratch arrays of a step.

    output: (B, P + 1), h and a one; c: (B, H), an LSTM's cell; full: (B, H), h before its
    projection. products: (B, N), all that the output is multiplied by: (B, G*H) `gates`, U h + b_u,
    in which the next step is worked out, `gate` each of them, `sigmoids` all but the last; (B, A)
    `above`, for the layer above. factor, product: output and products, as they are multiplied.
    halves: as many as the sigmoids, since with an array NumPy computes faster than with a number.
    """

    def __init__(
        self, streams: int, hidden: int, output: int, gates: int, above: int, products: int
    ) -> None:
        def zeros(size: int) -> Array:
            return np.zeros((streams, size), np.float32)

        self.output, self.c, self.full = zeros(output + 1), zeros(hidden), zeros(hidden)
        self.output[:, -1] = 1
        self.h = self.output[:, :-1]
        self.products = zeros(products)
        self.factor, self.product = _one_by_one(self.output), _one_by_one(self.products)
        # The same product of a lone row, in fewer steps of NumPy's own.
        self.lone = (self.output[0], self.products[0]) if streams == 1 else None
        end = gates * hidden
        self.gates, self.above = self.products[:, :end], self.products[:, end : end + above]
        self.gate = [self.gates[:, k * hidden : (k + 1) * hidden] for k in range(gates)]
        self.sigmoids = self.gates[:, :-hidden]
        self.halves = np.full_like(self.sigmoids, 0.5)


class Cell(Protocol):
    """A kind of recurrent layer. weights: in the order and scale of its own steps."""

    weights: CellWeights

    def step(self, inputs: Array, state: LayerState) -> None:
        """Advance h, in place. inputs: (B, G*H), W x + b_w; U h + b_u is in `state.gates`."""
        ...


def _to_sigmoid(sigmoids: Array, halves: Array) -> None:
    """From tanh(x / 2) to sigmoid(x), in place."""
    sigmoids *= halves
    sigmoids += halves


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
        _to_sigmoid(state.sigmoids, state.halves)
        c, full, (i, f, o, g) = state.c, state.full, state.gate
        c *= f
        i *= g
        c += i
        np.tanh(c, out=full)
        if self._projection is None:
            np.multiply(full, o, out=state.h)
        else:
            full *= o
            np.matmul(_one_by_one(full), self._projection, out=_one_by_one(state.h))


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
        _to_sigmoid(sigmoids, state.halves)
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
        columns = np.vstack([weights, np.concatenate([cell.weights.b_u, bias])])
        gates, used = len(cell.weights.u), columns.shape[1]
        self._columns = in_large_pages(np.pad(columns, [(0, 0), (0, -used % WIDTH)]))
        self._u, self._above = self._columns[:, :gates], self._columns[:, gates:used]

    def start(self, streams: int) -> LayerState:
        """B streams at a zero state: of U h + b_u, b_u is left."""
        weights, (outputs, above) = self._cell.weights, self._above.shape
        products = self._columns.shape[1]
        state = LayerState(streams, weights.hidden, outputs - 1, weights.gates, above, products)
        state.gates[:] = weights.b_u
        return state

    def step(self, inputs: Array, state: LayerState) -> Array:
        """inputs (B, G*H) -> what the layer above gets, (B, A)."""
        self._cell.step(inputs, state)
        if state.lone is not None:
            state.lone[0].dot(self._columns, state.lone[1])
        else:
            np.matmul(state.factor, self._columns, out=state.product)
        return state.above

    def read(self, inputs: Array, state: LayerState, cells: Array | None = None) -> Array:
        """T steps of a single stream: inputs (T, G*H) -> outputs (T, P + 1).

        cells: (T, H), where an LSTM's c after each step is to be put.
        """
        outputs = np.empty((len(inputs), state.output.shape[1]), np.float32)
        for t in range(len(inputs)):
            self._cell.step(inputs[t : t + 1], state)
            np.matmul(state.output, self._u, out=state.gates)
            outputs[t] = state.output[0]
            if cells is not None:
                cells[t] = state.c[0]
        return outputs

    def pass_up(self, outputs: Array) -> Array:
        """outputs (T, P + 1) -> what the layer above gets, (T, A)."""
        product: Array = outputs @ self._above
        return product


class FirstProducts:
    """W x + b_w of the first layer for every symbol: looked up, of a vocabulary of any usual size.

    embedding: (V, E), or None for one-hot input.
    """

    def __init__(self, weights: CellWeights, embedding: Array | None) -> None:
        self._bias, self._embedding = weights.b_w, embedding
        self._w = weights.w if embedding is None else _columns(weights.w)
        symbols = weights.w.shape[1] if embedding is None else len(embedding)
        small = symbols * len(weights.w) <= LARGEST_TABLE
        # Of a model that grows beyond all numbers it is told where it is read with.
        with np.errstate(over="ignore", invalid="ignore"):
            self._table = (
                np.ascontiguousarray(self._products(np.arange(symbols))) if small else None
            )

    def of(self, ids: Symbols) -> Array:
        """ids (B,) -> (B, G*H)"""
        if self._table is None:
            return self._products(ids)
        # Of a single row, a view is had much faster than a copy.
        return self._table[ids] if len(ids) > 1 else self._table[ids[0] : ids[0] + 1]

    def _products(self, ids: Symbols) -> Array:
        if self._embedding is None:
            columns: Array = self._w[:, ids].T
            return columns + self._bias
        products: Array = np.matmul(_one_by_one(self._embedding[ids]), self._w)
        return products.reshape(len(ids), -1) + self._bias
