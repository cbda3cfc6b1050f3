from itertools import product
from math import prod

import pytest
import torch

from charlm.config import Config, ModelConfig
from charlm.model.arithmetic import activations_of, parameters_of, products_of, sizes_of
from charlm.model.network import CharLM
from charlm.model.shapes import expected_shapes
from charlm.settings import configured

SHAPES = [
    *({"rnn_type": cell, "num_layers": layers} for cell, layers in product(("rnn", "gru"), (1, 3))),
    {"rnn_type": "lstm"},
    {"proj_size": 3, "num_layers": 2},
    {"tied": True, "embedding_size": 6},
    {"tied": True, "embedding_size": 4, "proj_size": 4},
    {"embedding_size": 0, "rnn_type": "gru"},
    {"bidirectional": True, "num_layers": 2},
    {"bidirectional": True, "embedding_size": 0, "proj_size": 2},
    {"bias": False, "rnn_type": "gru"},
]


def config_of(shape: dict[str, object]) -> Config:
    model = {"hidden_size": 6, "embedding_size": 5, **shape}
    return configured(Config(), {"model": model, "training": {"batch_size": 2, "seq_len": 4}})


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_tensors_are_those_of_the_network(shape: dict[str, object]) -> None:
    config = config_of(shape)
    network = CharLM(config.model, 7)
    told = {t.name: t.shape for t in parameters_of(config.model, sizes_of(config, 7))}
    tied = {"head.weight"} if config.model.tied else set()
    state = {k: tuple(v.shape) for k, v in network.state_dict().items() if k not in tied}
    assert told == state == expected_shapes(config.model, 7)
    assert sum(map(prod, told.values())) == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_a_window_becomes_is_what_the_network_makes_of_it(shape: dict[str, object]) -> None:
    config = config_of(shape)
    network, sizes = CharLM(config.model, 7), sizes_of(config, 7)
    told = {t.name: t.shape for t in activations_of(config.model, sizes)}
    ids = torch.zeros(4, 2, dtype=torch.long)
    outputs, state = network.read(ids)
    states = state if isinstance(state, tuple) else (state,)
    assert told["ids"] == ids.shape
    assert told[f"layer {config.model.num_layers}"] == outputs.shape
    assert told["logits"] == network(ids)[0].shape
    assert [told[name] for name in ("state h", "state c") if name in told] == [
        tuple(part.shape) for part in states
    ]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_matrix_is_multiplied_by_once_for_every_symbol_that_is_read(
    shape: dict[str, object],
) -> None:
    config = config_of(shape)
    sizes = sizes_of(config, 7)
    products = list(products_of(config, sizes))
    matrices = [
        t.numbers for t in parameters_of(config.model, sizes)
        if len(t.shape) == 2 and (t.name != "embedding.weight" or config.model.tied)
    ]  # fmt: skip
    assert sum(p.multiply_adds for p in products) == 2 * 4 * sum(matrices)
    assert all(p.back == 2 * p.multiply_adds for p in products[1:])
    assert products[0].back == products[0].multiply_adds * (1 + (config.model.embedding_size > 0))


def test_a_step_against_a_sample_of_the_symbols_is_counted_so() -> None:
    config = configured(config_of({}), {"training": {"sampled": 8}})
    sizes = sizes_of(config, 100)
    *_, head = products_of(config, sizes)
    assert (head.matrix, head.multiply_adds) == (("H", "S"), 2 * 4 * 6 * 8)
    assert parameters_of(ModelConfig(), sizes)[0].axes == ("V", "E")


def test_no_gradient_is_counted_of_what_is_frozen() -> None:
    frozen = {"training": {"freeze": "recurrent"}}
    config = configured(config_of({"embedding_size": 0, "num_layers": 2}), frozen)
    first, *layers, head = products_of(config, sizes_of(config, 7))
    # Of one-hot input the first matrix stands for the symbols.
    assert first.back == first.multiply_adds
    assert all(p.back == p.multiply_adds for p in layers)
    assert head.back == 2 * head.multiply_adds
