from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.errors import CharlmError, ModelError
from charlm.storage.tensors import read_facts, read_tensors, tensor_bytes, write_tensors

ARRAYS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "a": np.array(3, dtype=np.int64),
}
FACTS = {"step": 3, "valid": {"perplexity": 1.5}}


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_tensors(path, ARRAYS, FACTS)
    arrays, facts = read_tensors(path)
    assert facts == FACTS
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_facts_at_a_glance_are_those_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_tensors(path, ARRAYS, FACTS)
    assert read_facts(path) == FACTS
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert read_facts(path) == FACTS  # which is why `read_tensors` is for use
    path.write_bytes(data[:-1])
    with pytest.raises(ModelError, match="is not a safetensors file"):
        read_facts(path)


def test_equal_tensors_are_equal_bytes() -> None:
    assert tensor_bytes(ARRAYS, FACTS) == tensor_bytes(dict(reversed(ARRAYS.items())), FACTS)


def test_row_11_every_flipped_bit_and_every_truncation_is_refused(tmp_path: Path) -> None:
    path, data = tmp_path / "x.safetensors", tensor_bytes(ARRAYS, FACTS)
    for place in range(len(data)):
        for damaged in (
            data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :],
            data[:place],
        ):
            path.write_bytes(damaged)
            with pytest.raises(ModelError):
                read_tensors(path)


@given(st.binary(max_size=300))
def test_any_other_file_is_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(CharlmError):
        read_tensors(path)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "x.safetensors"
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ModelError, match="was not written by charlm"):
        read_tensors(path)
