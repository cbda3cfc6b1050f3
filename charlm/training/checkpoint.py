"""What a run saves: models, and the points from which training goes on. Safetensors and JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from charlm.config import ModelConfig
from charlm.errors import ModelError, typed
from charlm.model.network import load_weights, weights_of
from charlm.model.shapes import check_shapes, check_tensor, expected_shapes
from charlm.run import CHECKPOINTS, LAST, MODEL, PREVIOUS
from charlm.storage.files import exists, keep_copy, make_folder
from charlm.storage.tensors import Arrays, read_tensors, write_tensors
from charlm.training.resume_point import ResumePoint
from charlm.training.trainer import Trainer

CHECKPOINT_FORMAT = 3


@dataclass(frozen=True)
class Checkpoint:
    """A resume point as read from `path`, whole and unchanged since it was saved."""

    path: Path
    arrays: Arrays
    point: ResumePoint


def save_model(run: Path, weights: Arrays, facts: dict[str, Any]) -> None:
    """Replace the run's model."""
    write_tensors(run / MODEL, weights, {"format": CHECKPOINT_FORMAT, **facts})


def save_checkpoint(run: Path, trainer: Trainer, point: ResumePoint) -> None:
    """Write a resume point; the one before stays as `previous`, so that one is always whole."""
    folder = run / CHECKPOINTS
    make_folder(folder)
    keep_copy(folder / LAST, folder / PREVIOUS)
    facts = {"format": CHECKPOINT_FORMAT, **point.facts()}
    write_tensors(folder / LAST, state_arrays(trainer), facts)


def find_checkpoint(run: Path) -> Path:
    """Where a run is to be resumed from: `last`. Raises ModelError if there is none."""
    path = run / CHECKPOINTS / LAST
    if not exists(path):
        raise ModelError(
            f"{run} has no {CHECKPOINTS}/{LAST}: there is nothing to go on from; train it anew "
            "with --force"
        )
    return path


def go_back_to(path: Path) -> None:
    """Make a resume point that is not the last one so; a damaged `last` is never kept for it."""
    if path.name == PREVIOUS:
        read_tensors(path)
        keep_copy(path, path.with_name(LAST))


def open_checkpoint(path: Path) -> Checkpoint:
    """Read a resume point.

    Raises ModelError if any bit of it is not as it was saved, naming `previous` where that is good:
    to go back to it is for the user to decide.
    """
    try:
        arrays, facts = read_tensors(path)
        if facts.get("format") not in range(1, CHECKPOINT_FORMAT + 1):
            raise ModelError(f"{path} was made by a newer charlm (format {facts.get('format')})")
    except ModelError as error:
        raise ModelError(f"{error}{_way_out(path)}") from None
    return Checkpoint(path, arrays, ResumePoint.of(path, facts))


def _way_out(path: Path) -> str:
    previous = path.with_name(PREVIOUS)
    if path.name != LAST or not exists(previous):
        return ""
    try:
        _, facts = read_tensors(previous)
    except ModelError:
        return f"; {previous.name} is damaged too"
    return (
        f"; the one before is good (step {facts['step']}): charlm train --resume {typed(previous)}"
    )


def state_arrays(trainer: Trainer) -> Arrays:
    """Weights, optimiser, carried state, random state and the losses of the last epoch."""
    arrays = {f"model.{name}": array for name, array in weights_of(trainer.model).items()}
    for index, entries in trainer.optimizer.state.items():
        for name, value in entries.items():
            arrays[f"optimizer.{index}.{name}"] = value.cpu().numpy().copy()
    state = trainer.state
    for i, part in enumerate(state if isinstance(state, tuple) else (state,)):
        if part is not None:
            arrays[f"state.{i}"] = part.detach().cpu().numpy().copy()
    arrays["last_epoch"] = trainer.last_epoch.to_array()
    arrays["random.cpu"] = torch.get_rng_state().numpy().copy()
    if trainer.device.type == "cuda":
        arrays["random.cuda"] = torch.cuda.get_rng_state(trainer.device).numpy().copy()
    return arrays


