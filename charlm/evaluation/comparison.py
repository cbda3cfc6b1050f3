"""Which of two models a text is likelier for.

Characters that a model does not know would cost it nothing, and the model that knows least would
win. So each counts as one of Unicode's code points, all of them alike: a model that has met rare
ones as <unk> pays for that too. Where neither model knows the script of a text, what is left to
compare are its blanks and signs, and none is the better.
"""

import math
from dataclasses import astuple, dataclass

import numpy as np

from charlm.data.code_points import CODE_POINTS
from charlm.data.text import detokenize, tokenize
from charlm.data.vocab import UNK_ID
from charlm.evaluation.lines import ReadLine

UNKNOWN_BITS = math.log2(CODE_POINTS)
# A model that knows a smaller share of the letters and digits of a text does not know its script.
LEAST_KNOWN = 0.1


@dataclass(frozen=True)
class Cost:
    """What tokens cost a model. bits: of all of them, the unknown ones included. known_bits: of the
    known ones. written, unknown_written: of tokens with a letter or a digit."""

    bits: float = 0.0
    tokens: int = 0
    unknown: int = 0
    known_bits: float = 0.0
    written: int = 0
    unknown_written: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Cost(*(one + more for one, more in pairs))

    @property
    def bits_per_token(self) -> float | None:
        return self.bits / self.tokens if self.tokens else None

    @property
    def known_bits_per_token(self) -> float | None:
        known = self.tokens - self.unknown
        return self.known_bits / known if known else None

    @property
    def knows_script(self) -> bool:
        """Whether the model knows enough of what is written; true where nothing is."""
        known = self.written - self.unknown_written
        return not self.written or known >= LEAST_KNOWN * self.written


def cost_of(line: ReadLine, level: str) -> Cost:
    """level: what tokens are, "char" or "word"; an unknown word counts by its characters."""
    tokens, unknown = tokenize(line.read, level), line.score.ids == UNK_ID
    bits = known_bits = line.score.total / math.log(2)
    written = sum(map(_is_written, tokens))
    if not line.score.unknown:
        return Cost(bits, len(tokens), 0, bits, written)
    lacking = [token for token, lacks in zip(tokens, unknown, strict=True) if lacks]
    known_bits -= float(np.nansum(line.score.nats[unknown])) / math.log(2)
    # What a mark is joined to is told by a sign that the text does not have.
    bits += UNKNOWN_BITS * sum(len(detokenize([token], level)) for token in lacking)
    unknown_written = sum(map(_is_written, lacking))
    return Cost(bits, len(tokens), len(lacking), known_bits, written, unknown_written)


def _is_written(token: str) -> bool:
    return any(map(str.isalnum, token))


def better_of(a: Cost, b: Cost) -> tuple[str | None, float | None]:
    """ "A" or "B", whichever needs fewer bits per token, and how many fewer; None and 0 where they
    are even, None and None where there is nothing to compare, or neither knows the script."""
    if a.bits_per_token is None or b.bits_per_token is None:
        return None, None
    if not (a.knows_script or b.knows_script):
        return None, None
    by = b.bits_per_token - a.bits_per_token
    return ("A" if by > 0 else "B" if by < 0 else None), abs(by)
