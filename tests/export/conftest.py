"""Runs of every kind of model, made without training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charlm.config import Config
from charlm.data.vocab import Vocab
from charlm.data.words import cut_as
from charlm.model.shapes import expected_shapes
from charlm.run import CONFIG, MODEL, RUN_FORMAT, VOCAB, Run, config_record, open_run
from charlm.run import train_perplexity_name as figure_name
from charlm.settings import configured
from charlm.storage.files import write_json
from charlm.storage.tensors import write_tensors

LETTERS = Vocab(
    "char", ("<unk>", "\n", *"abcdefghi éж三\U0001f600", "\ud800"), (0, *range(16, 0, -1))
)


def _scale(name: str) -> float:
    """Of weights with which states soon forget, as those of a trained model do, and symbols are
    told apart."""
    return 0.2 if "weight_hh" in name else 0.5 if name.startswith("rnn.") else 1.5


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """`make_run(vocab, **model settings)`: a folder below tmp_path."""

    def make(vocab: Vocab = LETTERS, name: str = "run", seed: int = 8, **model: Any) -> Run:
        changes = {"embedding_size": 8, "hidden_size": 12, **model}
        level, apart = cut_as(vocab.level)
        text = {"level": level, "split_punctuation": apart}
        config = configured(Config(), {"model": changes, "text": text})
        random = np.random.default_rng(seed)
        weights = {
            name: random.normal(0, _scale(name), shape).astype(np.float32)
            for name, shape in expected_shapes(config.model, len(vocab)).items()
        }
        facts = {
            "format": RUN_FORMAT, "vocab": vocab.sha256, "step": 1, "epochs": 1.0, "seconds": 1.0,
            "valid": None, figure_name(config.model): 2.0,
        }  # fmt: skip
        record = {"path": "corpus", "sha256": "ab" * 32, "digests": {},
                  "splits": {"train": 90, "valid": 10, "test": 0}}  # fmt: skip
        folder = tmp_path / name
        folder.mkdir()
        write_json(folder / CONFIG, config_record(config, record))
        vocab.save(folder / VOCAB)
        write_tensors(folder / MODEL, weights, facts)
        return open_run(folder)

    return make
