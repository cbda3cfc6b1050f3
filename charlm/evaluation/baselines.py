"""What a perplexity is worth: the same characters by unigram, by five characters of context, by xz.

Each is fitted on the training part alone, and scored on what the model was scored on: every token
after the first. Of long texts a part is enough, and keeps memory and time within bounds.
"""

import lzma
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.data.vocab import Ids, Vocab
from charlm.data.words import unit_of
from charlm.evaluation.metrics import finite, perplexity_of

ORDER = 5
# A longer training part counts with its end, which is nearest to what is scored.
MOST_TOKENS = 8_000_000
XZ_TOKENS = 4_000_000
# At a glance, of the training part and of what is scored.
GLANCE_TOKENS = 200_000
# A longer text is scored as far as this.
MOST_SCORED = 1_000_000
# A packed size is in whole bytes: of a text much shorter than this it tells nothing.
LEAST_FOR_XZ = 1000
# Without a container, whose header and padding would count as text.
XZ_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6}]

Counts = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Baselines:
    """Nats per token of each over the first `tokens` that were scored; `whole`: over all.

    xz: None for a text too short for it. unit: what a token is.
    """

    unigram: float
    order_5: float
    xz: float | None
    tokens: int
    whole: bool = True
    unit: str = "character"

    def to_dict(self) -> dict[str, float | None]:
        return {**self._figures(), "tokens": self.tokens}

    def __str__(self) -> str:
        return ", ".join(
            f"{context_of(self.unit) if name == 'order_5' else name} {perplexity_of(nats):.3f}"
            for name, nats in self._figures().items()
            if nats is not None
        )

    def _figures(self) -> dict[str, float | None]:
        figures = {"unigram": self.unigram, "order_5": self.order_5, "xz": self.xz}
        return {name: finite(nats) for name, nats in figures.items()}


def baselines(train: Ids, scored: Ids, vocab: Vocab) -> Baselines:
    """For ids `scored` (N,), at least two, by what `train` has to teach."""
    part = scored[: MOST_SCORED + 1]
    by_order = interpolated(train[-MOST_TOKENS:], part, len(vocab), ORDER)
    packed = xz(train[-XZ_TOKENS:], part, vocab) if len(part) > LEAST_FOR_XZ else None
    return Baselines(
        by_order[0], by_order[ORDER], packed, len(part) - 1, len(part) == len(scored),
        unit_of(vocab.level),
    )  # fmt: skip


def context_of(unit: str) -> str:
    """What the baseline of order `ORDER` counts by, as people are told: in units."""
    return f"{ORDER} {unit}s of context"


def at_a_glance(train: Ids, valid: Ids, vocab_size: int) -> tuple[float, float]:
    """Nats per token of the unigram and the order-5 baseline on a beginning of `valid`.

    In a fraction of a second: they know the last tokens of `train` alone, and so are a little
    weaker than those of all of it.
    """
    part = valid[: GLANCE_TOKENS // 10]
    by_order = interpolated(train[-GLANCE_TOKENS:], part, vocab_size, ORDER)
    return by_order[0], by_order[ORDER]


def interpolated(train: Ids, scored: Ids, vocab_size: int, order: int) -> list[float]:
    """Nats per token with contexts of at most 0, 1, …, `order` tokens.

    Witten & Bell 1991: P_k(w | c) = (n(c w) + t(c) P_{k-1}(w | c')) / (n(c) + t(c)), where n counts
    in `train`, t(c) is the number of different tokens seen after c, and c' is c without its first.
    """
    tokens = np.concatenate([train, scored])
    begin = len(train)
    context = np.zeros(len(tokens), np.int32)
    probability = np.full(len(scored) - 1, 1 / vocab_size)
    nats = []
    for length in range(order + 1):
        # Contexts, and pairs of a context and a token, are numbers; a pair is the next context.
        pair, context_of_pair = _numbered(context, tokens, vocab_size)
        # No context spans both texts: the first tokens of each have too little before them.
        of_pair = _counts(pair[length:begin], len(context_of_pair))
        contexts = int(context.max()) + 1
        of_context = _counts(context[length:begin], contexts)
        different = _counts(context_of_pair[of_pair > 0], contexts)
        at = slice(begin + max(1, length), None)
        n, t = of_context[context[at]], different[context[at]]
        lower = probability[max(1, length) - 1 :]
        better = (of_pair[pair[at]] + t * lower) / np.maximum(n + t, 1)
        np.copyto(lower, better, where=n > 0)
        nats.append(float(-np.log(probability).mean()))
        context[0], context[1:] = 0, pair[:-1]
    return nats


def _numbered(context: Counts, tokens: Ids, vocab_size: int) -> tuple[Counts, Counts]:
    """The pairs of a context and the token after it (N,) as numbers, and the context of each."""
    largest = (int(context.max()) + 1) * vocab_size
    pairs: npt.NDArray[Any] = context.astype(np.int32 if largest < 1 << 31 else np.int64)
    pairs *= vocab_size
    pairs += tokens
    order = np.argsort(pairs)
    pairs = pairs[order]
    new = np.empty(len(pairs), np.bool_)
    new[0] = True
    np.not_equal(pairs[1:], pairs[:-1], out=new[1:])
    found = (pairs[new] // vocab_size).astype(np.int32)
    del pairs
    number = np.empty(len(tokens), np.int32)
    number[order] = np.cumsum(new, dtype=np.int32) - np.int32(1)
    return number, found


def _counts(numbers: Counts, size: int) -> Counts:
    return np.bincount(numbers, minlength=size).astype(np.int32)


def xz(train: Ids, scored: Ids, vocab: Vocab) -> float:
    """Nats per token by which the training text, packed by xz, grows with the scored one."""
    parts = [_decoded(ids, vocab) for ids in (train, scored)]
    packed = [len(lzma.compress(text, format=lzma.FORMAT_RAW, filters=XZ_FILTERS))
              for text in (parts[0], b"".join(parts))]  # fmt: skip
    return (packed[1] - packed[0]) * 8 * math.log(2) / (len(scored) - 1)


def _decoded(ids: Ids, vocab: Vocab) -> bytes:
    """The text of the ids in UTF-8; words have a space between."""
    if vocab.level not in ("char", "word"):
        return vocab.decode(ids.tolist()).encode("utf-8", "surrogatepass")
    tokens = np.array([t.encode("utf-8", "surrogatepass") for t in vocab.tokens], dtype=object)
    return (b"" if vocab.level == "char" else b" ").join(tokens[ids])
