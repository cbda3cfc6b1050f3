"""A run folder opened for use: config, vocabulary, and the weights as NumPy arrays. No torch.

config.json         everything resolved
vocab.json
model.safetensors   the best weights so far
checkpoints/        last and previous: all that training needs to go on
metrics.jsonl       one line a validation, and more
samples.txt         what the model wrote as it learned
corpus/             where the run was trained from texts
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import charlm
from charlm.config import Config
from charlm.data.corpus import Corpus, open_corpus
from charlm.data.splits import SPLITS
from charlm.data.vocab import Vocab
from charlm.errors import CharlmError, ModelError
from charlm.model.shapes import check_shapes, expected_shapes
from charlm.settings import configured, to_dict
from charlm.storage.files import naming, write_json
from charlm.storage.tensors import Arrays, read_tensors

RUN_FORMAT = 1
CONFIG, VOCAB, MODEL, METRICS, SAMPLES = (
    "config.json", "vocab.json", "model.safetensors", "metrics.jsonl", "samples.txt",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    path: Path
    config: Config
    vocab: Vocab
    # How the run names its corpus: {"path": ..., "sha256": ...}, relative to the run where inside.
    corpus_record: Mapping[str, Any]

    @cached_property
    def _model(self) -> tuple[Arrays, dict[str, Any]]:
        path = self.path / MODEL
        weights, facts = read_tensors(path)
        _check_facts(path, facts)
        if facts["vocab"] != self.vocab.sha256:
            raise ModelError(
                f"{self.path / VOCAB} is not the vocabulary that {path} was trained with: its "
                f"SHA-256 is {self.vocab.sha256[:12]}…, the model's {facts['vocab'][:12]}…"
            )
        check_shapes(path, weights, expected_shapes(self.config.model, len(self.vocab)))
        return weights, facts

    @property
    def weights(self) -> Arrays:
        """The best weights, by the names of `CharLM.state_dict`."""
        return self._model[0]

    @property
    def facts(self) -> dict[str, Any]:
        """What was known when the weights were saved: step, epochs, validation figures."""
        return self._model[1]

    def open_corpus(self) -> Corpus:
        """The corpus that the run was trained on. Raises DataError if it is gone or another."""
        corpus = open_corpus(self.path / self.corpus_record["path"])
        if corpus.sha256 != self.corpus_record["sha256"]:
            raise ModelError(
                f"{corpus.folder} is not the corpus of {self.path}: its SHA-256 is "
                f"{corpus.sha256[:12]}…, the run's {self.corpus_record['sha256'][:12]}…"
            )
        return corpus


def is_run(path: Path) -> bool:
    return (path / CONFIG).is_file()


def open_run(path: Path) -> Run:
    """Open a run. Raises ModelError naming what is missing or wrong; nothing in it is executed."""
    if not path.is_dir():
        what = f"looks like {_guess(path)}" if path.exists() else "there is no such folder"
        raise ModelError(f"{path} is not a charlm run ({what})")
    record = _read_json(path / CONFIG, path)
    if not isinstance(record, dict) or not isinstance(record.get("format"), int):
        raise ModelError(f'{path / CONFIG} is not a run\'s config: it has no "format"')
    if record["format"] > RUN_FORMAT:
        raise ModelError(f"{path} was made by a newer charlm (format {record['format']})")
    try:
        config = configured(Config(), record["config"])
        corpus = _checked_record(record["corpus"])
    except (CharlmError, KeyError, TypeError, AttributeError) as error:
        problem = error if isinstance(error, CharlmError) else repr(error)
        raise ModelError(f"{path / CONFIG}: {problem}") from None
    return Run(path, config, Vocab.load(path / VOCAB), corpus)


# What a model says of itself, beside what was measured.
FACTS: dict[str, tuple[type, ...]] = {
    "format": (int,), "vocab": (str,), "step": (int,), "epochs": (int, float),
    "seconds": (int, float), "valid": (dict, type(None)),
}  # fmt: skip


def _check_facts(path: Path, facts: dict[str, Any]) -> None:
    if isinstance(facts.get("format"), int) and facts["format"] > RUN_FORMAT:
        raise ModelError(f"{path} was made by a newer charlm (format {facts['format']})")
    for key, kinds in FACTS.items():
        if not isinstance(facts.get(key), kinds):
            raise ModelError(f"{path}: its {key!r} is {facts.get(key)!r}")


def _checked_record(record: dict[str, Any]) -> dict[str, Any]:
    """The corpus's record with the types that its readers rely on; KeyError or TypeError if not."""
    splits = {name: int(record["splits"][name]) for name in SPLITS}
    return {"path": str(record["path"]), "sha256": str(record["sha256"]), "splits": splits}


def save_run(folder: Path, config: Config, corpus: Corpus, corpus_path: str) -> None:
    """Make `folder` a run that has not been trained yet.

    corpus_path: where the corpus will be found, absolute or relative to the run.
    """
    record = {"path": corpus_path, "sha256": corpus.sha256, "splits": corpus.splits}
    corpus.vocab.save(folder / VOCAB)
    write_json(folder / CONFIG, config_record(config, record))


def config_record(config: Config, corpus: Mapping[str, Any]) -> dict[str, Any]:
    """What config.json holds. corpus: how the run names its corpus."""
    return {
        "format": RUN_FORMAT,
        "charlm": charlm.__version__,
        "config": to_dict(config),
        "corpus": dict(corpus),
    }


def _read_json(path: Path, run: Path) -> Any:
    with naming(path):
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError:
            raise ModelError(f"{run} is not a charlm run (it has no {path.name})") from None
        except (ValueError, RecursionError):
            raise ModelError(f"{path} is not JSON") from None


def _guess(path: Path) -> str:
    start = path.read_bytes()[:4] if path.is_file() else b""
    if start[:2] == b"PK":
        return "a zip, or what torch.save writes"
    if start[:1] == b"\x80":
        return "a pickle"
    return "a single file, not a folder"
