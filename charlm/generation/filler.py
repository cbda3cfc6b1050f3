"""Fill gaps with a bidirectional model: the surest place first, several fillings at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from charlm.data.vocab import UNK_ID, Vocab
from charlm.generation.shared_reader import SharedReader
from charlm.generation.stepper import READ_AT_ONCE
from charlm.model.cells import State
from charlm.model.network import CharLM, map_state

# Fillings followed side by side, at least; more are kept where more are asked for.
BEAM = 8
# What is read at once, in tokens, and worked out for their gaps, in logits.
TOKENS_AT_ONCE, LOGITS_AT_ONCE = 1 << 15, 1 << 24


@dataclass(frozen=True)
class Filling:
    """A text without gaps, and the probability of what was put into them."""

    ids: tuple[int, ...]
    log_probability: float

    @property
    def probability(self) -> float:
        return math.exp(self.log_probability)


@dataclass
class Beam:
    """Some ways to fill a text, all of them with as many gaps left.

    texts: (B, T), from the first gap of the text to its last; totals: (B,) nats of what was put in.
    begin, end: the part of the texts that still has gaps; state: what the model's two directions
    come with to its two ends, if it has one layer. Of several, the upper ones read both directions
    of the lower ones, and so have to read the whole text anew: then the texts are whole.
    """

    texts: Tensor
    totals: Tensor
    begin: int
    end: int
    state: State | None = None


class Filler:
    """Fills one place after another, each time the one that the model is surest of.

    What has been filled is read when the next place is, so the probability of a filling is a
    product of conditional ones, in the order in which its places were filled.
    """

    def __init__(self, model: CharLM, vocab: Vocab) -> None:
        self._model, self._vocab = model, vocab
        self._mask = model.vocab_size
        self._device = model.head.weight.device
        self._shared: SharedReader | None = None

    @torch.inference_mode()
    def fill(self, ids: Sequence[int | None], count: int = 1) -> list[Filling]:
        """The `count` best fillings of a text in which None is a place to fill, best first."""
        was_training = self._model.training
        self._model.eval()
        try:
            # Anew each time: the weights may have changed.
            model = self._model
            self._shared = SharedReader(model) if SharedReader.can_read(model) else None
            text = torch.tensor([[self._mask if i is None else i for i in ids]])
            begin, beam = self._begun(text)
            for _ in range(sum(i is None for i in ids)):
                beam = self._extended(beam, max(BEAM, count))
        finally:
            self._model.train(was_training)
        whole = text.repeat(len(beam.texts[:count]), 1)
        whole[:, begin : begin + beam.texts.shape[1]] = beam.texts[:count]
        totals = beam.totals[:count].tolist()
        return [Filling(tuple(row), n) for row, n in zip(whole.tolist(), totals, strict=True)]

    def _begun(self, text: Tensor) -> tuple[int, Beam]:
        """Where the part with gaps begins, and a beam of that part alone, nothing filled."""
        totals, gaps = torch.zeros(1, dtype=torch.float64), (text == self._mask)[0].nonzero()
        if self._model.config.num_layers > 1 or not len(gaps):
            return 0, Beam(text, totals, 0, text.shape[1])
        begin, end = int(gaps[0]), int(gaps[-1]) + 1
        state = self._read_on(None, text[:, :begin], 0)
        state = self._read_on(state, text[:, end:], 1)
        return begin, Beam(text[:, begin:end], totals, 0, end - begin, state)

    def _read_on(self, state: State | None, texts: Tensor, way: int) -> State | None:
        """The state when its direction 0 has read (B, T) tokens forwards, or 1 backwards."""
        if not texts.numel():
            return state
        pieces = torch.split(texts.T.to(self._device), READ_AT_ONCE)
        for piece in reversed(pieces) if way else pieces:
            _, after = self._model.read(piece, state)
            state = _with_way(state, after, way)
        return state

    def _extended(self, beam: Beam, width: int) -> Beam:
        """The best texts with one place more filled, of all that the texts of `beam` lead to."""
        places, scores = self._surest(beam)
        best = scores.topk(min(width, scores.shape[1]))
        values = beam.totals[:, None] + best.values
        chosen = _best_distinct(beam.texts, places, best.indices, values, width)
        parents, ranks = (torch.tensor(part) for part in zip(*chosen, strict=True))
        texts = beam.texts[parents]
        texts[torch.arange(len(texts)), places[parents]] = best.indices[parents, ranks]
        state = beam.state
        if state is not None:
            rows = parents.to(self._device)
            state = map_state(state, lambda part: part[:, rows])
        return self._narrowed(Beam(texts, values[parents, ranks], beam.begin, beam.end, state))

    def _narrowed(self, beam: Beam) -> Beam:
        """What has no gap left at the two ends is read once and for all."""
        gaps = (beam.texts == self._mask).any(0).nonzero()
        if self._model.config.num_layers > 1 or not len(gaps):
            return beam
        begin, end = int(gaps[0]), int(gaps[-1]) + 1
        state = self._read_on(beam.state, beam.texts[:, beam.begin : begin], 0)
        state = self._read_on(state, beam.texts[:, end : beam.end], 1)
        return Beam(beam.texts, beam.totals, begin, end, state)

    def _surest(self, beam: Beam) -> tuple[Tensor, Tensor]:
        """For each text the gap that the model is surest of (B,), and its log p there (B, V)."""
        texts = beam.texts[:, beam.begin : beam.end]
        gaps = int((texts == self._mask).any(0).sum())
        rows = min(
            TOKENS_AT_ONCE // texts.shape[1], LOGITS_AT_ONCE // (gaps * self._model.vocab_size)
        )
        places, scores = [], []
        for first in range(0, len(texts), max(1, rows)):
            part = slice(first, first + max(1, rows))
            state = beam.state
            if state is not None:
                state = map_state(state, partial(_rows, part=part))
            if self._shared is None:
                outputs, _ = self._model.read(texts[part].T.to(self._device), state)
            else:
                outputs = self._shared.read(beam.texts[part], beam.begin, beam.end, state)
            place, score = self._at_gaps(texts[part], outputs)
            places.append(place + beam.begin)
            scores.append(score)
        return torch.cat(places), torch.cat(scores)

    def _at_gaps(self, texts: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        gaps = (texts == self._mask).T
        some = gaps.any(1).nonzero()[:, 0]
        logits = self._model.head(outputs[some.to(self._device)])
        logits[..., UNK_ID] = -torch.inf
        sureness = (logits.amax(-1) - logits.logsumexp(-1)).cpu()
        best = sureness.masked_fill(~gaps[some], -torch.inf).argmax(0)
        rows = torch.arange(len(texts))
        # In double precision where it can be: not every device has it.
        return some[best], logits[best, rows].cpu().double().log_softmax(-1)


def _rows(whole: Tensor, part: slice) -> Tensor:
    return whole[:, part].contiguous()


def _with_way(before: State | None, after: State, way: int) -> State:
    """The state `after` in one of its two directions, and `before` (None: zero) in the other."""
    if isinstance(after, tuple):
        old = before if isinstance(before, tuple) else (None, None)
        h, c = (_part_with_way(b, a, way) for b, a in zip(old, after, strict=True))
        return h, c
    return _part_with_way(before if isinstance(before, Tensor) else None, after, way)


def _part_with_way(before: Tensor | None, after: Tensor, way: int) -> Tensor:
    part = torch.zeros_like(after) if before is None else before.clone()
    part[way] = after[way]
    return part


def _best_distinct(
    texts: Tensor, places: Tensor, tokens: Tensor, values: Tensor, width: int
) -> list[tuple[int, int]]:
    """The best of the texts that have tokens[row, rank] at places[row], as (row, rank).

    By text: of two ways to the same one, the likelier is taken.
    """
    rows, seen = texts.numpy(), set()
    chosen: list[tuple[int, int]] = []
    for number in values.flatten().argsort(descending=True, stable=True).tolist():
        row, rank = divmod(number, values.shape[1])
        if values[row, rank] == -torch.inf or len(chosen) == width:
            break
        text = rows[row].copy()
        text[places[row]] = tokens[row, rank]
        if (key := text.tobytes()) not in seen:
            seen.add(key)
            chosen.append((row, rank))
    return chosen
