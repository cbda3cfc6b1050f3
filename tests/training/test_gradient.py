"""The gradient of a batch, in either precision, in parts side by side."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from charlm.data.batches import make_batches
from charlm.data.corpus import Corpus
from charlm.model import packed
from charlm.model.device import trains_in
from charlm.model.network import CharLM
from charlm.training.gradient import Gradient
from charlm.training.optim import OPTIMIZERS


def gradient_on(corpus: Corpus, network: CharLM, config: Any) -> Gradient:
    counts = np.bincount(corpus.split("train"), minlength=len(corpus.vocab))
    return Gradient(network, config, counts)


@pytest.mark.parametrize(
    "model",
    [
        {"rnn_type": "lstm"},
        {"rnn_type": "gru", "bias": False},
        {"rnn_type": "gru", "num_layers": 2},
        {"rnn_type": "rnn"},
        {"rnn_type": "rnn", "bias": False, "embedding_size": 0},
        {"rnn_type": "lstm", "proj_size": 8, "tied": True},
        {"rnn_type": "gru", "bidirectional": True},
    ],
    ids=str,
)
def test_bfloat16_gives_nearly_the_gradient_of_float32(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any, model: dict[str, Any]
) -> None:
    if not trains_in("bfloat16", torch.device("cpu"), model["rnn_type"]):
        pytest.skip("this processor trains none in bfloat16")
    corpus = make_corpus(nonsense(2000))

    def found(precision: str) -> tuple[float, list[torch.Tensor]]:
        config = tiny_config(model=model, training={"precision": precision})
        torch.manual_seed(0)
        network = CharLM(config.model, len(corpus.vocab))
        gradient, batches = gradient_on(corpus, network, config), make_batches(config, corpus)
        _, state = gradient(batches[0], None, 1)
        nats, state = gradient(batches[1], state, 2)
        for part in state if isinstance(state, tuple) else (state,):
            assert part.dtype == torch.float32
        return nats, [p.grad for p in network.parameters() if p.grad is not None]

    (nats, exact), (half_nats, half) = found("float32"), found("bfloat16")
    assert half_nats == pytest.approx(nats, rel=0.01)
    assert half_nats != nats
    assert len(half) == len(exact)
    for a, b in zip(exact, half, strict=True):
        assert b.dtype == torch.float32
        assert torch.linalg.vector_norm(a - b) < 0.05 * torch.linalg.vector_norm(a)


@pytest.mark.parametrize(
    "model",
    [
        {"rnn_type": "lstm", "num_layers": 2, "dropout": 0.3},
        {"rnn_type": "gru", "tied": True, "embedding_size": 16},
        {"rnn_type": "rnn", "embedding_size": 0, "num_layers": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_as_a_gpu_has_it_the_gradient_is_nearly_that_of_float32(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any,
    monkeypatch: pytest.MonkeyPatch, model: dict[str, Any], precision: str,
) -> None:  # fmt: skip
    """The layers in copies of the weights; here on a CPU. They are made anew after each update."""
    corpus = make_corpus(nonsense(2000))

    def found(on_gpu: bool) -> tuple[float, list[torch.Tensor]]:
        with monkeypatch.context() as patch:
            if on_gpu:
                patch.setattr(packed, "_on_cudnn", lambda rnn: True)
                patch.setattr(packed, "_pack", lambda rnn: None)
            training = {"precision": precision if on_gpu else "float32", "optimizer": "adamw"}
            # What is dropped is another matter.
            config = tiny_config(model={**model, "dropout": 0.0}, training=training)
            torch.manual_seed(0)
            network = CharLM(config.model, len(corpus.vocab))
            network.rnn.dropout = model.get("dropout", 0.0) and 1e-12
            gradient, batches = gradient_on(corpus, network, config), make_batches(config, corpus)
            assert (gradient._layers is not None) == (
                on_gpu and (precision == "bfloat16" or network.rnn.dropout > 0)
            )
            _, state = gradient(batches[0], None, 1)
            OPTIMIZERS["adamw"](network, config.training).step(0.01)
            nats, state = gradient(batches[1], state, 2)
        states = state if isinstance(state, tuple) else (state,)
        return nats, [*states, *(p.grad for p in network.parameters() if p.grad is not None)]

    (nats, values), (exact, exact_values) = found(on_gpu=True), found(on_gpu=False)
    wrong = 1e-4 if precision == "float32" else 0.05
    assert nats == pytest.approx(exact, rel=wrong / 5)
    assert len(values) == len(exact_values)
    for a, b in zip(values, exact_values, strict=True):
        assert a.dtype == torch.float32
        assert torch.linalg.vector_norm(a - b) <= wrong * torch.linalg.vector_norm(b)


def gradient_of(
    corpus: Corpus, config: Any, *, side_by_side: bool, parts: int
) -> tuple[float, list[torch.Tensor]]:
    """Of two batches, one after the other."""
    torch.manual_seed(0)
    network = CharLM(config.model, len(corpus.vocab))
    gradient, batches = gradient_on(corpus, network, config), make_batches(config, corpus)
    if not side_by_side:
        gradient._workers = None
    gradient.parts = parts
    torch.manual_seed(1)  # what is dropped
    _, state = gradient(batches[0], None, 1)
    nats, state = gradient(batches[1], state, 2)
    states = state if isinstance(state, tuple) else (state,)
    return nats, [*states, *(p.grad for p in network.parameters() if p.grad is not None)]


@pytest.mark.parametrize(
    "settings",
    [
        {"model": {"rnn_type": "lstm", "dropout": 0.3}},
        {"model": {"rnn_type": "gru", "num_layers": 2}},
        {"model": {"rnn_type": "rnn", "embedding_size": 0}},
        {"model": {"rnn_type": "lstm", "implementation": "scratch", "tied": True}},
        {"model": {"rnn_type": "gru", "bidirectional": True}},
        {"model": {"rnn_type": "lstm"}, "training": {"sampled": 2}},
    ],
    ids=str,
)
def test_side_by_side_is_one_after_the_other_to_the_last_bit(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any, settings: dict[str, Any]
) -> None:
    corpus = make_corpus(nonsense(2000))
    model, training = settings["model"], {"batch_size": 5, **settings.get("training", {})}
    if model.get("tied"):
        model = {**model, "embedding_size": tiny_config().model.hidden_size}
    config = tiny_config(model=model, training={**training, "parts": 3})
    nats, found = gradient_of(corpus, config, side_by_side=True, parts=3)
    for parts in (3, 1):
        other_nats, other = gradient_of(corpus, config, side_by_side=False, parts=parts)
        if parts == 3:
            assert nats == other_nats
        for a, b in zip(found, other, strict=True):
            if parts == 3:
                assert torch.equal(a, b)
            else:
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_an_error_in_a_part_is_the_step_s_error(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    corpus, config = make_corpus(nonsense(2000)), tiny_config(training={"parts": 2})
    gradient = gradient_on(corpus, CharLM(config.model, len(corpus.vocab)), config)
    monkeypatch.setattr(gradient.model, "read", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        gradient(make_batches(config, corpus)[0], None, 1)


def test_when_a_part_fails_no_other_is_still_at_work(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Out of memory side by side, the parts are taken one after the other, and all is as ever."""
    corpus, config = make_corpus(nonsense(2000)), tiny_config(training={"parts": 2})
    network, batch = CharLM(config.model, len(corpus.vocab)), make_batches(config, corpus)[0]
    expected, _ = gradient_on(corpus, network, config)(batch, None, 1)
    gradient, read, at_work = gradient_on(corpus, network, config), network.read, []
    order = []

    def short_of_memory(ids: torch.Tensor, *others: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            assert not at_work
            return read(ids, *others)
        order.append(len(order))
        if order[-1] == 0:
            raise MemoryError
        at_work.append(ids)
        time.sleep(0.2)
        at_work.pop()
        return read(ids, *others)

    monkeypatch.setattr(network, "read", short_of_memory)
    nats, _ = gradient(batch, None, 1)
    assert nats == expected
    assert gradient.parts == 2


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_step_of_the_cells_from_scratch_is_that_of_torch_s(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any, cell: str, parts: int
) -> None:
    """By the fused optimiser, which reads a gradient as if it lay as its parameter does."""
    corpus, found = make_corpus(nonsense(2000)), []
    for implementation in ("torch", "scratch"):
        config = tiny_config(
            model={"rnn_type": cell, "implementation": implementation}, training={"parts": parts}
        )
        torch.manual_seed(0)
        network = CharLM(config.model, len(corpus.vocab))
        gradient = gradient_on(corpus, network, config)
        optimizer = OPTIMIZERS["adamw"](network, config.training)
        for k in range(2):
            gradient(make_batches(config, corpus)[k], None, k + 1)
            for parameter in network.parameters():
                assert parameter.grad is not None
                assert parameter.grad.stride() == parameter.stride()
            optimizer.step(1e-3)
        found.append([p.detach() for p in network.parameters()])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=1e-3)
