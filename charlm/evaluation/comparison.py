"""Which of two models a text is likelier for.

Characters that a model does not know would cost it nothing, and the model that knows least would
win. So each counts as one of Unicode's code points, all of them alike: a model that has met rare
ones as <unk> pays for that too.
"""

import math
from dataclasses import dataclass

from charlm.data.text import tokenize
from charlm.data.vocab import CODE_POINTS, UNK_ID
from charlm.evaluation.lines import ReadLine

UNKNOWN_BITS = math.log2(CODE_POINTS)


@dataclass(frozen=True)
class Cost:
    """What tokens cost a model. bits: of all of them, the unknown ones included."""

    bits: float = 0.0
    tokens: int = 0
    unknown: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.bits + other.bits, self.tokens + other.tokens, self.unknown + other.unknown
        )

    @property
    def bits_per_token(self) -> float | None:
        return self.bits / self.tokens if self.tokens else None


def cost_of(line: ReadLine, level: str) -> Cost:
    """level: what tokens are, "char" or "word"; an unknown word counts by its characters."""
    bits, unknown = line.score.total / math.log(2), line.score.unknown
    if unknown:
        tokens = zip(tokenize(line.read, level), line.score.ids, strict=True)
        bits += UNKNOWN_BITS * sum(len(token) for token, i in tokens if i == UNK_ID)
    return Cost(bits, len(line.score.ids), unknown)


def better_of(a: Cost, b: Cost) -> tuple[str | None, float | None]:
    """ "A" or "B", whichever needs fewer bits per token, and how many fewer; None and 0 where they
    are even, None and None where there is nothing to compare."""
    if a.bits_per_token is None or b.bits_per_token is None:
        return None, None
    by = b.bits_per_token - a.bits_per_token
    return ("A" if by > 0 else "B" if by < 0 else None), abs(by)
