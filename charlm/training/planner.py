"""What to train: sizes, rate and regularisation for this text, this machine and this time.

A larger model is worth taking where it can read the text often enough; what is read many times is
learned by heart unless much is dropped; and a short text is worth few units. How often it can be
read, the limit says, or the speed of real steps, measured: of each device, number of threads and
precision, then of one recipe after the other, from the smallest model up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from charlm.config import Config, TrainingConfig
from charlm.model.device import check_precision, check_threads, pick_device
from charlm.settings import configured
from charlm.training.distributed import World
from charlm.training.fastest import alone, fastest, left_open, on_all_cores
from charlm.training.limits import most_seconds, worth_steps
from charlm.training.memory import check_memory
from charlm.training.recipes import (
    LEARNED,
    MOSTLY_KNOWN,
    Changes,
    Given,
    Recipe,
    by_recipe,
    for_so_few_steps,
    for_so_many_symbols,
    in_two_digits,
    recipes_for,
)
from charlm.training.remembered import Remembered
from charlm.training.speed import Measure, Speed

# Share of the time that measuring may take, and its seconds at most.
MEASURING, MOST_MEASURING = 0.1, 2.5


@dataclass(frozen=True)
class Plan:
    """The settings to train with.

    epochs: about so many, where that was for the planner to say. speed: tokens a second that it
    expects, measured now or before.
    """

    config: Config
    epochs: float | None = None
    speed: float | None = None


def plan(
    config: Config,
    given: Given,
    *,
    train_tokens: int,
    vocab_size: int,
    elapsed: Callable[[], float],
    speed: Measure | None = None,
    remembered: Remembered | None = None,
    known: float = 0.0,
    measuring: Callable[[int, float], Measure] = Speed,
    world: World | None = None,
) -> Plan:
    """Choose all that was not given.

    elapsed: seconds of the training's time that are over. speed: what measures, `Speed` unless the
    tests bring their own; measuring: what makes one, for so many symbols and seconds. remembered:
    what was measured before. known: the share of the text that is of symbols which the weights to
    begin with have learned. world: who trains with this process. Of one that reads both ways only
    the machine's side is chosen.
    Raises UsageError for a precision, threads or parts that were given and are not to be had, and
    OutOfMemoryError for sizes.
    """
    asked_for = config.training.batch_size
    # What is planned and measured has as many streams as the text fills: they will be no more.
    fitting = max(1, min(asked_for, (train_tokens - 1) // config.training.seq_len))
    config = configured(config, {"training": {"batch_size": fitting}})
    check_machine(config, given)
    device = pick_device(config.training.device)
    check_memory(config, vocab_size, train_tokens, device, world)
    if speed is None:
        training = config.training
        seconds = training.time or most_seconds(training)
        left = MEASURING * max(0.0, seconds - elapsed())
        speed = measuring(vocab_size, min(MOST_MEASURING, left))
    if remembered:
        speed = remembered.or_measured(speed)
    found = _planned(config, given, train_tokens, vocab_size, elapsed, speed)
    chosen: Changes = {"training": {"batch_size": asked_for}}
    if known >= MOSTLY_KNOWN and left_open("lr", given):
        chosen["training"]["lr"] = in_two_digits(LEARNED * found.config.training.lr)
    whole = configured(found.config, chosen)
    return Plan(whole, found.epochs, found.speed)


def check_machine(config: Config, given: Given) -> None:
    """Refuse what was asked of this machine and is not to be had. Raises UsageError."""
    training = config.training
    asked = {name for name in ("threads", "parts") if not left_open(name, given)}
    check_threads({name: getattr(training, name) for name in asked})
    if not left_open("precision", given):
        device = pick_device(training.device)
        check_precision(training.precision, device, config.model.rnn_type)


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
    seconds = training.time or most_seconds(training)
    config = for_so_many_symbols(config, given, vocab_size)
    asked, worth = _epochs_asked(config, train_tokens), _epochs_worth(config, train_tokens)

    def epochs_at(tokens_per_second: float) -> float:
        """Those that a model of this speed would make."""
        in_time = max(0.0, seconds - elapsed()) * tokens_per_second / train_tokens
        if asked is not None:
            # A model too slow to make them all in a training's usual time would be a surprise.
            return asked if in_time >= asked else 0.0
        return min(in_time, worth)

    recipes: tuple[Recipe, ...] = ()
    if not config.model.bidirectional:
        kind = pick_device(training.device).type
        recipes = tuple(recipes_for(train_tokens, vocab_size, kind))
    if recipes:
        config = by_recipe(config, recipes[0], given) or config
    config, its_speed = fastest(config, given, speed)
    if its_speed is None:
        return Plan(config)
    epochs = epochs_at(its_speed)
    taken = recipes[0] if recipes else None
    for recipe in recipes[1:]:
        if epochs < recipe.epochs:
            break  # and a larger model, which is slower, would have fewer still
        larger = by_recipe(config, recipe, given)
        if larger is None or larger.model.hidden_size != config.model.hidden_size:
            # What side by side is worth, another size may tell otherwise; and some recipes forbid
            # it.
            larger = by_recipe(alone(config, given), recipe, given)
            if larger is None:
                continue
            larger, larger_speed = on_all_cores(larger, given, speed, config.training.threads)
            if larger_speed is None or epochs_at(larger_speed) < recipe.epochs:
                break
            its_speed = larger_speed
        config, epochs, taken = larger, epochs_at(its_speed), recipe
    if taken and taken is recipes[0]:
        steps = (epochs if asked is None else asked) * train_tokens / _tokens_a_step(training)
        config = for_so_few_steps(config, given, steps)
    return Plan(config, epochs if asked is None else None, its_speed)


def _tokens_a_step(training: TrainingConfig) -> int:
    return training.seq_len * training.batch_size


def _epochs_asked(config: Config, train_tokens: int) -> float | None:
    """Those that the settings ask for, in so many words or in steps; None where they do not."""
    training = config.training
    if training.max_steps is not None:
        return training.max_steps * _tokens_a_step(training) / train_tokens
    return training.epochs


def _epochs_worth(config: Config, train_tokens: int) -> float:
    """Those after which a training ends that was given neither a limit nor a time."""
    training = config.training
    if training.time is not None:
        return inf
    tokens_a_step = _tokens_a_step(training)
    return worth_steps(train_tokens / tokens_a_step) * tokens_a_step / train_tokens
