"""A model as a folder for others: what it takes to use it, and nothing of its training.

model.safetensors   the weights, by the names of torch.nn
config.json         every setting; nothing of where things were
layers.json         the layers of torch.nn, each with its arguments
vocab.json          the tokens in the order of their ids
README.md           the card, with what a hub of models reads at its head
charlm_loader.py    reads it all in plain torch

It is a run too: charlm takes it as one.
"""

import dataclasses
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from charlm.card import Card, card_of
from charlm.config import Config, ModelConfig
from charlm.data.record import about_text
from charlm.data.words import PUNCTUATION
from charlm.export.written import Written
from charlm.model.shapes import input_symbols
from charlm.run import CONFIG, CORPUS, MODEL, VOCAB, Run, config_record
from charlm.storage.files import write_bytes, write_json
from charlm.storage.folders import new_folder
from charlm.storage.tensors import write_tensors
from charlm.views.card import as_markdown

CARD, LAYERS, LOADER = "README.md", "layers.json", "charlm_loader.py"
# What one kind of cell alone is asked.
_OWN = {"rnn": ("nonlinearity",), "lstm": ("proj_size",)}
_LIBRARIES = "torch and safetensors"


def write_folder(run: Run, path: Path, use: Sequence[str], *, replace: bool = False) -> Written:
    """Make the folder at `path`, whole or not at all.

    use: commands that show what the model can do. replace: another such folder that is there is
    replaced. Raises ModelError where the weights cannot be used, UsageError where something is in
    the way, FileSystemError.
    """
    with new_folder(path, replace=replace, marks=(LOADER,)) as folder:
        config = _shared(run.config)
        write_tensors(folder / MODEL, run.weights, run.facts)
        write_json(folder / CONFIG, config_record(config, _corpus(run)))
        write_json(folder / LAYERS, _layers(config.model, len(run.vocab)))
        run.vocab.save(folder / VOCAB)
        card = dataclasses.replace(card_of(run, exact=True), path=path, config=config, holds=())
        write_bytes(
            folder / CARD, _readme(card, use, run.vocab.level).encode("utf-8", "surrogatepass")
        )
        write_bytes(folder / LOADER, files("charlm.export").joinpath("loader.txt").read_bytes())
        names = (MODEL, CONFIG, LAYERS, VOCAB, CARD, LOADER)
        sizes = {name: (folder / name).stat().st_size for name in names}
    told = (
        f"{sum(sizes.values()) / 1e6:,.2f} MB: a run for charlm, and for all else {LOADER}, which "
        f"needs {_LIBRARIES}"
    )
    return Written(told, {"bytes": sum(sizes.values()), "files": list(sizes)})


def _shared(config: Config) -> Config:
    """The settings without the text, and without paths: those are of the machine it was made on."""
    data = dataclasses.replace(config.data, input=(), text=None, val=None, test=None, vocab=None)
    return dataclasses.replace(config, data=data)


def _layers(model: ModelConfig, vocab_size: int) -> dict[str, object]:
    """What the loader makes the model of: the layers of torch.nn, each with its arguments."""
    symbols = input_symbols(model, vocab_size)
    width = model.embedding_size or symbols
    names = ("hidden_size", "num_layers", "bias", "bidirectional", *_OWN.get(model.rnn_type, ()))
    embedding = {"num_embeddings": symbols, "embedding_dim": width}
    outputs = model.directions * model.output_size
    return {
        "embedding": embedding if model.embedding_size else None,
        "cell": model.rnn_type.upper(),
        "rnn": {"input_size": width} | {name: getattr(model, name) for name in names},
        "head": {"in_features": outputs, "out_features": vocab_size},
        "tied": model.tied,
    }


def _corpus(run: Run) -> dict[str, object]:
    """The record of its corpus, which is not there: where it would be, if it were put beside."""
    record = run.corpus_record
    kept = {key: record[key] for key in ("sha256", "splits", "digests")}
    return {"path": CORPUS, **about_text(record), **kept}


def _readme(card: Card, use: Sequence[str], level: str) -> str:
    model = card.config.model
    fills = model.bidirectional
    tags = ("charlm", "character-level" if card.config.text.level == "char" else "word-level")
    head = ["library_name: pytorch", f"pipeline_tag: {'fill-mask' if fills else 'text-generation'}"]
    head += ["tags:", *(f"- {tag}" for tag in (*tags, model.rnn_type, "recurrent"))]
    call = (
        "logits, _ = model(ids)  # ids (T, B)" + ", of a gap V" * fills
        if fills or PUNCTUATION in level
        else 'print(model.generate("Once", length=200, temperature=0.8, seed=7))'
    )
    code = f"from {LOADER.removesuffix('.py')} import load\n\nmodel = load()\n{call}\n"
    return (
        "---\n" + "\n".join(head) + f"\n---\n\n{as_markdown(card, use)}\n"
        f"In plain torch, in this folder, with {_LIBRARIES}:\n\n```python\n{code}```\n"
    )
