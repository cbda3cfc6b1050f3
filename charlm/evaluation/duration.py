"""How long it will take to score a text, told from a few steps."""

from collections.abc import Callable

from charlm.evaluation.evaluator import STREAMS
from charlm.evaluation.single_pass import SHORTEST_STREAM, seconds_a_step
from charlm.model.network import CharLM

# Streams are mended after they were read: a tenth to a sixth of the time more, by trained models,
# and what a few steps do not show. One that settles slowly may take several times as long.
MENDED = 1.25


def scoring_time(model: CharLM) -> Callable[[int], float]:
    """`scoring_time(model)(tokens)`: seconds to score so many tokens, in as many streams as the
    evaluator would."""
    was_training = model.training
    model.eval()
    try:
        one, many = (seconds_a_step(model, streams) for streams in (1, STREAMS))
    finally:
        model.train(was_training)
    each = max(0.0, many - one) / (STREAMS - 1)

    def seconds(tokens: int) -> float:
        streams = max(1, min(STREAMS, tokens // SHORTEST_STREAM))
        return MENDED * tokens / streams * (one + (streams - 1) * each)

    return seconds
