"""NumPy's threads are chosen by measuring, and no text depends on the choice."""

from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from charlm.config import ModelConfig
from charlm.generation import blas
from charlm.generation.blas import BLOCK, CHOICES, TURNS, in_fitting_threads, one_thread
from charlm.generation.stepper import Stepper
from charlm.model.shapes import expected_shapes

V = 66
# Tokens by which one thread and all are compared.
TOGETHER = BLOCK * TURNS * len(CHOICES)


def random_stepper(cell: str, hidden: int, layers: int = 1) -> Stepper:
    config = ModelConfig(rnn_type=cell, hidden_size=hidden, num_layers=layers, embedding_size=8)
    generator = np.random.default_rng(0)
    return Stepper(config, {
        name: generator.normal(0, 0.1, shape).astype(np.float32)
        for name, shape in expected_shapes(config, V).items()
    })  # fmt: skip


@pytest.fixture(scope="module")
def stepper() -> Stepper:
    return random_stepper("lstm", 16)


# Found once: to look for the libraries takes milliseconds, and each token asks.
LIBRARIES = ThreadpoolController().select(user_api="blas").lib_controllers


def threads() -> int:
    return max(library.num_threads for library in LIBRARIES)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("hidden", [500, 512])
def test_one_thread_and_two_compute_the_same_to_the_bit(
    cell: str, streams: int, hidden: int
) -> None:
    stepper = random_stepper(cell, hidden, layers=2)
    found = []
    for number in (1, 2):
        with threadpool_limits(number, user_api="blas"):
            found.append(blas._steps(stepper, streams))
    assert np.array_equal(*found)


@pytest.fixture
def two_threads() -> Iterator[None]:
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("alone", "shared", "equal", "chosen"),
    [(1.0, 5.0, True, 1), (1.0, 1.05, True, 2), (1.5, 1.0, True, 2), (1.0, 5.0, False, 2)],
)
def test_one_thread_is_taken_where_it_is_faster_and_makes_no_difference(
    monkeypatch: pytest.MonkeyPatch, stepper: Stepper, alone: float, shared: float, equal: bool,
    chosen: int,
) -> None:  # fmt: skip
    clock = [0.0]

    def tokens() -> Iterator[int]:
        for k in range(2 * TOGETHER + 5000):
            clock[0] += alone if threads() == 1 else shared
            yield k

    same = np.array(0)
    monkeypatch.setattr(blas, "_steps", lambda *_: same if equal else np.array(threads()))
    monkeypatch.setattr(blas.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(blas, "REST", 3000)
    found, used = [], []
    for token in in_fitting_threads(stepper, 1, tokens()):
        found.append(token)
        used.append(threads())
    assert found == list(range(2 * TOGETHER + 5000))
    assert set(used[TOGETHER : TOGETHER + 3000]) == {chosen}
    # It is asked again after a while: the other may have gone.
    assert set(used[TOGETHER + 3000 : 2 * TOGETHER + 3000]) == ({1, 2} if equal else {2})
    assert threads() == 2


def test_where_there_is_one_thread_anyway_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, stepper: Stepper
) -> None:
    monkeypatch.setattr(blas, "_steps", lambda *_: pytest.fail("asked"))
    with threadpool_limits(1, user_api="blas"):
        assert list(in_fitting_threads(stepper, 1, iter("abc"))) == ["a", "b", "c"]


def test_one_thread_is_one_until_the_block_ends() -> None:
    with threadpool_limits(2, user_api="blas"):
        with one_thread():
            assert threads() == 1
        assert threads() == 2
