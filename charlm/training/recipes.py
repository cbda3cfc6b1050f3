"""Sizes, rate and regularisation by how long a text is and how often it can be read.

Found by trial: configs/README.md has the log.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from charlm.config import Config, TrainingConfig
from charlm.consistency import check
from charlm.errors import UsageError
from charlm.settings import configured

# What of a config is the user's: section -> key -> value.
Given = Mapping[str, Mapping[str, Any]]
Changes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """For a text that is read at least so many times (`epochs`)."""

    epochs: float
    units: int
    dropout: float
    lr: float
    optimizer: str = "soap"


# The last is taken that has its epochs, as all before it have.
RECIPES = (
    Recipe(0.0, 256, 0.0, 0.01),
    Recipe(3.0, 384, 0.1, 0.007),
    Recipe(2.8, 512, 0.1, 0.007),
    Recipe(5.0, 512, 0.3, 0.005),
    Recipe(3.8, 768, 0.3, 0.004),
    Recipe(20.0, 768, 0.5, 0.004),
)
# On a GPU, 1,536 units in 32 streams of 32 steps, at a rate of 0.003, were the best that was found
# for Tiny Shakespeare, on an H200. How many epochs they want, and how much dropped: unmeasured.
GPU_RECIPES = (*RECIPES, Recipe(30.0, 1536, 0.5, 0.003))
# Of many symbols each is rarer, and what is rare is sooner learned by heart. Their one large matrix
# takes SOAP longer than it gains by it.
MANY_RECIPES = (
    Recipe(0.0, 256, 0.0, 0.01, "adamw"),
    Recipe(3.0, 256, 0.3, 0.01, "adamw"),
    Recipe(3.5, 512, 0.5, 0.005, "adamw"),
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
# The first recipe's rate is that of so many steps and more. Fewer want a higher one, by this power
# of how many times fewer, and never more than so many times as high.
FULL_STEPS, RATE_POWER, MOST_TIMES = 1800, 0.35, 1.8
# Of the rate that a recipe has for weights drawn anew, the share for those that have learned from
# another text: more of it learns the new text sooner, and forgets more of the old one. Of a text
# that is in less than half of symbols that they know, they have nearly all to learn.
LEARNED, MOSTLY_KNOWN = 0.7, 0.5
# The recipes' rates are good for SOAP and for AdamW; to SGD they are next to nothing, and it takes
# one so large where gradients are clipped.
SGD_RATE = 1.0


def recipes_for(train_tokens: int, vocab_size: int, device: str) -> Iterator[Recipe]:
    """Those for a text of this length and so many symbols, on a device of this type, from the
    smallest model up."""
    of_few = GPU_RECIPES if device == "cuda" else RECIPES
    most = next((units for tokens, units in MOST_UNITS if train_tokens < tokens), None)
    for recipe in MANY_RECIPES if vocab_size >= MANY_SYMBOLS else of_few:
        units, dropout, lr = recipe.units, recipe.dropout, recipe.lr
        if most is not None and units > most:
            units, lr = most, RECIPES[0].lr
        if train_tokens < SPARSE * vocab_size:
            lr = SPARSE_RATE
        if dropout and train_tokens < SHORT_TEXT:
            dropout = min(MOST_DROPOUT, dropout + MORE_DROPOUT)
        yield Recipe(recipe.epochs, units, dropout, lr, recipe.optimizer)


def by_recipe(config: Config, recipe: Recipe, given: Given) -> Config | None:
    """The config with all of the recipe that was not given; None where the two do not agree."""
    units = given.get("model", {}).get("hidden_size", recipe.units)
    model: dict[str, Any] = {"dropout": recipe.dropout}
    if config.model.tied and "embedding_size" in given.get("model", {}):
        # Its one matrix is as wide as what it gets: the layers, or their projection.
        units = units if config.model.proj_size else config.model.embedding_size
    elif config.model.tied:
        model["embedding_size"] = config.model.proj_size or units
    # A model made larger than the recipe's wants a lower rate, as the recipes among themselves.
    lr = recipe.lr * min(1.0, recipe.units / units)
    optimizer = given.get("training", {}).get("optimizer", recipe.optimizer)
    if optimizer == "sgd":
        lr = SGD_RATE
    model["hidden_size"] = units
    training = {"lr": lr, "optimizer": optimizer}
    return with_chosen(config, {"model": model, "training": training}, given)


def for_so_few_steps(config: Config, given: Given, steps: float) -> Config:
    """With the rate by which so many steps learn most; the first recipe's is for more of them."""
    training = config.training
    if steps >= FULL_STEPS or training.optimizer == "sgd" or training.lr <= SPARSE_RATE:
        return config
    times = min(MOST_TIMES, (FULL_STEPS / max(1.0, steps)) ** RATE_POWER)
    return (
        with_chosen(config, {"training": {"lr": in_two_digits(training.lr * times)}}, given)
        or config
    )


def in_two_digits(rate: float) -> float:
    """No more of a rate is known, or worth telling."""
    return float(f"{rate:.2g}")


def for_so_many_symbols(config: Config, given: Given, vocab_size: int) -> Config:
    """With what pays where there are many: of charlm's own recipe, not of a textbook's."""
    model = config.model
    if vocab_size < MANY_SYMBOLS or model.init != "orthogonal" or model.bidirectional:
        return config
    sampled = TrainingConfig(sampled=SAMPLED).is_sampled(vocab_size)
    chosen: Changes = {"training": {"sampled": SAMPLED}} if sampled else {}
    if not {"tied", "embedding_size"} & given.get("model", {}).keys():
        chosen["model"] = {"tied": True, "embedding_size": model.output_size}
    return with_chosen(config, chosen, given) or config


def with_chosen(config: Config, chosen: Changes, given: Given) -> Config | None:
    """The config with all of `chosen` that was not given; None where it contradicts what was."""
    found = configured(config, {
        section: {k: v for k, v in values.items() if k not in given.get(section, {})}
        for section, values in chosen.items()
    })  # fmt: skip
    try:
        check(found)
    except UsageError:
        return None
    return found
