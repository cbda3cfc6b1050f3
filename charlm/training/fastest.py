"""On what a model trains fastest here, found by trying: device, precision, threads, parts."""

from collections.abc import Iterator

import torch

from charlm.config import Config
from charlm.model.device import pick_device, usable_cores
from charlm.settings import configured
from charlm.training.recipes import Given, with_chosen
from charlm.training.speed import Measure

# How many times as fast another device, or half the precision, must be to be chosen.
WORTH_CHANGE = 1.2
# And twice as many threads, which others on the machine may need, or parts.
WORTH_THREADS = 1.05


def fastest(config: Config, given: Given, speed: Measure) -> tuple[Config, float | None]:
    """The config on the device, the processors and in the precision that train it fastest, and how
    fast that is (None: it cannot be trained, or there is no time to measure)."""
    best, best_speed = on_all_cores(config, given, speed)
    for change in _changes(config, given):
        other = configured(best, {"training": change})
        other_speed = speed(other)
        if _is_worth(other_speed, best_speed, WORTH_CHANGE):
            best, best_speed = other, other_speed
    return best, best_speed


def _changes(config: Config, given: Given) -> Iterator[dict[str, str]]:
    """What may be faster: the processor instead of an accelerator, and half the precision."""
    if config.training.device == "auto" and pick_device("auto").type != "cpu":
        yield {"device": "cpu"}
    # What half the precision costs was measured, for every cell, of models that read one way.
    tried = config.model.implementation == "torch" and not config.model.bidirectional
    if tried and left_open("precision", given):
        yield {"precision": "bfloat16"}


def on_all_cores(
    config: Config, given: Given, speed: Measure, threads: int | None = None
) -> tuple[Config, float | None]:
    """The config with the threads, from `threads` up, and then the parts side by side, that are
    fastest; and how fast that is."""
    if pick_device(config.training.device).type != "cpu":
        return config, speed(config)
    most = min(torch.get_num_threads(), usable_cores())
    threads_open = left_open("threads", given)
    best = config
    if threads_open:
        best = configured(config, {"training": {"threads": min(threads or 1, most)}})
    best_speed = speed(best)
    if best_speed is None:
        return config, None
    if threads_open:
        more = (
            configured(config, {"training": {"threads": number}})
            for number in _doubled(best.training.threads or 1, most)
        )
        best, best_speed = _while_worth(best, best_speed, more, speed)
    if left_open("parts", given):
        most = most if threads_open else config.training.threads or most
        tried = _in_parts(best, given, min(most, best.training.batch_size))
        best, best_speed = _while_worth(best, best_speed, tried, speed)
    return best, best_speed


def _in_parts(config: Config, given: Given, most: int) -> Iterator[Config]:
    """The config in more and more parts, as far as its other settings allow that."""
    threads = config.training.threads or 1
    for parts in _doubled(config.training.parts, most, whole=False):
        chosen = {"parts": parts, "threads": max(parts, threads)}
        found = with_chosen(config, {"training": chosen}, given)
        if found is None:
            return
        yield found


def _doubled(number: int, most: int, *, whole: bool = True) -> Iterator[int]:
    """Twice as many each time. whole: up to `most` itself."""
    while number < most:
        number = 2 * number
        if number > most and not whole:
            return
        yield min(number, most)


def _while_worth(
    best: Config, best_speed: float, others: Iterator[Config], speed: Measure
) -> tuple[Config, float]:
    """The last of `others`, as long as each is worth what it takes more than the one before."""
    for other in others:
        its_speed = speed(other)
        if not _is_worth(its_speed, best_speed, WORTH_THREADS):
            # Once more: something else may have had the processors for that moment.
            its_speed = speed(other)
        if its_speed is None or not _is_worth(its_speed, best_speed, WORTH_THREADS):
            break
        best, best_speed = other, its_speed
    return best, best_speed


def _is_worth(its_speed: float | None, than: float | None, times: float) -> bool:
    return its_speed is not None and (than is None or its_speed > times * than)


def left_open(setting: str, given: Given) -> bool:
    """Whether a setting of `training` is for the planner to choose."""
    return setting not in given.get("training", {})


def alone(config: Config, given: Given) -> Config:
    """The config in one part, unless it was given others."""
    return configured(config, {"training": {"parts": 1}} if left_open("parts", given) else {})
