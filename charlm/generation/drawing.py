"""Drawing: one token for each of many texts, by rules, guides and dice. No torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charlm.config import GenerationConfig
from charlm.data.vocab import UNK_ID
from charlm.generation.guides import AGAIN, Guide
from charlm.generation.rules import (
    Logits,
    cumulated,
    draw,
    inverted,
    relative,
    restricted,
    rules_of,
    surprises,
)

# No logit of a model at work is as far from zero. A state that grows from step to step, as that of
# an RNN of relu units can, passes it long before it is infinite.
OVERFLOW = 1e9


class Dice:
    """Uniform random numbers in [0, 1) of one text, drawn in blocks.

    They are the upper 53 bits of what PCG XSL RR 128/64 gives (O'Neill 2014), begun from the seed
    and the index as NumPy's SeedSequence mixes them: so a page draws the same (export/draw.js).
    """

    BLOCK = 256

    def __init__(self, seed: int, index: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence((seed, index)))
        self._numbers: list[float] = []

    def roll(self) -> float:
        if not self._numbers:
            upper = self._bits.random_raw(self.BLOCK) >> np.uint64(11)
            self._numbers = (upper * 2.0**-53)[::-1].tolist()
        return self._numbers.pop()


@dataclass
class Hand:
    """What draws for one text. left: how many tokens may still come."""

    dice: Dice
    guide: Guide | None
    left: int


class Drawn(NamedTuple):
    """A token, its surprise in nats under the model itself (NaN if nobody asks), and why the text
    ends before it, where it does: "overflow", "repeat", where every token would be a repetition, or
    what its guide says."""

    token: int
    nats: float
    ends: str | None = None


class Drawer:
    """Draws by the rules of some settings. scored: whether somebody reads the nats."""

    def __init__(self, settings: GenerationConfig, *, scored: bool = True) -> None:
        self._scored, self._rules = scored, rules_of(settings)

    def draw(self, logits: npt.NDArray[np.float32], hands: Sequence[Hand]) -> list[Drawn]:
        """logits (B, V) -> a token for each of the hands (B)."""
        if len(hands) == 1 and hands[0].guide is None and not self._scored:
            return [self._draw_alone(logits, hands[0])]
        # All but <unk>, which is never drawn and comes first.
        model, largest = relative(logits[:, UNK_ID + 1 :])
        nats = surprises(logits, model, largest) if self._scored else None
        places, stuck = self._places(model, hands)
        drawn = []
        for row, (hand, place, top) in enumerate(zip(hands, places, largest.tolist(), strict=True)):
            ends = None
            if not abs(top) < OVERFLOW:
                ends = "overflow"
            elif row in stuck:
                ends = "repeat"
            elif hand.guide is not None:
                ends = hand.guide.take(UNK_ID + 1 + place, hand.left)
                if ends == AGAIN:
                    [place], _ = self._places(model[row : row + 1], [hand])
                    ends = hand.guide.take(UNK_ID + 1 + place, hand.left)
            hand.left -= 1
            own = math.nan if nats is None else nats.item(row, place)
            drawn.append(Drawn(UNK_ID + 1 + place, own, ends))
        return drawn

    def _draw_alone(self, logits: npt.NDArray[np.float32], hand: Hand) -> Drawn:
        """What `draw` does, to the bit, where all is simple: logits (1, V), no guide, no nats.

        Beside the products of a small model the draw takes the most time, and nearly all of it is
        the calls, not the numbers."""
        model = logits[0, UNK_ID + 1 :]
        # The place of the largest is had in a quarter of the time of the largest itself.
        top = model.item(model.argmax())
        hand.left -= 1
        number = hand.dice.roll()
        if not abs(top) < OVERFLOW:
            return Drawn(UNK_ID + 1, math.nan, "overflow")
        allowed = np.subtract(model, top, dtype=np.float64)
        if self._rules:
            ruled = allowed[None]
            for rule in self._rules:
                ruled = rule(ruled)
            allowed = ruled[0]
        place = inverted(np.add.accumulate(np.exp(allowed)), number)
        return Drawn(UNK_ID + 1 + place, math.nan)

    def _places(self, model: Logits, hands: Sequence[Hand]) -> tuple[list[int], set[int]]:
        """One for each row of the logits, and the rows in which there is none."""
        allowed, stuck = guided(model, hands)
        for rule in self._rules:
            allowed = rule(allowed)
        return draw(cumulated(allowed), [hand.dice.roll() for hand in hands]), stuck


def guided(model: Logits, hands: Sequence[Hand]) -> tuple[Logits, set[int]]:
    """The logits without what the guides forbid; the rows in which all would be are left alone."""
    if all(hand.guide is None for hand in hands):
        return model, set()
    masks = np.ones(model.shape, dtype=bool)
    for row, hand in enumerate(hands):
        mask = None if hand.guide is None else hand.guide.allowed(hand.left)
        if mask is not None:
            masks[row] = mask
    stuck = set(np.flatnonzero(~masks.any(axis=1)).tolist())
    masks[list(stuck)] = True
    return (model if masks.all() else restricted(model, masks)), stuck


def nats_of(logits: npt.NDArray[np.float32], token: int) -> float:
    """The surprise of a token after logits (1, V)."""
    shifted, _ = relative(logits)
    return float(np.log(np.exp(shifted).sum()) - shifted[0, token])
