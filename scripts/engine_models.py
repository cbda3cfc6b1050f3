"""Models of every kind that a page's engine reads, drawn at random: how they write is what counts.

The tests hold the engine to them by Node, scripts/check_pages in a browser.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from charlm.config import Config
from charlm.data.vocab import UNK, Vocab
from charlm.generation.stepper import Stepper
from charlm.model.network import CharLM
from charlm.settings import configured

LETTERS = "\n abcdefghijklmnopqrstuvwxyz,.'ABC"
CHINESE = "\n" + "".join(map(chr, range(0x4E00, 0x4E00 + 2655)))
WORDS = ("a", "few", "words", "the", "and", "of", "to", "king", "said")
MARKED = (*WORDS, "\n", "don't", ",", ".", "(", ")", "-", "-↔", '"→', '"', ",␣")
# Of models whose symbols are words.
LEVELS = {"gru of words": "word", "lstm of words and line breaks": "word+breaks",
          "gru of words and marks": "word+breaks+punctuation",
          "lstm that fills words": "word+punctuation"}  # fmt: skip
STEPS = 200
MODELS: dict[str, tuple[dict[str, Any], Sequence[str]]] = {
    "rnn": ({"rnn_type": "rnn"}, LETTERS),
    "rnn relu": ({"rnn_type": "rnn", "nonlinearity": "relu"}, LETTERS),
    "gru": ({"rnn_type": "gru"}, LETTERS),
    "gru of three layers": ({"rnn_type": "gru", "num_layers": 3}, LETTERS),
    "lstm": ({}, LETTERS),
    "lstm of two layers": ({"num_layers": 2}, LETTERS),
    "lstm of three layers": ({"num_layers": 3, "bias": False}, LETTERS),
    "lstm with a projection": ({"num_layers": 2, "proj_size": 14}, LETTERS),
    "lstm of one-hot input": ({"embedding_size": 0}, LETTERS),
    "lstm tied": ({"embedding_size": 30, "tied": True}, LETTERS),
    "lstm of Chinese": ({"hidden_size": 64, "embedding_size": 32}, CHINESE),
    "gru of words": ({"rnn_type": "gru"}, WORDS),
    "lstm of words and line breaks": ({}, (*WORDS, "\n")),
    "gru of words and marks": ({"rnn_type": "gru"}, MARKED),
    "lstm that fills words": ({"bidirectional": True}, MARKED),
    "lstm that fills": ({"bidirectional": True}, LETTERS),
    "gru that fills, of two layers": (
        {"bidirectional": True, "rnn_type": "gru", "num_layers": 2}, LETTERS
    ),
}  # fmt: skip


def model_of(settings: dict[str, Any], vocab_size: int) -> tuple[Config, CharLM]:
    changes = {"hidden_size": 30, "embedding_size": 10, "init": "torch", **settings}
    config = configured(Config(), {"model": changes})
    torch.manual_seed(2)  # of which no model's likeliest text is one symbol for ever
    model = CharLM(config.model, vocab_size).eval()
    with torch.no_grad():
        # As far from even as a trained model's; and weights that tell states apart, without which
        # the likeliest symbol would be the same at every step.
        model.head.weight *= 4
        model.head.bias *= 0.2
        for name, weight in model.rnn.named_parameters():
            if config.model.nonlinearity == "relu":
                weight *= 0.5 if name.startswith("weight_hh") else 1
            else:
                weight *= 3 if name.startswith("weight") else 0.5
    return config, model


def model_called(name: str) -> tuple[Config, Vocab, CharLM]:
    """One of MODELS, and its vocabulary."""
    settings, alphabet = MODELS[name]
    counts = (0, *range(len(alphabet), 0, -1))
    vocab = Vocab(LEVELS.get(name, "char"), (UNK, *alphabet), counts)
    config, model = model_of(settings, len(vocab))
    return config, vocab, model


def some_logits(stepper: Stepper, vocab_size: int) -> tuple[list[int], npt.NDArray[np.float32]]:
    """Ids drawn at random, and the logits after each, (STEPS, V)."""
    ids = np.random.default_rng(0).integers(1, vocab_size, STEPS).tolist()
    state = stepper.start()
    return ids, np.concatenate([stepper.step([i], state).copy() for i in ids])
