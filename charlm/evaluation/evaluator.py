"""One deterministic pass of a model over a text: every token after the first scored.

The text is cut into B parallel streams for speed. Each is warmed up on the tokens before it, so
that its state has forgotten where it began; the sum is that of the single pass, to well under
0.001 nats per token, whatever B is (tests and `scripts/bench_quality` hold it to that).
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from charlm.data.batches import MaskShape, draw_mask
from charlm.data.vocab import UNK_ID, Ids, Vocab
from charlm.errors import DataError
from charlm.evaluation.metrics import Score
from charlm.model.cells import State
from charlm.model.network import CharLM, map_state

STREAMS = 64
# A trained model has forgotten its beginning by then, to the sixth digit of the figure.
WARM_UP = 128
# A stream shorter than this is not worth its warm-up.
SHORTEST_STREAM = 4 * WARM_UP
# Logits held at a time, in numbers: 32 MiB in double precision.
LARGEST_LOGITS = 1 << 22
WINDOW = 128


def evaluate(
    model: CharLM,
    ids: Ids,
    vocab: Vocab,
    *,
    streams: int = STREAMS,
) -> Score:
    """Score `ids` (N,) in order, from a zero state.

    Raises DataError if there are fewer than two tokens.
    """
    if len(ids) < 2:
        raise DataError(f"the text has {len(ids)} tokens, need at least 2 to score")
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            nats = _sum_of_nats(model, ids, streams)
    finally:
        model.train(was_training)
    return score_of(nats, ids, vocab)


def score_of(nats: float, ids: Ids, vocab: Vocab) -> Score:
    """The score of `ids` (N,), every token after the first of which was scored."""
    targets = ids[1:]
    unknown = int(np.count_nonzero(targets == UNK_ID))
    return Score(nats, len(targets), unknown, _bytes(targets, vocab, unknown), vocab.level)


def _sum_of_nats(model: CharLM, ids: Ids, streams: int) -> float:
    device = model.head.weight.device
    count = len(ids) - 1
    streams = max(1, min(streams, count // SHORTEST_STREAM))
    # Stream b scores the targets begin[b] + 1 .. begin[b + 1]; lengths differ by one at most.
    begin = np.linspace(0, count, streams + 1).astype(np.int64)
    longest = int(np.diff(begin).max())
    window = max(1, min(WINDOW, LARGEST_LOGITS // (streams * model.vocab_size)))
    # In double precision, where the device has it: a sum over millions keeps its last digits.
    precise = torch.float32 if device.type == "mps" else torch.float64
    total = 0.0
    state: State | None = None
    # Warm-up and scoring never share a window, so that stream 0 begins at a zero state.
    warm_up = range(-WARM_UP if streams > 1 else 0, 0, window)
    for start in (*warm_up, *range(0, longest, window)):
        end = min(start + window, 0 if start < 0 else longest)
        places = begin[:-1, None] + np.arange(start, end)
        scored = (places < begin[1:, None]) & (start >= 0)
        inputs, targets = (_gather(ids, places + shift, device) for shift in (0, 1))
        logits, state = model(inputs, state)
        if start < 0 and end == 0:
            state = map_state(state, _first_stream_zeroed)
        if start >= 0:
            flat = logits.flatten(0, 1).to(precise)
            losses = F.cross_entropy(flat, targets.flatten(), reduction="none")
            mask = torch.from_numpy(np.ascontiguousarray(scored.T)).to(device).flatten()
            total += (losses * mask).sum().item()
    return total


def _first_stream_zeroed(state: Tensor) -> Tensor:
    """Stream 0 has nothing before it: what it read while the others warmed up is forgotten."""
    state = state.clone()
    state[:, 0] = 0
    return state


def _gather(ids: Ids, places: npt.NDArray[np.int64], device: torch.device) -> Tensor:
    """(T, B) ids at places (B, T); places outside the text read its ends, and are not scored."""
    chosen = ids[places.clip(0, len(ids) - 1)].T
    return torch.from_numpy(np.ascontiguousarray(chosen, dtype=np.int64)).to(device)


def _bytes(targets: Ids, vocab: Vocab, unknown: int) -> int | None:
    if unknown or vocab.level != "char":
        return None
    lengths = np.array([len(token.encode("utf-8", "surrogatepass")) for token in vocab.tokens])
    return int(np.bincount(targets, minlength=len(lengths)) @ lengths)


def evaluate_masked(
    model: CharLM, ids: Ids, vocab: Vocab, *, window: int, mask: MaskShape
) -> Score:
    """The surprise of a bidirectional model at masked tokens of a text, always the same ones.

    The text is read in windows of `window` tokens, the last one shorter.
    """
    whole = len(ids) // window * window
    parts = [ids[:whole].reshape(-1, window), ids[None, whole:]]
    was_training, generator = model.training, np.random.default_rng(0)
    nats, count, unknown = 0.0, 0, 0
    model.eval()
    try:
        for rows in (part[k : k + STREAMS] for part in parts for k in range(0, len(part), STREAMS)):
            if rows.size:
                texts = np.ascontiguousarray(rows.T, dtype=np.int64)
                masked = draw_mask(generator, texts.shape, mask)
                nats += _masked_nats(model, texts, masked)
                count += int(masked.sum())
                unknown += int((texts[masked] == UNK_ID).sum())
    finally:
        model.train(was_training)
    return Score(nats, count, unknown, level=vocab.level, masked=True)


@torch.inference_mode()
def _masked_nats(model: CharLM, texts: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_]) -> float:
    device = model.head.weight.device
    logits, _ = model(torch.from_numpy(np.where(mask, model.vocab_size, texts)).to(device))
    chosen = logits[torch.from_numpy(mask).to(device)].double().cpu()
    return F.cross_entropy(chosen, torch.from_numpy(texts[mask]), reduction="sum").item()
