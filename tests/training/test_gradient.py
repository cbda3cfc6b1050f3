"""The gradient of a batch, in either precision."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from charlm.data.corpus import Corpus
from charlm.model.device import trains_in
from charlm.model.network import CharLM
from charlm.training.gradient import Gradient
from charlm.training.trainer import make_batches


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
        gradient, batches = Gradient(network, config), make_batches(config, corpus)
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
