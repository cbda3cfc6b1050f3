"""The tensors that a model has, by its settings: what the network is made of and files are held to.
No torch."""

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


def input_symbols(model: ModelConfig, vocab_size: int) -> int:
    """What a model can read: the vocabulary, and for one that fills gaps the mask, as id V."""
    return vocab_size + (1 if model.bidirectional else 0)


def expected_shapes(model: ModelConfig, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """The tensors that a model of these sizes has."""
    symbols = input_symbols(model, vocab_size)
    width = model.embedding_size or symbols
    rows = GATES[model.rnn_type] * model.hidden_size
    shapes: dict[str, tuple[int, ...]] = {}
    if model.embedding_size:
        shapes["embedding.weight"] = (symbols, width)
    for layer in range(model.num_layers):
        for end in (f"l{layer}", f"l{layer}_reverse")[: model.directions]:
            shapes[f"rnn.weight_ih_{end}"] = (rows, width)
            shapes[f"rnn.weight_hh_{end}"] = (rows, model.output_size)
            if model.bias:
                shapes[f"rnn.bias_ih_{end}"] = shapes[f"rnn.bias_hh_{end}"] = (rows,)
            if model.proj_size:
                shapes[f"rnn.weight_hr_{end}"] = (model.proj_size, model.hidden_size)
        width = model.directions * model.output_size
    if not model.tied:
        shapes["head.weight"] = (vocab_size, width)
    shapes["head.bias"] = (vocab_size,)
    return shapes


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
