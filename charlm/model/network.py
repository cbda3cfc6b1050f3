"""CharLM: embedding (or one-hot) -> nn.RNN / nn.LSTM / nn.GRU -> linear head.

The axes, everywhere in charlm:

    B  streams        T  time steps      V  vocabulary
    E  embedding      H  hidden units    L  layers

Tensors are time first, (T, B, ...). The state is a value: it goes in and comes out.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charlm.config import ModelConfig
from charlm.model import cells, recurrence
from charlm.model.cells import State
from charlm.model.device import pick_device
from charlm.model.shapes import frozen_by, input_symbols
from charlm.run import Run

Cells = dict[str, Callable[..., nn.Module]]
Layers = Callable[[Tensor, State | None], tuple[Tensor, State]]

# By `model.implementation`; one interface and the same parameters in both.
IMPLEMENTATIONS: dict[str, Cells] = {
    "torch": {"rnn": recurrence.RNN, "gru": recurrence.GRU, "lstm": nn.LSTM},
    "scratch": {"rnn": cells.RNN, "gru": cells.GRU, "lstm": cells.LSTM},
}


class CharLM(nn.Module):
    """A character-level recurrent language model.

    `logits, state = model(ids, state)`: ids (T, B) int64; logits (T, B, V); state None for zeros,
    else a tensor (L, B, H), or for an LSTM a pair of them, hidden and cell.

    A bidirectional one fills gaps: it reads one symbol more, the mask (id V), and its logits mean
    something at masked places alone; anywhere else it has seen the answer.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, *, to_be_loaded: bool = False) -> None:
        """to_be_loaded: its weights are about to be replaced, and need no good start."""
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.symbols = input_symbols(config, vocab_size)
        width = config.embedding_size or self.symbols
        self.embedding = nn.Embedding(self.symbols, width) if config.embedding_size else None
        self.rnn = IMPLEMENTATIONS[config.implementation][config.rnn_type](
            width, config.hidden_size, config.num_layers, **_cell_options(config)
        )
        self.head = nn.Linear(config.directions * config.output_size, vocab_size)
        if not to_be_loaded:
            self._initialise()
        if config.tied and self.embedding is not None:
            self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        outputs, state = self.read(ids, state)
        return self.head(with_dropout(outputs, self.draw_dropout(ids.shape[1]))), state

    def read(
        self, ids: Tensor, state: State | None = None, layers: Layers | None = None
    ) -> tuple[Tensor, State]:
        """What the head gets, (T, B, H), or 2*H of a bidirectional one; and the state.

        layers: what stands in for the model's own, where that is (`packed.py`).
        """
        inputs = self._inputs(ids)
        return self._recur(inputs, state) if layers is None else layers(inputs, state)

    def _recur(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        if not self.config.proj_size:
            return self.rnn(inputs, state)  # type: ignore[no-any-return]
        with warnings.catch_warnings():
            # It is no news that oneDNN leaves this kind of LSTM to torch.
            warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
            return self.rnn(inputs, state)  # type: ignore[no-any-return]

    def draw_dropout(self, streams: int) -> Tensor | None:
        """(1, B, H): by what to multiply the units of each stream, zero where they are dropped; the
        same at every time step (Gal & Ghahramani 2016). None where nothing is dropped.

        A number for each unit and step would take a tenth of a training's time to draw.
        """
        if not self.config.dropout or not self.training:
            return None
        ones = self.head.weight.new_ones(1, streams, self.head.in_features)
        return F.dropout(ones, self.config.dropout)

    def _inputs(self, ids: Tensor) -> Tensor:
        if self.embedding is not None:
            embedded: Tensor = self.embedding(ids)
            return embedded
        # What F.one_hot does with less: no check of the ids, no detour through integers.
        zeros = self.head.weight.new_zeros(*ids.shape, self.symbols)
        return zeros.scatter_(2, ids[..., None], 1.0)

    def _initialise(self) -> None:
        """First weights, by `model.init`.

        orthogonal: recurrent weights orthogonal, gate by gate (Saxe et al. 2014), the others as
        torch.nn has them. normal: all from N(0, 0.01²). Both: biases zero, but for a forget gate
        that starts open (Gers et al. 2000; Jozefowicz et al. 2015).
        """
        hidden, init = self.config.hidden_size, self.config.init
        for parameter in self.parameters() if init == "normal" else ():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.01)
            else:
                nn.init.zeros_(parameter)
        for name, parameter in self.rnn.named_parameters():
            if name.startswith("weight_hh") and init == "orthogonal":
                for gate in torch.split(parameter.data, hidden):
                    nn.init.orthogonal_(gate)
            elif name.startswith("bias") and init != "torch":
                nn.init.zeros_(parameter)
                if name.startswith("bias_ih") and self.config.rnn_type == "lstm":
                    # torch's order of gates: input, forget, cell, output.
                    nn.init.constant_(parameter.data[hidden : 2 * hidden], self.config.forget_bias)
        if self.config.tied:
            # As a head, an embedding drawn from N(0, 1) would start with logits of sqrt(H).
            assert self.embedding is not None
            nn.init.normal_(self.embedding.weight, std=self.config.output_size**-0.5)


