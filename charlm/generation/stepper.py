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
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.config import ModelConfig
from charlm.generation.layers import (
    CELLS,
    Array,
    CellWeights,
    FirstProducts,
    Layer,
    LayerState,
    Symbols,
)
from charlm.model.shapes import GATES

# Symbols of a text read at a time: what is worked out for all of them at once is not small.
READ_AT_ONCE = 1024

# The state of B streams, layer by layer. `Stepper` advances it in place.
LayerStates = list[LayerState]


class Stepper:
    """A model packed for generation; weights as in `CharLM.state_dict`."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        kind, gates = CELLS[config.rnn_type], GATES[config.rnn_type]
        cells = [
            kind(cell_weights(weights, f"l{k}", gates), config.nonlinearity)
            for k in range(config.num_layers)
        ]
        head = weights["embedding.weight" if config.tied else "head.weight"]
        above = [(cell.weights.w, cell.weights.b_w) for cell in cells[1:]]
        above.append((head, weights["head.bias"]))
        self._layers = [Layer(cell, *reader) for cell, reader in zip(cells, above, strict=True)]
        self._first = FirstProducts(cells[0].weights, weights.get("embedding.weight"))
        self.vocab_size = len(head)
        # Of each layer the cells that an LSTM has beside its outputs.
        self._cells = config.hidden_size if config.rnn_type == "lstm" else 0

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

    def put(self, state: LayerStates, rows: Sequence[int], other: LayerStates) -> None:
        """The streams of another state in the place of some of this one, in that order; a single
        one in the place of each."""
        index = np.asarray(rows, dtype=np.intp)
        for part, new in zip(state, other, strict=True):
            part.h[index], part.c[index], part.products[index] = new.h, new.c, new.products

    def step(self, ids: Symbols, state: LayerStates) -> Array:
        """One symbol for each stream: ids (B,) -> logits (B, V), good until the next call."""
        x = self._first.of(ids)
        for layer, part in zip(self._layers, state, strict=True):
            x = layer.step(x, part)
        return x

    def read(self, ids: Symbols, state: LayerStates) -> Array:
        """A text of at least one symbol for a single stream: ids (T,) -> the last logits (1, V)."""
        # What overflows shows in the logits.
        with np.errstate(over="ignore", invalid="ignore"):
            for begin in range(0, len(ids), READ_AT_ONCE):
                outputs = self._read(ids[begin : begin + READ_AT_ONCE], state)
            return self._layers[-1].pass_up(outputs[-1:])

    def logits(self, ids: Symbols, state: LayerStates) -> Iterator[Array]:
        """A text for a single stream: ids (T,) -> the logits after each symbol, in pieces of as
        many rows as fit (T', V)."""
        with np.errstate(over="ignore", invalid="ignore"):
            for begin in range(0, len(ids), READ_AT_ONCE):
                outputs = self._read(ids[begin : begin + READ_AT_ONCE], state)
                yield self._layers[-1].pass_up(outputs)

    def activations(self, ids: Symbols, state: LayerStates) -> Iterator[Array]:
        """A text for a single stream: ids (T,) -> what the units hold after each symbol, in pieces
        of as many rows as fit (T', U): of each layer in turn its outputs h and, beside those of an
        LSTM, tanh(c) of its cells."""
        with np.errstate(over="ignore", invalid="ignore"):
            for begin in range(0, len(ids), READ_AT_ONCE):
                held: list[Array] = []
                self._read(ids[begin : begin + READ_AT_ONCE], state, held)
                yield np.concatenate(held, axis=1)

    def _read(self, ids: Symbols, state: LayerStates, held: list[Array] | None = None) -> Array:
        """ids (T,) -> what the last layer gives, (T, P + 1). Layer by layer, so that the input
        products of the whole piece are one. held: where all that `activations` tells is put."""
        x = self._first.of(ids)
        with_cells = held is not None and self._cells
        cells = np.empty((len(ids), self._cells), np.float32) if with_cells else None
        for layer, part in zip(self._layers, state, strict=True):
            outputs = layer.read(x, part, cells)
            if held is not None:
                held += [outputs[:, :-1]] if cells is None else [outputs[:, :-1], np.tanh(cells)]
            if layer is not self._layers[-1]:
                x = layer.pass_up(outputs)
        return outputs


def cell_weights(weights: Mapping[str, npt.NDArray[Any]], end: str, gates: int) -> CellWeights:
    """A layer's weights out of a model's; end: that of their names, as "l0" or "l0_reverse"."""
    w, u = weights[f"rnn.weight_ih_{end}"], weights[f"rnn.weight_hh_{end}"]
    none = np.zeros(len(w), np.float32)
    b_w, b_u = (weights.get(f"rnn.bias_{part}_{end}", none) for part in ("ih", "hh"))
    return CellWeights(w, u, b_w, b_u, gates, weights.get(f"rnn.weight_hr_{end}"))
