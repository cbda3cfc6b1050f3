"""Dialogue: a text that somebody and a model write in turns, the model loaded once. No torch.

What is typed goes on from all that was written before. The text is kept as the state after it, and
the state before each turn is kept too, so that a turn can be taken back or taken otherwise.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.config import LARGEST_SEED, GenerationConfig
from charlm.data.vocab import UNK_ID, Vocab
from charlm.errors import ModelError, UsageError
from charlm.generation.engine import Engine
from charlm.generation.rules import Logits, relative, rules_of
from charlm.generation.sampler import Sampler

# What sets a turn apart from the text before it: the first that the model knows.
BREAKS = ("\n", " ")


@dataclass(frozen=True)
class Place:
    """Where a text stands: the state after all its tokens but the last, and the last (or none)."""

    state: Any
    last: tuple[int, ...] = ()


@dataclass(frozen=True)
class Turn:
    """Where the text stood before it, and the ids that were typed."""

    before: Place
    typed: tuple[int, ...]


@dataclass(frozen=True)
class Expected:
    """A token that may come next, its probability under the model, and as it is drawn."""

    token: str
    model: float
    drawn: float


class Onward:
    """An engine that starts from a state instead of from zero."""

    def __init__(self, engine: Engine, state: Any) -> None:
        self._engine, self._state = engine, state
        self.take, self.put = engine.take, engine.put
        self.step, self.read = engine.step, engine.read

    def start(self, streams: int = 1) -> Any:
        return self._engine.take(self._state, [0] * streams)


class Dialogue:
    """settings: as they are now; they may be replaced between two turns, as `seed` may, that of the
    next turn. Each turn takes the next seed."""

    def __init__(self, engine: Engine, vocab: Vocab, settings: GenerationConfig, seed: int) -> None:
        self._engine, self._vocab = engine, vocab
        self.settings, self.seed = settings, seed
        self._turns: list[Turn] = []
        self._place = Place(engine.start())

    def say(self, typed: Sequence[int]) -> Iterator[str]:
        """Go on with the text so far and the ids typed after it, none of them to go on as it is;
        the continuation as it grows. To leave off reading it is to end it there.

        Raises ModelError where the model cannot go on.
        """
        return self._write(Turn(self._place, tuple(typed)))

    def again(self) -> tuple[tuple[int, ...], Iterator[str]]:
        """Take the last turn back, and take it anew: what was typed, and the continuation.

        Raises UsageError where there was none.
        """
        turn = self.back()
        return turn.typed, self._write(turn)

    def back(self) -> Turn:
        """Take the last turn back, which is the answer. Raises UsageError where there is none."""
        if not self._turns:
            raise UsageError("nothing has been written yet")
        turn = self._turns.pop()
        self._place = turn.before
        return turn

    def begin(self) -> None:
        """Begin a new text."""
        self._turns.clear()
        self._place = Place(self._engine.start())

    def expect(self, typed: Sequence[int], count: int) -> list[Expected]:
        """The `count` likeliest tokens after the text so far and the ids typed after it."""
        engine = Onward(self._engine, self._place.state)
        prefix = self._prefix(Turn(self._place, tuple(typed)))
        logits = engine.read(prefix or [self._sampler(engine).first_id()], engine.start())
        model, _ = relative(logits[:, UNK_ID + 1 :])
        drawn = model
        for rule in rules_of(self.settings):
            drawn = rule(drawn)
        model, drawn = _probabilities(model), _probabilities(drawn)
        best = np.argsort(-model, kind="stable")[:count].tolist()
        tokens = self._vocab.tokens[UNK_ID + 1 :]
        return [Expected(tokens[i], float(model[i]), float(drawn[i])) for i in best]

    def _write(self, turn: Turn) -> Iterator[str]:
        engine = Onward(self._engine, turn.before.state)
        sampler = self._sampler(engine)
        prefix = self._prefix(turn)
        [sample] = samples = sampler.start(prefix)
        prefix = prefix or [sampler.first_id()]
        seed, self.seed = self.seed, (self.seed + 1) % (LARGEST_SEED + 1)
        try:
            for _, text in sampler.stream(prefix, samples, seed):
                yield text
        finally:
            if sample.stop_reason != "overflow":
                self._turns.append(turn)
                self._place = self._after(engine, [*prefix, *sample.ids])
        if sample.stop_reason == "overflow":
            raise ModelError(
                f"the state of this model grows beyond all bounds as it reads on (here, "
                f"{len(sample.text)} characters on): it has not learned to write longer texts"
            )

    def _sampler(self, engine: Engine) -> Sampler:
        return Sampler(engine, self._vocab, for_turns(self.settings), scored=False)

    def _prefix(self, turn: Turn) -> list[int]:
        """What is read after the state before a turn."""
        before = list(turn.before.last)
        if not before or not turn.typed:
            return [*before, *turn.typed]
        apart = next((self._vocab[token] for token in BREAKS if self._vocab[token]), None)
        between = [] if apart is None or before == [apart] else [apart]
        return [*before, *between, *turn.typed]

    def _after(self, engine: Onward, ids: Sequence[int]) -> Place:
        state = engine.start()
        if len(ids) > 1:
            engine.read(ids[:-1], state)
        return Place(state, tuple(ids[-1:]))


def for_turns(settings: GenerationConfig) -> GenerationConfig:
    """Without what is asked of whole texts, which turns are not: a match, a search, a number."""
    return dataclasses.replace(settings, num_samples=1, match=None, beam=0)


def _probabilities(logits: Logits) -> npt.NDArray[np.float64]:
    """(1, V) -> (V,)"""
    odds = np.exp(logits[0])
    shares: npt.NDArray[np.float64] = odds / odds.sum()
    return shares
