"""The lines of a text are known, and no others."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charlm.generation import known_lines as module
from charlm.generation.known_lines import KnownLines

BREAK = 1
IDS = st.lists(st.integers(1, 3), max_size=20)


def lines_of(ids: list[int]) -> set[tuple[int, ...]]:
    text = "".join(map(str, ids))
    return {tuple(map(int, line)) for line in text.split(str(BREAK))}


@example(parts=[[2], [3], [2]], size=4, piece=1)
@given(parts=st.lists(IDS, min_size=1, max_size=3), size=st.sampled_from([4, 300, 70_000]),
       piece=st.integers(1, 7))  # fmt: skip
def test_it_knows_the_lines_of_the_parts_apart_and_joined(
    parts: list[list[int]], size: int, piece: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", piece)
        patch.setattr(module, "AT_ONCE", 3)
        known = KnownLines([np.array(part, dtype=np.int64) for part in parts], size, BREAK)
    joined = [token for part in parts for token in part]
    expected = lines_of(joined).union(*(lines_of(part) for part in parts))
    for line in {*expected, (2, 2, 2, 2, 2), (3,), (2, 3)} - {()}:
        assert (line in known) == (line in expected), line
