"""What to train in the time given: sizes, rate and regularisation for this text on this machine.

The speed is measured, with real steps: of each precision, then of one recipe after the other, from
the smallest model up. A larger one is worth taking where the time lets it read the text often
enough; and what is read many times is learned by heart unless much is dropped. The recipes were
found by trial: configs/README.md has the log.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from charlm.config import Config
from charlm.data.batches import Batch
from charlm.data.vocab import Ids
from charlm.evaluation.baselines import ORDER, interpolated
from charlm.model.device import pick_device
from charlm.model.network import CharLM
from charlm.settings import configured
from charlm.training.gradient import Gradient
from charlm.training.optim import OPTIMIZERS, clip

Given = Mapping[str, Mapping[str, Any]]
Recipe = dict[str, dict[str, Any]]

# The epochs that it needs -> a recipe. The last is taken that has them, as all before it have.
RECIPES: tuple[tuple[float, Recipe], ...] = (
    (0.0, {}),
    (3.0, {"model": {"hidden_size": 384, "dropout": 0.1}, "training": {"lr": 0.007}}),
    (2.8, {"model": {"hidden_size": 512, "dropout": 0.1}, "training": {"lr": 0.007}}),
    (5.0, {"model": {"hidden_size": 512, "dropout": 0.3}, "training": {"lr": 0.005}}),
    (3.8, {"model": {"hidden_size": 768, "dropout": 0.3}, "training": {"lr": 0.004}}),
    (20.0, {"model": {"hidden_size": 768, "dropout": 0.5}, "training": {"lr": 0.004}}),
)
# A text of fewer tokens is learned by heart sooner: where a recipe drops anything, drop more.
SHORT_TEXT = 500_000
MORE_DROPOUT, MOST_DROPOUT = 0.2, 0.5
# Where no limit is given, more epochs than these are not worth their time.
MOST_EPOCHS = 20.0
GPU_SECONDS = 180.0
# Of what five tokens of context give on so many tokens: where the trainings that were tried ended.
SAMPLE_TOKENS = 200_000
EXPECTED = 0.75, 1.0
TIMED_STEPS, TIMED_AT_MOST = 8, 1.0
# How many times as fast half the precision must be to be chosen.
WORTH_HALF = 1.2


@dataclass(frozen=True)
class Plan:
    """The settings to train with; about so many epochs, where they are limited by time."""

    config: Config
    epochs: float | None = None


def plan(
    config: Config, given: Given, *, train_tokens: int, vocab_size: int, elapsed: float
) -> Plan:
    """Choose all that was not given for a training that is limited by time.

    elapsed: seconds of that time which are over already. One limited by steps or epochs, and one
    that reads both ways, is somebody's own experiment, and stays as it is.
    """
    training = config.training
    if training.epochs or training.max_steps or config.model.bidirectional:
        return Plan(config)
    seconds = training.time or _most_seconds(config)
    left = max(0.0, seconds - elapsed)
    first = _with(config, RECIPES[0][1], given, train_tokens)
    config, speed = _fastest(first, given, vocab_size)
    for needed, recipe in RECIPES[1:]:
        larger = _with(config, recipe, given, train_tokens)
        its_speed = speed  # on which dropout has next to no influence
        if larger.model.hidden_size != config.model.hidden_size:
            its_speed = tokens_per_second(larger, vocab_size)
        if left * its_speed < needed * train_tokens:
            break
        config, speed = larger, its_speed
    if training.time is None:
        seconds = min(seconds, round(elapsed + MOST_EPOCHS * train_tokens / speed, 1))
        config = configured(config, {"training": {"time": seconds}})
    return Plan(config, max(0.0, seconds - elapsed) * speed / train_tokens)


def _with(config: Config, recipe: Recipe, given: Given, train_tokens: int) -> Config:
    """The config with all of the recipe that was not given."""
    as_found = configured(Config(), recipe)
    width, dropout = as_found.model.hidden_size, as_found.model.dropout
    if dropout and train_tokens < SHORT_TEXT:
        dropout = min(MOST_DROPOUT, dropout + MORE_DROPOUT)
    # A model made larger than the recipe's wants a lower rate, as the recipes among themselves.
    smaller = min(1.0, width / given.get("model", {}).get("hidden_size", width))
    chosen = {
        "model": {"hidden_size": width, "dropout": dropout},
        "training": {"lr": as_found.training.lr * smaller},
    }
    return configured(config, {
        section: {k: v for k, v in values.items() if k not in given.get(section, {})}
        for section, values in chosen.items()
    })  # fmt: skip


def _fastest(config: Config, given: Given, vocab_size: int) -> tuple[Config, float]:
    """The config with the precision that trains fastest here, and its tokens a second."""
    speed = tokens_per_second(config, vocab_size)
    if "precision" in given.get("training", {}) or config.model.implementation == "scratch":
        return config, speed
    half = configured(config, {"training": {"precision": "bfloat16"}})
    half_speed = tokens_per_second(half, vocab_size)
    return (half, half_speed) if half_speed > WORTH_HALF * speed else (config, speed)


def expected_nats(train: Ids, valid: Ids, vocab_size: int) -> tuple[float, float]:
    """Between what and what a training by the recipes is likely to end, in nats per token.

    From what five tokens of context give, on samples: it takes a fraction of a second.
    """
    sample = interpolated(train[-SAMPLE_TOKENS:], valid[: SAMPLE_TOKENS // 10], vocab_size, ORDER)
    return EXPECTED[0] * min(sample), EXPECTED[1] * min(sample)


def _most_seconds(config: Config) -> float:
    """What a training takes at most where no limit is given."""
    most = config.training.default_time
    return most if pick_device(config.training.device).type == "cpu" else min(most, GPU_SECONDS)


def tokens_per_second(config: Config, vocab_size: int) -> float:
    """How fast a model of this config trains here: real steps, on ids drawn at random."""
    training = config.training
    random_state = torch.get_rng_state()
    model = CharLM(config.model, vocab_size).to(pick_device(training.device))
    gradient, optimizer = Gradient(model, config), OPTIMIZERS[training.optimizer](model, training)
    shape = (training.seq_len + 1, training.batch_size)
    ids = np.random.default_rng(0).integers(vocab_size, size=shape)
    batch = Batch(ids[:-1], ids[1:], np.ones(training.batch_size, np.float32))

    def step() -> None:
        gradient(batch, None, 0)
        clip(model, training.grad_clip)
        optimizer.step()

    step()  # pays for threads and memory that the others find ready
    started, steps = time.perf_counter(), 0
    while steps < TIMED_STEPS and time.perf_counter() - started < TIMED_AT_MOST:
        step()
        steps += 1
    seconds = time.perf_counter() - started
    torch.set_rng_state(random_state)
    return steps * training.seq_len * training.batch_size / seconds
