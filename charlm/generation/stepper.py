"""Stepper: one time step of a trained model for B streams, in plain NumPy.

Called once a character, `nn.LSTM` spends its time on being called and on packing its weights anew.
Here they are packed once, and a step is little more than its matrix products:

* the first layer's input product, of which there are only V, is looked up;
* sigmoid(x) = (1 + tanh(x / 2)) / 2, with the halves put into the weights (a power of two, so
  nothing is rounded): one call of tanh serves all the gates of a layer;
* the input of a layer above and its state stand side by side, and are multiplied at once;
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
from charlm.run import GATES

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.integer[Any]] | Sequence[int]


@dataclass(frozen=True)
class LayerWeights:
    """A layer's weights as torch keeps them, the gates one below the other.

    w: (G*H, X), u: (G*H, P), b_w and b_u: (G*H); r: (P, H), an LSTM's projection, if any.
    """

    w: Array
    u: Array
    b_w: Array
    b_u: Array
    gates: int
    r: Array | None = None

    def gate(self, k: int, scale: float = 1.0) -> "LayerWeights":
        """The weights of the k-th gate, scaled."""
        rows = slice(k * self.hidden, (k + 1) * self.hidden)
        w, u, b_w, b_u = (np.float32(scale) * part[rows] for part in self.parts)
        return LayerWeights(w, u, b_w, b_u, gates=1)

    @property
    def hidden(self) -> int:
        return len(self.u) // self.gates

    @property
    def parts(self) -> tuple[Array, Array, Array, Array]:
        return self.w, self.u, self.b_w, self.b_u

    @staticmethod
    def stacked(gates: Sequence["LayerWeights"]) -> "LayerWeights":
        """Gates one below the other again, in the order given."""
        parts = zip(*(gate.parts for gate in gates), strict=True)
        w, u, b_w, b_u = (np.concatenate(part) for part in parts)
        return LayerWeights(w, u, b_w, b_u, gates=len(gates))


def _columns(rows: Array) -> Array:
    """Transposed and laid out so that `x @ columns` reads memory in order."""
    return np.ascontiguousarray(rows.T, dtype=np.float32)


class LayerState:
    """What a layer carries from step to step, and the scratch arrays of a step.

    x: (B, X), what a layer above the first reads, and h: (B, P), the output, side by side in
    `joined`; c: (B, H), an LSTM's cell; full: (B, H), its output before a projection; gates:
    (B, G*H), `gate` each of them, `sigmoids` all but the last.
    """

    def __init__(self, streams: int, width: int, hidden: int, output: int, gates: int) -> None:
        def zeros(size: int) -> Array:
            return np.zeros((streams, size), np.float32)

        self.joined = zeros(width + output)
        self.x, self.h = self.joined[:, :width], self.joined[:, width:]
        self.c, self.full, self.gates = zeros(hidden), zeros(hidden), zeros(gates * hidden)
        self.gate = [self.gates[:, k * hidden : (k + 1) * hidden] for k in range(gates)]
        self.sigmoids = self.gates[:, :-hidden]


class Packed:
    """A layer's weights, laid out for steps.

    w: (X, G*H) and u: (P, G*H), one above the other in `joined`; bias: (G*H).
    """

    def __init__(self, weights: LayerWeights) -> None:
        self.joined = _columns(np.concatenate([weights.w, weights.u], axis=1))
        width = weights.w.shape[1]
        self.w, self.u = self.joined[:width], self.joined[width:]
        self.bias = weights.b_w + weights.b_u

    def sums(self, inputs: Array | None, state: LayerState) -> None:
        """W x + U h + b into `state.gates`; inputs: W x + b, where it is known already."""
        if inputs is None:
            np.matmul(state.joined, self.joined, out=state.gates)
            inputs = self.bias
        else:
            np.matmul(state.h, self.u, out=state.gates)
        state.gates += inputs


class Layer(Protocol):
    """A recurrent layer."""

    packed: Packed

    def step(self, inputs: Array | None, state: LayerState) -> None:
        """Advance `state` in place. inputs: (B, G*H), W x + b; None: x is in the state."""
        ...


def _to_sigmoid(sigmoids: Array) -> None:
    """From tanh(x / 2) to sigmoid(x), in place."""
    sigmoids *= 0.5
    sigmoids += 0.5


class RNNLayer:
    """h = tanh(W x + U h + b), or relu."""

    def __init__(self, weights: LayerWeights, nonlinearity: str) -> None:
        self.packed = Packed(weights)
        self._relu = nonlinearity == "relu"

    def step(self, inputs: Array | None, state: LayerState) -> None:
        self.packed.sums(inputs, state)
        if self._relu:
            np.maximum(state.gates, 0, out=state.h)
        else:
            np.tanh(state.gates, out=state.h)


class LSTMLayer:
    """i, f, o = sigmoid(W x + U h + b); g = tanh(W x + U h + b); c = f c + i g; h = o tanh(c)."""

    def __init__(self, weights: LayerWeights, nonlinearity: str) -> None:
        # From torch's order i, f, g, o: the three sigmoids are then one slice.
        i, f, o = (weights.gate(k, scale=0.5) for k in (0, 1, 3))
        self.packed = Packed(LayerWeights.stacked([i, f, o, weights.gate(2)]))
        self._projection = None if weights.r is None else _columns(weights.r)

    def step(self, inputs: Array | None, state: LayerState) -> None:
        self.packed.sums(inputs, state)
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


class GRULayer:
    """r, z = sigmoid(W x + U h + b); n = tanh(W x + b_w + r (U h + b_u)); h = n + z (h - n)."""

    def __init__(self, weights: LayerWeights, nonlinearity: str) -> None:
        r, z, n = weights.gate(0, scale=0.5), weights.gate(1, scale=0.5), weights.gate(2)
        self.packed = Packed(LayerWeights.stacked([r, z, n]))
        # r gates the candidate's recurrent bias too, which so cannot join the others.
        self._candidate_bias = n.b_u
        self.packed.bias[-weights.hidden :] = n.b_w

    def step(self, inputs: Array | None, state: LayerState) -> None:
        h, sigmoids, (r, z, n) = state.h, state.sigmoids, state.gate
        if inputs is None:
            inputs = state.x @ self.packed.w
            inputs += self.packed.bias
        np.matmul(h, self.packed.u, out=state.gates)
        r_z = sigmoids.shape[1]
        sigmoids += inputs[:, :r_z]
        np.tanh(sigmoids, out=sigmoids)
        _to_sigmoid(sigmoids)
        n += self._candidate_bias
        n *= r
        n += inputs[:, r_z:]
        np.tanh(n, out=n)
        h -= n
        h *= z
        h += n


LAYERS: dict[str, type[RNNLayer] | type[GRULayer] | type[LSTMLayer]] = {
    "rnn": RNNLayer,
    "gru": GRULayer,
    "lstm": LSTMLayer,
}


@dataclass
class State:
    """The state of B streams: one LayerState a layer. `step` and `read` advance it in place."""

    layers: list[LayerState]
    logits: Array


class Stepper:
    """A model packed for generation; weights as in `CharLM.state_dict`."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        self._config = config
        kind, gates = LAYERS[config.rnn_type], GATES[config.rnn_type]
        self._layers: list[Layer] = [
            kind(_layer_weights(weights, k, gates), config.nonlinearity)
            for k in range(config.num_layers)
        ]
        # (V, G*H): what the first layer gets for each symbol.
        first = self._layers[0].packed
        embedding = weights.get("embedding.weight")
        self._table = first.bias + (first.w if embedding is None else embedding @ first.w)
        head = weights["embedding.weight" if config.tied else "head.weight"]
        self._head, self._head_bias = _columns(head), weights["head.bias"]
        self.vocab_size = len(head)

    def start(self, streams: int = 1) -> State:
        """B streams at a zero state."""

        output, gates = self._config.output_size, GATES[self._config.rnn_type]
        layers = [
            LayerState(streams, output if k else 0, self._config.hidden_size, output, gates)
            for k in range(self._config.num_layers)
        ]
        return State(layers, np.zeros((streams, self.vocab_size), np.float32))

    def take(self, state: State, rows: Sequence[int]) -> State:
        """A new state of the chosen streams, in that order; a stream may be chosen repeatedly."""
        index = np.asarray(rows, dtype=np.intp)
        taken = self.start(len(index))
        taken.logits[:] = state.logits[index]
        for new, old in zip(taken.layers, state.layers, strict=True):
            new.h[:], new.c[:] = old.h[index], old.c[index]
        return taken

    def step(self, ids: Ids, state: State) -> Array:
        """One symbol for each stream: ids (B,) -> logits (B, V), good until the next call."""
        # Of a single row, a view is had much faster than a copy.
        inputs = self._table[ids] if len(ids) > 1 else self._table[ids[0] : ids[0] + 1]
        below = state.layers[0]
        self._layers[0].step(inputs, below)
        for layer, part in zip(self._layers[1:], state.layers[1:], strict=True):
            part.x[:] = below.h
            layer.step(None, part)
            below = part
        return self._logits(state)

    def read(self, ids: Ids, state: State) -> Array:
        """A text of at least one symbol for a single stream: ids (T,) -> the last logits (1, V).

        Layer by layer, so that the input products of the whole text are one.
        """
        x = None
        for layer, part in zip(self._layers, state.layers, strict=True):
            packed = layer.packed
            inputs = self._table[ids] if x is None else x @ packed.w + packed.bias
            x = np.empty((len(inputs), part.h.shape[1]), np.float32)
            for t in range(len(inputs)):
                layer.step(inputs[t : t + 1], part)
                x[t] = part.h[0]
        return self._logits(state)

    def _logits(self, state: State) -> Array:
        np.matmul(state.layers[-1].h, self._head, out=state.logits)
        state.logits += self._head_bias
        return state.logits


def _layer_weights(weights: Mapping[str, npt.NDArray[Any]], k: int, gates: int) -> LayerWeights:
    w, u = weights[f"rnn.weight_ih_l{k}"], weights[f"rnn.weight_hh_l{k}"]
    none = np.zeros(len(w), np.float32)
    b_w, b_u = (weights.get(f"rnn.bias_{part}_l{k}", none) for part in ("ih", "hh"))
    return LayerWeights(w, u, b_w, b_u, gates, weights.get(f"rnn.weight_hr_l{k}"))
