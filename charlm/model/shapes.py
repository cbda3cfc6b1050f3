"""The tensors that a model has, by its settings: what the network is made of and files are held to.
No torch.

An axis is one of the letters of network.py (V, E, H), or P, the width of a projection, with what it
is taken by: 4H, the four gates of an LSTM; V+1, the symbols and the mask.
"""

import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.config import ModelConfig
from charlm.errors import ModelError
from charlm.storage.tensors import Arrays

# The rows of a recurrent weight matrix are its gates, one below the other.
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
# What a model reads; one that fills gaps has the mask as its last symbol.
SYMBOLS = {False: "V", True: "V+1"}

Axes = tuple[str, ...]


def input_symbols(model: ModelConfig, vocab_size: int) -> int:
    """What a model can read: the vocabulary, and for one that fills gaps the mask, as id V."""
    return vocab_size + (1 if model.bidirectional else 0)


def axes_of(model: ModelConfig) -> dict[str, Axes]:
    """The tensors of a model by their names, in the order in which data meets them."""
    rows, width = _times(GATES[model.rnn_type], "H"), SYMBOLS[model.bidirectional]
    output = "P" if model.proj_size else "H"
    axes: dict[str, Axes] = {}
    if model.embedding_size:
        axes["embedding.weight"] = (width, "E")
        width = "E"
    for layer in range(model.num_layers):
        for end in (f"l{layer}", f"l{layer}_reverse")[: model.directions]:
            axes[f"rnn.weight_ih_{end}"] = (rows, width)
            axes[f"rnn.weight_hh_{end}"] = (rows, output)
            if model.bias:
                axes[f"rnn.bias_ih_{end}"] = axes[f"rnn.bias_hh_{end}"] = (rows,)
            if model.proj_size:
                axes[f"rnn.weight_hr_{end}"] = ("P", "H")
        width = _times(model.directions, output)
    if not model.tied:
        axes["head.weight"] = ("V", width)
    axes["head.bias"] = ("V",)
    return axes


def _times(number: int, letter: str) -> str:
    return f"{number}{letter}" if number > 1 else letter


def size_of(axis: str, sizes: Mapping[str, int]) -> int:
    """Of 4H, four times that of H; of V+1, one more than that of V."""
    found = re.fullmatch(r"(\d*)([A-Z])(?:\+(\d+))?", axis)
    assert found is not None, axis
    times, letter, more = found.groups()
    return int(times or 1) * sizes[letter] + int(more or 0)


def expected_shapes(model: ModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """The tensors that a model of these sizes has."""
    sizes = {
        "V": vocab_size, "E": model.embedding_size, "H": model.hidden_size, "P": model.proj_size,
    }  # fmt: skip
    return {
        name: tuple(size_of(axis, sizes) for axis in axes) for name, axes in axes_of(model).items()
    }


def frozen_by(model: ModelConfig, freeze: str) -> set[str]:
    """The tensors that keep the weights that they begin with (`training.freeze`).

    What stands for the symbols is not among them, also where that is the matrix of one-hot input.
    """
    if freeze == "none":
        return set()
    symbols = SYMBOLS[model.bidirectional]
    return {
        name for name, axes in axes_of(model).items()
        if name.startswith("rnn.") and symbols not in axes
    }  # fmt: skip


def check_shapes(path: Path, weights: Arrays, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights that are not those of the config. Raises ModelError."""
    for name in sorted({*weights, *expected}):
        if name not in weights:
            raise ModelError(f"{path}: the tensor {name} {expected[name]} is missing")
        if name not in expected:
            raise ModelError(f"{path}: the tensor {name} {weights[name].shape} does not belong")
        check_tensor(path, name, weights[name], expected[name])


def check_tensor(path: Path, name: str, found: npt.NDArray[Any], expected: tuple[int, ...]) -> None:
    """Refuse a tensor of another shape or type, or not finite. Raises ModelError."""
    if found.shape != expected or found.dtype != np.float32:
        raise ModelError(
            f"{path}: the tensor {name} is {found.dtype} {found.shape}, config.json and "
            f"vocab.json ask for float32 {expected}"
        )
    if not np.isfinite(found).all():
        raise ModelError(f"{path}: the tensor {name} holds NaN or infinity")


def parameters(model: ModelConfig, vocab_size: int) -> int:
    """How many weights a model has."""
    return sum(map(prod, expected_shapes(model, vocab_size).values()))
