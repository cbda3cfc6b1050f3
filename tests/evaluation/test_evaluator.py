import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from charlm.config import ModelConfig
from charlm.data.vocab import TokenCounter, Vocab, build_vocab
from charlm.errors import DataError
from charlm.evaluation import evaluator
from charlm.evaluation.evaluator import evaluate
from charlm.evaluation.metrics import Score
from charlm.model.network import IMPLEMENTATIONS, CharLM

TEXT = "the cat sat on the mat, and the rat — réti — sat on the cat. " * 100


def vocab_of(text: str) -> Vocab:
    counter = TokenCounter("char")
    counter.add(text)
    return build_vocab(counter)


VOCAB = vocab_of(TEXT)
IDS = VOCAB.encode(TEXT)


def model_of(cell: str = "lstm", layers: int = 1) -> CharLM:
    torch.manual_seed(0)
    config = ModelConfig(rnn_type=cell, hidden_size=12, embedding_size=6, num_layers=layers)
    return CharLM(config, len(VOCAB))


@pytest.mark.parametrize("cell", IMPLEMENTATIONS["torch"])
def test_it_is_the_plain_pass_whatever_the_streams(cell: str) -> None:
    model = model_of(cell, layers=2)
    ids = torch.from_numpy(IDS.astype(np.int64))
    with torch.no_grad():
        logits, _ = model(ids[:-1, None])
        nats = F.cross_entropy(logits.flatten(0, 1).double(), ids[1:], reduction="sum").item()
    for streams in (1, 2, 5, 1000):
        score = evaluate(model, IDS, VOCAB, streams=streams)
        assert score.tokens == len(IDS) - 1
        assert score.nats_per_token == pytest.approx(nats / (len(IDS) - 1), abs=1e-5)


def test_streams_are_really_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above would mean nothing if one stream did all the work."""
    widths = set()
    model = model_of()
    model.register_forward_pre_hook(lambda module, inputs: widths.add(inputs[0].shape[1]))
    evaluate(model, IDS, VOCAB, streams=5)
    assert widths == {5}


@pytest.mark.parametrize("window", [1, 7, 100, 10_000])
def test_nothing_is_left_out_whatever_the_window(
    monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    """A large vocabulary makes for short windows, which need not fit the warm-up."""
    model, streams = model_of(), 5
    whole = evaluate(model, IDS, VOCAB, streams=1).nats
    monkeypatch.setattr(evaluator, "LARGEST_LOGITS", window * streams * len(VOCAB))
    assert evaluate(model, IDS, VOCAB, streams=streams).nats == pytest.approx(whole, rel=1e-6)


def test_without_a_warm_up_the_figure_would_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 4  # a model that remembers
    honest = evaluate(model, IDS, VOCAB, streams=1).nats
    monkeypatch.setattr(evaluator, "WARM_UP", 0)
    monkeypatch.setattr(evaluator, "SHORTEST_STREAM", 50)
    assert abs(evaluate(model, IDS, VOCAB, streams=100).nats - honest) > 1


def test_a_model_that_knows_nothing_scores_log2_of_v_bits() -> None:
    model = model_of()
    for parameter in (model.head.weight, model.head.bias):
        torch.nn.init.zeros_(parameter)
    score = evaluate(model, IDS, VOCAB)
    assert score.bits_per_token == pytest.approx(math.log2(len(VOCAB)), rel=1e-12)
    assert score.perplexity == pytest.approx(len(VOCAB), rel=1e-12)


def test_evaluating_leaves_the_mode_of_the_model() -> None:
    model = model_of().train()
    evaluate(model, IDS, VOCAB)
    assert model.training


def test_unknown_tokens_are_scored_and_counted() -> None:
    text = "the dog"
    score = evaluate(model_of(), VOCAB.encode(text), VOCAB)
    assert (score.tokens, score.unknown, score.bytes) == (6, 1, None)


def test_bytes_are_those_of_the_scored_characters() -> None:
    score = evaluate(model_of(), VOCAB.encode("aré"), VOCAB)
    assert score.bytes == len("ré".encode())
    assert score.bits_per_byte == pytest.approx(score.nats / math.log(2) / 3)


@pytest.mark.parametrize("text", ["", "a"])
def test_too_little_to_score_is_refused(text: str) -> None:
    with pytest.raises(DataError) as error:
        evaluate(model_of(), VOCAB.encode(text), VOCAB)
    assert str(error.value) == f"the text has {len(text)} tokens, need at least 2 to score"


def test_two_tokens_are_enough() -> None:
    assert evaluate(model_of(), VOCAB.encode("at"), VOCAB).tokens == 1


def test_figures() -> None:
    score = Score(nats=2 * math.log(2), tokens=4, bytes=8)
    assert score.bits_per_token == pytest.approx(0.5)
    assert score.bits_per_byte == pytest.approx(0.25)
    assert score.perplexity == pytest.approx(2**0.5)
    figures = score.to_dict()
    assert math.exp(figures["nats_per_char"]) == pytest.approx(figures["perplexity"])
    assert figures["characters"] == 4
    assert Score(nats=1e9, tokens=1).perplexity < math.inf
    words = Score(nats=1.0, tokens=2, level="word").to_dict()
    assert {"nats_per_word", "perplexity_per_word", "words"} <= set(words)
    assert "per word" in str(Score(nats=1.0, tokens=2, level="word"))
