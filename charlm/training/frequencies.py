"""How often each symbol of a text comes, and a model that begins by knowing it."""

import numpy as np
import torch

from charlm.data.vocab import Ids
from charlm.model.network import CharLM
from charlm.training.losses import Counts

# How many tokens are enough to tell how frequent each is, in so many blocks all over a text.
MOST_COUNTED, BLOCKS = 1 << 22, 64


def counts_of(ids: Ids, vocab_size: int) -> Counts:
    """How often each symbol comes, (V,); in a long text, in parts of it."""
    if len(ids) > MOST_COUNTED:
        begins = np.linspace(0, len(ids) - MOST_COUNTED // BLOCKS, BLOCKS).astype(int)
        ids = np.concatenate([ids[i : i + MOST_COUNTED // BLOCKS] for i in begins])
    return np.bincount(ids, minlength=vocab_size)


def begin_at_the_frequencies(model: CharLM, counts: Counts) -> None:
    """Set the head's biases to the log of each token's frequency.

    That is what a model would learn first; so it need not. Smoothed as the unigram baseline is.
    """
    seen = np.count_nonzero(counts)
    frequencies = (counts + seen / len(counts)) / (counts.sum() + seen)
    with torch.no_grad():
        model.head.bias.copy_(torch.from_numpy(np.log(frequencies)))
