"""Vocabularies of texts that tests have in memory."""

from typing import Any

from charlm.data.counter import TokenCounter
from charlm.data.vocab import Vocab, build_vocab


def vocab_of(text: str, level: str = "char", **options: Any) -> Vocab:
    """options: see `build_vocab`."""
    counter = TokenCounter(level)
    counter.add(text)
    return build_vocab(counter, **options)
