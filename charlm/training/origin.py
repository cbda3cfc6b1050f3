"""A training that begins with the weights of another model: what it takes over, what it tells.

The symbols that the other model knows keep their ids and weights. Those that are new have weights
drawn anew, and in the head the biases that a new model would begin with. Where most of the text is
new, all have such biases: what the other model thinks likely is next to never there.
"""

from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.config import Config
from charlm.data.corpus import Corpus
from charlm.data.extension import share_known
from charlm.data.folder import listed
from charlm.data.splits import LEAST_TOKENS
from charlm.data.vocab import UNK_ID, Ids, describe_token
from charlm.data.words import unit_of
from charlm.errors import CharlmError
from charlm.evaluation.metrics import Score
from charlm.model.extension import extended_weights
from charlm.model.network import CharLM, load_weights, open_model, weights_of
from charlm.run import Run
from charlm.training.frequencies import counts_of, log_frequencies
from charlm.training.recipes import MOSTLY_KNOWN
from charlm.training.validator import validation_score

# Of a held-out part, so many tokens are scored for each second that the training is to take: three
# such looks cost little of it.
LOOK_TOKENS = 250.0
# And no more, whatever the time is: it is held in memory.
MOST_LOOKED_AT = 1 << 22
# New symbols that are named.
NAMED = 8
# Where biases begin anew, no symbol is thought to be rarer: what the text lacks stays within reach.
LEAST_BIAS = -8.0


@dataclass(frozen=True)
class Memory:
    """What a model has kept of the text that it learned before. name: of that text."""

    name: str
    before: Score
    after: Score

    def __str__(self) -> str:
        before, after = self.before.nats_per_token, self.after.nats_per_token
        unit = unit_of(self.before.level)
        change = "nothing forgotten" if after <= before else f"{after - before:.4f} forgotten"
        return (
            f"the text before ({self.name}), {self.before.tokens:,} {unit}s of it: "
            f"{before:.4f} nats per {unit} at first, {after:.4f} now, {change}"
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "text": self.name, "before": self.before.to_dict(), "after": self.after.to_dict(),
        }  # fmt: skip


class Origin:
    """The model that a training of `corpus` by `config` begins with."""

    def __init__(self, run: Run, corpus: Corpus, config: Config) -> None:
        self.run, self._corpus, self._config = run, corpus, config
        self._model = open_model(run, config.training.device)
        # That of a look at the old text, when it has been taken.
        self.seconds = 0.0

    def begin(self, model: CharLM) -> None:
        """Give a model of the corpus's vocabulary its first weights."""
        fresh = weights_of(model)
        counts = counts_of(self._corpus.split("train"), len(self._corpus.vocab))
        fresh["head.bias"] = log_frequencies(counts)
        weights = extended_weights(self._config.model, self.run.weights, fresh)
        if share_known(self._corpus.vocab, len(self.run.vocab)) < MOSTLY_KNOWN:
            weights["head.bias"] = np.maximum(fresh["head.bias"], LEAST_BIAS)
        load_weights(model, weights)

    def told(self) -> list[str]:
        """What there is to say before it begins."""
        unit = unit_of(self.run.vocab.level)
        lines = [f"begins with the weights of {self.run.path}; {self._news(unit)}"]
        valid = self._cut(self._corpus.split("valid"))
        if len(valid) >= LEAST_TOKENS:
            score = self._score(self._model, self._read_by_old(valid))
            lines.append(f"what it makes of this text's held-out part: {score}")
        if self._old_part is not None:
            began = perf_counter()
            lines.append(f"and of that of its own text: {self._at_first}")
            self.seconds = perf_counter() - began
        return lines

    def _news(self, unit: str) -> str:
        """Which symbols are new."""
        vocab, known = self._corpus.vocab, len(self.run.vocab)
        if len(vocab) == known:
            return f"it knows every {unit} of this text"
        new = sorted(zip(vocab.tokens[known:], vocab.counts[known:], strict=True),
                     key=lambda symbol: -symbol[1])  # fmt: skip
        named = listed([f"{describe_token(token)} ({count:,})" for token, count in new], NAMED)
        are = f"{unit} is" if len(new) == 1 else f"{unit}s are"
        return f"{len(new):,} {are} new to it: {named}"

    @cached_property
    def _old_part(self) -> Ids | None:
        """What the old text held out; None where it is gone, or held nothing out."""
        try:
            part = self._cut(self.run.open_corpus().split("valid"))
        except CharlmError:
            return None
        return part if len(part) >= LEAST_TOKENS else None

    @cached_property
    def _at_first(self) -> Score | None:
        return None if self._old_part is None else self._score(self._model, self._old_part)

    def memory(self, run: Run) -> Memory | None:
        """What the run's model knows of the old text, where that is still there."""
        if self._old_part is None or self._at_first is None:
            return None
        after = self._score(open_model(run, self._config.training.device), self._old_part)
        name = self.run.corpus_record.get("name", self.run.path.name)
        return Memory(name, self._at_first, after)

    def _score(self, model: CharLM, ids: Ids) -> Score:
        # Of ids that both vocabularies know alike.
        return validation_score(model, ids, self.run.vocab, self._config)

    def _read_by_old(self, ids: Ids) -> npt.NDArray[np.int64]:
        """The ids as the old model knows them."""
        return np.where(ids < len(self.run.vocab), ids, UNK_ID).astype(np.int64)

    def _cut(self, part: Ids) -> Ids:
        training = self._config.training
        most = min(MOST_LOOKED_AT, training.eval_tokens or len(part))
        if training.time:
            most = min(most, int(LOOK_TOKENS * training.time))
        return part[:most]
