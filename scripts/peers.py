"""The usual ways of doing things, with which bench_speed compares."""

from collections.abc import Callable

import numpy as np

from charlm.config import Config, ModelConfig
from charlm.data.vocab import UNK, Vocab
from charlm.model.shapes import expected_shapes

VOCAB = Vocab("char", (UNK, *map(chr, range(32, 97))), (0,) + (1,) * 65)


def weights(config: ModelConfig) -> dict[str, np.ndarray]:
    generator, scale = np.random.default_rng(0), config.hidden_size**-0.5
    shapes = expected_shapes(config, len(VOCAB))
    return {
        name: (scale * generator.standard_normal(shape)).astype(np.float32)
        for name, shape in shapes.items()
    }


def usual_way(config: ModelConfig) -> Callable[[int], None]:
    import torch

    from charlm.model.network import CharLM

    model = CharLM(config, len(VOCAB)).eval()

    def generate(length: int) -> None:
        ids, state = torch.zeros(1, 1, dtype=torch.int64), None
        with torch.no_grad():
            for _ in range(length):
                logits, state = model(ids, state)
                ids = torch.multinomial(torch.softmax(logits[-1], dim=-1), 1)

    return generate


def bare_products(config: ModelConfig) -> Callable[[int], None]:
    made = weights(config)
    matrices = [np.ascontiguousarray(made[f"rnn.weight_hh_l{k}"].T)
                for k in range(config.num_layers)]  # fmt: skip
    matrices += [np.ascontiguousarray(made[f"rnn.weight_ih_l{k}"].T)
                 for k in range(1, config.num_layers)]  # fmt: skip
    vector = np.ones((1, config.hidden_size), np.float32)
    result = np.empty((1, matrices[0].shape[1]), np.float32)

    def multiply(length: int) -> None:
        for _ in range(length):
            for matrix in matrices:
                np.matmul(vector, matrix, out=result)

    return multiply


def bare_training(config: Config, vocab_size: int) -> Callable[[], None]:
    """A step of the same layers, written as anyone would."""
    import torch
    from torch import nn
    from yardsticks import layers_step

    model, training = config.model, config.training
    embedding = nn.Embedding(vocab_size, model.embedding_size)
    cell = {"lstm": nn.LSTM, "gru": nn.GRU}[model.rnn_type]
    rnn = cell(model.embedding_size, model.hidden_size)
    head = nn.Linear(model.hidden_size, vocab_size)
    parameters = [*embedding.parameters(), *rnn.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, fused=True)
    ids = torch.randint(vocab_size, (training.seq_len + 1, training.batch_size))
    step, state = layers_step(embedding, rnn, head, optimizer), None

    def train() -> None:
        nonlocal state
        state = step(ids[:-1], ids[1:], state)

    return train


USUAL_PREPARATION = """
import sys, numpy as np
text = open(sys.argv[1], encoding="utf-8", newline="").read()
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
ids = [stoi[c] for c in text]
np.array(ids, dtype=np.uint16).tofile(sys.argv[2])
"""

# The weights are made and saved where the file is not there yet.
USUAL_GENERATION = """
import pathlib, sys, torch
from safetensors.torch import load_file, save_file
from torch import nn
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(66, 64)
        self.rnn = nn.LSTM(64, 256)
        self.head = nn.Linear(256, 66)
model, path = Model(), pathlib.Path(sys.argv[1])
if not path.exists():
    save_file(model.state_dict(), path)
model.load_state_dict(load_file(path))
ids, state, text = torch.zeros(1, 1, dtype=torch.int64), None, []
with torch.no_grad():
    for _ in range(int(sys.argv[2])):
        outputs, state = model.rnn(model.embedding(ids), state)
        ids = torch.multinomial(torch.softmax(model.head(outputs[-1]), dim=-1), 1)
        text.append(chr(32 + ids.item()))
print("".join(text))
"""
