"""The nats of what a model reads next, over all symbols or, in training, over a sample of them.

Where there are thousands of symbols, most of a step's time goes to the likelihoods of those that
are neither right nor likely. A sample of them tells nearly as much: `SampledSoftmax`. Evaluation
always takes all.

    outputs (T, B, H): what the head gets        targets (T, B): the tokens that come
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from charlm.config import TrainingConfig
from charlm.model.network import CharLM

Counts = npt.NDArray[np.int64]


class Loss(Protocol):
    def drawn(self, targets: npt.NDArray[np.int64], step: int) -> Tensor | None:
        """The symbols that a step is scored against; None for all."""

    def __call__(self, outputs: Tensor, targets: Tensor, symbols: Tensor | None) -> Tensor:
        """The sum of the nats of all targets that are not ignored."""


class FullSoftmax:
    """Over all symbols."""

    def __init__(self, model: CharLM) -> None:
        self._head = model.head

    def drawn(self, targets: npt.NDArray[np.int64], step: int) -> Tensor | None:
        return None

    def __call__(self, outputs: Tensor, targets: Tensor, symbols: Tensor | None) -> Tensor:
        logits = self._head(outputs).float().flatten(0, 1)
        return F.cross_entropy(logits, targets.flatten(), reduction="sum")


class SampledSoftmax:
    """Over the most frequent symbols, those that come in the batch, and some others drawn at random
    (Bengio & Senécal 2008; Jean et al. 2015).

    One that is there by chance stands for others of its kind: its likelihood counts as many times
    as it is rarely there, so that the sum over all is right on average.
    """

    def __init__(self, model: CharLM, counts: Counts, number: int, tokens: int, seed: int) -> None:
        """counts: of each symbol in the text. number: of symbols beside the batch's own, half of
        them the most frequent. tokens: in a batch."""
        self._head, self._seed = model.head, seed
        order = np.argsort(-counts, kind="stable")
        self._frequent, self._others = np.split(order, [number // 2])
        self._draws = min(number - number // 2, len(self._others))
        share = self._draws / max(1, len(self._others))
        others = counts[self._others]
        # That it is in none of the batch's other places, and is not drawn.
        absent = (1 - others / max(1, counts.sum())) ** (tokens - 1) * (1 - share)
        log_chance = np.zeros(len(counts))
        log_chance[self._others] = np.log1p(-absent)
        device = model.head.weight.device
        self._log_chance = torch.from_numpy(log_chance.astype(np.float32)).to(device)

    def drawn(self, targets: npt.NDArray[np.int64], step: int) -> Tensor | None:
        generator = np.random.default_rng((self._seed, step))
        others = generator.choice(self._others, self._draws, replace=False, shuffle=False)
        found = np.unique(np.concatenate([self._frequent, others, targets.ravel()]))
        return torch.from_numpy(found)

    def __call__(self, outputs: Tensor, targets: Tensor, symbols: Tensor | None) -> Tensor:
        assert symbols is not None
        targets = targets.flatten().contiguous()
        symbols, log_chance = symbols.to(outputs.device), self._log_chance
        weight = F.embedding(symbols, self._head.weight)
        bias = self._head.bias[symbols] - log_chance[symbols]
        logits = F.linear(outputs, weight, bias).float().flatten(0, 1)
        # A target is there for certain.
        places = torch.searchsorted(symbols, targets)
        logits[torch.arange(len(targets), device=logits.device), places] += log_chance[targets]
        return F.cross_entropy(logits, places, reduction="sum")


def make_loss(model: CharLM, settings: TrainingConfig, counts: Counts) -> Loss:
    """What the settings ask for. counts: of each symbol in the text."""
    if not settings.is_sampled(len(counts)):
        return FullSoftmax(model)
    # A short text has no more streams than it fills.
    streams = min(settings.batch_size, max(1, int(counts.sum()) // settings.seq_len))
    tokens = streams * settings.seq_len
    return SampledSoftmax(model, counts, settings.sampled, tokens, settings.seed)
