"""Arrays in a file: safetensors, facts beside them, and a SHA-256 over both. No pickle, no torch.

safetensors alone does not notice a flipped bit in its data; the digest does.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.errors import ModelError
from charlm.storage.files import naming, write_bytes

METADATA_KEY = "charlm"

Arrays = dict[str, npt.NDArray[Any]]


def write_tensors(path: Path, arrays: Arrays, facts: Mapping[str, Any]) -> None:
    """Write arrays and facts (JSON values) to `path`, whole or not at all."""
    write_bytes(path, tensor_bytes(arrays, facts))


def read_tensors(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the facts of a file written by `tensor_bytes`.

    Raises ModelError if it is not such a file, or if any bit of it differs from what was saved.
    """
    from safetensors import SafetensorError, safe_open

    with naming(path):
        if not path.is_file():
            raise ModelError(f"{path} is missing")
        path.open("rb").close()  # of a file that may not be read, safetensors says it is missing
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, ValueError, TypeError, OverflowError, MemoryError) as error:
            raise ModelError(f"{path} is not a safetensors file: {error}") from None
    try:
        facts = json.loads(metadata[METADATA_KEY])
        saved = facts.pop("sha256")
    except (KeyError, ValueError, AttributeError, TypeError, RecursionError):
        raise ModelError(f"{path} was not written by charlm") from None
    if digest(arrays, facts) != saved:
        raise ModelError(f"{path} is damaged: its SHA-256 is not the one it was saved with")
    return arrays, facts


def tensor_bytes(arrays: Arrays, facts: Mapping[str, Any]) -> bytes:
    """A safetensors file with `facts` as JSON in its metadata, and a SHA-256 over both.

    One metadata key only: with more, safetensors writes them in any order, and equal models would
    not be equal files.
    """
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}
    signed = {**facts, "sha256": digest(contiguous, facts)}
    return save(contiguous, metadata={METADATA_KEY: json.dumps(signed, sort_keys=True)})


def digest(arrays: Arrays, facts: Mapping[str, Any]) -> str:
    """SHA-256 over the facts and each array's name, type, shape and bytes."""
    whole = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        whole.update(f"{name} {array.dtype.str} {array.shape}".encode())
        whole.update(np.ascontiguousarray(array).data)
    return whole.hexdigest()
