"""The course of a training: losses and validations, as a run's metrics.jsonl has them. No torch."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charlm.errors import ModelError
from charlm.run import METRICS
from charlm.storage.files import is_file, naming

# No line that a training logs is as long; a run from a stranger may have any.
LONGEST_LINE = 10_000
# Nor are its seconds, epochs or rate as large.
LARGEST = 1e12


@dataclass(frozen=True)
class Loss:
    """Of one step, in bits per token; rate: the learning rate of the step after it."""

    step: int
    epochs: float
    seconds: float
    bits: float
    rate: float


@dataclass(frozen=True)
class Validation:
    """After `step` steps, in bits per token: infinite where JSON had no number for it."""

    step: int
    epochs: float
    seconds: float
    bits: float
    best: bool


Moment = Loss | Validation


@dataclass(frozen=True)
class Course:
    """In the order of the log. seconds are those of training, pauses left out."""

    moments: tuple[Moment, ...]

    @property
    def losses(self) -> list[Loss]:
        return [moment for moment in self.moments if isinstance(moment, Loss)]

    @property
    def validations(self) -> list[Validation]:
        return [moment for moment in self.moments if isinstance(moment, Validation)]


def read_course(run: Path) -> Course:
    """The course so far of a run. Raises ModelError where it has none, or its log is none."""
    return Course(tuple(moment_of(record, where) for record, where in _records(run / METRICS)))


def _records(path: Path) -> Iterator[tuple[Any, str]]:
    """Each line of a log, and where it is."""
    if not is_file(path):
        raise ModelError(f"{path.parent} has no {path.name}: no training in it has been logged")
    with naming(path), path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
            where = f"{path}: line {number}"
            if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
                return  # which a training that was killed, or goes on, has not written to its end
            try:
                yield json.loads(line), where
            except (ValueError, RecursionError):
                raise ModelError(f"{where} is not JSON") from None


def moment_of(record: Any, where: str) -> Moment:
    """What a line of the log tells. Raises ModelError, naming `where`, if that is nothing."""
    try:
        when = (int(_number(record["step"])), _number(record["epoch"]), _number(record["seconds"]))
        if "valid" in record:
            return Validation(*when, _bits(record["valid"]), bool(record["best"]))
        bits = float(record["train_loss"]) / math.log(2)
        return Loss(*when, bits, _number(record["rate"]))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, StopIteration):
        raise ModelError(f"{where} is not what a training logs") from None


def _number(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= LARGEST:
        raise ValueError
    return number


def _bits(figures: Any) -> float:
    """bits_per_char, masked_bits_per_word and so on: whatever a token is."""
    names = ("bits_per_char", "bits_per_word")
    value = next(v for key, v in figures.items() if key.removeprefix("masked_") in names)
    return math.inf if value is None else float(value)
