import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.data.batches import (
    SAMPLINGS,
    MaskedWindows,
    Streams,
    Windows,
    fitting_batch_size,
)
from charlm.data.masks import MaskShape
from charlm.errors import DataError

SIZES = (st.integers(2, 200), st.integers(1, 6), st.integers(1, 9))


@given(*SIZES, st.sampled_from(sorted(SAMPLINGS)))
def test_a_target_is_the_token_after_its_input(
    tokens: int, batch_size: int, seq_len: int, sampling: str
) -> None:
    seq_len = min(seq_len, tokens - 1)
    batches = SAMPLINGS[sampling](np.arange(tokens), batch_size, seq_len)
    for step in range(2 * batches.per_epoch):
        batch = batches[step]
        np.testing.assert_array_equal(batch.targets, batch.inputs + 1)
        np.testing.assert_array_equal(np.diff(batch.inputs, axis=0), 1)
        assert batch.inputs.shape[1] == len(batch.carried)


@given(*SIZES)
def test_streams_read_every_token_once_an_epoch(tokens: int, batch_size: int, seq_len: int) -> None:
    seq_len = min(seq_len, tokens - 1)
    streams = Streams(np.arange(tokens), batch_size, seq_len)
    read = np.concatenate([streams[k].inputs for k in range(streams.per_epoch)])
    batch_size = read.shape[1]
    # All but the few that do not fill another step of every stream.
    assert sorted(read.ravel()) == list(range(read.size))
    assert tokens - 1 - read.size < batch_size
    # Down a column is on in the text: the state can be carried.
    np.testing.assert_array_equal(np.diff(read, axis=0), 1)


@given(*SIZES)
def test_windows_read_every_window_once_an_epoch(
    tokens: int, batch_size: int, seq_len: int
) -> None:
    seq_len = min(seq_len, tokens - 1)
    windows = Windows(np.arange(tokens), batch_size, seq_len)
    for epoch in range(2):
        steps = range(epoch * windows.per_epoch, (epoch + 1) * windows.per_epoch)
        starts = np.concatenate([windows[k].inputs[0] for k in steps])
        assert len(set(starts)) == (tokens - 1) // seq_len
        assert set(np.diff(np.sort(starts))) <= {seq_len}


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_batch_depends_on_its_step_and_the_seed_alone(sampling: str) -> None:
    ids = np.arange(500)
    one, other = (SAMPLINGS[sampling](ids, 4, 8, seed=3, reset=0.5) for _ in range(2))
    for step in (7, 40, 2, 7):
        for a, b in zip(vars(one[step]).values(), vars(other[step]).values(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("sampling", [*sorted(SAMPLINGS), "masked"])
def test_of_a_share_the_streams_are_those_of_the_whole_batch(sampling: str) -> None:
    def batches() -> Streams | Windows | MaskedWindows:
        ids = np.arange(1, 501)
        if sampling == "masked":
            return MaskedWindows(ids, 5, 8, seed=3, mask_id=0, mask=MaskShape(0.3, 3, 0.5))
        return SAMPLINGS[sampling](ids, 5, 8, seed=3, reset=0.5, random_offset=True)

    whole, shared = batches(), batches()
    for own in (lambda n: slice(0, n // 2), lambda n: slice(n // 2, n), lambda n: slice(n, n)):
        shared.share = own
        for step in (0, 5, whole.per_epoch - 1, whole.per_epoch):
            one, other = whole[step], shared[step]
            columns = own(one.inputs.shape[1])
            np.testing.assert_array_equal(one.inputs[:, columns], other.inputs[:, columns])
            np.testing.assert_array_equal(one.targets[:, columns], other.targets[:, columns])
            np.testing.assert_array_equal(one.carried, other.carried)
            assert one.predicted == other.predicted
            # Nothing else was read.
            others = np.delete(other.inputs, columns, axis=1)
            assert not others.any()


def test_states_are_carried_but_at_the_start_of_an_epoch() -> None:
    streams = Streams(np.arange(500), 4, 8)
    for step in range(2 * streams.per_epoch):
        assert streams[step].carried.all() == (step % streams.per_epoch != 0)


def test_resets_come_as_often_as_asked() -> None:
    streams = Streams(np.arange(40_000), 32, 4, reset=0.25)
    carried = np.array([streams[k].carried for k in range(1, streams.per_epoch)])
    assert 0.2 < 1 - carried.mean() < 0.3
    assert (Streams(np.arange(500), 4, 8, reset=1.0)[1].carried == 0).all()


def test_another_seed_is_another_order() -> None:
    ids = np.arange(500)
    one, other = (Windows(ids, 4, 8, seed=seed)[0].inputs for seed in (1, 2))
    assert (one != other).any()


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_batch_of_a_huge_text_takes_no_more_memory_than_one_of_a_small(sampling: str) -> None:
    ids = np.broadcast_to(np.uint8(1), (5_000_000_000,))  # one byte, read over and over
    tracemalloc.start()
    try:
        batches = SAMPLINGS[sampling](ids, 4, 8, seed=1, random_offset=True)
        assert batches.per_epoch > 10**8
        for step in (0, batches.per_epoch - 1, 3 * batches.per_epoch // 2):
            assert batches[step].targets.shape == batches[step].inputs.shape
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_row_20_a_text_shorter_than_a_window_is_refused_and_one_of_its_length_is_not() -> None:
    with pytest.raises(DataError) as error:
        fitting_batch_size(8, 4, 8)
    assert str(error.value) == (
        "the train part has 8 tokens, need at least 9 for a window of 8: give more text or a "
        "smaller --seq-len"
    )
    assert fitting_batch_size(9, 4, 8) == 1
    assert fitting_batch_size(1000, 4, 8) == 4


@given(*SIZES, st.sampled_from(sorted(SAMPLINGS)))
def test_a_random_offset_reads_the_same_text_from_other_places(
    tokens: int, batch_size: int, seq_len: int, sampling: str
) -> None:
    seq_len = min(seq_len, tokens - 1)
    batches = SAMPLINGS[sampling](np.arange(tokens), batch_size, seq_len, random_offset=True)
    for step in range(3 * batches.per_epoch):
        batch = batches[step]
        np.testing.assert_array_equal(batch.targets, batch.inputs + 1)
        np.testing.assert_array_equal(np.diff(batch.inputs, axis=0), 1)
        assert batch.targets.max() < tokens


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_offset_is_taken(sampling: str) -> None:
    batches = SAMPLINGS[sampling](np.arange(500), 4, 8, random_offset=True)
    starts = {
        min(batches[e * batches.per_epoch + k].inputs.min() for k in range(batches.per_epoch))
        for e in range(200)
    }
    assert starts == set(range(8))
    plain = SAMPLINGS[sampling](np.arange(500), 4, 8)
    assert min(plain[k].inputs.min() for k in range(plain.per_epoch)) == 0
