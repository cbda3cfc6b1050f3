import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from charlm.data.shuffle import Shuffle


def order(size: int, seed: int = 0) -> np.ndarray:
    return Shuffle(size, np.random.default_rng(seed))[np.arange(size)]


@given(st.integers(1, 3000), st.integers(0, 99))
def test_every_thing_has_one_place(size: int, seed: int) -> None:
    assert sorted(order(size, seed)) == list(range(size))


@given(st.integers(1, 1 << 62), st.data())
def test_a_place_of_any_order_is_found_without_the_others(size: int, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20, unique=True))
    shuffle = Shuffle(size, np.random.default_rng(1))
    things = shuffle[np.array(places)]
    assert ((things >= 0) & (things < size)).all()
    assert len(set(things.tolist())) == len(places)
    assert [int(shuffle[np.array([place])][0]) for place in places] == things.tolist()


def test_each_order_of_a_few_things_comes_about_as_often() -> None:
    drawn = [tuple(order(4, seed)) for seed in range(2400)]
    counts = [drawn.count(one) for one in set(drawn)]
    # 24 orders, each expected 100 times with a spread of 10.
    assert len(counts) == 24
    assert min(counts) > 55
    assert max(counts) < 145


def test_neighbours_are_parted() -> None:
    steps = np.abs(np.diff(order(100_000)))
    # Of a random order, a third of the whole on average.
    assert abs(steps.mean() / 100_000 - 1 / 3) < 0.01
    assert (steps == 1).sum() < 20
