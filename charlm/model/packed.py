"""The layers as a GPU trains them: copies of the weights, packed, and of the precision asked for.

cuDNN has kernels for whole sequences and many layers, and three things against them:

- Within torch.autocast it is given float16, whatever was asked for. It takes bfloat16 (from its
  version 9.13 on) where weights, inputs and state come in it: so there are copies in bfloat16, made
  anew for each step from the weights proper, which stay float32, as their gradients do.
- It wants all weights of a call in one piece of memory, in an order of its own; else it copies them
  there at each call. `nn.RNNBase.flatten_parameters` packs them, but not those in bfloat16.
- What it drops between layers it draws from a random state that nobody can save. So where some is
  dropped, it gets one layer at a time, and torch drops between them: by its own random state of the
  device, which is part of a resume point.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charlm.model.cells import State
from charlm.model.device import cudnn_version
from charlm.model.network import CharLM, map_state

KINDS: dict[str, Callable[..., nn.RNNBase]] = {
    "LSTM": nn.LSTM, "GRU": nn.GRU, "RNN_TANH": nn.RNN,
    "RNN_RELU": partial(nn.RNN, nonlinearity="relu"),
}  # fmt: skip
# The first cuDNN that multiplies in bfloat16.
CUDNN_BFLOAT16 = 91300


class PackedLayers:
    """`outputs, state = layers(x, state)`, as the model's own `rnn` has it, from copies.

    copies: of its parameters, by these (the gradient of a copy is that of what it was copied from).
    """

    def __init__(self, rnn: nn.RNNBase, dtype: torch.dtype) -> None:
        self._rnn, self._dtype = rnn, dtype
        each = 1 if rnn.dropout and rnn.num_layers > 1 else rnn.num_layers
        self._calls = [_empty(rnn, first, each, dtype) for first in range(0, rnn.num_layers, each)]
        copies = (copy for call in self._calls for copy in call.parameters())
        self.copies: dict[Tensor, Tensor] = dict(zip(_by_layer(rnn), copies, strict=True))
        for own, copy in self.copies.items():
            copy.requires_grad_(own.requires_grad)

    @torch.no_grad()
    def take(self) -> None:
        """Copy the weights as they are now."""
        for own, copy in self.copies.items():
            copy.copy_(own)

    def __call__(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """x (T, B, X), state (L, B, H) or a pair -> outputs (T, B, H), state, both in `dtype`."""
        x, after = x.to(self._dtype), list[State]()
        if state is not None:
            state = map_state(state, lambda part: part.to(self._dtype))
        with torch.autocast(x.device.type, enabled=False):
            for k, call in enumerate(self._calls):
                if k:
                    x = F.dropout(x, self._rnn.dropout, self._rnn.training)
                x, its_state = call(x, self._part(state, k))
                after.append(its_state)
        if len(after) == 1:
            return x, after[0]
        pairs = [one if isinstance(one, tuple) else (one,) for one in after]
        whole = [torch.cat(parts) for parts in zip(*pairs, strict=True)]
        return x, whole[0] if len(whole) == 1 else (whole[0], whole[1])

    def _part(self, state: State | None, call: int) -> State | None:
        """Of the state of all layers, that of those in one call."""
        if state is None or len(self._calls) == 1:
            return state
        size = 2 if self._rnn.bidirectional else 1
        return map_state(state, lambda part: part[call * size : (call + 1) * size])


def packed_for(model: CharLM, precision: str) -> PackedLayers | None:
    """What stands in for the layers in training; None where they do for themselves."""
    rnn, dtype = model.rnn, getattr(torch, precision)
    if not _on_cudnn(rnn):
        return None
    assert isinstance(rnn, nn.RNNBase)
    drops = rnn.dropout > 0 and rnn.num_layers > 1
    return PackedLayers(rnn, dtype) if drops or dtype != torch.float32 else None


def _on_cudnn(rnn: nn.Module) -> bool:
    return isinstance(rnn, nn.RNNBase) and next(rnn.parameters()).device.type == "cuda"


def _by_layer(rnn: nn.RNNBase) -> Iterator[Tensor]:
    """The parameters, in the order in which copies have them."""
    for weights in rnn.all_weights:
        yield from weights


def _empty(rnn: nn.RNNBase, first: int, layers: int, dtype: torch.dtype) -> nn.RNNBase:
    """Layers like some of `rnn`, from the `first`, on its device; their weights to be filled in."""
    directions = 2 if rnn.bidirectional else 1
    width = directions * (rnn.proj_size or rnn.hidden_size) if first else rnn.input_size
    options: dict[str, Any] = {"bias": rnn.bias, "bidirectional": rnn.bidirectional}
    if rnn.proj_size:
        options["proj_size"] = rnn.proj_size
    # By way of a device that draws no weights.
    found = KINDS[rnn.mode](width, rnn.hidden_size, layers, **options, device="meta", dtype=dtype)
    found.to_empty(device=next(rnn.parameters()).device)
    if dtype == torch.bfloat16 and _on_cudnn(found):
        _pack(found)
    return found


@torch.no_grad()
def _pack(rnn: nn.RNNBase) -> None:
    """What `flatten_parameters` does, which passes bfloat16 over."""
    if torch.version.hip or cudnn_version() < CUDNN_BFLOAT16:
        return
    from torch.backends.cudnn import rnn as cudnn

    weights = list(_by_layer(rnn))
    mode = cudnn.get_cudnn_mode(rnn.mode)  # type: ignore[no-untyped-call]
    with torch.cuda.device(weights[0].device):
        torch._cudnn_rnn_flatten_weight(
            weights, len(rnn.all_weights[0]), rnn.input_size, mode, rnn.hidden_size,
            rnn.proj_size, rnn.num_layers, rnn.batch_first, rnn.bidirectional,
        )  # fmt: skip
