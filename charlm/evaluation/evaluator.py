"""One deterministic pass of a model over a text: every token after the first scored."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from charlm.data.masks import MaskShape, draw_mask
from charlm.data.splits import too_short
from charlm.data.vocab import UNK_ID, Ids, Vocab
from charlm.errors import DataError
from charlm.evaluation.metrics import Score
from charlm.evaluation.single_pass import SHORTEST_STREAM, OnScored, SinglePass, Together
from charlm.model.device import rounding
from charlm.model.network import CharLM

STREAMS = 64
# Tokens counted at a time.
BLOCK = 1 << 22


def evaluate(
    model: CharLM,
    ids: Ids,
    vocab: Vocab,
    *,
    streams: int = STREAMS,
    unsettled_tokens: int | None = None,
    on_scored: OnScored = lambda streams, tokens: None,
    together: Together | None = None,
) -> Score:
    """Score `ids` (N,) in order, from a zero state.

    unsettled_tokens: a model whose state does not settle must read the text in one stream, which
    takes several times as long; so many tokens of it are enough then. together: the processes that
    share the work, each of which gets the score.
    Raises DataError if there are fewer than two tokens.
    """
    if len(ids) < 2:
        raise DataError(too_short(len(ids), "2 to score"))
    single_pass = SinglePass(model, ids, on_scored)
    processes = together.size if together else 1
    if single_pass.count // processes < SHORTEST_STREAM:
        processes, together = 1, None  # too short to be shared
    streams = max(1, min(streams, single_pass.count // processes // SHORTEST_STREAM))
    was_training = model.training
    model.eval()
    try:
        # A GPU would round to eleven bits for speed: too little for a state to settle.
        with torch.inference_mode(), rounding("ieee", model.head.weight.device):
            shared = streams > 1 or together is not None
            sums = single_pass.side_by_side(streams, together) if shared else None
            if sums is None:
                if shared and unsettled_tokens is not None:
                    ids = ids[: unsettled_tokens + 1]
                sums = single_pass.in_one_stream(len(ids) - 1)
    finally:
        model.train(was_training)
    return score_of(float(sums[0]), float(sums[1]), ids, vocab)


def score_of(nats: float, unknown_nats: float, ids: Ids, vocab: Vocab) -> Score:
    """The score of `ids` (N,), every token after the first of which was scored.

    unknown_nats: what of `nats` was the unknown tokens'.
    """
    counts = np.zeros(len(vocab), dtype=np.int64)
    for begin in range(1, len(ids), BLOCK):
        # In blocks: to be counted, narrow ids are widened.
        counts += np.bincount(ids[begin : begin + BLOCK], minlength=len(vocab))
    unknown = int(counts[UNK_ID])
    known_nats = nats - unknown_nats if unknown else None
    return Score(
        nats, len(ids) - 1, unknown, _bytes(counts, vocab), vocab.level, known_nats=known_nats
    )


def _bytes(counts: npt.NDArray[np.int64], vocab: Vocab) -> int | None:
    """UTF-8 bytes of tokens of which there are so many each."""
    if counts[UNK_ID] or vocab.level != "char":
        return None
    lengths = np.array([len(token.encode("utf-8", "surrogatepass")) for token in vocab.tokens])
    return int(counts @ lengths)


def evaluate_masked(
    model: CharLM, ids: Ids, vocab: Vocab, *, window: int, mask: MaskShape,
    together: Together | None = None,
) -> Score:  # fmt: skip
    """The surprise of a bidirectional model at masked tokens of a text, always the same ones.

    The text is read in windows of `window` tokens, the last one shorter. together: see `evaluate`.
    """
    blocks = list(_blocks_of_windows(len(ids), window))
    own = range(len(blocks))[together.share(len(blocks)) if together else slice(None)]
    was_training, generator = model.training, np.random.default_rng(0)
    # Nats, and those of unknown tokens; how many there are of both.
    sums = np.zeros(4)
    model.eval()
    try:
        for number, (begin, rows, width) in enumerate(blocks):
            masked = draw_mask(generator, (width, rows), mask)
            if number in own:
                read = np.asarray(ids[begin : begin + rows * width]).reshape(rows, width)
                texts = np.ascontiguousarray(read.T, dtype=np.int64)
                losses = _masked_losses(model, texts, masked)
                of_unknown = losses[texts[masked] == UNK_ID]
                sums += losses.sum(), of_unknown.sum(), len(losses), len(of_unknown)
    finally:
        model.train(was_training)
    if together:
        together.meet()
        sums = np.array(together.total(sums.tolist()))
    nats, unknown_nats, count, unknown = sums.tolist()
    return Score(
        nats, int(count), int(unknown), level=vocab.level, masked=True,
        known_nats=nats - unknown_nats if unknown else None, read=len(ids),
    )  # fmt: skip


def _blocks_of_windows(tokens: int, window: int) -> Iterator[tuple[int, int, int]]:
    """What is read of a text at a time: where it begins, how many windows, and of what width."""
    whole = tokens // window
    for first in range(0, whole, STREAMS):
        yield first * window, min(STREAMS, whole - first), window
    if tokens % window:
        yield whole * window, 1, tokens % window


@torch.inference_mode()
def _masked_losses(
    model: CharLM, texts: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """The nats of each token of texts (T, B) that is masked."""
    device = model.head.weight.device
    read = torch.from_numpy(np.where(mask, model.vocab_size, texts)).to(device)
    with rounding("ieee", device):
        logits, _ = model(read)
    # Not every device has double precision: first to one that has.
    chosen = logits[torch.from_numpy(mask).to(device)].cpu().double()
    losses = F.cross_entropy(chosen, torch.from_numpy(texts[mask]), reduction="none")
    found: npt.NDArray[np.float64] = losses.numpy()
    return found
