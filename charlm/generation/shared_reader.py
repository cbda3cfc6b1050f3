"""Read many texts that are much alike with one bidirectional layer: what they share, once.

A direction's outputs at a place depend on the text up to there alone. So the texts are read a few
tokens at a time, of those that are the same up to there only one.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from charlm.model.cells import State
from charlm.model.network import CharLM, map_state

# Tokens read at a time: the fewer, the more is shared, and the more calls it takes.
AT_ONCE = 6


class SharedReader:
    """The two directions of a model's single layer, as two layers of one direction."""

    def __init__(self, model: CharLM) -> None:
        assert model.embedding is not None
        self._embedding = model.embedding
        self._ways = [_one_way(model.rnn, way) for way in ("", "_reverse")]

    @staticmethod
    def can_read(model: CharLM) -> bool:
        """Where many short calls are cheap, and the layer is of the usual kind."""
        config, on_cpu = model.config, model.head.weight.device.type == "cpu"
        plain = config.embedding_size > 0 and config.proj_size == 0
        return on_cpu and plain and config.num_layers == 1

    def read(self, texts: Tensor, begin: int, end: int, state: State | None) -> Tensor:
        """texts (B, T) -> outputs (end - begin, B, 2*H) of that part; state: as it is entered."""
        forwards = self._read(0, texts[:, :end], begin, state)
        backwards = self._read(1, texts[:, begin:].flip(1), texts.shape[1] - end, state)
        return torch.cat([forwards, backwards.flip(0)], -1)

    def _read(self, way: int, texts: Tensor, begin: int, both: State | None) -> Tensor:
        """One direction's outputs from `begin` on."""
        state = None if both is None else map_state(both, lambda part: part[way : way + 1])
        whole, outputs = texts.numpy(), []
        for first in range(begin, texts.shape[1], AT_ONCE):
            last = first + AT_ONCE
            one_of_each, which = _distinct(whole[:, :last])
            if state is not None:
                state = map_state(state, partial(torch.index_select, dim=1, index=one_of_each))
            read = self._embedding(texts[one_of_each, first:last].T)
            some, state = self._ways[way](read, state)
            outputs.append(some.index_select(1, which))
            state = map_state(state, partial(torch.index_select, dim=1, index=which))
        return torch.cat(outputs)


def _distinct(rows: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Where the first of each kind of row stands, and which kind each row is of."""
    kinds: dict[bytes, int] = {}
    firsts: list[int] = []
    which: list[int] = []
    for place, row in enumerate(rows):
        kind = kinds.setdefault(row.tobytes(), len(kinds))
        if kind == len(firsts):
            firsts.append(place)
        which.append(kind)
    return torch.tensor(firsts), torch.tensor(which)


def _one_way(both: nn.Module, suffix: str) -> nn.Module:
    """One direction of a bidirectional layer as a layer of its own, with the same weights."""
    assert isinstance(both, nn.RNNBase)
    kind: Callable[..., nn.RNNBase] = type(both)
    options = {"nonlinearity": both.nonlinearity} if isinstance(both, nn.RNN) else {}
    way = kind(both.input_size, both.hidden_size, bias=both.bias, **options)
    own = way.state_dict()
    way.load_state_dict({name: getattr(both, name + suffix) for name in own})
    return way.eval()
