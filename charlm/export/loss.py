"""What a model loses by the precision of its weights: by NumPy alone; of a fill model, by torch.

A text is cut into streams that are read side by side, each from a zero state and from `LEAD` tokens
before what it scores, by when it has forgotten where it began. So the figure is that of
`charlm evaluate` but for some millionths.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from charlm.config import ModelConfig, TrainingConfig
from charlm.data.vocab import Ids, Vocab
from charlm.errors import CharlmError, DataError
from charlm.generation.blas import one_thread
from charlm.generation.stepper import Stepper
from charlm.run import Run
from charlm.storage.tensors import Arrays

STREAMS, LEAD = 64, 512
# Of a longer text, so many tokens from its beginning are enough.
MOST_TOKENS = 250_000

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Loss:
    """What a model loses by its precision: nats per token, over `tokens` of the validation part.

    whole: whether these are all of it. masked: of masked tokens, seen from both sides.
    """

    float32: float
    nats: float
    tokens: int
    whole: bool
    masked: bool

    @property
    def cost(self) -> float:
        return self.nats - self.float32


def loss_of(run: Run, weights: Arrays) -> Loss:
    """What a run's model loses with these weights in place of its own.

    Raises DataError where its validation part is not at hand, has too few tokens, or is given no
    likelihood.
    """
    try:
        valid = run.open_corpus().split("valid")
    except CharlmError as error:
        raise DataError(str(error)) from None
    if len(valid) < 2:
        raise DataError(f"{run.path} has no validation part")
    config, ids = run.config, np.asarray(valid[: MOST_TOKENS + 1])
    masked = config.model.bidirectional

    def nats(of: Arrays) -> float:
        if masked:
            return masked_nats_per_token(config.model, of, ids, run.vocab, config.training)
        return nats_per_token(config.model, of, ids)

    reached = nats(weights)
    same = all(np.array_equal(weights[name], array) for name, array in run.weights.items())
    float32 = reached if same else nats(run.weights)
    if not math.isfinite(reached):
        which = "in this precision the model" if math.isfinite(float32) else run.path
        raise DataError(f"{which} gives its validation part no likelihood")
    return Loss(float32, reached, len(ids) - 1, len(ids) == len(valid), masked)


def nats_per_token(config: ModelConfig, weights: Arrays, ids: Ids) -> float:
    """Of every token of `ids` (N,) after the first, N > 1, for a model that reads one way."""
    stepper, count = Stepper(config, weights), len(ids) - 1
    tokens = np.asarray(ids, np.int64)
    length = max(0, count - LEAD) // STREAMS
    alone = count if length < LEAD else LEAD
    with one_thread():
        nats = _of_one_stream(stepper, tokens[: alone + 1])
        if alone < count:
            nats += _side_by_side(stepper, tokens, length)
    return nats / count


def masked_nats_per_token(
    config: ModelConfig, weights: Arrays, ids: Ids, vocab: Vocab, training: TrainingConfig
) -> float:
    """Of masked tokens, as `charlm train` measures a model that reads both ways."""
    from charlm.data.masks import mask_shape
    from charlm.evaluation.evaluator import evaluate_masked
    from charlm.model.network import CharLM, load_weights

    model = CharLM(config, len(vocab), to_be_loaded=True)
    load_weights(model, {name: array.copy() for name, array in weights.items()})
    mask = mask_shape(training)
    score = evaluate_masked(model, ids, vocab, window=training.seq_len, mask=mask)
    return score.nats_per_token


def _of_one_stream(stepper: Stepper, tokens: npt.NDArray[np.int64]) -> float:
    nats, done = 0.0, 1
    for logits in stepper.logits(tokens[:-1], stepper.start()):
        nats += _nats(logits, tokens[done : done + len(logits)])
        done += len(logits)
    return nats


def _side_by_side(stepper: Stepper, tokens: npt.NDArray[np.int64], length: int) -> float:
    """Of the tokens after the first LEAD + 1: `length` a stream, and of the last one the rest."""
    begins, nats = np.arange(STREAMS) * length, 0.0
    state = stepper.start(STREAMS)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(LEAD + length):
            logits = stepper.step(tokens[begins + t], state)
            if t >= LEAD:
                nats += _nats(logits, tokens[begins + t + 1])
        last = stepper.take(state, [STREAMS - 1])
    rest = tokens[STREAMS * length + LEAD :]
    for here, following in pairwise(rest):
        nats += _nats(stepper.step([int(here)], last), following[None])
    return nats


def _nats(logits: Logits, targets: npt.NDArray[np.int64]) -> float:
    """The sum over rows (N, V), each of which expects its target (N,)."""
    shifted = logits - np.maximum.reduce(logits, axis=1)[:, None]
    sums = np.exp(shifted).sum(axis=1, dtype=np.float64)
    return float((np.log(sums) - shifted[np.arange(len(targets)), targets]).sum())
