"""What a model loses by its precision is measured as `charlm evaluate` does."""

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig, TrainingConfig
from charlm.data.vocab import Vocab
from charlm.evaluation.evaluator import evaluate
from charlm.export import loss
from charlm.export.loss import masked_nats_per_token, nats_per_token
from charlm.model.network import CharLM, weights_of

V = 7
VOCAB = Vocab("char", ("<unk>", *"abcdef"), (1,) * V)


@pytest.mark.parametrize("tokens", [2, 100, 700, 9000])
def test_it_is_that_of_one_pass(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    monkeypatch.setattr(loss, "LEAD", 100)
    torch.manual_seed(0)
    config = ModelConfig(hidden_size=12, embedding_size=4)
    model = CharLM(config, V)
    with torch.no_grad():
        model.head.weight *= 5
    ids = np.random.default_rng(0).integers(V, size=tokens).astype(np.uint8)
    expected = evaluate(model, ids, VOCAB, streams=1).nats_per_token
    assert nats_per_token(config, weights_of(model), ids) == pytest.approx(expected, abs=1e-5)


def test_of_a_model_that_fills_it_is_that_of_masked_tokens() -> None:
    config = ModelConfig(hidden_size=12, embedding_size=4, bidirectional=True)
    model = CharLM(config, V)
    ids = np.random.default_rng(0).integers(V, size=600).astype(np.uint8)
    nats = masked_nats_per_token(config, weights_of(model), ids, VOCAB, TrainingConfig())
    assert nats == pytest.approx(np.log(V), abs=0.2)
