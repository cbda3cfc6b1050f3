import math
import tracemalloc

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.data.vocab import UNK_ID
from charlm.errors import DataError
from charlm.evaluation.evaluator import evaluate, score_of
from charlm.model.network import CharLM
from tests.vocabularies import vocab_of

TEXT = "the cat sat on the mat, and the rat — réti — sat on the cat. " * 100


VOCAB = vocab_of(TEXT)
IDS = VOCAB.encode(TEXT)


def model_of() -> CharLM:
    torch.manual_seed(0)
    return CharLM(ModelConfig(rnn_type="lstm", hidden_size=12, embedding_size=6), len(VOCAB))


def test_a_model_that_knows_nothing_scores_log2_of_v_bits() -> None:
    model = model_of()
    for parameter in (model.head.weight, model.head.bias):
        torch.nn.init.zeros_(parameter)
    score = evaluate(model, IDS, VOCAB)
    assert score.bits_per_token == pytest.approx(math.log2(len(VOCAB)), rel=1e-7)
    assert score.perplexity == pytest.approx(len(VOCAB), rel=1e-7)


def test_evaluating_leaves_the_mode_of_the_model() -> None:
    model = model_of().train()
    evaluate(model, IDS, VOCAB)
    assert model.training


def test_unknown_tokens_are_scored_and_counted() -> None:
    model = model_of()
    score = evaluate(model, VOCAB.encode("the dog"), VOCAB)
    assert (score.tokens, score.unknown, score.bytes) == (6, 1, None)
    # Up to the unknown one all are known; after it comes the last.
    before = evaluate(model, VOCAB.encode("the "), VOCAB)
    assert before.known_nats is None
    unlikely = model_of()
    unlikely.head.bias.data[UNK_ID] -= 50
    other = evaluate(unlikely, VOCAB.encode("the dog"), VOCAB)
    assert score.known_nats is not None
    assert other.known_nats is not None
    assert before.nats < score.known_nats < score.nats
    assert other.nats > score.nats + 40
    assert other.known_nats < score.known_nats


def test_counting_in_blocks_is_counting_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = score_of(1.0, 0.0, IDS, VOCAB)
    monkeypatch.setattr("charlm.evaluation.evaluator.BLOCK", 7)
    assert score_of(1.0, 0.0, IDS, VOCAB) == whole
    assert whole.bytes == len(TEXT.encode()) - 1


def test_ids_are_not_widened_as_a_whole() -> None:
    """A text of 100 million characters fits 1 GB only if nothing holds eight bytes for each."""
    ids = np.zeros(40_000_000, dtype=np.uint8) + np.uint8(1)
    tracemalloc.start()
    try:
        score_of(1.0, 0.0, ids, VOCAB)
        assert tracemalloc.get_traced_memory()[1] < len(ids)
    finally:
        tracemalloc.stop()


def test_bytes_are_those_of_the_scored_characters() -> None:
    score = evaluate(model_of(), VOCAB.encode("aré"), VOCAB)
    assert score.bytes == len("ré".encode())
    assert score.bits_per_byte == pytest.approx(score.nats / math.log(2) / 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "the text is empty"), ("a", "the text has 1 token, need at least 2 to score")],
)
def test_too_little_to_score_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        evaluate(model_of(), VOCAB.encode(text), VOCAB)
    assert str(error.value) == message


def test_two_tokens_are_enough() -> None:
    assert evaluate(model_of(), VOCAB.encode("at"), VOCAB).tokens == 1
