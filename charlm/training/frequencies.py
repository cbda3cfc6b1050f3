"""How often each symbol of a text comes, and a model that begins by knowing it."""

import numpy as np
import numpy.typing as npt

from charlm.data.vocab import Ids
from charlm.training.losses import Counts

# How many tokens are enough to tell how frequent each is, in so many blocks all over a text.
MOST_COUNTED, BLOCKS = 1 << 22, 64


def counts_of(ids: Ids, vocab_size: int) -> Counts:
    """How often each symbol comes, (V,); in a long text, in parts of it."""
    if len(ids) > MOST_COUNTED:
        begins = np.linspace(0, len(ids) - MOST_COUNTED // BLOCKS, BLOCKS).astype(int)
        ids = np.concatenate([ids[i : i + MOST_COUNTED // BLOCKS] for i in begins])
    return np.bincount(ids, minlength=vocab_size)


def log_frequencies(counts: Counts) -> npt.NDArray[np.float32]:
    """(V,): what the head's biases would learn first; so they need not. Smoothed as the unigram
    baseline is."""
    seen = np.count_nonzero(counts)
    frequencies = (counts + seen / len(counts)) / (counts.sum() + seen)
    found: npt.NDArray[np.float32] = np.log(frequencies).astype(np.float32)
    return found
