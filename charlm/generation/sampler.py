"""Sampler: rules on logits, one draw, and the texts that come of it. No torch.

A sample's random numbers depend on the seed and on its own index alone, so the third of three
samples is the third of ten: to the letter for as few as `Stepper` multiplies one by one, else until
a draw hangs on the last bit of a sum.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from charlm.config import GenerationConfig
from charlm.data.vocab import UNK_ID, Vocab

# No logit of a model at work is as far from zero. A state that grows from step to step, as that of
# an RNN of relu units can, passes it long before it is infinite.
OVERFLOW = 1e9

# (B, V), each row's largest 0; what is ruled out at -inf. A rule leaves the largest in place.
Logits = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float64]  # (B,), or (B, V)
Rule = Callable[[Logits], Logits]


class Engine(Protocol):
    """What steps a model: `Stepper`, or `TorchStepper` on a GPU.

    take: the streams of these rows, in this order; the state that they come from is used up.
    """

    def start(self, streams: int = 1) -> Any: ...
    def take(self, state: Any, rows: Sequence[int]) -> Any: ...
    def step(self, ids: Any, state: Any) -> npt.NDArray[np.float32]: ...
    def read(self, ids: Any, state: Any) -> npt.NDArray[np.float32]: ...


def with_temperature(value: float) -> Rule:
    """Below 1 the likely become likelier; 0 leaves the likeliest alone."""
    if value == 0:
        return with_top_k(1)

    def rule(logits: Logits) -> Logits:
        # 1e-300 is a temperature too: what it takes below every number becomes -inf.
        with np.errstate(over="ignore"):
            return logits / value

    return rule


def with_top_k(k: int) -> Rule:
    """The k likeliest; of equals, those with the smaller ids."""

    def rule(logits: Logits) -> Logits:
        size = logits.shape[1]
        if k >= size:
            return logits
        least = np.partition(logits, size - k, axis=1)[:, size - k]
        return _likeliest(logits, least, np.full(len(logits), k))

    return rule


def with_top_p(p: float) -> Rule:
    """The likeliest until their probabilities sum to p (nucleus sampling, Holtzman et al. 2020)."""

    def rule(logits: Logits) -> Logits:
        ranked = -np.sort(-logits, axis=1)
        sums = np.exp(ranked).cumsum(axis=1)
        # As many as have less than p before them, so that the one that reaches p is kept.
        counts = 1 + (sums[:, :-1] < p * sums[:, -1:]).sum(axis=1)
        return _likeliest(logits, ranked[np.arange(len(ranked)), counts - 1], counts)

    return rule


def _likeliest(logits: Logits, least: Numbers, counts: npt.NDArray[np.intp]) -> Logits:
    """So many (B,) of each row, the last of them at `least` (B,); of equals, the smaller ids.

    No ranking of ids is needed for it, which takes the most time in a large vocabulary.
    """
    kept = logits >= least[:, None]
    if np.count_nonzero(kept) > np.add.reduce(counts):
        equal = logits == least[:, None]
        wanted = counts - (kept & ~equal).sum(axis=1)
        kept &= ~equal | (equal.cumsum(axis=1) <= wanted[:, None])
    return np.where(kept, logits, -np.inf)


def with_min_p(share: float) -> Rule:
    """Those at least `share` times as likely as the likeliest."""
    return lambda logits: np.where(logits >= np.log(share), logits, -np.inf)


# Setting -> (the value that means "no rule", what makes the rule); applied in this order. To add a
# rule: its function, its line here, and its field in GenerationConfig, which makes it an option.
RULES: dict[str, tuple[float, Callable[[Any], Rule]]] = {
    "temperature": (1.0, with_temperature),
    "top_k": (0, with_top_k),
    "top_p": (1.0, with_top_p),
    "min_p": (0.0, with_min_p),
}


def rules_of(settings: GenerationConfig) -> list[Rule]:
    """The rules that the settings ask for."""
    return [
        make(getattr(settings, name))
        for name, (no_rule, make) in RULES.items()
        if getattr(settings, name) != no_rule
    ]


def relative(
    logits: npt.NDArray[np.floating[Any]],
) -> tuple[Logits, Numbers]:
    """What rules work on, in double precision, and each row's largest, by which it was shifted."""
    largest = np.maximum.reduce(logits, axis=1)
    return np.subtract(logits, largest[:, None], dtype=np.float64), largest


def cumulated(logits: Logits) -> Numbers:
    """(B, V): the cumulative distribution of each row, up to a factor."""
    sums: Numbers = np.add.accumulate(np.exp(logits), axis=1)
    return sums


def draw(sums: Numbers, uniform: Sequence[float]) -> list[int]:
    """One place a row, by inverting a cumulative distribution at a number in [0, 1)."""
    return [_inverted(row, number) for row, number in zip(sums, uniform, strict=True)]


def _inverted(row: Numbers, number: float) -> int:
    total = row.item(-1)
    # Right of equals: what has probability zero, the same sum as before, is never hit.
    place = int(row.searchsorted(number * total, "right"))
    return place if place < len(row) else int(row.searchsorted(total))


