"""Which device to compute on."""

import torch

from charlm.errors import UsageError


def devices() -> list[str]:
    """The devices of this machine, the fastest first."""
    found = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def pick_device(name: str) -> torch.device:
    """The device called `name`; "auto": the fastest. Raises UsageError, naming those there are."""
    here = devices()
    if name == "auto":
        return torch.device(here[0])
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in here:
        raise UsageError(f"--device {name}: this machine has {', '.join(here)}")
    return torch.device(wanted)
