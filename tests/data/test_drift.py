import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.data.drift import is_unlike
from tests.vocabularies import vocab_of

ENGLISH = "it was the best of times it was the worst of times and all that came of it then "
LATIN = "quousque tandem abutere catilina patientia nostra quamdiu etiam furor iste tuus "


def unlike(text: str, share: float = 0.1) -> bool:
    ids = vocab_of(text).encode(text)
    cut = int(len(ids) * (1 - share))
    return is_unlike(ids[cut:], ids[:cut])


def words(of: str, count: int) -> list[str]:
    dice = random.Random(0)
    return [dice.choice(of.split()) for _ in range(count)]


def test_a_sorted_list_ends_unlike_it_began() -> None:
    names = [
        "".join(w) for w in zip(*(words("ma lo vi ka tu ro ne sa zi", 9000),) * 3, strict=True)
    ]
    shuffled = random.Random(1).sample(names, len(names))
    assert not unlike("\n".join(shuffled))
    assert unlike("\n".join(sorted(names)))


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_a_text_of_another_kind_at_the_end_is_unlike_the_rest(share: float) -> None:
    many = 40_000
    first = words(ENGLISH, round(many * (1 - share)))
    assert unlike(" ".join(first + words(LATIN, round(many * share))), share)
    assert not unlike(" ".join(words(ENGLISH, many)), share)


def test_neither_a_small_difference_nor_rare_symbols_make_an_end_unlike() -> None:
    dice = np.random.default_rng(0)
    rest = dice.choice(4, 900_000).astype(np.uint8)
    for first, expected in ((0.28, False), (0.40, True)):
        chances = [first, *[(1 - first) / 3] * 3]
        assert is_unlike(dice.choice(4, 100_000, p=chances).astype(np.uint8), rest) is expected
    # Of 3,000 symbols in a short text, any tenth is far from the rest: 0.36 bits; this end, 0.42.
    rest = dice.integers(0, 3000, 18_000).astype(np.uint16)
    assert not is_unlike(dice.integers(0, 2000, 2000).astype(np.uint16), rest)


@given(st.integers(0, 300), st.integers(0, 300))
def test_short_parts_are_looked_at_too(rest: int, held_out: int) -> None:
    ids: Callable[[int], np.ndarray] = lambda n: np.arange(n, dtype=np.uint16) % 7  # noqa: E731
    assert not is_unlike(ids(held_out)[:0], ids(rest))
    assert is_unlike(ids(held_out), ids(rest)) in (True, False)
