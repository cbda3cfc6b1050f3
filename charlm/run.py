"""A run folder opened for use: config, vocabulary, and the weights as NumPy arrays. No torch.

config.json         everything resolved
vocab.json
model.safetensors   the best weights so far
checkpoints/        last and previous: all that training needs to go on
metrics.jsonl       one line a validation, and more
samples.txt         what the model wrote as it learned
curves.svg          the course of the training, where matplotlib was there to draw it
events.out.…        the same for TensorBoard, where that was asked for
corpus/             where the run was trained from texts

To read one, links in it are followed: who put a run together by hand may keep its weights on a
larger disk. To train in it, they are refused (`refuse_links_in`): a run from a stranger may hold
links that lead to the user's own files.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import charlm
from charlm.config import Config, ModelConfig
from charlm.data.corpus import Corpus, open_corpus
from charlm.data.record import check_same, checked_record, corpus_record, find_corpus
from charlm.data.text import check_text
from charlm.data.vocab import Vocab, unknown_in
from charlm.errors import CharlmError, DataError, ModelError
from charlm.model.shapes import check_shapes, expected_shapes
from charlm.settings import configured, to_dict
from charlm.storage.files import exists, is_file, is_folder, naming, refuse_links, write_json
from charlm.storage.tensors import Arrays, read_facts, read_tensors

RUN_FORMAT = 3
CONFIG, VOCAB, MODEL, METRICS, SAMPLES = (
    "config.json", "vocab.json", "model.safetensors", "metrics.jsonl", "samples.txt",
)  # fmt: skip
CURVES, EVENTS = "curves.svg", "events.out.tfevents.0.charlm"
CHECKPOINTS, LAST, PREVIOUS = "checkpoints", "last.safetensors", "previous.safetensors"
CORPUS = "corpus"


@dataclass(frozen=True)
class Run:
    """A run.

    corpus_record: how it names its corpus (data/record.py).
    corpus_at: where the corpus is, where the user says so.
    """

    path: Path
    config: Config
    vocab: Vocab
    corpus_record: Mapping[str, Any]
    corpus_at: Path | None = None

    @cached_property
    def _model(self) -> tuple[Arrays, dict[str, Any]]:
        path = self.path / MODEL
        weights, facts = read_tensors(path)
        _check_facts(path, facts, train_perplexity_name(self.config.model))
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

    def glance(self) -> dict[str, Any]:
        """`facts`, at a glance: whether the weights are whole is not asked. Raises ModelError."""
        path = self.path / MODEL
        facts = read_facts(path)
        _check_facts(path, facts, train_perplexity_name(self.config.model))
        return facts

    def open_corpus(self) -> Corpus:
        """The corpus that the run was trained on; opened, and checked, once.

        Raises DataError if it is gone, ModelError if it is another.
        """
        return self._corpus

    @cached_property
    def _corpus(self) -> Corpus:
        if self.corpus_at is None:
            return find_corpus(self.path, self.corpus_record, self.vocab)
        corpus = open_corpus(self.corpus_at)
        return check_same(corpus, self.path, self.corpus_record, self.vocab)


def train_perplexity_name(model: ModelConfig) -> str:
    """What the perplexity of the last epoch is called."""
    return "train_masked_perplexity" if model.bidirectional else "train_perplexity"


def is_run(path: Path) -> bool:
    return is_file(path / CONFIG)


def refuse_links_in(path: Path) -> None:
    """Refuse to train in a run that has a link in the place of any of its files and folders.

    Raises ModelError.
    """
    names = CONFIG, VOCAB, MODEL, METRICS, SAMPLES, CURVES, EVENTS, CORPUS, CHECKPOINTS
    refuse_links(*(path / name for name in names))
    refuse_links(*(path / CHECKPOINTS / name for name in (LAST, PREVIOUS)))


def open_run(path: Path, corpus: Path | None = None) -> Run:
    """Open a run. Raises ModelError naming what is missing or wrong; nothing in it is executed.

    corpus: where the user says that its corpus is.
    """
    if not is_folder(path):
        what = f"looks like {_guess(path)}" if exists(path) else "there is no such folder"
        raise ModelError(f"{path} is not a charlm run ({what})")
    record = _read_json(path / CONFIG, path)
    if not isinstance(record, dict) or not isinstance(record.get("format"), int):
        raise ModelError(f'{path / CONFIG} is not a run\'s config: it has no "format"')
    if record["format"] > RUN_FORMAT:
        raise ModelError(f"{path} was made by a newer charlm (format {record['format']})")
    if unknown := record.keys() - {"format", "charlm", "config", "corpus"}:
        raise ModelError(f"{path / CONFIG}: {min(unknown)!r} is nothing that a run says of itself")
    try:
        config = configured(Config(), record["config"])
        check_text(config.text)
    except (CharlmError, KeyError, TypeError, ValueError, AttributeError) as error:
        problem = error if isinstance(error, CharlmError) else f'"config" is none ({error!r})'
        raise ModelError(f"{path / CONFIG}: {problem}") from None
    try:
        checked = checked_record(record["corpus"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f'{path / CONFIG}: "corpus" is not what a run says of its corpus ({error!r})'
        ) from None
    if not is_file(path / VOCAB):
        raise ModelError(f"{path} is not a charlm run (it has no {VOCAB})")
    return Run(path, config, Vocab.load(path / VOCAB), checked, corpus)


def need_direction(run: Run, *, bidirectional: bool) -> None:
    """Refuse a model of the kind that the command cannot use. Raises ModelError."""
    if run.config.model.bidirectional and not bidirectional:
        raise ModelError(
            f"{run.path} is a bidirectional model: it has read the characters after a gap, so it "
            "can neither continue a text nor give a perplexity; use charlm fill"
        )
    if bidirectional and not run.config.model.bidirectional:
        raise ModelError(
            f"{run.path} reads from left to right alone, and cannot fill a gap from both sides; "
            "train a model with --bidirectional, or use charlm generate"
        )


def check_known(text: str, run: Run, what: str, instead: str = "") -> None:
    """Refuse a text with tokens that the model lacks, listing them. Raises DataError."""
    if unknown := unknown_in(text, run.vocab):
        raise DataError(
            f"{what} has what {run.path} does not know: {unknown}; leave it out{instead}"
        )


# What a model says of itself, beside what was measured.
FACTS: dict[str, tuple[type, ...]] = {
    "format": (int,), "vocab": (str,), "step": (int,), "epochs": (int, float),
    "seconds": (int, float), "valid": (dict, type(None)),
}  # fmt: skip


def _check_facts(path: Path, facts: dict[str, Any], train_perplexity: str) -> None:
    if isinstance(facts.get("format"), int) and facts["format"] > RUN_FORMAT:
        raise ModelError(f"{path} was made by a newer charlm (format {facts['format']})")
    for key, kinds in {**FACTS, train_perplexity: (int, float)}.items():
        if not isinstance(facts.get(key), kinds):
            raise ModelError(f"{path}: its {key!r} is {facts.get(key)!r}")
    for key, value in (*facts.items(), *(facts["valid"] or {}).items()):
        # A whole number beyond all floats is none that anybody measured.
        if isinstance(value, int) and abs(value) > sys.maxsize:
            raise ModelError(f"{path}: its {key!r} is beyond all measure")


def save_run(
    folder: Path,
    config: Config,
    corpus: Corpus,
    corpus_path: str,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Make `folder` a run that has not been trained yet.

    corpus_path: where the corpus will be found, absolute or relative to the run. about: what is
    known of its text beside (data/record.py).
    """
    corpus.vocab.save(folder / VOCAB)
    record = corpus_record(folder, corpus, corpus_path, about)
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
    if not is_file(path):
        raise ModelError(f"{run} is not a charlm run (it has no {path.name})")
    with naming(path):
        try:
            return json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            raise ModelError(f"{path} is not JSON") from None


def _guess(path: Path) -> str:
    start = b""
    if is_file(path):
        with naming(path), path.open("rb") as file:
            start = file.read(2)
    if start[:2] == b"PK":
        return "a zip, or what torch.save writes"
    if start[:1] == b"\x80":
        return "a pickle"
    return "a single file, not a folder"
