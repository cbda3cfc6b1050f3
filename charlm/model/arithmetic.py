"""The arithmetic of a training step, counted before any of it is done. No torch.

Sizes go by the letters of network.py (B, T, V, E, H, L); P is the width of a projection, S the
symbols that a step is scored against where these are a sample. An axis is a letter with what it is
taken by: 4H, the four gates of an LSTM; V+1, the symbols and the mask.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from charlm.config import Config, ModelConfig
from charlm.model.shapes import Axes, axes_of, expected_shapes, frozen_by, size_of

# A number in float32.
BYTES = 4

Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Tensor:
    """name: as in the weights' file, for a parameter; else in words."""

    name: str
    axes: Axes
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Product:
    """Inputs (T, B, X) by a matrix (X, Y), `times` over.

    input_gradient, weight_gradient: whether the way back needs the gradient of the inputs, and
    that of the matrix.
    """

    name: str
    inputs: Axes
    matrix: Axes
    multiply_adds: int
    times: int = 1
    input_gradient: bool = True
    weight_gradient: bool = True

    @property
    def back(self) -> int:
        """Multiply-adds of its gradients: each is a product as large."""
        return self.multiply_adds * (self.weight_gradient + self.input_gradient)


def sizes_of(config: Config, vocab_size: int) -> dict[str, int]:
    """What the letters stand for."""
    model, training = config.model, config.training
    found = {
        "B": training.batch_size, "T": training.seq_len, "V": vocab_size,
        "E": model.embedding_size, "H": model.hidden_size, "P": model.proj_size,
        "S": training.sampled if training.is_sampled(vocab_size) else 0, "L": model.num_layers,
    }  # fmt: skip
    return {letter: size for letter, size in found.items() if size}


def parameters_of(model: ModelConfig, sizes: Sizes) -> list[Tensor]:
    """Every tensor of a model's weights, in the order in which data meets them."""
    shapes = expected_shapes(model, sizes["V"])
    return [Tensor(name, axes, shapes[name]) for name, axes in axes_of(model).items()]


def activations_of(model: ModelConfig, sizes: Sizes) -> list[Tensor]:
    """What a window of T steps in B streams becomes on its way, of each layer its outputs."""

    def tensor(name: str, *axes: str) -> Tensor:
        return Tensor(name, axes, tuple(size_of(axis, sizes) for axis in axes))

    axes = axes_of(model)
    widths = [axes[f"rnn.weight_ih_l{layer}"][1] for layer in range(model.num_layers)]
    widths.append(_read_by_head(model))
    inputs = "embedded" if model.embedding_size else "one-hot"
    found = [tensor("ids", "T", "B"), tensor(inputs, "T", "B", widths[0])]
    for layer, width in enumerate(widths[1:], start=1):
        found.append(tensor(f"layer {layer}", "T", "B", width))
    layers = f"{model.directions}L" if model.bidirectional else "L"
    states = [tensor("state h", layers, "B", axes["rnn.weight_hh_l0"][1])]
    states += [tensor("state c", layers, "B", "H")] * (model.rnn_type == "lstm")
    return [*found, tensor("logits", "T", "B", _scored(sizes)), *states]


def products_of(config: Config, sizes: Sizes) -> Iterator[Product]:
    """All matrix products of the way through the model, in order; between them stands only what is
    done number by number."""
    model, axes = config.model, axes_of(config.model)
    frozen = frozen_by(model, config.training.freeze)

    def product(name: str, matrix: Axes, times: int, **options: bool) -> Product:
        inputs = ("T", "B", matrix[0])
        size = times * prod(size_of(axis, sizes) for axis in (*inputs, matrix[1]))
        return Product(name, inputs, matrix, size, times=times, **options)

    for layer in range(model.num_layers):
        # Of ids that are given, as one-hot input is, nobody asks for a gradient.
        needed = layer > 0 or model.embedding_size > 0
        for kind, letters in (("ih", "W x"), ("hh", "U h"), ("hr", "R h")):
            tensor = f"rnn.weight_{kind}_l{layer}"
            if weights := axes.get(tensor):
                yield product(
                    f"layer {layer + 1}: {letters}", (weights[1], weights[0]), model.directions,
                    input_gradient=needed or kind != "ih", weight_gradient=tensor not in frozen,
                )  # fmt: skip
    yield product("head", (_read_by_head(model), _scored(sizes)), 1)


def _read_by_head(model: ModelConfig) -> str:
    axes = axes_of(model)
    # A tied matrix is as wide as what a layer gives back to itself.
    return axes["rnn.weight_hh_l0" if model.tied else "head.weight"][1]


def _scored(sizes: Sizes) -> str:
    """What a step is scored against."""
    return "S" if "S" in sizes else "V"
