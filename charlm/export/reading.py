"""What a model that fills gaps makes of a text, in NumPy: a plain statement, to hold others to."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.config import ModelConfig
from charlm.data.vocab import Ids
from charlm.generation.layers import CELLS, Array, CellWeights, Layer
from charlm.generation.stepper import cell_weights
from charlm.model.shapes import GATES

Weights = Mapping[str, npt.NDArray[Any]]


def read_both_ways(config: ModelConfig, weights: Weights, ids: Ids) -> Array:
    """A text, with the mask (id V) at its gaps: ids (T,) -> logits (T, V)."""
    x = _inputs(weights, ids)
    for k in range(config.num_layers):
        forwards, backwards = (
            cell_weights(weights, end, GATES[config.rnn_type]) for end in (f"l{k}", f"l{k}_reverse")
        )
        ways = _read(config, forwards, x), _read(config, backwards, x[::-1])[::-1]
        x = np.concatenate(ways, axis=1)
    logits: Array = x @ weights["head.weight"].T + weights["head.bias"]
    return logits


def _inputs(weights: Weights, ids: Ids) -> Array:
    if "embedding.weight" in weights:
        embedded: Array = weights["embedding.weight"][ids]
        return embedded
    one_hot = np.zeros((len(ids), weights["rnn.weight_ih_l0"].shape[1]), np.float32)
    one_hot[np.arange(len(ids)), ids] = 1
    return one_hot


def _read(config: ModelConfig, weights: CellWeights, x: Array) -> Array:
    """One layer, one way: x (T, X) -> outputs (T, P)."""
    cell = CELLS[config.rnn_type](weights, config.nonlinearity)
    layer = Layer(cell, np.empty((0, config.output_size), np.float32), np.empty(0, np.float32))
    products = x @ cell.weights.w.T + cell.weights.b_w
    return layer.read(products, layer.start(1))[:, :-1]
