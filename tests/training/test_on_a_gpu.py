"""What a CPU in its place cannot tell of a GPU. Left out where there is none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from charlm.data.corpus import Corpus
from charlm.model.device import trains_in
from charlm.model.network import CharLM, weights_of
from charlm.training.checkpoint import LAST, open_checkpoint, restore_trainer, save_checkpoint
from charlm.training.resident import ResidentBatches
from charlm.training.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
GPU = torch.device("cuda:0")
MODELS = [
    {"rnn_type": "lstm", "num_layers": 2},
    {"rnn_type": "gru", "num_layers": 2, "dropout": 0.3},
    {"rnn_type": "rnn", "embedding_size": 0},
]


@pytest.fixture
def trainer(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any
) -> Callable[..., Trainer]:
    corpus = make_corpus(nonsense(3000))

    def make(model: dict[str, Any], **training: Any) -> Trainer:
        if not trains_in(training.get("precision", "float32"), GPU, model["rnn_type"]):
            pytest.skip("this GPU trains none in bfloat16")
        return Trainer(tiny_config(model=model, training={"device": "cuda", **training}), corpus)

    return make


@pytest.fixture
def no_waiting() -> Iterator[Callable[[], None]]:
    """From its call on, whoever waits for the GPU fails."""
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


def go_on(trainer: Trainer, steps: int) -> float | None:
    for _ in range(steps):
        trainer.step(trainer.batches[trainer.done])
    return trainer.outcomes.read()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("optimizer", ["adamw", "soap", "sgd"])
def test_no_step_waits_for_the_gpu_and_all_layers_are_packed(
    trainer: Callable[..., Trainer], no_waiting: Callable[[], None], model: dict[str, Any],
    precision: str, optimizer: str,
) -> None:  # fmt: skip
    """Where they are not, torch warns."""
    one = trainer(model, precision=precision, optimizer=optimizer)
    assert isinstance(one.batches, ResidentBatches)
    go_on(one, 45)  # what is made once is made; SOAP has turned its basis
    no_waiting()
    for _ in range(45):
        assert one.step(one.batches[one.done]) is None
    torch.cuda.set_sync_debug_mode("default")
    assert one.outcomes.read() is not None


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_learns_as_a_cpu_does(trainer: Callable[..., Trainer], precision: str) -> None:
    model = {"rnn_type": "lstm", "num_layers": 2}
    cpu = trainer(model, device="cpu", optimizer="adamw")
    losses = [cpu.step(cpu.batches[k]) for k in range(60)]
    found = go_on(trainer(model, precision=precision, optimizer="adamw"), 60)
    assert found == pytest.approx(losses[-1], abs=0.05)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resumed_it_drops_the_same_units(
    trainer: Callable[..., Trainer], tmp_path: Path, precision: str
) -> None:
    """To a few last digits: a GPU adds up in no fixed order."""
    model = {"rnn_type": "gru", "num_layers": 2, "dropout": 0.4}
    one, other = (trainer(model, precision=precision, optimizer="adamw") for _ in range(2))
    go_on(one, 5)
    save_checkpoint(tmp_path, one, one.resume_point())
    expected = go_on(one, 6)
    torch.cuda.manual_seed(99)
    restore_trainer(open_checkpoint(tmp_path / "checkpoints" / LAST), other)
    assert go_on(other, 6) == pytest.approx(expected, rel=1e-4)
    for name, array in weights_of(one.model).items():
        assert abs(weights_of(other.model)[name] - array).max() < 1e-3


def test_without_memory_it_trains_in_parts(
    trainer: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, read = trainer({"rnn_type": "lstm"}), CharLM.read

    def greedy(self: CharLM, ids: torch.Tensor, *others: Any) -> Any:
        if ids.shape[1] > 1:
            torch.empty(1 << 46, dtype=torch.uint8, device=ids.device)  # 64 TiB
        return read(self, ids, *others)

    monkeypatch.setattr(CharLM, "read", greedy)
    assert go_on(one, 2) is not None
    assert one.gradient.parts == 4
