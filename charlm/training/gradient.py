"""The gradient of a batch, in parts: side by side where that is faster, more where memory is short.

A processor's cores are kept busier by a thread each, with streams of its own and one thread of
torch's, than by torch's threads that share every product of the small matrices of one step in time.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charlm.config import Config
from charlm.data.batches import Batch as HostBatch
from charlm.errors import OutOfMemoryError, is_out_of_memory
from charlm.model.cells import State
from charlm.model.device import empty_cache, in_precision, rounding, works_on
from charlm.model.network import CharLM, carry, join_states, map_state, with_dropout
from charlm.model.packed import packed_for
from charlm.training.distributed import Alone, World
from charlm.training.losses import Counts, make_loss
from charlm.training.resident import ResidentBatch, sent

Batch = HostBatch | ResidentBatch
# A number on a GPU is left there.
Nats = float | Tensor
# Nats, the gradient of each parameter, the state after.
Part = tuple[Nats, Sequence[Tensor | None], State]


class Gradient:
    """`nats, state = gradient(batch, state, step)`: the mean loss, and the state after the batch.

    waits: whether the loss is a number by then, or still to be reckoned by a GPU. Of several
    processes, each waits: what is lost with one of them must be noticed before the GPUs meet.

    The gradient is left with the model's parameters, in place of what is there. The streams are
    taken in `parts`, and what they give is added up in their order; as many as
    `config.training.parts` are worked on side by side. Where the memory does not hold them, they
    are one after the other, and then twice as many each time. Where several processes train
    together (`world`), each takes its share of the streams.
    """

    def __init__(
        self, model: CharLM, config: Config, counts: Counts, world: World | None = None
    ) -> None:
        """counts: of each symbol in the text."""
        self.world = world or Alone()
        self._loss = make_loss(model, config.training, counts)
        self.model, self.config = model, config
        self.parts = config.training.parts
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._layers = packed_for(model, config.training.precision)
        copies = self._layers.copies if self._layers else {}
        # What autograd follows in place of the parameters.
        self._followed = [copies.get(p, p) for p in self._parameters]
        self._workers: ThreadPoolExecutor | None = None
        if self.parts > 1 and self._device.type == "cpu":
            self._workers = _workers(min(self.parts, torch.get_num_threads()))

    def __call__(self, batch: Batch, state: State | None, step: int) -> tuple[Nats, State]:
        """Raises OutOfMemoryError, naming `step`, where not even one stream can be held."""
        while True:
            self.model.zero_grad()
            try:
                found = self._of_parts(batch, state, step)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            else:
                return self._of_all(batch, *found)
            # Here, where the error and all that it holds on to is gone.
            if self._workers:
                self._workers = None
                continue
            empty_cache(self._device)
            self.parts *= 2
            if self.parts > len(self._columns(batch)):
                raise OutOfMemoryError(
                    f"out of memory at step {step}, with one stream at a time: lower --seq-len "
                    f"({self.config.training.seq_len}) or --hidden-size "
                    f"({self.config.model.hidden_size})"
                )

    def _of_parts(
        self, batch: Batch, state: State | None, step: int
    ) -> tuple[Nats, Sequence[State]]:
        """The nats of this process's streams, and the states that they are left in."""
        nats: Nats = 0.0
        states: list[State] = []
        if self._layers:
            self._layers.take()
        with self._chance(step), rounding("tf32", self._device):
            # Drawn here, in one order, whichever part is the first to be at work.
            dropout = self.model.draw_dropout(batch.inputs.shape[1])
            symbols = self._drawn(batch, step)
            if self.world.size > 1:
                self._seed(step, 1 + self.world.rank)  # between layers, each drops its own
            for its_nats, gradients, after in self._map(
                lambda columns: self._part(batch, state, dropout, symbols, columns),
                self._columns(batch),
            ):
                nats = nats + its_nats
                states.append(after)
                self._add(gradients)
        return nats, states

    @contextmanager
    def _chance(self, step: int) -> Iterator[None]:
        """Where several processes train, torch's chance inside is a step's own, and after it as
        before: as saved it is all of theirs, whoever drew how much, or was lost on the way."""
        if self.world.size == 1:
            yield
            return
        with torch.random.fork_rng([self._device] if self._device.type == "cuda" else []):
            self._seed(step, 0)
            yield

    def _seed(self, *place: int) -> None:
        seed = (self.config.training.seed, *place)
        torch.manual_seed(int(np.random.default_rng(seed).integers(1 << 63)))

    def _drawn(self, batch: Batch, step: int) -> Tensor | None:
        """The symbols that a step is scored against; None for all."""
        if isinstance(batch, ResidentBatch):
            return None
        symbols = self._loss.drawn(batch.targets, step)
        return None if symbols is None else sent(symbols.numpy(), self._device)

    def _of_all(self, batch: Batch, nats: Nats, states: Sequence[State]) -> tuple[Nats, State]:
        """The sums over all processes, of nats and gradients; the state, of this one's streams
        alone: see `together`."""
        if self.world.size == 1:
            return nats, join_states(states)
        streams = batch.inputs.shape[1]
        model = self.config.model
        layers = model.num_layers * model.directions
        widths = [model.output_size, model.hidden_size][: 2 if model.rnn_type == "lstm" else 1]
        whole = [self.model.head.weight.new_zeros(layers, streams, width) for width in widths]
        if states:
            own = join_states(states)
            for part, known in zip(whole, own if isinstance(own, tuple) else (own,), strict=True):
                part[:, self.world.share(streams)] = known
        for parameter in self._parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        # Figures first: one that is lost is missed there, and not inside a GPU's own exchange.
        [nats] = self.world.total([float(nats)])
        self.world.add_up([p.grad for p in self._parameters if p.grad is not None])
        return nats, whole[0] if len(whole) == 1 else (whole[0], whole[1])

    def _map(self, part: Callable[[slice], Part], columns: Sequence[slice]) -> Iterator[Part]:
        """What each part gives, in their order; when it ends, by an error too, all have ended."""
        if not self._workers:
            yield from map(part, columns)
            return
        futures = [self._workers.submit(part, its_columns) for its_columns in columns]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()
            wait(futures)

    def _add(self, gradients: Sequence[Tensor | None]) -> None:
        """Add one part's gradients to those of the parameters."""
        places = set()
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            if gradient is None:
                continue
            if parameter.grad is not None:
                parameter.grad += gradient
            elif gradient.data_ptr() in places or gradient.stride() != parameter.stride():
                # Of two biases that are added up, it is one; and a fused optimiser takes it for
                # granted that a gradient lies in memory as its parameter does.
                parameter.grad = torch.empty_like(parameter).copy_(gradient)
            else:
                parameter.grad = gradient
            places.add(gradient.data_ptr())

    def _columns(self, batch: Batch) -> list[slice]:
        """The streams of each part; of this process's share of them."""
        streams = np.arange(batch.inputs.shape[1])
        streams = streams[self.world.share(len(streams))]
        if not len(streams):
            return []
        parts = np.array_split(streams, min(self.parts, len(streams)))
        return [slice(int(part[0]), int(part[-1]) + 1) for part in parts]

    def _part(
        self, batch: Batch, state: State | None, dropout: Tensor | None, symbols: Tensor | None,
        columns: slice,
    ) -> Part:  # fmt: skip
        """What some of the streams give. dropout (1, B, H): see `CharLM.draw_dropout`."""
        inputs, targets = (
            self._on_device(ids[:, columns]) for ids in (batch.inputs, batch.targets)
        )
        if dropout is not None:
            dropout = dropout[:, columns]
        with in_precision(self.config.training.precision, inputs.device):
            carried = self._carried(state, batch.carried, columns)
            outputs, after = self.model.read(inputs, carried, self._layers)
            loss = self._loss(with_dropout(outputs, dropout), targets, symbols) / batch.predicted
        gradients = torch.autograd.grad(loss, self._followed, allow_unused=True)
        if self._layers:
            gradients = tuple(g if g is None else g.float() for g in gradients)
        # Cut from its past at once: a state that kept the graph would keep its memory too.
        nats = loss.item() if self.waits else loss.detach()
        return nats, gradients, map_state(after, lambda part: part.detach().float())

    def _carried(
        self, state: State | None, carried: npt.NDArray[np.float32], columns: slice
    ) -> State | None:
        """The state that the batch's streams of these columns go on from."""
        if state is None or not carried.any():
            # None goes on, and windows drawn at random may also be fewer than those before.
            return None
        if self.parts > 1 or self.world.size > 1:
            state = map_state(state, lambda part: part[:, columns].contiguous())
        if carried.all():
            return state
        return carry(state, sent(carried[columns], self._device))

    @property
    def _device(self) -> torch.device:
        return self.model.head.weight.device

    @property
    def waits(self) -> bool:
        return self.world.size > 1 or not works_on(self._device)

    def _on_device(self, ids: npt.NDArray[np.int64] | Tensor) -> Tensor:
        return ids if isinstance(ids, Tensor) else sent(ids, self._device)


def _workers(number: int) -> ThreadPoolExecutor:
    """Threads that share this one's processors."""
    threads = max(1, torch.get_num_threads() // number)

    def begin() -> None:
        # Both are a thread's own.
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)

    return ThreadPoolExecutor(number, "part", begin)
