"""charlm info"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from charlm.cli.inputs import how_to_use, load_run
from charlm.cli.options import json_option
from charlm.cli.output import print_json, show
from charlm.config import Config
from charlm.errors import typed

if TYPE_CHECKING:
    from charlm.run import Run


@click.command()
@click.argument("run", required=False)
@json_option
def info(run: str | None, as_json: bool) -> None:
    """Show the card of a model: what it is, what it was trained on, what it reached, how to use it.

    Without RUN: $CHARLM_MODEL, or the newest run below ./runs.
    """
    from charlm.settings import to_dict

    opened = load_run(run)
    if as_json:
        print_json(
            {
                "run": str(opened.path),
                "parameters": _parameters(opened),
                "vocab_size": len(opened.vocab),
                "corpus": dict(opened.corpus_record),
                "trained": opened.facts,
                "config": to_dict(opened.config),
            }
        )
        return
    lines = [f"  {name:<12}{text}\n" for name, text in _lines(opened)]
    show(f"{opened.path}\n{''.join(lines)}")


def _parameters(run: "Run") -> int:
    return sum(array.size for array in run.weights.values())


def _lines(run: "Run") -> Iterator[tuple[str, str]]:
    from charlm.run import train_perplexity_name

    model, corpus, facts = run.config.model, run.corpus_record, run.facts
    inputs = f"embedding {model.embedding_size}" if model.embedding_size else "one-hot input"
    layers = f"{model.num_layers} layer{'s' * (model.num_layers > 1)} of {model.hidden_size} units"
    layers += " each way" if model.bidirectional else ""
    yield "model", f"{model.rnn_type.upper()}, {layers}, {inputs}, {_parameters(run):,} parameters"
    yield "text", ", ".join(f"{key} {value}" for key, value in _preparation(run))
    yield "vocabulary", f"{len(run.vocab):,} tokens"
    parts = ", ".join(f"{name} {size:,}" for name, size in corpus["splits"].items() if size)
    yield "corpus", f"{corpus['path']}: {parts} (SHA-256 {corpus['sha256'][:12]}…)"
    done = f"{facts['step']:,} steps, {facts['epochs']:g} epochs, {facts['seconds']:g} s"
    precision = facts.get("precision", run.config.training.precision)
    name = train_perplexity_name(model)
    about = "about " * run.config.training.is_sampled(len(run.vocab))
    yield "trained", f"{done} in {precision}, {name.replace('_', ' ')} {about}{facts[name]:.3f}"
    yield "validation", _validation(facts["valid"])
    yield "holds", _text_held(run)
    yield "use", how_to_use(run.path, model)
    if not model.bidirectional:
        yield "", f"charlm evaluate -m {typed(run.path)} TEXT"


def _text_held(run: "Run") -> str:
    """What whoever is given the run is given with it."""
    from charlm.data.corpus import is_corpus
    from charlm.run import CONFIG, CORPUS

    places = [f"{CORPUS}/"] if is_corpus(run.path / CORPUS) else []
    places += [CONFIG] if run.config.data.text is not None else []
    if not places:
        return "no training text"
    held = " and ".join(places)
    return f"its whole training text, in {held}: leave that out to share the model alone"


def _preparation(run: "Run") -> Iterator[tuple[str, Any]]:
    """How the text was cleaned, and what else was done to it that is not always done."""
    for key, value in vars(run.config.text).items():
        if value not in (False, None):
            yield key, value
    usual = Config().data
    for key, value in vars(run.config.data).items():
        if key not in ("input", "text") and value != getattr(usual, key):
            yield key, " ".join(value) if isinstance(value, tuple) else value


def _validation(valid: dict[str, Any] | None) -> str:
    if valid is None:
        return "none: the weights are those of the last step"
    figures = {key: value for key, value in valid.items() if type(value) in (int, float)}
    part = "" if valid.get("whole", True) else " (over the beginning of the part)"
    return ", ".join(f"{k.replace('_', ' ')} {v:,.6g}" for k, v in figures.items()) + part