def checked_weights(checkpoint: Checkpoint, model: ModelConfig, vocab_size: int) -> Arrays:
    """The weights of a resume point, if they are those of such a model. Raises ModelError.

    To be asked before one is made: the sizes in a config may be anybody's.
    """
    weights = _below(checkpoint.arrays, "model.")
    check_shapes(checkpoint.path, weights, expected_shapes(model, vocab_size))
    return weights


def restore_trainer(checkpoint: Checkpoint, trainer: Trainer) -> None:
    """Put a trainer of the same config and corpus where the checkpoint was.

    On a CPU the steps that follow are, bit for bit, those of the run that saved it.
    Raises ModelError if the checkpoint is of another model or another optimiser.
    """
    weights = checked_weights(checkpoint, trainer.config.model, trainer.model.vocab_size)
    load_weights(trainer.model, weights)
    try:
        _restore_rest(checkpoint, trainer)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"{checkpoint.path} is no resume point of this run: {type(error).__name__} {error}"
        ) from None


def _restore_rest(checkpoint: Checkpoint, trainer: Trainer) -> None:
    arrays, optimizer = checkpoint.arrays, trainer.optimizer
    expected = {i: optimizer.state_shapes(i) for i in range(len(optimizer.parameters))}
    entries: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in _below(arrays, "optimizer.").items():
        index, _, key = name.partition(".")
        # A fused optimiser takes the sizes for granted, and would write beyond one too small.
        shape = expected[int(index)][key]
        check_tensor(checkpoint.path, f"optimizer.{name}", array, shape)
        tensor = torch.from_numpy(array).to(trainer.device)
        entries.setdefault(int(index), {})[key] = tensor[0] if shape == (1,) else tensor
    for place, shapes in expected.items() if checkpoint.point.step else ():
        if missing := shapes.keys() - entries.get(place, {}).keys():
            raise KeyError(f"optimizer.{place}.{min(missing)}")
    trainer.optimizer.state = entries
    _check_state(checkpoint, trainer)
    parts = [torch.from_numpy(a).to(trainer.device) for a in _below(arrays, "state.").values()]
    trainer.state = None if not parts else parts[0] if len(parts) == 1 else (parts[0], parts[1])
    trainer.last_epoch.from_array(arrays["last_epoch"])
    torch.set_rng_state(torch.from_numpy(arrays["random.cpu"]))
    if trainer.device.type == "cuda" and "random.cuda" in arrays:
        torch.cuda.set_rng_state(torch.from_numpy(arrays["random.cuda"]), trainer.device)
    trainer.go_on_from(checkpoint.point)


def _check_state(checkpoint: Checkpoint, trainer: "Trainer") -> None:
    """Refuse a carried state of other sizes than the model has. Raises ModelError."""
    model, batches = trainer.config.model, trainer.batches
    layers = model.num_layers * model.directions
    widths = [model.output_size, model.hidden_size]  # of the hidden state, and of a cell state
    # Of windows, the last batch of an epoch may have fewer.
    streams = [batches[i].inputs.shape[1] for i in (0, batches.per_epoch - 1)]
    state = _below(checkpoint.arrays, "state.")
    if len(state) not in (0, 2 if model.rnn_type == "lstm" else 1):
        raise ModelError(f"{checkpoint.path}: its state is not that of a {model.rnn_type}")
    for name, array in state.items():
        fewer = array.ndim == 3 and array.shape[1] == streams[1]
        shape = (layers, streams[1] if fewer else streams[0], widths[int(name)])
        check_tensor(checkpoint.path, f"state.{name}", array, shape)


def _below(arrays: Arrays, prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): np.ascontiguousarray(array)
        for name, array in sorted(arrays.items())
        if name.startswith(prefix)
    }