class Dice:
    """Uniform random numbers in [0, 1) of one sample, drawn in blocks."""

    BLOCK = 256

    def __init__(self, seed: int, index: int) -> None:
        self._generator = np.random.default_rng((seed, index))
        self._numbers: list[float] = []

    def roll(self) -> float:
        if not self._numbers:
            self._numbers = self._generator.random(self.BLOCK)[::-1].tolist()
        return self._numbers.pop()


@dataclass
class Sample:
    """A continuation in the making. Text that may turn out to begin a stop text is held back.

    nats: of the tokens that stand in `text` whole, under the model itself, before any rule; NaN of
    a sampler that is not asked for them.
    stop_reason: "length", "stop", or "overflow", where the model's numbers grew beyond bounds.
    """

    vocab: Vocab
    stops: tuple[str, ...]
    # Whether a word of this text comes after another word.
    follows: bool
    nats: float = 0.0
    stop_reason: str | None = None
    _shown: list[str] = field(default_factory=list, repr=False)
    _held: str = field(default="", repr=False)
    # Of the tokens that are not shown whole: where each ends in `_held`, and its nats.
    _ends: list[tuple[int, float]] = field(default_factory=list, repr=False)

    @property
    def text(self) -> str:
        return "".join(self._shown) + self._held

    def add(self, token: int, nats: float) -> str:
        """Take a token; the text that can be shown because of it."""
        text = self._held + self.vocab.tokens[token]
        if self.vocab.level == "word" and (self.follows or self._shown):
            text = f"{self._held} {self.vocab.tokens[token]}"
        if not self.stops:
            self.nats += nats
            self._shown.append(text)
            return text
        self._ends.append((len(text), nats))
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
        self.nats += sum(nats for end, nats in self._ends if end <= len(text))
        self._ends = [(end - len(text), nats) for end, nats in self._ends if end > len(text)]
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
        """scored: whether somebody reads the samples' `nats`, which are NaN if not."""
        self._scored = scored
        self._engine, self._vocab, self._settings = engine, vocab, settings
        self._rules = rules_of(settings)

    def first_id(self) -> int:
        """What stands before a text without a prefix: a line break, or the commonest token."""
        newline = self._vocab["\n"]
        return newline or max(range(1, len(self._vocab)), key=self._vocab.counts.__getitem__)

    def start(self, prefix: Sequence[int]) -> list[Sample]:
        """The samples that `stream` will fill."""
        return [
            Sample(self._vocab, self._settings.stop, follows=len(prefix) > 0)
            for _ in range(self._settings.num_samples)
        ]

    def stream(
        self, prefix: Sequence[int], samples: list[Sample], seed: int
    ) -> Iterator[tuple[int, str]]:
        """Fill `samples`, yielding (index of the sample, new text) as the texts grow.

        prefix: the ids that the model reads first. A sample that has ended leaves the batch.
        """
        dice = [Dice(seed, index) for index in range(len(samples))]
        running = list(range(len(samples)))
        state = self._engine.start()
        logits = self._engine.read(list(prefix) or [self.first_id()], state)
        if not np.isfinite(logits).all():
            yield from ((index, sample.end("overflow")) for index, sample in enumerate(samples))
            return
        state, logits = self._engine.take(state, [0] * len(samples)), logits[[0] * len(samples)]
        for _ in range(self._settings.length):
            tokens, surprises = self._draw(logits, dice)
            ended = False
            for index, token, nats in zip(running, tokens, surprises, strict=True):
                sample = samples[index]
                yield index, sample.end("overflow") if nats is None else sample.add(token, nats)
                ended = ended or sample.stop_reason is not None
            if ended:
                going = [row for row, i in enumerate(running) if samples[i].stop_reason is None]
                if not going:
                    return
                running = [running[row] for row in going]
                tokens = [tokens[row] for row in going]
                dice = [dice[row] for row in going]
                state = self._engine.take(state, going)
            logits = self._engine.step(tokens, state)
        for index in running:
            yield index, samples[index].end("length")

    def _draw(
        self, logits: npt.NDArray[np.float32], dice: list[Dice]
    ) -> tuple[list[int], list[float | None]]:
        """A token for each row, and its surprise in nats under the model; None: an overflow."""
        # All but <unk>, which is never drawn and comes first.
        model, largest = relative(logits[:, UNK_ID + 1 :])
        allowed = model
        for rule in self._rules:
            allowed = rule(allowed)
        places = draw(cumulated(allowed), [die.roll() for die in dice])
        nats = [math.nan] * len(places)
        if self._scored:
            sums = np.add.reduce(np.exp(model), axis=1)
            log_sums = np.logaddexp(
                np.log(sums), np.subtract(logits[:, UNK_ID], largest, dtype=np.float64)
            )
            nats = [
                log_sum - model.item(row, place)
                for row, (log_sum, place) in enumerate(zip(log_sums.tolist(), places, strict=True))
            ]
        surprises = [
            its if abs(top) < OVERFLOW else None
            for its, top in zip(nats, largest.tolist(), strict=True)
        ]
        return [UNK_ID + 1 + place for place in places], surprises
