import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.model.extension import extended_weights
from charlm.model.network import CharLM, load_weights, weights_of

SHAPES = [
    {},
    {"rnn_type": "gru", "embedding_size": 0, "num_layers": 2},
    {"tied": True, "embedding_size": 6},
    {"tied": True, "embedding_size": 4, "proj_size": 4},
    {"bidirectional": True, "num_layers": 2},
    {"bidirectional": True, "embedding_size": 0, "rnn_type": "rnn"},
]
KNOWN, MORE = 7, 3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_of_known_symbols_it_says_what_it_said(shape: dict[str, object]) -> None:
    config = ModelConfig(**{"hidden_size": 6, "embedding_size": 5, **shape})  # type: ignore[arg-type]
    old, new = CharLM(config, KNOWN), CharLM(config, KNOWN + MORE)
    fresh = weights_of(new)
    found = extended_weights(config, weights_of(old), fresh)
    load_weights(new, found)
    ids = torch.tensor([[0, 6], [3, 1], [2, 5]])
    masked = ids.clone()
    if config.bidirectional:
        ids[1], masked[1] = KNOWN, KNOWN + MORE
    with torch.inference_mode():
        torch.testing.assert_close(new(masked)[0][..., :KNOWN], old(ids)[0])
    # And what is new begins as a new model would.
    assert np.array_equal(found["head.bias"][KNOWN:], fresh["head.bias"][KNOWN:])
    if config.embedding_size:
        rows = slice(KNOWN, KNOWN + MORE)
        assert np.array_equal(found["embedding.weight"][rows], fresh["embedding.weight"][rows])
