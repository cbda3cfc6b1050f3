"""Weights come out of a page as they went in, but for what their precision rounds."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.export.weights import PRECISIONS, packed

RANDOM = np.random.default_rng(0)
WEIGHTS = {
    "head.weight": RANDOM.normal(size=(7, 12)).astype(np.float32),
    "rnn.weight_hh_l0": RANDOM.normal(size=(12, 3)).astype(np.float32) * np.float32(0.01),
    "head.bias": RANDOM.normal(size=7).astype(np.float32),
}


def bytes_of(letters: str) -> bytes:
    digits = [20 if letter == "}" else ord(letter) - 40 for letter in letters]
    words = (digits[at : at + 5] for at in range(0, len(digits), 5))
    values = (sum(digit * 85 ** (4 - place) for place, digit in enumerate(word)) for word in words)
    return b"".join(value.to_bytes(4, "big") for value in values)


def unpacked(letters: str) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(bytes_of(letters))


def test_float32_is_exact_and_in_planes() -> None:
    found = packed(WEIGHTS, "float32")
    raw = np.frombuffer(unpacked(found.letters), np.uint8)
    assert len(raw) == found.size == 4 * sum(array.size for array in WEIGHTS.values())
    numbers = np.ascontiguousarray(raw.reshape(4, -1).T).view(">f4").ravel()
    order = sorted(WEIGHTS)
    np.testing.assert_array_equal(numbers, np.concatenate([WEIGHTS[n].ravel() for n in order]))
    assert found.tensors == (
        ("head.bias", 1, 7),
        ("head.weight", 7, 12),
        ("rnn.weight_hh_l0", 12, 3),
    )
    for name, array in WEIGHTS.items():
        np.testing.assert_array_equal(found.weights[name], array)


def test_float16_rounds_to_the_nearest_and_int8_by_half_a_step_of_the_row() -> None:
    half, coded = packed(WEIGHTS, "float16").weights, packed(WEIGHTS, "int8").weights
    for name, array in WEIGHTS.items():
        np.testing.assert_array_equal(half[name], array.astype(np.float16).astype(np.float32))
        if array.ndim == 1:
            np.testing.assert_array_equal(coded[name], half[name])
            continue
        step = np.abs(array).max(axis=1, keepdims=True) / 127
        assert (np.abs(coded[name] - array) <= 0.51 * step + 1e-7).all()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=12),
    st.sampled_from(PRECISIONS),
)
def test_any_weights_are_letters_that_no_markup_is_made_of(values: list[float], kind: str) -> None:
    row = np.array([values], np.float32)
    found = packed({"head.weight": row, "head.bias": row[0]}, kind)
    assert not set(found.letters) & set("<&'\"\r\n ")
    assert len(unpacked(found.letters)) == found.size
    for array in found.weights.values():
        assert np.isfinite(array).all()
    if kind == "float32":
        np.testing.assert_array_equal(found.weights["head.weight"], row)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_zeros_stay_zeros(precision: str) -> None:
    found = packed({"head.weight": np.zeros((2, 3), np.float32)}, precision)
    np.testing.assert_array_equal(found.weights["head.weight"], np.zeros((2, 3)))
