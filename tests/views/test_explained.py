import pytest

from charlm.config import Config
from charlm.model.shapes import parameters
from charlm.settings import configured
from charlm.views.explained import WIDTH, explained

SHAPES = [
    {"rnn_type": "rnn", "nonlinearity": "relu"},
    {"rnn_type": "gru", "embedding_size": 0, "num_layers": 2},
    {"proj_size": 64, "tied": True},
    {"rnn_type": "lstm", "bidirectional": True, "num_layers": 12, "hidden_size": 1_000_000},
    {"rnn_type": "gru", "bias": False},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_holds_in_80_cells_and_tells_the_whole(shape: dict[str, object]) -> None:
    config = configured(Config(), {"model": shape})
    text = explained(config, 66, 1234)
    assert all(len(line) <= WIDTH and line == line.rstrip() for line in text.splitlines())
    assert f"{parameters(config.model, 66):,} in all" in text


def test_what_a_learner_reads_of_an_lstm() -> None:
    lines = [line.strip() for line in explained(Config(), 66, 1234).splitlines()]
    for line in (
        "H  256  hidden units of a layer",
        "c' = f * c + i * g                       the cell, which is remembered",
        "layer 1   T × B × H  32 × 32 × 256",
        "rnn.weight_hh_l0  4H × H  1024 × 256  262,144",
        "layer 1: U h  (T, B, H) by (H, 4H)    268,435,456",
        "back          the gradients           705,691,648",
        "adamw          4,936  what it keeps from step to step",
    ):
        assert line in lines
