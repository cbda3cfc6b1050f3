"""Large pages change where numbers lie, and nothing else."""

import mmap
import sys

import numpy as np
import pytest

from charlm.generation.memory import LARGE_PAGE, LEAST, in_large_pages


@pytest.mark.parametrize("rows", [LEAST // 4096, 3 * LARGE_PAGE // 4096 + 1])
def test_the_numbers_are_the_same_and_can_be_written(rows: int) -> None:
    numbers = np.random.default_rng(0).random((rows, 1024), np.float32)
    moved = in_large_pages(numbers)
    assert moved.dtype == numbers.dtype
    np.testing.assert_array_equal(moved, numbers)
    moved += 1
    if sys.platform == "linux":
        assert moved.ctypes.data % LARGE_PAGE == 0


def test_a_small_array_stays_where_it_is() -> None:
    small = np.ones(LEAST // 4 - 1, np.float32)
    assert in_large_pages(small) is small


def test_where_the_system_has_none_it_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refused)
    numbers = np.ones(LEAST // 4, np.float32)
    assert in_large_pages(numbers) is numbers
