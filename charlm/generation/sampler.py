"""Sampler: draws from a model, and the texts that come of them. No torch.

A sample's random numbers depend on the seed and on its own index alone, so the third of three
samples is the third of ten: to the letter for as few as `Stepper` multiplies one by one, else until
a draw hangs on the last bit of a sum.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.config import GenerationConfig
from charlm.data.vocab import UNK_ID, Vocab
from charlm.generation.beam import search
from charlm.generation.drawing import Dice, Drawer, Hand
from charlm.generation.engine import Engine
from charlm.generation.guides import guides_of


@dataclass
class Sample:
    """A continuation in the making. Text that may turn out to begin a stop text is held back.

    nats: of the tokens that stand in `text` whole, under the model itself, before any rule; NaN of
    a sampler that is not asked for them. ids: the same tokens.
    stop_reason: "length", "stop", "match", "repeat", where whatever came next would have been a
    repetition, or "overflow", where the model's numbers grew beyond bounds.
    """

    vocab: Vocab
    stops: tuple[str, ...]
    # Whether a word of this text comes after another word.
    follows: bool
    nats: float = 0.0
    ids: list[int] = field(default_factory=list, repr=False)
    stop_reason: str | None = None
    # The token that this text comes after so far; where it is not known, a word like others.
    last: int | None = None
    _shown: list[str] = field(default_factory=list, repr=False)
    _held: str = field(default="", repr=False)
    # Of the tokens that are not shown whole: itself, where it ends in `_held`, and its nats.
    _ends: list[tuple[int, int, float]] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if self.follows and self.last is None:
            self.last = UNK_ID

    @property
    def text(self) -> str:
        return "".join(self._shown) + self._held

    def add(self, token: int, nats: float) -> str:
        """Take a token; the text that can be shown because of it."""
        text = self._held + self.vocab.piece(token, self.last)
        self.last = token
        if not self.stops:
            self.nats += nats
            self.ids.append(token)
            self._shown.append(text)
            return text
        self._ends.append((token, len(text), nats))
        # A stop text may span tokens, a word may hold it inside, and two may end together.
        found = [place for stop in self.stops if (place := text.find(stop)) >= 0]
        if found:
            self.stop_reason = "stop"
            return self._show(text[: min(found)], "")
        end = len(text) - max(_overlap(text, stop) for stop in self.stops)
        return self._show(text[:end], text[end:])

    def end(self, reason: str) -> str:
        """No token is to follow; the text held back."""
        self.stop_reason = reason
        return self._show(self._held, "")

    def _show(self, text: str, held: str) -> str:
        whole = [(token, nats) for token, end, nats in self._ends if end <= len(text)]
        self.ids += [token for token, _ in whole]
        self.nats += sum(nats for _, nats in whole)
        self._ends = [(token, end - len(text), nats)
                      for token, end, nats in self._ends if end > len(text)]  # fmt: skip
        self._shown.append(text)
        self._held = held
        return text


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` that `stop` begins with."""
    longest = min(len(stop) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)


class Sampler:
    """Continues a prefix, as one sample or as many side by side."""

    def __init__(
        self, engine: Engine, vocab: Vocab, settings: GenerationConfig, *, scored: bool = True
    ) -> None:
        """scored: whether somebody reads the samples' `nats`, which are NaN if not.

        Raises UsageError and ModelError where no text can follow the settings (`guides_of`)."""
        self._engine, self._vocab, self._settings = engine, vocab, settings
        self._drawer = Drawer(settings, scored=scored)
        self._guide = guides_of(settings, vocab)
        self._last_reason = "length" if settings.match is None else "match"

    def first_id(self) -> int:
        """What stands before a text without a prefix."""
        return self._vocab.opening

    def start(self, prefix: Sequence[int]) -> list[Sample]:
        """The samples that `stream` will fill."""
        return [
            Sample(
                self._vocab,
                self._settings.stop,
                follows=len(prefix) > 0,
                last=prefix[-1] if prefix else None,
            )
            for _ in range(self._settings.num_samples)
        ]

    def stream(
        self, prefix: Sequence[int], samples: list[Sample], seed: int
    ) -> Iterator[tuple[int, str]]:
        """Fill `samples`, yielding (index of the sample, new text) as the texts grow.

        prefix: the ids that the model reads first. A sample that has ended leaves the batch.
        """
        if self._settings.beam:
            yield from self._searched(prefix, samples)
            return
        hands = [
            Hand(Dice(seed, index), self._guide and self._guide(prefix), self._settings.length)
            for index in range(len(samples))
        ]
        running = list(range(len(samples)))
        state = self._engine.start()
        logits = self._engine.read(list(prefix) or [self.first_id()], state)
        if not np.isfinite(logits).all():
            yield from ((index, sample.end("overflow")) for index, sample in enumerate(samples))
            return
        state, logits = self._engine.take(state, [0] * len(samples)), logits[[0] * len(samples)]
        if len(samples) == 1:
            yield from self._alone(samples[0], hands, state, logits)
            return
        for _ in range(self._settings.length):
            drawn = self._drawer.draw(logits, hands)
            tokens, ended = [one.token for one in drawn], False
            for index, (token, nats, ends) in zip(running, drawn, strict=True):
                sample = samples[index]
                yield index, sample.end(ends) if ends else sample.add(token, nats)
                ended = ended or sample.stop_reason is not None
            if ended:
                going = [row for row, i in enumerate(running) if samples[i].stop_reason is None]
                if not going:
                    return
                running = [running[row] for row in going]
                tokens = [tokens[row] for row in going]
                hands = [hands[row] for row in going]
                state = self._engine.take(state, going)
            logits = self._engine.step(tokens, state)
        for index in running:
            yield index, samples[index].end(self._last_reason)

    def _alone(
        self, sample: Sample, hands: list[Hand], state: Any, logits: npt.NDArray[np.float32]
    ) -> Iterator[tuple[int, str]]:
        """What `stream` does, where it fills a single sample: without the lists."""
        draw, step = self._drawer.draw, self._engine.step
        for _ in range(self._settings.length):
            [(token, nats, ends)] = draw(logits, hands)
            yield 0, sample.end(ends) if ends else sample.add(token, nats)
            if sample.stop_reason is not None:
                return
            logits = step([token], state)
        yield 0, sample.end(self._last_reason)

    def _searched(self, prefix: Sequence[int], samples: list[Sample]) -> Iterator[tuple[int, str]]:
        """The likeliest texts, the best first; a search that finds fewer repeats its last."""
        read = list(prefix) or [self.first_id()]
        guide = self._guide and self._guide(prefix)
        found = search(self._engine, self._vocab, self._settings, read, guide, len(samples))
        for index, sample in enumerate(samples):
            steps, reason = found[min(index, len(found) - 1)]
            shown = [sample.add(token, nats) for token, nats in steps]
            if sample.stop_reason is None:
                shown.append(sample.end(reason))
            yield index, "".join(shown)
