"""Arrays in a file: safetensors, facts beside them, and a SHA-256 over both. No pickle, no torch.

safetensors alone does not notice a flipped bit in its data; the digest does.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    with _opened(path) as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    facts, saved = _facts(path, metadata)
    if digest(arrays, facts) != saved:
        raise ModelError(f"{path} is damaged: its SHA-256 is not the one it was saved with")
    return arrays, facts


def read_facts(path: Path) -> dict[str, Any]:
    """The facts alone, at a glance: the arrays are not read, and whether any bit of the file
    differs from what was saved is not asked.

    Raises ModelError if it is not a file written by `tensor_bytes`, or not a whole one.
    """
    with _opened(path) as file:
        metadata = file.metadata()
    return _facts(path, metadata)[0]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    with naming(path):
        if not path.is_file():
            raise ModelError(f"{path} is missing")
        path.open("rb").close()  # of a file that may not be read, safetensors says it is missing
        try:
            with safe_open(path, framework="numpy") as file:
                yield file
        except (SafetensorError, ValueError, TypeError, OverflowError, MemoryError) as error:
            raise ModelError(f"{path} is not a safetensors file: {error}") from None


def _facts(path: Path, metadata: Mapping[str, str] | None) -> tuple[dict[str, Any], str]:
    """The facts in a file's metadata, and the digest that it was saved with."""
    try:
        facts = json.loads((metadata or {})[METADATA_KEY])
        saved = facts.pop("sha256")
    except (KeyError, ValueError, AttributeError, TypeError, RecursionError):
        raise ModelError(f"{path} was not written by charlm") from None
    return facts, saved


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
