"""A model's weights for more symbols than it was trained with. No torch."""

import numpy as np
import numpy.typing as npt

from charlm.config import ModelConfig
from charlm.model.shapes import Axes, axes_of
from charlm.storage.tensors import Arrays

Values = npt.NDArray[np.float32]


def extended_weights(model: ModelConfig, weights: Arrays, fresh: Arrays) -> Arrays:
    """`weights`, as far as they go, and for every symbol behind those that they know the rows of
    `fresh`: both are of models of this config, that of `fresh` knows more symbols.

    Of one-hot input the symbols are columns; the mask, behind all symbols, stays the mask.
    """
    return {
        name: _placed(weights[name], fresh[name], axes) for name, axes in axes_of(model).items()
    }


def _placed(values: Values, fresh: Values, axes: Axes) -> Values:
    """`fresh` with `values` in the places of what they know."""
    places = []
    for axis, known, all_of_it in zip(axes, values.shape, fresh.shape, strict=True):
        place = np.arange(known)
        if axis == "V+1":
            place[-1] = all_of_it - 1
        places.append(place)
    found = fresh.copy()
    found[np.ix_(*places)] = values
    return found
