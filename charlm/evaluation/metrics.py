"""Nats, bits and perplexity, from sums over counts."""

import math
from dataclasses import dataclass
from typing import Any

from charlm.data.words import unit_of
from charlm.errors import ModelError

# Above this share of unknown tokens a figure tells of little but how often `<unk>` comes.
MOST_UNKNOWN = 0.5
# From here on a perplexity, or another figure of a token, is told in powers of ten; and a sum.
_LONG, _LONG_SUM = 1e6, 1e12


@dataclass(frozen=True)
class Score:
    """The surprise of a model at a text. `nats` is a sum; every token after the first counts."""

    nats: float
    tokens: int
    unknown: int = 0
    # UTF-8 bytes of the scored tokens; None where unknown ones hide their length.
    bytes: int | None = None
    level: str = "char"
    # Of masked tokens, seen from both sides: no perplexity of a text, and never called one.
    masked: bool = False
    # What of the sum is the known tokens'; None where all are known.
    known_nats: float | None = None
    # Tokens that were read, where not all of them were to be guessed.
    read: int | None = None

    @property
    def bits(self) -> float:
        return self.nats / math.log(2)

    @property
    def nats_per_token(self) -> float:
        return self.nats / self.tokens

    @property
    def bits_per_token(self) -> float:
        return self.nats_per_token / math.log(2)

    @property
    def bits_per_byte(self) -> float | None:
        return self.nats / math.log(2) / self.bytes if self.bytes else None

    @property
    def perplexity(self) -> float:
        """exp(nats per token); infinite past what a float holds."""
        return perplexity_of(self.nats_per_token)

    @property
    def unknown_share(self) -> float:
        return self.unknown / self.tokens

    @property
    def known_nats_per_token(self) -> float | None:
        """Over the known tokens alone; None where all are known, or none is."""
        known = self.tokens - self.unknown
        return None if self.known_nats is None or not known else self.known_nats / known

    def checked(self) -> "Score":
        """Itself. Raises ModelError where the model has grown beyond all numbers."""
        if not math.isfinite(self.nats):
            raise no_likelihood()
        return self

    def to_dict(self) -> dict[str, Any]:
        """The figures under the names that scripts rely on; per word, they are named so.

        None where there is no such figure: JSON has neither NaN nor infinity.
        """
        unit, plural = ("char", "characters") if self.level == "char" else ("word", "words")
        perplexity = "perplexity" if self.level == "char" else "perplexity_per_word"
        masked = "masked_" if self.masked else ""
        known = self.known_nats_per_token
        figures = {
            f"{masked}nats_per_{unit}": self.nats_per_token,
            f"{masked}bits_per_{unit}": self.bits_per_token,
            f"{masked}{perplexity}": self.perplexity,
            f"{masked}{plural}": self.tokens,
            "unknown": self.unknown,
            "unknown_share": self.unknown_share if self.unknown else None,
            f"known_{masked}nats_per_{unit}": known,
            f"known_{masked}{perplexity}": None if known is None else perplexity_of(known),
        }
        if not self.masked:
            figures["bits_per_byte"] = self.bits_per_byte
        return {name: finite(value) for name, value in figures.items()}

    def __str__(self) -> str:
        unit = unit_of(self.level)
        per_byte = (
            "" if self.bits_per_byte is None else f", {in_digits(self.bits_per_byte)} bits per byte"
        )
        masked = "masked " * self.masked
        little = ""
        if self.unknown_share > MOST_UNKNOWN:
            little = f", which means little, since {self.unknown_share:.0%} are unknown"
        return (
            f"{masked}perplexity {shown_perplexity(self.perplexity)} per {unit}{little} "
            f"({in_digits(self.bits_per_token)} bits, {in_digits(self.nats_per_token)} "
            f"nats{per_byte}) over {self.tokens:,} {masked}{unit}s{self._of_the_unknown()}"
        )

    def _of_the_unknown(self) -> str:
        if not self.unknown:
            return ""
        share = f", {self.unknown:,} of them unknown ({self.unknown_share:.2%})"
        known = self.known_nats_per_token
        if known is None:
            return share
        return f"{share}, {shown_perplexity(perplexity_of(known))} over the known ones alone"


def perplexity_of(nats_per_token: float) -> float:
    """exp of it, and no more than a float holds."""
    return math.exp(min(nats_per_token, 700.0))


def shown_perplexity(perplexity: float) -> str:
    """For people: in a few digits, however large."""
    return f"{perplexity:.3f}" if perplexity < _LONG else f"{perplexity:.3e}"


def in_digits(of_a_token: float) -> str:
    """Nats or bits of a token, for people: in a few digits, however many they are."""
    return f"{of_a_token:.4f}" if of_a_token < _LONG else f"{of_a_token:.3e}"


def sum_in_digits(nats: float, form: str = ".3f") -> str:
    """Of nats, as `in_digits`. form: of a usual one."""
    return format(nats, form if nats < _LONG_SUM else ".3e")


def no_likelihood() -> ModelError:
    """Of a model that grows beyond all numbers: no figure is to be told."""
    return ModelError(
        "the state of this model grows beyond all bounds as it reads the text: it gives it no "
        "likelihood"
    )


def finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
