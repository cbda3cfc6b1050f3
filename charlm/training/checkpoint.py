"""What training saves: the best model so far, and resume points with all that it takes to go on."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from charlm.model.network import load_weights, weights_of
from charlm.run import MODEL
from charlm.tensors import Arrays, read_tensors, write_tensors

if TYPE_CHECKING:
    from charlm.training.trainer import Trainer

LAST, PREVIOUS = "last.safetensors", "previous.safetensors"
FORMAT = 1


def save_model(run: Path, weights: Arrays, facts: dict[str, Any]) -> None:
    """Replace the run's model."""
    write_tensors(run / MODEL, weights, {"format": FORMAT, **facts})


def save_checkpoint(run: Path, trainer: "Trainer") -> None:
    """Write a resume point; the one before becomes `previous`, so that one is always whole."""
    folder = run / "checkpoints"
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (folder / LAST).replace(folder / PREVIOUS)
    write_tensors(folder / LAST, *trainer_state(trainer))


def trainer_state(trainer: "Trainer") -> tuple[Arrays, dict[str, Any]]:
    """Weights, optimiser, carried state and random state as arrays; counters as facts."""
    arrays = {f"model.{name}": array for name, array in weights_of(trainer.model).items()}
    for index, entries in trainer.optimizer.state_dict()["state"].items():
        for name, value in entries.items():
            arrays[f"optimizer.{index}.{name}"] = torch.as_tensor(value).cpu().numpy().copy()
    state = trainer.state
    for i, part in enumerate(state if isinstance(state, tuple) else (state,)):
        if part is not None:
            arrays[f"state.{i}"] = part.detach().cpu().numpy().copy()
    arrays["last_epoch"] = np.array(trainer.last_epoch, np.float64).reshape(-1, 2)
    arrays["random.cpu"] = torch.get_rng_state().numpy().copy()
    if trainer.device.type == "cuda":
        arrays["random.cuda"] = torch.cuda.get_rng_state(trainer.device).numpy().copy()
    return arrays, {"format": FORMAT, **trainer.counters()}


def restore_trainer(path: Path, trainer: "Trainer") -> None:
    """Put a trainer of the same config and corpus where the checkpoint was.

    On a CPU the steps that follow are, bit for bit, those of the run that saved it.
    Raises ModelError if the file is damaged.
    """
    arrays, facts = read_tensors(path)
    load_weights(trainer.model, _below(arrays, "model."))
    optimizer = trainer.optimizer.state_dict()
    entries: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in _below(arrays, "optimizer.").items():
        index, _, key = name.partition(".")
        entries.setdefault(int(index), {})[key] = torch.from_numpy(array)
    trainer.optimizer.load_state_dict({**optimizer, "state": entries})
    parts = [torch.from_numpy(a).to(trainer.device) for a in _below(arrays, "state.").values()]
    trainer.state = None if not parts else parts[0] if len(parts) == 1 else (parts[0], parts[1])
    trainer.last_epoch.clear()
    trainer.last_epoch.extend((loss, size) for loss, size in arrays["last_epoch"].tolist())
    torch.set_rng_state(torch.from_numpy(arrays["random.cpu"]))
    if trainer.device.type == "cuda" and "random.cuda" in arrays:
        torch.cuda.set_rng_state(torch.from_numpy(arrays["random.cuda"]), trainer.device)
    trainer.restore_counters(facts)


def _below(arrays: Arrays, prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): np.ascontiguousarray(array)
        for name, array in sorted(arrays.items())
        if name.startswith(prefix)
    }
