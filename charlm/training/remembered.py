"""The speeds that were measured before on this machine, kept in a small file beside the runs.

{"format": 1, "speeds": {machine: {settings: tokens a second}}}; machine and settings are in words,
so that who wonders about a plan can read what it was made from. It is of use for a day: machines
have neighbours, and laptops a battery.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from charlm.config import Config, ModelConfig, TrainingConfig
from charlm.errors import CharlmError
from charlm.model.device import processor, usable_cores
from charlm.storage.files import write_json

Measure = Callable[[Config], float | None]

NAME = ".charlm-speeds.json"
FORMAT = 1
MOST_SECONDS = 24 * 3600.0
# Tokens a second that no machine reaches.
FASTEST = 1e15
# What has no bearing on the speed.
MODEL_ASIDE = ("init", "forget_bias", "dropout")
TRAINING_WITHIN = (
    "seq_len", "batch_size", "optimizer", "precision", "device", "threads", "parts", "sampled",
)  # fmt: skip
# By which a user changes what the libraries do here.
ENVIRONMENT = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")


class Remembered:
    """`or_measured(measure)` is a `measure` that first looks up what was known before; what it
    finds is known to the next command, by `save`. Asked again, it measures again: the planner does
    so where something else may have had the processors.
    """

    def __init__(self, folder: Path, vocab_size: int) -> None:
        """folder: of the runs, which need not be there yet."""
        self.path, self._vocab_size = folder / NAME, vocab_size
        self._known = _read(self.path)
        self._new: dict[str, float] = {}
        self.measured = self.recalled = 0

    def or_measured(self, measure: Measure) -> Measure:
        def speed(config: Config) -> float | None:
            settings = _settings(config, self._vocab_size)
            found = self._known.get(settings)
            if found is not None:
                self.recalled += 1
            else:
                found = measure(config)
                if found is not None:  # or it could not be trained, for want of time perhaps
                    self._new[settings] = max(found, self._new.get(settings, 0.0))
                    self.measured += 1
            return found

        return speed

    def save(self) -> None:
        """Add what was measured to the file; where it cannot be written, it will be measured."""
        if not self.measured or not self.path.parent.is_dir():
            return
        # Of other machines only what is a speed; of this one also what another command has added.
        speeds = {machine: _speeds(known) for machine, known in _machines(self.path).items()}
        speeds[_machine()] = {**speeds.get(_machine(), {}), **self._new}
        with suppress(CharlmError):
            write_json(self.path, {"format": FORMAT, "speeds": speeds})


def _read(path: Path) -> dict[str, float]:
    """Those of this machine; none from a file that is too old, or not one of ours."""
    return _speeds(_machines(path).get(_machine()))


def _speeds(known: Any) -> dict[str, float]:
    """What of a record is a speed; it may be anybody's."""
    if not isinstance(known, dict):
        return {}
    return {
        str(settings): float(speed)
        for settings, speed in known.items()
        if type(speed) in (int, float) and 0 < speed < FASTEST
    }


def _machines(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        # Not of a pipe, at which one would wait for ever.
        if path.is_file() and 0 <= time.time() - path.stat().st_mtime < MOST_SECONDS:
            record = json.loads(path.read_bytes())
            if record["format"] == FORMAT:
                return dict(record["speeds"])
    return {}


def _machine() -> str:
    """AMD EPYC, 2 processors, AVX512, torch 2.13.0+cpu"""
    capability = torch.backends.cpu.get_cpu_capability()
    facts = [processor(), f"{usable_cores()} processors", capability, f"torch {torch.__version__}"]
    if torch.cuda.is_available():
        facts.append(torch.cuda.get_device_name())
    facts += [f"{name}={value}" for name in ENVIRONMENT if (value := os.environ.get(name))]
    return ", ".join(facts)


def _settings(config: Config, vocab_size: int) -> str:
    """hidden_size=384, threads=2, symbols=65: all that is not as it is by default."""

    def given() -> Iterator[str]:
        for section, defaults in (
            (config.model, ModelConfig()), (config.training, TrainingConfig()),
        ):  # fmt: skip
            for name, value in vars(section).items():
                bears = name in TRAINING_WITHIN or (
                    section is config.model and name not in MODEL_ASIDE
                )
                if bears and value != getattr(defaults, name):
                    yield f"{name}={value}"

    return ", ".join([*given(), f"symbols={vocab_size}"])
