"""The point from which a training goes on: all that is known of it beside its arrays."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from charlm.errors import ModelError
from charlm.evaluation.metrics import Score


@dataclass(frozen=True)
class ResumePoint:
    """As it stands, beside weights, optimiser and random state, in a checkpoint's facts.

    step, tokens: how far the training is; parts: in how many its batches are taken
    total_steps: how far it is to go; planned: whether a time was turned into that
    last_milestone, last_validation: the steps of them
    best: nats per token (as a text: it may be infinite) and step of the best validation, and how
        many have failed to better it since; best_score: that validation's
    valid_tokens: of the validation part, so many are read at a look; last_tokens: and for the last
        figure; None: as many
    looks: how often the model is to be looked at before the end, where a time was turned into that
    limits: `limits_of` the settings that it was trained by
    seconds: of training, seconds_of_all: of the commands, all else included
    logged: bytes of each log
    precisions: from which step on it was trained in which
    conditions: of the machine, as `device.conditions` has them
    finished: whether there was nothing left to do
    """

    step: int
    tokens: int
    parts: int
    total_steps: int
    planned: bool
    last_milestone: int
    last_validation: int
    best: tuple[str, int, int]
    limits: tuple[float | None, ...]
    valid_tokens: int | None = None
    last_tokens: int | None = None
    looks: int | None = None
    seconds: float = 0.0
    seconds_of_all: float = 0.0
    best_score: Score | None = None
    logged: Mapping[str, int] = field(default_factory=dict)
    precisions: tuple[tuple[int, str], ...] = ()
    conditions: Mapping[str, str | int] = field(default_factory=dict)
    finished: bool = False

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "best": list(self.best), "limits": list(self.limits)}

    @classmethod
    def of(cls, path: Path, facts: Mapping[str, Any]) -> "ResumePoint":
        """From the facts of the checkpoint at `path`. Raises ModelError if they are none."""
        try:
            known = {f.name: facts[f.name] for f in fields(cls) if f.name in facts}
            nats, step, failures = known["best"]
            score = known["best_score"]
            known |= {
                "best": (str(float(nats)), int(step), int(failures)),
                "best_score": None if score is None else checked_score(score),
                "limits": tuple(known["limits"]),
                "logged": {str(name): int(size) for name, size in known["logged"].items()},
                "precisions": tuple((int(s), str(p)) for s, p in known.get("precisions", ())),
                "conditions": dict(known.get("conditions", {})),
                **{name: int(known[name]) for name in COUNTS},
                # An older charlm did not tell of those that ended early.
                "finished": bool(known.get("finished", known["step"] >= known["total_steps"])),
                **{name: None if (n := known.get(name)) is None else int(n) for name in UNKNOWN},
                **{name: float(known[name]) for name in ("seconds", "seconds_of_all")},
            }
            point = cls(**known)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelError(f"{path} is no resume point: {type(error).__name__} {error}") from None
        if min(point.step, point.tokens, point.parts - 1, point.total_steps) < 0:
            raise ModelError(f"{path} is no resume point: it counts below zero")
        return point


def checked_score(score: Mapping[str, Any]) -> Score:
    """Raises TypeError or ValueError where it is none."""
    found = Score(**score)
    if not isinstance(found.nats, int | float) or type(found.tokens) is not int or found.tokens < 1:
        raise ValueError(f"{found.nats!r} nats of {found.tokens!r} tokens")
    return found


# Counts that an older charlm did not tell.
UNKNOWN = ("valid_tokens", "last_tokens", "looks")
COUNTS = ("step", "tokens", "parts", "total_steps", "last_milestone", "last_validation")
