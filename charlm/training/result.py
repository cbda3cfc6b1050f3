"""What a training came to: for people in a few lines, for scripts as JSON values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charlm.evaluation.metrics import Score
from charlm.training.origin import Memory


@dataclass(frozen=True)
class Result:
    """What a training came to.

    advice: what would make it better, where that is known.
    estimated: the training's perplexity is over a sample of the symbols. validates: whether there
    is a part to validate on. valid: the score of the model that was kept; None where none was
    finite, too. memory: what it still knows of the text that the model learned before with whose
    weights it began.
    seconds: of this command, up to these figures. training_seconds: of training and validating, in
    this command and those that it goes on from.
    """

    run: Path
    steps: int
    epochs: float
    seconds: float
    training_seconds: float
    unit: str
    tokens_per_second: float
    train_perplexity_name: str
    train_perplexity: float
    estimated: bool
    validates: bool
    valid: Score | None
    valid_facts: dict[str, Any] | None
    gave_up_after: int | None
    advice: str | None
    memory: Memory | None = None

    def to_dict(self) -> dict[str, Any]:
        kept = {"memory": self.memory.to_dict()} if self.memory else {}
        return {
            "run": str(self.run),
            "steps": self.steps,
            "epochs": round(self.epochs, 4),
            "seconds": round(self.seconds, 2),
            "training_seconds": round(self.training_seconds, 2),
            f"{self.unit}s_per_second": round(self.tokens_per_second, 1),
            self.train_perplexity_name: self.train_perplexity,
            "estimated": self.estimated,
            "valid": self.valid_facts,
            "ended_early": self.gave_up_after is not None,
            **kept,
        }

    def __str__(self) -> str:
        figures = "validation: no finite score" if self.validates else "no validation part"
        if self.valid and self.valid_facts:
            part = "" if self.valid_facts["whole"] else ", the beginning of the part"
            figures = f"validation{part}: {self.valid}"
        early = speed = ""
        if self.gave_up_after is not None:
            early = f"; ended early, after {self.gave_up_after} validations without a new best"
        if self.tokens_per_second:
            speed = f", {self.tokens_per_second:,.0f} {self.unit}s a second"
        return (
            f"{figures}\n"
            f"training: {self.train_perplexity_name.removeprefix('train_').replace('_', ' ')} "
            f"{'about ' * self.estimated}{self.train_perplexity:.3f} over the last epoch, "
            f"{self.steps:,} step{'s' * (self.steps != 1)}, {self.epochs:.2f} epochs, "
            f"{self.training_seconds:.1f} s of training{speed} "
            f"(this command: {self.seconds:.1f} s){early}"
            + (f"\n{self.memory}" if self.memory else "")
        )
