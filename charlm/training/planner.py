"""What to train: sizes, rate and regularisation for this text, this machine and this time.

A larger model is worth taking where it can read the text often enough; what is read many times is
learned by heart unless much is dropped; and a short text is worth few units. How often it can be
read, the limit says, or the speed of real steps, measured: of each device, number of threads and
precision, then of one recipe after the other, from the smallest model up. The recipes were found by
trial: configs/README.md has the log.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import torch

from charlm.config import Config, check
from charlm.data.vocab import Ids
from charlm.errors import UsageError
from charlm.evaluation.baselines import ORDER, interpolated
from charlm.model.device import check_precision, check_threads, pick_device, usable_cores
from charlm.settings import configured
from charlm.training.limits import most_seconds, worth_steps
from charlm.training.remembered import Measure, Remembered
from charlm.training.speed import Speed

Given = Mapping[str, Mapping[str, Any]]
Changes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """For a text that is read at least so many times (`epochs`)."""

    epochs: float
    units: int
    dropout: float
    lr: float


# The last is taken that has its epochs, as all before it have.
RECIPES = (
    Recipe(0.0, 256, 0.0, 0.01),
    Recipe(3.0, 384, 0.1, 0.007),
    Recipe(2.8, 512, 0.1, 0.007),
    Recipe(5.0, 512, 0.3, 0.005),
    Recipe(3.8, 768, 0.3, 0.004),
    Recipe(20.0, 768, 0.5, 0.004),
)
# Of many symbols each is rarer, and what is rare is sooner learned by heart.
MANY_RECIPES = (
    Recipe(0.0, 256, 0.0, 0.01),
    Recipe(3.0, 256, 0.3, 0.01),
    Recipe(3.0, 384, 0.5, 0.007),
    Recipe(3.5, 512, 0.5, 0.005),
)
# A text of fewer tokens is learned by heart sooner: where a recipe drops anything, drop more.
SHORT_TEXT = 500_000
MORE_DROPOUT, MOST_DROPOUT = 0.2, 0.5
# And one of fewer tokens still is worth no more units, however often it is read.
MOST_UNITS = ((300, 32), (5_000, 64), (50_000, 128), (150_000, 256))
# One of so few tokens to a symbol has hardly more to teach than how frequent each is; by the usual
# rates it would be learned by heart before the first validation.
SPARSE, SPARSE_RATE = 4.0, 2e-4
# Of so many symbols, most of a step is scoring them: one matrix for the embedding and the head then
# learns each of them twice as soon, and a step is scored against a sample of them.
MANY_SYMBOLS, SAMPLED = 1000, 1024
# AdamW's rates are next to nothing to SGD, which takes one so large where gradients are clipped.
SGD_RATE = 1.0
# Of what five tokens of context give on so many tokens: where the trainings that were tried ended.
SAMPLE_TOKENS = 200_000
EXPECTED = 0.75, 1.0
# Share of the time that measuring may take, and its seconds at most.
MEASURING, MOST_MEASURING = 0.1, 2.5
# How many times as fast another device, or half the precision, must be to be chosen.
WORTH_CHANGE = 1.2
# And twice as many threads, which others on the machine may need, or parts.
WORTH_THREADS = 1.05


@dataclass(frozen=True)
class Plan:
    """The settings to train with; about so many epochs, where that was for the planner to say."""

    config: Config
    epochs: float | None = None


def plan(
    config: Config,
    given: Given,
    *,
    train_tokens: int,
    vocab_size: int,
    elapsed: Callable[[], float],
    speed: Measure | None = None,
    remembered: Remembered | None = None,
) -> Plan:
    """Choose all that was not given.

    elapsed: seconds of the training's time that are over. speed: what measures, `Speed` unless the
    tests bring their own. remembered: what was measured before. Of one that reads both ways only
    the machine's side is chosen.
    Raises UsageError for a precision that was given and is not to be had.
    """
    asked_for = config.training.batch_size
    # What is planned and measured has as many streams as the text fills: they will be no more.
    fitting = max(1, min(asked_for, (train_tokens - 1) // config.training.seq_len))
    config = configured(config, {"training": {"batch_size": fitting}})
    if speed is None:
        training = config.training
        seconds = training.time or most_seconds(training)
        left = MEASURING * max(0.0, seconds - elapsed())
        speed = Speed(vocab_size, min(MOST_MEASURING, left))
    if remembered:
        speed = remembered.or_measured(speed)
    found = _planned(config, given, train_tokens, vocab_size, elapsed, speed)
    whole = configured(found.config, {"training": {"batch_size": asked_for}})
    return Plan(whole, found.epochs)


def _planned(
    config: Config,
    given: Given,
    train_tokens: int,
    vocab_size: int,
    elapsed: Callable[[], float],
    speed: Measure,
) -> Plan:
    """`plan`, for a config with no more streams than the text fills."""
    training = config.training
    check_threads(training.threads)
    if not _open("precision", given):
        device = pick_device(training.device)
        check_precision(training.precision, device, config.model.rnn_type)
    seconds = training.time or most_seconds(training)
    config = _for_so_many_symbols(config, given, vocab_size)
    asked, worth = _epochs_asked(config, train_tokens), _epochs_worth(config, train_tokens)

    def epochs_at(tokens_per_second: float) -> float:
        """Those that a model of this speed would make."""
        in_time = max(0.0, seconds - elapsed()) * tokens_per_second / train_tokens
        if asked is not None:
            # A model too slow to make them all in a training's usual time would be a surprise.
            return asked if in_time >= asked else 0.0
        return min(in_time, worth)

    recipes = () if config.model.bidirectional else tuple(_recipes(train_tokens, vocab_size))
    if recipes:
        config = _fitting(config, recipes[0], given) or config
    config, its_speed = _fastest(config, given, speed)
    if its_speed is None:
        return Plan(config)
    epochs = epochs_at(its_speed)
    for recipe in recipes[1:]:
        if epochs < recipe.epochs:
            break  # and a larger model, which is slower, would have fewer still
        # What side by side is worth, another size may tell otherwise; and some recipes forbid it.
        alone = configured(config, {"training": {"parts": 1}} if _open("parts", given) else {})
        larger = _fitting(config, recipe, given) or _fitting(alone, recipe, given)
        if larger is None:
            continue
        if (larger.model.hidden_size, larger.training.parts) != (
            config.model.hidden_size, config.training.parts,
        ):  # fmt: skip
            larger = configured(larger, {"training": {"parts": alone.training.parts}})
            larger, larger_speed = _on_all_cores(larger, given, speed, config.training.threads)
            if larger_speed is None or epochs_at(larger_speed) < recipe.epochs:
                break
            its_speed = larger_speed
        config, epochs = larger, epochs_at(its_speed)
    return Plan(config, epochs if asked is None else None)


def _epochs_asked(config: Config, train_tokens: int) -> float | None:
    """Those that the settings ask for, in so many words or in steps; None where they do not."""
    training = config.training
    if training.max_steps is not None:
        return training.max_steps * training.seq_len * training.batch_size / train_tokens
    return training.epochs


def _epochs_worth(config: Config, train_tokens: int) -> float:
    """Those after which a training ends that was given neither a limit nor a time."""
    training = config.training
    if training.time is not None:
        return inf
    tokens_a_step = training.seq_len * training.batch_size
    return worth_steps(train_tokens / tokens_a_step) * tokens_a_step / train_tokens


def _recipes(train_tokens: int, vocab_size: int) -> Iterator[Recipe]:
    """Those for a text of this length and so many symbols."""
    most = next((units for tokens, units in MOST_UNITS if train_tokens < tokens), None)
    for recipe in MANY_RECIPES if vocab_size >= MANY_SYMBOLS else RECIPES:
        units, dropout, lr = recipe.units, recipe.dropout, recipe.lr
        if most is not None and units > most:
            units, lr = most, RECIPES[0].lr
        if train_tokens < SPARSE * vocab_size:
            lr = SPARSE_RATE
        if dropout and train_tokens < SHORT_TEXT:
            dropout = min(MOST_DROPOUT, dropout + MORE_DROPOUT)
        yield Recipe(recipe.epochs, units, dropout, lr)


def _fitting(config: Config, recipe: Recipe, given: Given) -> Config | None:
    """The config with all of the recipe that was not given; None where the two do not agree."""
    units = given.get("model", {}).get("hidden_size", recipe.units)
    model: dict[str, Any] = {"dropout": recipe.dropout}
    if config.model.tied and "embedding_size" in given.get("model", {}):
        units = config.model.embedding_size  # its one matrix is as wide as the layers
    elif config.model.tied:
        model["embedding_size"] = config.model.proj_size or units
    # A model made larger than the recipe's wants a lower rate, as the recipes among themselves.
    lr = recipe.lr * min(1.0, recipe.units / units)
    if config.training.optimizer == "sgd":
        lr = SGD_RATE
    model["hidden_size"] = units
    found = _with(config, {"model": model, "training": {"lr": lr}}, given)
    return found if _agrees(found) else None


def _agrees(config: Config) -> bool:
    try:
        check(config)
    except UsageError:
        return False
    return True


def _for_so_many_symbols(config: Config, given: Given, vocab_size: int) -> Config:
    """With what pays where there are many: of charlm's own recipe, not of a textbook's."""
    model = config.model
    if vocab_size < MANY_SYMBOLS or model.init != "orthogonal" or model.bidirectional:
        return config
    chosen: Changes = {"training": {"sampled": SAMPLED}} if vocab_size > 2 * SAMPLED else {}
    if not {"tied", "embedding_size"} & given.get("model", {}).keys():
        chosen["model"] = {"tied": True, "embedding_size": model.output_size}
    found = _with(config, chosen, given)
    return found if _agrees(found) else config


def _with(config: Config, chosen: Changes, given: Given) -> Config:
    """The config with all of `chosen` that was not given."""
    return configured(config, {
        section: {k: v for k, v in values.items() if k not in given.get(section, {})}
        for section, values in chosen.items()
    })  # fmt: skip


def _fastest(config: Config, given: Given, speed: Measure) -> tuple[Config, float | None]:
    """The config on the device, the processors and in the precision that train it fastest."""
    best, best_speed = _on_all_cores(config, given, speed)
    for change in _changes(config, given):
        other = configured(best, {"training": change})
        other_speed = speed(other)
        if other_speed and (best_speed is None or other_speed > WORTH_CHANGE * best_speed):
            best, best_speed = other, other_speed
    return best, best_speed


def _changes(config: Config, given: Given) -> Iterator[dict[str, str]]:
    """What may be faster: the processor instead of an accelerator, and half the precision."""
    if config.training.device == "auto" and pick_device("auto").type != "cpu":
        yield {"device": "cpu"}
    # What half the precision costs was measured, for every cell, of models that read one way.
    tried = config.model.implementation == "torch" and not config.model.bidirectional
    if tried and _open("precision", given):
        yield {"precision": "bfloat16"}


def _on_all_cores(
    config: Config,
    given: Given,
    speed: Measure,
    threads: int | None = None,
) -> tuple[Config, float | None]:
    """The config with the threads, and the parts side by side, that are fastest."""
    best, best_speed = _with_threads(config, given, speed, threads)
    if best_speed is None or not _open("parts", given) or _device(best) != "cpu":
        return best, best_speed
    given_threads = None if _open("threads", given) else config.training.threads
    most = min(given_threads or _most_threads(), config.training.batch_size)
    parts = 2 * best.training.parts
    while parts <= most:
        change: dict[str, Any] = {"parts": parts}
        if _open("threads", given):
            change["threads"] = max(parts, best.training.threads or 1)
        tried = configured(best, {"training": change})
        its_speed = speed(tried) if _agrees(tried) else None
        if its_speed is None or not _is_worth(its_speed, best_speed):
            break
        best, best_speed, parts = tried, its_speed, 2 * parts
    return best, best_speed


def _open(setting: str, given: Given) -> bool:
    """Whether a setting of `training` is for the planner to choose."""
    return setting not in given.get("training", {})


def _device(config: Config) -> str:
    return pick_device(config.training.device).type


def _most_threads() -> int:
    return min(torch.get_num_threads(), usable_cores())


def _with_threads(
    config: Config,
    given: Given,
    speed: Measure,
    threads: int | None = None,
) -> tuple[Config, float | None]:
    """The config with the number of threads that is fastest, from one up, or from `threads`."""
    if not _open("threads", given) or _device(config) != "cpu":
        return config, speed(config)
    most = _most_threads()
    best, best_speed = config, None
    threads = min(threads or 1, most)
    while True:
        tried = configured(config, {"training": {"threads": threads}})
        its_speed = speed(tried)
        if best_speed is not None and not _is_worth(its_speed, best_speed):
            # Once more: something else may have had the processors for that moment.
            its_speed = speed(tried)
            if not _is_worth(its_speed, best_speed):
                return best, best_speed
        if its_speed is None:
            return config, None
        best, best_speed = tried, its_speed
        if threads == most:
            return best, best_speed
        threads = min(2 * threads, most)


def _is_worth(its_speed: float | None, than: float) -> bool:
    return its_speed is not None and its_speed > WORTH_THREADS * than


def expected_nats(train: Ids, valid: Ids, vocab_size: int) -> tuple[float, float]:
    """Between what and what a training by the recipes is likely to end, in nats per token.

    From what five tokens of context give, on samples: it takes a fraction of a second.
    """
    sample = interpolated(train[-SAMPLE_TOKENS:], valid[: SAMPLE_TOKENS // 10], vocab_size, ORDER)
    return EXPECTED[0] * min(sample), EXPECTED[1] * min(sample)
