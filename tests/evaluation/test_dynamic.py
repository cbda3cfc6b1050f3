"""Dynamic evaluation scores before it learns, learns, and leaves the model as it was."""

import math
import tracemalloc

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.data.vocab import Vocab
from charlm.evaluation.dynamic import (
    RATES,
    Rule,
    _windows,
    dynamic_nats,
    evaluate_dynamic,
    fit_rule,
    gradient_scales,
)
from charlm.evaluation.evaluator import evaluate
from charlm.model.network import CharLM

V = 7
TEXT = np.tile(np.array([1, 2, 3, 4, 5, 6, 2, 4, 6, 1, 3], np.uint8), 40)


@pytest.fixture(params=["lstm", "gru", "scratch"])
def model(request: pytest.FixtureRequest) -> CharLM:
    torch.manual_seed(0)
    scratch = request.param == "scratch"
    config = ModelConfig(
        rnn_type="lstm" if scratch else request.param, hidden_size=12, embedding_size=6,
        num_layers=2, dropout=0.4, implementation="scratch" if scratch else "torch",
    )  # fmt: skip
    return CharLM(config, V)


def ones(model: CharLM) -> list[torch.Tensor]:
    return [torch.ones_like(p) for p in model.parameters()]


def test_without_a_step_it_is_the_plain_pass(model: CharLM) -> None:
    vocab = Vocab("char", ("<unk>", *"abcdef"), (0,) * V)
    plain = evaluate(model, TEXT, vocab).nats
    assert dynamic_nats(model, TEXT, Rule(0.0, ones(model))) == pytest.approx(plain, abs=1e-3)


def test_it_learns_from_what_it_has_scored_and_leaves_the_model_alone(model: CharLM) -> None:
    before = [p.clone() for p in model.parameters()]
    standing = dynamic_nats(model, TEXT, Rule(0.0, ones(model)))
    learning = dynamic_nats(model, TEXT, Rule(1.0, ones(model), decay=0.0))
    assert learning < 0.97 * standing
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_nothing_is_learned_from_what_comes_later(model: CharLM) -> None:
    rule = Rule(0.3, ones(model))
    other = TEXT.copy()
    other[225:] = 1
    begin = dynamic_nats(model, TEXT[:225], rule)
    for text in (TEXT, other):
        parts = [dynamic_nats(model, text[:n], rule) for n in (225, len(text))]
        assert parts[0] == begin
    assert dynamic_nats(model, other, rule) != dynamic_nats(model, TEXT, rule)


def test_the_weights_are_drawn_back(model: CharLM) -> None:
    standing = dynamic_nats(model, TEXT, Rule(0.0, ones(model)))
    held = dynamic_nats(model, TEXT, Rule(0.3, ones(model), decay=1e6))
    assert held == pytest.approx(standing, rel=1e-5)


def test_what_was_hardly_seen_in_training_moves_no_further_than_ten_usual_steps(
    model: CharLM,
) -> None:
    scales = gradient_scales(model, TEXT)  # which never has symbol 0
    everything = torch.cat([scale.flatten() for scale in scales])
    assert everything.min() >= 0.09 * everything.mean()
    surprising = np.where(np.arange(len(TEXT)) % 5, TEXT, 0).astype(np.uint8)
    standing = dynamic_nats(model, surprising, Rule(0.0, scales))
    assert dynamic_nats(model, surprising, Rule(max(RATES), scales)) < standing


def test_a_model_with_no_gradient_at_all_stands_still(model: CharLM) -> None:
    for parameter in model.parameters():
        parameter.data.zero_()
    model.head.bias.data[1] = 1000.0
    text = np.ones(100, np.uint8)
    assert dynamic_nats(model, text, fit_rule(model, text)) == 0


def test_the_rule_is_fitted_on_the_training_part(model: CharLM) -> None:
    rule = fit_rule(model, TEXT)
    assert rule.rate in RATES
    totals = {rate: dynamic_nats(model, TEXT, Rule(rate, rule.scales)) for rate in RATES}
    assert totals[rule.rate] == min(totals.values())
    for scale, expected in zip(rule.scales, gradient_scales(model, TEXT), strict=True):
        assert torch.equal(scale, expected)


def test_a_gradient_far_from_usual_is_no_catastrophe(model: CharLM) -> None:
    tiny = [torch.full_like(p, 1e-9) for p in model.parameters()]
    standing = dynamic_nats(model, TEXT, Rule(0.0, tiny))
    assert dynamic_nats(model, TEXT, Rule(1e-3, tiny)) < 1.1 * standing


def test_a_rate_that_leads_to_nan_is_not_taken(
    model: CharLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """min keeps a NaN that stands first, since nothing is less."""
    totals = iter([math.nan, 3.0, 2.0, math.nan])
    monkeypatch.setattr("charlm.evaluation.dynamic.dynamic_nats", lambda *_: next(totals))
    assert fit_rule(model, TEXT[:100]).rate == RATES[2]


def test_unknown_tokens_have_their_share_of_the_nats(model: CharLM) -> None:
    vocab = Vocab("char", ("<unk>", *"abcdef"), (0,) * V)
    text = np.where(np.arange(len(TEXT)) % 5, TEXT, 0).astype(np.uint8)
    still = Rule(0.0, ones(model))
    found, plain = evaluate_dynamic(model, text, vocab, still), evaluate(model, text, vocab)
    assert found.known_nats == pytest.approx(plain.known_nats, rel=1e-5)
    assert found.unknown == plain.unknown > 0
    assert evaluate_dynamic(model, TEXT, vocab, still).known_nats is None


def test_a_pass_that_ends_in_nan_is_infinite_and_says_so_in_json_as_null(
    model: CharLM,
) -> None:
    vocab = Vocab("char", ("<unk>", *"abcdef"), (0,) * V)
    model.head.bias.data[1] = math.nan
    score = evaluate_dynamic(model, TEXT, vocab, Rule(0.0, ones(model)))
    assert score.nats == math.inf
    assert score.to_dict()["nats_per_char"] is None


def test_the_text_is_not_widened_as_a_whole(model: CharLM) -> None:
    windows = _windows(np.ones(4_000_000, np.uint8), model)
    tracemalloc.start()
    try:
        next(windows)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
