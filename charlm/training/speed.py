"""How fast a model trains here, by real steps, few and short."""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np
import torch

from charlm.config import Config
from charlm.data.batches import Batch
from charlm.errors import OutOfMemoryError
from charlm.model.device import computing, empty_cache, pick_device, trains_in, wait_for
from charlm.model.network import CharLM, freeze
from charlm.model.shapes import parameters
from charlm.training.distributed import World
from charlm.training.gradient import Gradient
from charlm.training.memory import fits
from charlm.training.optim import OPTIMIZERS, clip, clip_on_device

Measure = Callable[[Config], float | None]

# A measurement is as many steps as fit into a time, and at most so many; the median counts.
MOST_STEPS, MOST_SECONDS = 7, 1.0
# Of what is left to measure in, a measurement may take this share.
SHARE = 0.3


class Speed:
    """`speed(config)`: tokens a second, or None where it cannot be trained here.

    All measurements together take about `seconds`, the first step of all aside: that is when torch
    imports and makes what training takes, measured or not. A config whose steps would not fit into
    what is left is not tried, and counts as one that cannot be trained.
    """

    def __init__(
        self, vocab_size: int, seconds: float, now: Callable[[], float] = time.perf_counter,
        *, world: World | None = None,
    ) -> None:  # fmt: skip
        """world: who measures the same at the same time, and takes as much memory."""
        self._vocab_size, self._left, self._now = vocab_size, seconds, now
        self._world = world
        # Of the step measured last, for each parameter of its model; 0 before the first.
        self._seconds_a_parameter = 0.0
        # Since when the time counts that is not yet taken off what is left.
        self._since = 0.0

    def __call__(self, config: Config) -> float | None:
        training, size = config.training, parameters(config.model, self._vocab_size)
        if 2 * size * self._seconds_a_parameter > self._left:
            return None
        device = pick_device(training.device)
        if not trains_in(training.precision, device, config.model.rnn_type):
            return None
        if not fits(config, self._vocab_size, device, self._world):
            return None
        self._since = self._now()
        try:
            seconds = self._seconds_a_step(config)
        except (RuntimeError, MemoryError, OutOfMemoryError):  # or the device knows no such thing
            return None
        finally:
            empty_cache(device)
            self._left -= self._now() - self._since
        self._seconds_a_parameter = seconds / size
        return training.seq_len * training.batch_size / seconds

    def _seconds_a_step(self, config: Config) -> float:
        """On ids drawn at random; torch's own chance is left as it was."""
        training, most = config.training, min(MOST_SECONDS, SHARE * self._left)
        # About as often as symbols come in a text (Zipf 1949, Mandelbrot 1953).
        shares = 1 / (np.arange(self._vocab_size) + 2.7)
        ids = np.random.default_rng(0).choice(
            self._vocab_size, (training.seq_len + 1, training.batch_size), p=shares / shares.sum()
        )
        batch = Batch(ids[:-1], ids[1:], np.ones(training.batch_size, np.float32))
        with computing(training.threads), torch.random.fork_rng(devices=[]):
            # The first weights do not matter, and orthogonal ones take longer than a step.
            shape = replace(config.model, init="torch")
            device = pick_device(training.device)
            model = CharLM(shape, self._vocab_size).to(device)
            freeze(model, training.freeze)
            model.train()
            gradient = Gradient(model, config, np.ceil(1000 * shares).astype(np.int64))
            optimizer = OPTIMIZERS[training.optimizer](model, training)

            def step() -> float:
                started = self._now()
                gradient(batch, None, len(taken))
                (clip if gradient.waits else clip_on_device)(model, training.grad_clip)
                optimizer.step(training.lr)
                wait_for(device)
                return self._now() - started

            taken: list[float] = []
            # The first pays for threads and memory that the others find ready.
            first = step()
            if not self._seconds_a_parameter:
                self._since = self._now()
            while len(taken) < MOST_STEPS and sum(taken) < most:
                taken.append(step())
        return max(1e-9, median(taken or [first]))
