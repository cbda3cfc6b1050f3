"""Batches cut on a device are those cut elsewhere; here the device is a CPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from charlm.data.batches import Batch, Streams, Windows
from charlm.data.corpus import Corpus
from charlm.data.shards import ShardedIds
from charlm.data.vocab import id_type
from charlm.training import resident
from charlm.training.resident import ResidentBatches, batches_for, sent

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")


@pytest.mark.parametrize("symbols", [200, 60_000, 70_000])
@pytest.mark.parametrize("sampling", [Streams, Windows])
def test_they_are_the_same_batches(symbols: int, sampling: type[Streams] | type[Windows]) -> None:
    """With ids that would be below zero, if their first bit were a sign."""
    drawn = np.random.default_rng(0).integers(symbols, size=157)
    ids = drawn.astype(id_type(symbols))
    ids[5] = symbols - 1
    batches = sampling(ids, 3, 7, seed=1, reset=0.3, random_offset=True)
    cut = ResidentBatches(batches, ids, CPU)
    assert cut.per_epoch == batches.per_epoch
    for step in range(3 * batches.per_epoch):
        expected, found = batches[step], cut[step]
        for name in ("inputs", "targets"):
            tensor = getattr(found, name)
            assert tensor.dtype == torch.int64
            np.testing.assert_array_equal(tensor.numpy(), getattr(expected, name))
        np.testing.assert_array_equal(found.carried, expected.carried)
        assert (found.tokens, found.predicted) == (expected.tokens, expected.predicted)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """Where ids are put."""
    put: list[torch.device] = []

    class OnCpu(ResidentBatches):
        def __init__(self, batches: Any, ids: Any, device: torch.device) -> None:
            put.append(device)
            super().__init__(batches, ids, CPU)

    monkeypatch.setattr(resident, "ResidentBatches", OnCpu)
    monkeypatch.setattr(resident, "free_memory", lambda device: 1 << 30)
    return put


def test_a_gpu_holds_the_ids_where_they_fit_and_a_cpu_reads_them_where_they_are(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any, gpu: list[torch.device],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    corpus = make_corpus(nonsense(2000))
    assert isinstance(batches_for(tiny_config(), corpus, CPU)[0], Batch)
    assert not gpu
    batch = batches_for(tiny_config(), corpus, CUDA)[0]
    assert not isinstance(batch, Batch)
    assert gpu == [CUDA]
    # Nor where part of a batch is reckoned outside of it, or there is no room.
    for sections in ({"model": {"bidirectional": True}}, {"training": {"sampled": 2}}):
        assert isinstance(batches_for(tiny_config(**sections), corpus, CUDA)[0], Batch)
    monkeypatch.setattr(resident, "free_memory", lambda device: 7_000)
    assert isinstance(batches_for(tiny_config(), corpus, CUDA)[0], Batch)


def test_ids_in_several_files_stay_there(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any, gpu: list[torch.device],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any,
) -> None:  # fmt: skip
    corpus = make_corpus(nonsense(2000))
    ids = np.asarray(corpus.split("train"))
    shards = ShardedIds([ids[:900], ids[900:]], [tmp_path, tmp_path], len(corpus.vocab))
    monkeypatch.setattr(type(corpus), "split", lambda self, name: shards)
    assert isinstance(batches_for(tiny_config(), corpus, CUDA)[0], Batch)
    assert not gpu


def test_to_a_gpu_an_array_goes_from_memory_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.arange(12).reshape(3, 4)[:, 1:3]
    assert sent(array, CPU).tolist() == array.tolist()
    done: list[Any] = []

    def pinned(tensor: torch.Tensor) -> torch.Tensor:
        assert tensor.is_contiguous()
        done.append("pinned")
        return tensor

    def to(tensor: torch.Tensor, device: torch.device, *, non_blocking: bool) -> torch.Tensor:
        done.append((device, non_blocking))
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pinned)
    monkeypatch.setattr(torch.Tensor, "to", to)
    assert sent(array, CUDA).tolist() == array.tolist()
    assert done == ["pinned", (CUDA, True)]
