"""Several processes give what one gives: the same sums, the same score."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from charlm.config import Config, ModelConfig
from charlm.data.batches import Streams, Windows
from charlm.data.vocab import UNK, Vocab
from charlm.evaluation import single_pass
from charlm.evaluation.evaluator import evaluate
from charlm.model.network import CharLM
from charlm.settings import configured
from charlm.training.distributed import Alone
from charlm.training.gradient import Gradient

VOCAB = Vocab("char", (UNK, *"abcdefgh"), (0,) * 9)
IDS = np.random.default_rng(0).integers(0, 9, 7_000).astype(np.uint8)


class Threads(Alone):
    """Ranks that are threads of this process: `of` of them, each calling the same."""

    def __init__(self, of: int) -> None:
        self.size, self._met = of, threading.Barrier(of, timeout=60)
        self._local = threading.local()
        self._found: list[Any] = [None] * of

    @property
    def rank(self) -> int:  # type: ignore[override]
        return self._local.rank

    def run(self, work: Callable[[], Any]) -> list[Any]:
        """What `work` gives in each rank."""
        results: list[Any] = [None] * self.size

        def at(rank: int) -> None:
            self._local.rank = rank
            try:
                results[rank] = work()
            except BaseException:
                self._met.abort()
                raise

        threads = [threading.Thread(target=at, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def _all(self, value: Any) -> list[Any]:
        self._met.wait()
        self._found[self.rank] = value
        self._met.wait()
        found = [*self._found]
        self._met.wait()
        return found

    def share(self, streams: int) -> slice:
        return slice(streams * self.rank // self.size, streams * (self.rank + 1) // self.size)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        found = self._all([tensor.clone() for tensor in tensors])
        for tensor, parts in zip(tensors, zip(*found, strict=True), strict=True):
            tensor.copy_(torch.stack(parts).sum(0))

    def total(self, figures: Sequence[float]) -> list[float]:
        return [sum(parts) for parts in zip(*self._all(figures), strict=True)]

    def first(self, figures: Sequence[float]) -> list[float]:
        return self._all([*figures])[0]

    def from_the_first(self, value: Any) -> Any:
        return self._all(value)[0]

    def is_any(self, flag: bool) -> bool:
        return any(self._all(flag))

    def of_the_one_before(self, tensors: Sequence[Tensor]) -> Sequence[Tensor] | None:
        found = self._all([tensor.clone() for tensor in tensors])
        return found[self.rank - 1] if self.rank else None


def model_of(config: Config) -> CharLM:
    torch.manual_seed(0)
    return CharLM(config.model, 9)


CELLS = [
    {"rnn_type": "lstm"}, {"rnn_type": "gru", "num_layers": 2},
    {"rnn_type": "lstm", "proj_size": 6}, {"rnn_type": "rnn", "implementation": "scratch"},
]  # fmt: skip


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("sampling", [Streams, Windows])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(map(str, cell.values())))
def test_ranks_give_the_gradient_and_the_state_of_the_whole_batch(
    cell: dict[str, Any], sampling: Any, ranks: int
) -> None:
    config = configured(Config(), {
        "model": {"hidden_size": 12, "embedding_size": 6, **cell},
        "training": {"batch_size": 5, "seq_len": 9, "precision": "float32"},
    })  # fmt: skip
    # Of the last windows there is one alone, and ranks that have none of it.
    batches = sampling(IDS[:600], 5, 9, seed=1, reset=0.2)
    steps = [0, 1, 2, batches.per_epoch - 1]
    counts = np.bincount(IDS, minlength=9)

    begun = model_of(config)

    def course(world: Any) -> list[tuple[float, list[Tensor], list[Tensor]]]:
        model = deepcopy(begun)
        gradient, state, found = Gradient(model, config, counts, world), None, []
        for step in steps:
            nats, state = gradient(batches[step], state, step + 1)
            states = [*state] if isinstance(state, tuple) else [state]
            found.append((nats, [p.grad.clone() for p in model.parameters()], states))  # type: ignore[union-attr]
        return found

    alone, world = course(Alone()), Threads(ranks)
    for together in world.run(lambda: course(world)):
        for one, other in zip(alone, together, strict=True):
            assert one[0] == pytest.approx(other[0], abs=1e-6)
            for a, b in zip([*one[1], *one[2]], [*other[1], *other[2]], strict=True):
                torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("gain", [1.0, 6.0, 40.0])
@pytest.mark.parametrize("ranks", [2, 3, 5])
@pytest.mark.parametrize("count", [30, 600, 6_999])
def test_a_shared_evaluation_is_the_score_of_one_pass(
    monkeypatch: pytest.MonkeyPatch, gain: float, ranks: int, count: int
) -> None:
    monkeypatch.setattr("charlm.evaluation.evaluator.SHORTEST_STREAM", 100)
    torch.manual_seed(0)
    model = CharLM(ModelConfig(hidden_size=16, embedding_size=8), 9)
    for name, weight in model.rnn.named_parameters():
        if name.startswith("weight_hh"):
            weight.data *= gain
    ids, world = IDS[: count + 1], Threads(ranks)
    alone = evaluate(model, ids, VOCAB, streams=1)
    with torch.inference_mode():
        scores = world.run(lambda: evaluate(model, ids, VOCAB, streams=8, together=world))
    for score in scores:
        assert score.tokens == alone.tokens
        assert score.nats == pytest.approx(alone.nats, rel=1e-6)
        assert score.unknown == alone.unknown


def test_sections_in_a_few_long_streams_are_mended_over_their_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Streams so short that most change to their end, over all sections."""
    monkeypatch.setattr(single_pass, "MENDING_SHARE", 100.0)
    torch.manual_seed(0)
    model = CharLM(ModelConfig(hidden_size=16, embedding_size=8), 9)
    world, ids = Threads(3), IDS[:121]
    reading = single_pass.SinglePass(model, ids, lambda streams, tokens: None)

    def read() -> Any:
        with torch.inference_mode():
            return reading.side_by_side(8, world)

    with torch.inference_mode():
        alone = reading.in_one_stream(120)
    for sums in world.run(read):
        np.testing.assert_allclose(sums, alone, rtol=1e-6)


REAL = """
import sys
import torch
from charlm.training.process_group import Ranks
world = Ranks()
tensors = [torch.full((2, 3), float(world.rank)), torch.ones(4) * (world.rank + 1)]
world.add_up(tensors)
assert tensors[0].tolist() == [[1.0] * 3] * 2, tensors
assert tensors[1].tolist() == [3.0] * 4, tensors
assert world.total([1.0, world.rank]) == [2.0, 1.0]
assert world.is_any(world.rank == 1) and not world.is_any(False)
assert world.least(5.0 - world.rank) == 4.0
before = world.of_the_one_before([torch.tensor([7.0 + world.rank])])
assert (before is None) == (world.rank == 0) and (not before or before[0].item() == 7.0)
assert world.from_the_first({"rank": world.rank}) == {"rank": 0}
world.leave()
print("good", flush=True)
"""


def test_real_processes_exchange_what_they_have(tmp_path: Path) -> None:
    (tmp_path / "real.py").write_text(REAL)
    ran = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "real.py"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert ran.stdout.count("good") == 2, ran.stderr
