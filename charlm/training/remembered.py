"""The speeds that were measured before on this machine, kept in a small file beside the runs.

{"format": 2, "speeds": {machine: {settings: [tokens a second, when]}}}; machine and settings are in
words, so that who wonders about a plan can read what it was made from. A speed is of use for a day:
machines have neighbours, and laptops a battery.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from charlm import __version__
from charlm.config import Config, ModelConfig, TrainingConfig
from charlm.errors import CharlmError
from charlm.model.device import processor, usable_cores
from charlm.storage.files import write_json
from charlm.training.speed import Measure

NAME = ".charlm-speeds.json"
FORMAT = 2
MOST_SECONDS = 24 * 3600.0
# A file of more bytes is none of ours.
MOST_BYTES = 1 << 20
# Tokens a second that no machine reaches.
FASTEST = 1e15
# What of the settings has a bearing on the speed.
BEARING: dict[type, tuple[str, ...]] = {
    ModelConfig: (
        "rnn_type", "embedding_size", "hidden_size", "num_layers", "bias", "nonlinearity",
        "proj_size", "bidirectional", "tied", "implementation",
    ),
    TrainingConfig: (
        "freeze",
        "seq_len", "batch_size", "optimizer", "precision", "device", "threads", "parts", "sampled",
    ),
}  # fmt: skip
# By which a user changes what the libraries do here.
ENVIRONMENT = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")

# Of one machine: settings -> tokens a second, and when (`time.time`).
Speeds = dict[str, tuple[float, float]]


class Remembered:
    """`or_measured(measure)` is a `measure` that first looks up what was known before; what it
    finds is known to the next command, by `save`. Asked again, it measures again: the planner does
    so where something else may have had the processors.
    """

    def __init__(self, folder: Path, vocab_size: int, now: Callable[[], float] = time.time) -> None:
        """folder: of the runs, which need not be there yet."""
        self.path, self._vocab_size, self._now = folder / NAME, vocab_size, now
        self._known = self._read().get(_machine(), {})
        self._new: Speeds = {}
        self._asked: set[str] = set()
        self.measured = self.recalled = 0

    def or_measured(self, measure: Measure) -> Measure:
        def speed(config: Config) -> float | None:
            settings = _settings(config, self._vocab_size)
            if settings in self._known and settings not in self._asked:
                self._asked.add(settings)
                self.recalled += 1
                return self._known[settings][0]
            self._asked.add(settings)
            found = measure(config)
            if found is not None:  # or it could not be trained, for want of time perhaps
                self.measured += 1
                before, _ = self._new.get(settings, (0.0, 0.0))
                self._new[settings] = max(found, before), self._now()
            return found

        return speed

    def save(self) -> None:
        """Add what was measured to the file; where it cannot be written, it will be measured."""
        if not self.measured or not self.path.parent.is_dir():
            return
        # Of this machine also what another command has added in the meantime.
        machines = self._read()
        machines[_machine()] = {**machines.get(_machine(), {}), **self._new}
        with suppress(CharlmError):
            write_json(self.path, {"format": FORMAT, "speeds": machines})

    def _read(self) -> dict[str, Speeds]:
        """Of every machine what is a speed and not too old; none from a file not ours."""
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # Not of a pipe, at which one would wait for ever.
            if self.path.is_file() and self.path.stat().st_size <= MOST_BYTES:
                record = json.loads(self.path.read_bytes())
                if record["format"] == FORMAT:
                    found = {name: self._speeds(known) for name, known in record["speeds"].items()}
                    return {name: speeds for name, speeds in found.items() if speeds}
        return {}

    def _speeds(self, known: Any) -> Speeds:
        """What of a record can be used; it may be anybody's."""
        return {
            settings: (float(entry[0]), float(entry[1]))
            for settings, entry in known.items()
            if isinstance(entry, list) and [type(part) in (int, float) for part in entry] == [1, 1]
            and 0 < entry[0] < FASTEST and 0 <= self._now() - entry[1] < MOST_SECONDS
        }  # fmt: skip


def _machine() -> str:
    """AMD EPYC, 2 processors, AVX512, torch 2.13.0+cpu, charlm 0.1.0"""
    capability = torch.backends.cpu.get_cpu_capability()
    facts = [processor(), f"{usable_cores()} processors", capability, f"torch {torch.__version__}"]
    if torch.cuda.is_available():
        facts.append(torch.cuda.get_device_name())
    facts += [f"{name}={value}" for name in ENVIRONMENT if (value := os.environ.get(name))]
    return ", ".join([*facts, f"charlm {__version__}"])


def _settings(config: Config, vocab_size: int) -> str:
    """hidden_size=384, threads=2, symbols=65: all that bears, and is not as it is by default."""
    given = [
        f"{name}={getattr(section, name)}"
        for section in (config.model, config.training)
        for name in BEARING[type(section)]
        if getattr(section, name) != getattr(type(section)(), name)
    ]
    # Whether any is dropped, not which share.
    given += ["dropout"] * (config.model.dropout > 0)
    return ", ".join([*given, f"symbols={vocab_size}"])
