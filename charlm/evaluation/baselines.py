"""What a perplexity is worth: the same characters by unigram, by five characters of context, by xz.

Each is fitted on the training part alone, and scored on what the model was scored on: every token
after the first.
"""

import lzma
import math
from dataclasses import dataclass

import numpy as np

from charlm.data.vocab import Ids, Vocab

ORDER = 5
# A longer training part counts with its end, which is nearest to what is scored.
MOST_TOKENS = 8_000_000
XZ_TOKENS = 4_000_000


@dataclass(frozen=True)
class Baselines:
    """Nats per token of each."""

    unigram: float
    order_5: float
    xz: float

    def to_dict(self) -> dict[str, float]:
        return {"unigram": self.unigram, "order_5": self.order_5, "xz": self.xz}

    def __str__(self) -> str:
        figures = ((name, math.exp(min(nats, 700.0))) for name, nats in self.to_dict().items())
        return ", ".join(f"{name.replace('_', '-')} {value:.3f}" for name, value in figures)


def baselines(train: Ids, scored: Ids, vocab: Vocab) -> Baselines:
    """For ids `scored` (N,), at least two, by what `train` has to teach."""
    by_order = interpolated(train[-MOST_TOKENS:], scored, len(vocab), ORDER)
    return Baselines(by_order[0], by_order[ORDER], xz(train[-XZ_TOKENS:], scored, vocab))


def interpolated(train: Ids, scored: Ids, vocab_size: int, order: int) -> list[float]:
    """Nats per token with contexts of at most 0, 1, …, `order` tokens.

    Witten & Bell 1991: P_k(w | c) = (n(c w) + t(c) P_{k-1}(w | c')) / (n(c) + t(c)), where n counts
    in `train`, t(c) is the number of different tokens seen after c, and c' is c without its first.
    """
    tokens = np.concatenate([train, scored]).astype(np.int64)
    learnt = np.arange(len(tokens)) < len(train)
    # How many tokens of its own text a place has before it: no context spans both.
    before = np.concatenate([np.arange(len(train)), np.arange(len(scored))])
    context = np.zeros(len(tokens), np.int64)
    probability = np.full(len(scored) - 1, 1 / vocab_size)
    nats = []
    for length in range(order + 1):
        # Contexts, and pairs of a context and a token, are numbers; a pair is the next context.
        contexts = int(context.max()) + 1
        pairs, pair = np.unique(context * vocab_size + tokens, return_inverse=True)
        counted = learnt & (before >= length)
        of_pair = np.bincount(pair[counted], minlength=len(pairs))
        of_context = np.bincount(context[counted], minlength=contexts)
        different = np.bincount(pairs[of_pair > 0] // vocab_size, minlength=contexts)
        place = len(train) + 1 + np.arange(len(scored) - 1)
        n, t = of_context[context[place]], different[context[place]]
        known = (before[place] >= length) & (n > 0)
        better = (of_pair[pair[place]] + t * probability) / np.maximum(n + t, 1)
        probability = np.where(known, better, probability)
        nats.append(float(-np.log(probability).mean()))
        context = np.concatenate([[0], pair[:-1]])
    return nats


def xz(train: Ids, scored: Ids, vocab: Vocab) -> float:
    """Nats per token by which the training text, packed by xz, grows with the scored one."""
    texts = [vocab.decode(int(i) for i in ids) for ids in (train, scored)]
    packed = [len(lzma.compress(text.encode("utf-8", "surrogatepass"), preset=6))
              for text in (texts[0], "".join(texts))]  # fmt: skip
    return (packed[1] - packed[0]) * 8 * math.log(2) / (len(scored) - 1)
