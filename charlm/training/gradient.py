"""The gradient of a batch, taken in as many parts as the memory asks for."""

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from charlm.config import Config
from charlm.data.batches import Batch
from charlm.errors import OutOfMemoryError, is_out_of_memory
from charlm.model.cells import State
from charlm.model.device import in_precision
from charlm.model.network import CharLM, carry, join_states, map_state


class Gradient:
    """`nats, state = gradient(batch, state, step)`: the mean loss, and the state after the batch.

    The gradient is left with the model's parameters, added to what is there. Where the memory does
    not hold all streams at once, they are taken in `parts`, twice as many each time, and the
    gradients added up.
    """

    def __init__(self, model: CharLM, config: Config) -> None:
        self.model, self.config, self.parts = model, config, 1

    def __call__(self, batch: Batch, state: State | None, step: int) -> tuple[float, State]:
        """Raises OutOfMemoryError, naming `step`, where not even one stream can be held."""
        while True:
            self.model.zero_grad()
            try:
                return self._of_parts(batch, state)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Here, where the error and all that it holds on to is gone.
            self.parts *= 2
            if self.parts > batch.inputs.shape[1]:
                raise OutOfMemoryError(
                    f"out of memory at step {step}, with one stream at a time: lower --seq-len "
                    f"({self.config.training.seq_len}) or --hidden-size "
                    f"({self.config.model.hidden_size})"
                )

    def _of_parts(self, batch: Batch, state: State | None) -> tuple[float, State]:
        predicted, nats, states = batch.predicted, 0.0, []
        for streams in np.array_split(np.arange(batch.inputs.shape[1]), self.parts):
            columns = slice(int(streams[0]), int(streams[-1]) + 1)
            inputs, targets = (
                self._on_device(ids[:, columns]) for ids in (batch.inputs, batch.targets)
            )
            with in_precision(self.config.training.precision, inputs.device):
                logits, after = self.model(inputs, self._carried(state, batch.carried, columns))
            logits = logits.float().flatten(0, 1)
            loss = F.cross_entropy(logits, targets.flatten(), reduction="sum") / predicted
            torch.autograd.backward(loss)
            nats += loss.item()
            # Cut from its past at once: a state that kept the graph would keep its memory too.
            states.append(map_state(after, lambda part: part.detach().float()))
        return nats, join_states(states)

    def _carried(
        self, state: State | None, carried: npt.NDArray[np.float32], columns: slice
    ) -> State | None:
        """The state that the batch's streams of these columns go on from."""
        if state is None or not carried.any():
            # None goes on, and windows drawn at random may also be fewer than those before.
            return None
        if self.parts > 1:
            state = map_state(state, lambda part: part[:, columns].contiguous())
        if carried.all():
            return state
        return carry(state, self._on_device(carried[columns]))

    def _on_device(self, array: npt.NDArray[np.generic]) -> torch.Tensor:
        device = self.model.head.weight.device
        # CUDA has read such an array before the call returns; another device might read it after
        # its memory was given away.
        return torch.from_numpy(array).to(device, non_blocking=device.type == "cuda")