def _cell_options(config: ModelConfig) -> dict[str, Any]:
    """What a cell takes beside its sizes; some of it only one kind knows."""
    options: dict[str, Any] = {"bias": config.bias}
    # Between layers; torch warns where there is nothing between.
    options["dropout"] = config.dropout if config.num_layers > 1 else 0.0
    if config.rnn_type == "rnn":
        options["nonlinearity"] = config.nonlinearity
    if config.bidirectional:
        options["bidirectional"] = True
    if config.proj_size:
        options["proj_size"] = config.proj_size
    return options


def with_dropout(outputs: Tensor, dropout: Tensor | None) -> Tensor:
    """outputs (T, B, H) with what `CharLM.draw_dropout` drops at zero."""
    return outputs if dropout is None else outputs * dropout.to(outputs.dtype)


def map_state(state: State, change: Callable[[Tensor], Tensor]) -> State:
    """`change` applied to the hidden state, and to the cell state where there is one."""
    if isinstance(state, tuple):
        return change(state[0]), change(state[1])
    return change(state)


def join_states(states: Sequence[State]) -> State:
    """The states of some streams each as that of all of them."""
    if len(states) == 1:
        return states[0]
    pairs = [state if isinstance(state, tuple) else (state,) for state in states]
    parts = [torch.cat(part, dim=1) for part in zip(*pairs, strict=True)]
    return parts[0] if len(parts) == 1 else (parts[0], parts[1])


def carry(state: State, carried: Tensor) -> State:
    """The state, zeroed for the streams whose `carried` (B,) is 0."""
    return map_state(state, lambda part: part * carried[:, None])


def weights_of(model: CharLM) -> dict[str, Any]:
    """The weights as NumPy arrays on the CPU; a tied matrix once, as the embedding."""
    tied = {"head.weight"} if model.config.tied else set()
    return {
        name: tensor.detach().cpu().numpy().copy()
        for name, tensor in model.state_dict().items()
        if name not in tied
    }


def load_weights(model: CharLM, weights: dict[str, Any]) -> None:
    """Put arrays that `weights_of` gave, checked before, into a model of the same config."""
    state = {name: torch.from_numpy(array) for name, array in weights.items()}
    if model.config.tied:
        state["head.weight"] = state["embedding.weight"]
    model.load_state_dict(state)


@contextmanager
def other_weights(model: CharLM, weights: dict[str, Any] | None) -> Iterator[None]:
    """Inside the block a model has these weights (None: its own); after it its own, to the bit."""
    own = None if weights is None else weights_of(model)
    if weights is not None:
        load_weights(model, weights)
    try:
        yield
    finally:
        if own is not None:
            load_weights(model, own)


def freeze(model: CharLM, what: str) -> None:
    """Let these tensors be (`shapes.frozen_by`). To be called before anything learns."""
    kept = frozen_by(model.config, what)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in kept)


def open_model(run: Run, device: str) -> CharLM:
    """A run's model on a device, ready to evaluate."""
    weights = run.weights  # which are checked against the sizes, before anything of these is made
    model = CharLM(run.config.model, len(run.vocab), to_be_loaded=True)
    load_weights(model, weights)
    return model.to(pick_device(device)).eval()
