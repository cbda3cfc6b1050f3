"""What there is to say of a run: what it is, what it was trained on, what it reached. No torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from charlm.config import Config
from charlm.data.corpus import is_corpus
from charlm.data.scripts import scripts
from charlm.errors import CharlmError
from charlm.evaluation.baselines import baselines
from charlm.evaluation.metrics import perplexity_of
from charlm.run import CONFIG, CORPUS, Run
from charlm.settings import to_dict


@dataclass(frozen=True)
class Validation:
    """How well the kept weights did on the validation part, or on its beginning (not `whole`).

    nats: per token. unit: what a token is. masked: of tokens seen from both sides.
    """

    nats: float
    tokens: int
    unit: str = "character"
    masked: bool = False
    whole: bool = True

    @property
    def bits(self) -> float:
        return self.nats / math.log(2)

    @property
    def perplexity(self) -> float:
        return perplexity_of(self.nats)


@dataclass(frozen=True)
class Beside:
    """Nats per token of simple models of the same training part.

    tokens: over so many of the validation part, from its beginning; None: at a glance, when the
    training began, and so about.
    """

    nats: Mapping[str, float]
    tokens: int | None = None


@dataclass(frozen=True)
class Card:
    """The facts of a run. What an older charlm did not record is not there, or None.

    scripts: share of each in the letters of its text. corpus: how it names its corpus
    (data/record.py). trained: what was known when its weights were saved (`Run.facts`).
    holds: where in the run its training text is.
    """

    path: Path
    config: Config
    vocab_size: int
    parameters: int
    scripts: Mapping[str, float]
    corpus: Mapping[str, Any]
    trained: Mapping[str, Any]
    validation: Validation | None
    beside: Beside | None
    holds: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the run's folder."""
        return self.path.resolve().name

    @property
    def charlm(self) -> str | None:
        """The version that trained it."""
        return text_of(self.trained.get("charlm"))

    @property
    def saved(self) -> str | None:
        """When its weights were, as ISO 8601 has it."""
        return text_of(self.trained.get("saved"))

    @property
    def conditions(self) -> dict[str, str | int]:
        """torch, processor, threads and device of its training."""
        found = self.trained.get("conditions")
        known = found.items() if isinstance(found, dict) else ()
        return {key: value for key, value in known if type(value) in (str, int)}

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "run": str(self.path),
            "parameters": self.parameters,
            "vocab_size": self.vocab_size,
            "scripts": dict(self.scripts),
            "corpus": dict(self.corpus),
            "trained": dict(self.trained),
            "baselines": dict(self.beside.nats) if self.beside else None,
            "baselines_tokens": self.beside.tokens if self.beside else None,
            "holds_text": list(self.holds),
            "config": to_dict(self.config),
        }


def card_of(run: Run, *, exact: bool = False) -> Card:
    """The card of a run. Reads its weights. Raises ModelError where they cannot be used.

    exact: where its corpus is at hand, the baselines are of all that the model was scored on; that
    takes seconds.
    """
    seen = validation_of(run.facts)
    at_hand = _exact_beside(run, seen) if exact and seen else None
    return Card(
        path=run.path,
        config=run.config,
        vocab_size=len(run.vocab),
        parameters=sum(array.size for array in run.weights.values()),
        scripts=scripts(run.vocab),
        corpus=run.corpus_record,
        trained=run.facts,
        validation=seen,
        beside=at_hand or _recorded_beside(run),
        holds=_text_held(run),
    )


def validation_of(facts: Mapping[str, Any]) -> Validation | None:
    """From the facts of a model; None where it was not validated, or they have no such figures."""
    figures = facts.get("valid") or {}
    for name, unit, plural in (("char", "character", "characters"), ("word", "word", "words")):
        for prefix in ("", "masked_"):
            nats = figures.get(f"{prefix}nats_per_{name}")
            tokens = figures.get(f"{prefix}{plural}")
            if _measured(nats) and type(tokens) is int and tokens > 0:
                whole = bool(figures.get("whole", True))
                return Validation(float(nats), tokens, unit, bool(prefix), whole)
    return None


def _measured(nats: object) -> TypeGuard[float]:
    return isinstance(nats, int | float) and math.isfinite(nats) and nats >= 0


def _recorded_beside(run: Run) -> Beside | None:
    recorded = run.corpus_record.get("baselines", {})
    known = {name: recorded[name] for name in ("unigram", "order_5") if name in recorded}
    return Beside(known) if known else None


def _exact_beside(run: Run, seen: Validation) -> Beside | None:
    """None where the corpus is not at hand, and for a model that sees both sides."""
    if seen.masked:
        return None
    try:
        corpus = run.open_corpus()
        train, valid = corpus.split("train"), corpus.split("valid")
    except CharlmError:
        return None
    if not len(train) or len(valid) < 2:
        return None
    found = baselines(train, valid[: seen.tokens + 1], run.vocab)
    nats = {"unigram": found.unigram, "order_5": found.order_5, "xz": found.xz}
    known = {name: value for name, value in nats.items() if value is not None}
    return Beside(known, found.tokens)


def _text_held(run: Run) -> tuple[str, ...]:
    """Where whoever is given the run is given its text with it."""
    places = [f"{CORPUS}/"] if is_corpus(run.path / CORPUS) else []
    places += [CONFIG] if run.config.data.text is not None else []
    return tuple(places)


def text_of(value: object) -> str | None:
    return value if isinstance(value, str) else None
