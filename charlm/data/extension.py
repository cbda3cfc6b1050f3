"""A vocabulary extended by what another text has beyond it: no id of it changes."""

from collections.abc import Sequence

from charlm.data.counter import TokenCounter
from charlm.data.vocab import Vocab, build_vocab, recounted


def extended(
    vocab: Vocab, counter: TokenCounter, *, min_freq: int = 1, reserve: Sequence[str] = ()
) -> Vocab:
    """The same tokens and ids, and behind them what `build_vocab` would know beyond them; all with
    the counts of the text."""
    tokens = build_vocab(counter, min_freq=min_freq, reserve=reserve).tokens
    tokens = (*vocab.tokens, *(token for token in tokens if token not in vocab.ids))
    return recounted(Vocab(vocab.level, tokens, (0,) * len(tokens)), counter)


def share_known(vocab: Vocab, known: int) -> float:
    """Of the text that `vocab` counts, the share of its first `known` symbols, but the unknown."""
    return sum(vocab.counts[1:known]) / max(1, sum(vocab.counts))
