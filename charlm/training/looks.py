"""How often a training stops to look at its model, and at how much of the validation part: whatever
looking takes, learning lacks.

A look is a validation with the sample and the resume point that come with it. Where the time is
short, or the symbols are many, looks are at the beginning of the part alone, always the same, and
the last figure is over more.
"""

from collections.abc import Callable
from dataclasses import dataclass

# Scoring a token costs about this share of training on it: a forward pass out of three, warm-up.
SCORING_COST = 0.4
# Looks while training: as many as take this share of its time, up to a number.
LOOKING_SHARE = 0.05
MOST_LOOKS = 20
# A part is read at each look where there would be fewer of them at the whole.
LEAST_LOOKS = 3
# And the last figure is over all, unless it would take more than this share of the time.
LAST_SHARE = 1 / 3
# Round numbers, which are told to people.
SIZES = (100_000, 50_000, 20_000, 10_000, 5_000, 2_000)
# Lines in metrics.jsonl for the training loss, however long the training.
LOSS_LINES = 200


@dataclass(frozen=True)
class LookCosts:
    """What looking costs until it is measured.

    steps: of one look, in training steps; 0 where there is none. seconds: of one look, at least.
    last_seconds: of the last figure, where it is over more than a look is.
    """

    steps: float
    seconds: float = 0.0
    last_seconds: float = 0.0


@dataclass(frozen=True)
class Extent:
    """Tokens of the validation part that each look reads, and the last figure."""

    look: int
    last: int


def affordable(tokens: int, seconds: float, scoring: Callable[[int], float]) -> Extent:
    """What of a part of so many tokens can be read, of a training of `seconds`.

    scoring: how long so many tokens take.
    """
    last = _within(tokens, LAST_SHARE * seconds, scoring)
    return Extent(_within(last, LOOKING_SHARE * seconds / LEAST_LOOKS, scoring), last)


def _within(tokens: int, seconds: float, scoring: Callable[[int], float]) -> int:
    sizes = [tokens, *(size for size in SIZES if size < tokens)]
    return next((size for size in sizes if scoring(size) <= seconds), sizes[-1])


def looks_in(total_steps: int, look_steps: float) -> int:
    """How often to stop and look at the model in `total_steps`, the end not counted.

    look_steps: what a look costs, in training steps; 0 where there is none.
    """
    if look_steps == 0:
        return MOST_LOOKS
    return min(MOST_LOOKS, int(LOOKING_SHARE * total_steps / look_steps))


def look_steps(tokens: int, tokens_per_step: int) -> float:
    """What scoring `tokens` tokens costs, in training steps."""
    return SCORING_COST * tokens / tokens_per_step


def is_logged(step: int, total: int) -> bool:
    """Whether the loss of a step is logged: LOSS_LINES times, or each, where they are fewer."""
    return step % max(1, total // LOSS_LINES) == 0
