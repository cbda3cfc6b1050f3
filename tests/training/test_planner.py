"""The plan fits the time, the text and what the user asked for."""

from typing import Any

import numpy as np
import pytest
import torch

from charlm.config import Config
from charlm.settings import configured
from charlm.training import planner
from charlm.training.planner import (
    MOST_EPOCHS,
    RECIPES,
    expected_nats,
    plan,
    tokens_per_second,
)


@pytest.fixture(autouse=True)
def speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that trains any model at 100,000 tokens a second."""
    monkeypatch.setattr(planner, "tokens_per_second", lambda config, vocab_size: 1e5)


def planned(
    given: dict[str, Any], *, tokens: int = 1_000_000, elapsed: float = 0.0
) -> planner.Plan:
    config = configured(Config(), given)
    return plan(config, given, train_tokens=tokens, vocab_size=50, elapsed=elapsed)


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_the_epochs_that_the_time_allows_choose_the_recipe(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def speed(config: Config, vocab_size: int) -> float:
        return {256: 1e5, 384: 6e4, 512: 4e4, 768: 2e4}[config.model.hidden_size]

    monkeypatch.setattr(planner, "tokens_per_second", speed)
    configs = [configured(Config(), recipe) for _, recipe in RECIPES[: number + 1]]
    needed = [1.01e6 * epochs / speed(config, 50)
              for config, (epochs, _) in zip(configs, RECIPES, strict=False)]  # fmt: skip
    seconds = max(needed) or 1.0
    found = planned({"training": {"time": seconds}})
    assert found.epochs == pytest.approx(seconds * speed(configs[-1], 50) / 1e6)
    assert found.config == configured(configs[-1], {"training": {"time": seconds}})


def test_a_recipe_too_slow_to_read_the_text_often_enough_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def speed(config: Config, vocab_size: int) -> float:
        return 1e5 if config.model.hidden_size < 768 else 2e4

    monkeypatch.setattr(planner, "tokens_per_second", speed)
    found = planned({"training": {"time": 150.0}})
    assert found.config.model.hidden_size == 512
    assert found.epochs == pytest.approx(15)


@pytest.mark.parametrize(("epochs", "dropout"), [(1, 0.0), (4, 0.3), (5.5, 0.5), (30, 0.5)])
def test_of_a_short_text_more_is_dropped(epochs: float, dropout: float) -> None:
    found = planned({"training": {"time": epochs}}, tokens=100_000)
    assert found.config.model.dropout == pytest.approx(dropout)


def test_a_larger_model_than_the_recipes_is_given_a_lower_rate() -> None:
    rates = [
        planned({"model": {"hidden_size": width}, "training": {"time": 5.0}}).config.training.lr
        for width in (128, 256, 512, 1024)
    ]
    assert rates == [0.01, 0.01, 0.005, 0.0025]
    given = {"model": {"hidden_size": 512}, "training": {"time": 5.0, "lr": 0.02}}
    assert planned(given).config.training.lr == 0.02


@pytest.mark.parametrize(("times", "chosen"), [(1.5, "bfloat16"), (1.05, "float32")])
def test_half_the_precision_is_chosen_where_it_is_much_faster(
    monkeypatch: pytest.MonkeyPatch, times: float, chosen: str
) -> None:
    def speed(config: Config, vocab_size: int) -> float:
        return 1e5 * (times if config.training.precision == "bfloat16" else 1)

    monkeypatch.setattr(planner, "tokens_per_second", speed)
    found = planned({"training": {"time": 100.0}})
    assert found.config.training.precision == chosen
    assert found.epochs == pytest.approx(10 * (times if chosen == "bfloat16" else 1))
    for given in ({"training": {"precision": "float32"}}, {"model": {"implementation": "scratch"}}):
        given.setdefault("training", {})["time"] = 100.0
        assert planned(given).config.training.precision == "float32"


def test_what_was_given_is_kept() -> None:
    given = {"model": {"dropout": 0.05}, "training": {"time": 300.0, "seq_len": 20}}
    found = planned(given)
    assert found.config.model.dropout == 0.05
    assert found.config.training.seq_len == 20


def test_time_that_is_over_does_not_count() -> None:
    late = planned({"training": {"time": 100.0}}, elapsed=95.0)
    assert late.epochs == pytest.approx(0.5)
    assert late.config.model == configured(Config(), RECIPES[0][1]).model


@pytest.mark.parametrize(
    "given",
    [{"training": {"epochs": 50.0}}, {"training": {"max_steps": 5}},
     {"model": {"bidirectional": True}}],
)  # fmt: skip
def test_an_experiment_of_the_users_own_is_left_alone(given: dict[str, Any]) -> None:
    assert planned(given) == planner.Plan(configured(Config(), given))


def test_without_a_limit_the_time_is_what_the_text_is_worth() -> None:
    short = planned({})
    assert short.epochs == pytest.approx(MOST_EPOCHS)
    assert short.config.training.time == pytest.approx(MOST_EPOCHS * 10)
    long = planned({}, tokens=10**9)
    assert long.config.training.time == Config().training.default_time


def test_the_speed_is_measured_and_chance_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_rng_state()
    config = configured(Config(), {"model": {"hidden_size": 8, "dropout": 0.5}})
    assert 1e3 < tokens_per_second(config, 10) < 1e8
    assert torch.equal(torch.get_rng_state(), before)


def test_what_to_expect_follows_from_the_text() -> None:
    generator = np.random.default_rng(0)
    noise = generator.integers(1, 9, 5000)
    order = np.tile(np.arange(1, 9), 625)
    low, high = expected_nats(order, order[:500], 9)
    assert 0 < low < high < 0.05
    low, high = expected_nats(noise[:4500], noise[4500:], 9)
    assert 1.5 < low < high < 2.5


def test_a_training_by_time_tells_its_plan(charlm: Any, text_file: Any) -> None:
    options = ["--hidden-size", 8, "--time", "2s", "-o", "run"]
    told = charlm("train", text_file, *options).err
    assert "about " in told
    assert "expected: a validation perplexity of " in told
    nothing = charlm("train", text_file, *options, "--force", "--val-frac", 0).err
    assert "expected: nothing to validate on" in nothing
