"""What this machine can compute with: devices, precisions, threads.

Nothing is read off a processor's name: each thing is tried once, and the answer is used.
"""

import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from charlm.errors import UsageError

LAYERS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
# NVIDIA's GPUs that know TF32, from Ampere on.
TF32_CAPABILITY = (8, 0)


def devices() -> list[str]:
    """The devices of this machine, the fastest first."""
    found = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


@cache
def failure(device: str) -> str | None:
    """Why nothing can be computed on a device that is there, such as a GPU too old for this torch;
    None where it can.
    """
    try:
        (torch.ones(1, device=device) + 1).item()
    except (RuntimeError, AssertionError) as error:
        return str(error).strip().split("\n")[0]
    return None


def pick_device(name: str) -> torch.device:
    """The device called `name`; "auto": the first that works.

    Raises UsageError, naming those there are.
    """
    here = devices()
    if name == "auto":
        return torch.device(next(device for device in here if not failure(device)))
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in here:
        raise UsageError(f"--device {name}: this machine has {', '.join(here)}")
    if problem := failure(wanted):
        raise UsageError(f"--device {name}: torch cannot compute there ({problem}); take cpu")
    return torch.device(wanted)


def in_precision(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Where matrix products take numbers of this precision; float32 is how they come.

    Of cuDNN's layers that is not true (`packed.py`).
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))


@contextmanager
def rounding(products: str, device: torch.device) -> Iterator[None]:
    """Where an NVIDIA GPU takes numbers of float32 as they are to be multiplied ("ieee"), or rounds
    them to eleven bits ("tf32"), which is several times as fast, where it knows how to; in layers
    as elsewhere. Left to itself torch rounds in some products and not in others.
    """
    if device.type != "cuda":
        yield
        return
    places: tuple[Any, ...] = (torch.backends.cudnn.rnn, torch.backends.cuda.matmul)
    before = [place.fp32_precision for place in places]
    try:
        for place in places:
            place.fp32_precision = products
        yield
    finally:
        for place, products in zip(places, before, strict=True):
            place.fp32_precision = products


def training_products(precision: str, device: torch.device) -> str:
    """What training multiplies in on a GPU, in words: float32, TF32 (see `rounding`), bfloat16."""
    if precision != "float32":
        return precision
    rounds = not torch.version.hip and torch.cuda.get_device_capability(device) >= TF32_CAPABILITY
    return "TF32" if rounds else precision


@cache
def trains_in(precision: str, device: torch.device, rnn_type: str) -> bool:
    """Whether layers of this kind can be trained in this precision there.

    A small one is: oneDNN has no LSTM in bfloat16 for many processors, whatever they say of
    themselves. On a GPU its weights are in it, as in training (`packed.py`).
    """
    if precision == "float32":
        return True
    kind: torch.dtype = getattr(torch, precision)
    try:
        with torch.random.fork_rng(devices=[]):
            layer, inputs = LAYERS[rnn_type](8, 8).to(device), torch.zeros(4, 2, 8, device=device)
        with computing(threads=1):
            if device.type == "cuda":
                outputs, _ = layer.to(kind)(inputs.to(kind))
            else:
                with in_precision(precision, device):
                    outputs, _ = layer(inputs)
            outputs.float().sum().backward()
    except RuntimeError:
        return False
    return outputs.dtype in (torch.float32, kind)


def works_on(device: torch.device) -> bool:
    """Whether a device still works while the program goes on: to read from it is to wait for it."""
    return device.type == "cuda"


def wait_for(device: torch.device) -> None:
    """Until a device has done all that it was given."""
    if works_on(device):
        torch.cuda.synchronize(device)


def empty_cache(device: torch.device) -> None:
    """Give back what torch keeps of a GPU's memory for later: pieces, each perhaps too small, and
    nobody else's while it does."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def gpu_in_words(device: torch.device, precision: str) -> str:
    """NVIDIA H200, cuDNN 9.13.0: products in TF32"""
    number = cudnn_version()
    version = f"{number // 10_000}.{number // 100 % 100}.{number % 100}"
    products = training_products(precision, device)
    return f"{torch.cuda.get_device_name(device)}, cuDNN {version}: products in {products}"


def check_precision(precision: str, device: torch.device, rnn_type: str) -> None:
    """Raises UsageError where layers of this kind cannot be trained in this precision."""
    if not trains_in(precision, device, rnn_type):
        raise UsageError(
            f"training.precision {precision}: torch cannot train an {rnn_type.upper()} in it on "
            f"this machine's {device.type}; leave it out, or take float32"
        )


def check_threads(asked: Mapping[str, int | None]) -> None:
    """Raises UsageError for more threads, or parts side by side, than there are processors: each
    would wait for others. asked: by their names in `training`."""
    for name, number in asked.items():
        if number is not None and number > usable_cores():
            raise UsageError(
                f"training.{name} is {number}; processors to use here: {usable_cores()}"
            )


def usable_cores() -> int:
    """How many processors this process may keep busy: those it may run on, within the quota of its
    container (cgroups), where it has one.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(cores, _quota(Path("/sys/fs/cgroup")) or cores))


def _quota(cgroup: Path) -> int | None:
    """Processors' worth of time that a cgroup may use, rounded up; None: no limit."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = " ".join((cgroup / name).read_text() for name in names).split()
            quota, period = (int(word) for word in words)
        except (OSError, ValueError):  # no such file, or "max"
            continue
        if quota > 0 and period > 0:
            return -(-quota // period)
    return None


@contextmanager
def computing(threads: int | None) -> Iterator[None]:
    """Inside the block torch computes with so many threads (None: as many as it would), and numbers
    too small to matter count as zero, which spares a CPU many times their worth.

    A thread takes that over from the one that begins it, and keeps it: so this comes before all
    else that computes.
    """
    for kind in (np.float32, np.float64):
        np.finfo(kind)  # NumPy looks for denormals once, and older ones warn where there are none
    before, flushed = torch.get_num_threads(), _flushes_denormals()
    torch.set_flush_denormal(True)
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(flushed)


def _flushes_denormals() -> bool:
    """As it is with this thread: torch only tells how to set it."""
    return bool(torch.tensor(1e-40) * 1 == 0)


def conditions(device: torch.device) -> dict[str, str | int]:
    """All that decides in which order, and so to which last digit, numbers are added up."""
    found: dict[str, str | int] = {
        "torch": torch.__version__,
        "processor": processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": device.type,
    }
    if device.type == "cuda":
        found["device"] = torch.cuda.get_device_name(device)
        found["cuDNN"] = cudnn_version()
        found["products of float32 in"] = training_products("float32", device)
    return found


def cudnn_version() -> int:
    """91300 for 9.13.0; 0 where there is none."""
    return torch.backends.cudnn.version() or 0  # type: ignore[no-untyped-call]


@cache
def processor() -> str:
    """The name of this machine's processor."""
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
