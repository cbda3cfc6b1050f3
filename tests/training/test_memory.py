"""Where the memory does not hold a batch, its streams are trained in parts, to the same end."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from charlm.data.corpus import Corpus
from charlm.errors import OutOfMemoryError
from charlm.model.network import CharLM
from charlm.training.trainer import Trainer

ERROR = "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"
Limit = Callable[[int], None]


@pytest.fixture
def memory_for(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """`memory_for(n)`: a model can be trained with n streams at most."""
    read = CharLM.read

    def limit(streams: int) -> None:
        def read_within(self: CharLM, ids: torch.Tensor, state: Any = None) -> Any:
            if self.training and ids.shape[1] > streams:
                raise RuntimeError(ERROR)
            return read(self, ids, state)

        monkeypatch.setattr(CharLM, "read", read_within)

    return limit


@pytest.mark.parametrize("kind", ["lstm", "gru", "fill"])
def test_row_33_trained_in_parts_it_is_the_same_training(
    make_corpus: Callable[..., Corpus],
    tiny_config: Any,
    nonsense: Any,
    memory_for: Limit,
    kind: str,
) -> None:
    model = {"bidirectional": True} if kind == "fill" else {"rnn_type": kind}
    corpus, config = make_corpus(nonsense(2000)), tiny_config(model=model, training={"reset": 0.3})

    def weights_after(steps: int) -> list[torch.Tensor]:
        trainer = Trainer(config, corpus)
        losses = [trainer.step(trainer.batches[trainer.done]) for _ in range(steps)]
        return [torch.tensor(losses), *(p.detach().clone() for p in trainer.model.parameters())]

    whole = weights_after(12)
    memory_for(1)
    parts = weights_after(12)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_row_33_a_training_says_so_and_goes_on(
    charlm: Any, text_file: Any, tiny_options: list[str], memory_for: Limit
) -> None:
    memory_for(2)
    done = charlm("train", text_file, *tiny_options, "-o", "run")
    assert done.code == 0
    warnings = [line for line in done.err.splitlines() if "Warning" in line]
    assert warnings == [
        "Warning: out of memory at step 1; the streams of a batch are trained in 2 parts from here "
        "on, which is slower"
    ]


def test_row_33_where_nothing_helps_it_is_one_line(
    charlm: Any, text_file: Any, tiny_options: list[str], memory_for: Limit
) -> None:
    memory_for(0)
    failed = charlm("train", text_file, *tiny_options, "-o", "run")
    assert failed.code == 6
    assert failed.err.splitlines()[-1].startswith("Error: out of memory at step 1, with one stream")


def test_row_33_another_error_is_no_lack_of_memory(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any, monkeypatch: Any
) -> None:
    def broken(self: CharLM, ids: torch.Tensor, state: Any = None) -> Any:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(CharLM, "read", broken)
    trainer = Trainer(tiny_config(), make_corpus(nonsense(500)))
    with pytest.raises(RuntimeError, match="shape mismatch") as error:
        trainer.step(trainer.batches[0])
    assert not isinstance(error.value, OutOfMemoryError)
