"""Nats, bits and perplexity, from sums over counts."""

import math
from dataclasses import dataclass
from typing import Any


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
        return math.exp(min(self.nats_per_token, 700.0))

    def to_dict(self) -> dict[str, Any]:
        """The figures under the names that scripts rely on; per word, they are named so."""
        unit, plural = ("char", "characters") if self.level == "char" else ("word", "words")
        perplexity = "perplexity" if self.level == "char" else "perplexity_per_word"
        masked = "masked_" if self.masked else ""
        figures = {
            f"{masked}nats_per_{unit}": self.nats_per_token,
            f"{masked}bits_per_{unit}": self.bits_per_token,
            f"{masked}{perplexity}": self.perplexity,
            f"{masked}{plural}": self.tokens,
            "unknown": self.unknown,
        }
        return figures if self.masked else {**figures, "bits_per_byte": self.bits_per_byte}

    def __str__(self) -> str:
        unit, plural = ("character", "characters") if self.level == "char" else ("word", "words")
        per_byte = "" if self.bits_per_byte is None else f", {self.bits_per_byte:.4f} bits per byte"
        unknown = f", {self.unknown:,} of them unknown" if self.unknown else ""
        masked, what = ("masked ", f"masked {plural}") if self.masked else ("", plural)
        return (
            f"{masked}perplexity {self.perplexity:.3f} per {unit} ({self.bits_per_token:.4f} bits, "
            f"{self.nats_per_token:.4f} nats{per_byte}) over {self.tokens:,} {what}{unknown}"
        )
