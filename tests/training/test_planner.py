"""The plan fits the limit, the text, the machine and what the user asked for."""

from typing import Any

import pytest
import torch

from charlm.config import Config
from charlm.consistency import check
from charlm.errors import UsageError
from charlm.settings import configured
from charlm.training import fastest, planner, recipes
from charlm.training.limits import LEAST_STEPS, MOST_EPOCHS
from charlm.training.planner import Plan, plan
from charlm.training.recipes import GPU_RECIPES, MANY_RECIPES, RECIPES, Recipe
from charlm.training.speed import Measure, Speed


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastest, "usable_cores", lambda: 1)


def always(tokens_per_second: float) -> Measure:
    """A machine that trains any model at one speed, and knows no bfloat16."""
    return lambda config: None if config.training.precision == "bfloat16" else tokens_per_second


def by_units(**speeds: float) -> Measure:
    return lambda config: (
        None if config.training.precision == "bfloat16"
        else speeds[f"h{config.model.hidden_size}"]
    )  # fmt: skip


def planned(
    given: dict[str, Any],
    *,
    tokens: int = 1_000_000,
    vocab_size: int = 20,
    elapsed: float = 0.0,
    speed: Measure | None = None,
) -> Plan:
    config = configured(Config(), given)
    return plan(config, given, train_tokens=tokens, vocab_size=vocab_size,
                elapsed=lambda: elapsed, speed=speed or always(1e5))  # fmt: skip


def follows(found: Plan, recipe: Recipe) -> bool:
    """Whatever its rate: few steps have one of their own."""
    model, training = found.config.model, found.config.training
    settings = (model.hidden_size, model.dropout, recipe.lr, training.optimizer)
    return Recipe(recipe.epochs, *settings) == recipe and training.lr >= recipe.lr


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_the_epochs_that_the_time_allows_choose_the_recipe(number: int) -> None:
    speeds = {256: 1e5, 384: 6e4, 512: 4e4, 768: 2e4}
    recipes = RECIPES[: number + 1]
    seconds = max(1.01e6 * recipe.epochs / speeds[recipe.units] for recipe in recipes) or 1.0
    found = planned({"training": {"time": seconds}},
                    speed=by_units(**{f"h{k}": v for k, v in speeds.items()}))  # fmt: skip
    assert follows(found, recipes[-1])
    assert found.epochs == pytest.approx(seconds * speeds[recipes[-1].units] / 1e6)


def test_a_gpu_has_recipes_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the speed, a CPU has not."""
    found = []
    for kind in ("cpu", "cuda"):
        monkeypatch.setattr(planner, "pick_device", lambda name, kind=kind: torch.device(kind))
        monkeypatch.setattr(planner, "check_memory", lambda *what: None)
        found.append(planned({"training": {"time": 60.0}}, speed=always(1e6)))
    assert follows(found[0], RECIPES[-1])
    assert follows(found[1], GPU_RECIPES[-1])
    assert (found[1].config.training.batch_size, found[1].config.training.seq_len) == (32, 32)
    # A short text is worth no more units on one.
    assert planned({"training": {"time": 60.0}}, tokens=100_000).config.model.hidden_size == 256


@pytest.mark.parametrize("number", range(len(MANY_RECIPES)))
def test_many_symbols_have_recipes_of_their_own(number: int) -> None:
    recipes = MANY_RECIPES[: number + 1]
    found = planned({"training": {"time": 10 * recipes[-1].epochs + 1}}, vocab_size=5000,
                    speed=lambda config: (None if config.training.precision == "bfloat16"
                    or config.model.hidden_size > recipes[-1].units else 1e5))  # fmt: skip
    last = [recipe for recipe in MANY_RECIPES if recipe.units <= recipes[-1].units
            and recipe.epochs <= recipes[-1].epochs][-1]  # fmt: skip
    assert follows(found, last)
    assert found.config.model.embedding_size == found.config.model.hidden_size


def test_a_recipe_too_slow_to_read_the_text_often_enough_is_left() -> None:
    found = planned({"training": {"time": 150.0}},
                    speed=by_units(h256=1e5, h384=1e5, h512=1e5, h768=2e4))  # fmt: skip
    assert found.config.model.hidden_size == 512
    assert found.epochs == pytest.approx(15)


@pytest.mark.parametrize(("epochs", "dropout"), [(1, 0.0), (4, 0.3), (5.5, 0.5), (30, 0.5)])
def test_of_a_short_text_more_is_dropped(epochs: float, dropout: float) -> None:
    found = planned({"training": {"time": 2 * epochs}}, tokens=200_000)
    assert found.config.model.dropout == pytest.approx(dropout)


@pytest.mark.parametrize(
    ("tokens", "units"), [(90, 32), (1350, 64), (18_000, 128), (100_000, 256), (180_000, 768)]
)
def test_a_short_text_is_worth_few_units(tokens: int, units: int) -> None:
    found = planned({}, tokens=tokens)
    assert (found.config.model.hidden_size, found.config.model.dropout) == (units, 0.5)
    assert found.config.training.lr == (0.01 if units <= 256 else 0.004)


def test_a_text_with_hardly_more_tokens_than_symbols_is_learned_slowly() -> None:
    for tokens, rate in ((1350, recipes.SPARSE_RATE), (18_000, 0.01)):
        assert planned({}, tokens=tokens, vocab_size=600).config.training.lr == rate


@pytest.mark.parametrize(
    ("given", "epochs"),
    [
        ({"training": {"epochs": 30.0}}, 30),
        ({"training": {"max_steps": 29_300}}, 30),
        ({"training": {"epochs": 1.0}}, 1),
        ({"training": {"max_steps": 5}}, 0.005),
    ],
)
def test_epochs_and_steps_are_planned_for_as_the_time_is(
    given: dict[str, Any], epochs: float
) -> None:
    found, by_time = planned(given), planned({"training": {"time": epochs * 10}})
    assert found.config.model == by_time.config.model
    assert found.config.training.lr == by_time.config.training.lr
    assert found.epochs is None  # they are the user's to know


def test_epochs_that_would_take_a_large_model_too_long_are_made_by_a_smaller_one() -> None:
    found = planned({"training": {"epochs": 30.0}},
                    speed=by_units(h256=1e5, h384=6e4, h512=4e4))  # fmt: skip
    assert found.config.model.hidden_size == 384


@pytest.mark.parametrize(
    ("steps", "rate"), [(1, 0.018), (100, 0.018), (400, 0.017), (900, 0.013), (1800, 0.01)]
)
@pytest.mark.parametrize("vocab_size", [20, 2000])
def test_few_steps_are_made_at_a_higher_rate(steps: int, rate: float, vocab_size: int) -> None:
    asked = planned({"training": {"max_steps": steps}}, vocab_size=vocab_size)
    in_time = planned({"training": {"time": steps * 0.01024}}, vocab_size=vocab_size)
    assert asked.config.training.lr == in_time.config.training.lr == rate
    given = {"training": {"max_steps": steps, "lr": 0.5}}
    assert planned(given, vocab_size=vocab_size).config.training.lr == 0.5


def test_few_steps_of_another_recipe_or_a_sparse_text_are_made_at_its_own_rate() -> None:
    often = planned({"training": {"time": 10.5}}, tokens=300_000,
                    speed=by_units(h256=1e5, h384=9e4, h512=8.3e4, h768=1e4))  # fmt: skip
    assert often.epochs == pytest.approx(2.905)
    assert (often.config.model.hidden_size, often.config.training.lr) == (512, 0.007)
    sparse = planned({"training": {"max_steps": 5}}, tokens=7000, vocab_size=2000)
    assert sparse.config.training.lr == recipes.SPARSE_RATE


def test_few_steps_that_read_a_text_often_are_made_at_the_usual_rate() -> None:
    given = {"training": {"max_steps": 100}}
    rates = [planned(given, tokens=tokens).config.training.lr for tokens in (32_000, 36_000)]
    assert rates == [0.01, 0.018]


def test_a_larger_model_than_the_recipes_is_given_a_lower_rate() -> None:
    rates = [
        planned({"model": {"hidden_size": width}, "training": {"time": 20.0}}).config.training.lr
        for width in (128, 256, 512, 1024)
    ]
    assert rates == [0.01, 0.01, 0.005, 0.0025]
    given = {"model": {"hidden_size": 512}, "training": {"time": 5.0, "lr": 0.02}}
    assert planned(given).config.training.lr == 0.02


def test_sgd_has_a_rate_of_its_own() -> None:
    given = {"training": {"optimizer": "sgd", "time": 5.0}}
    assert planned(given).config.training.lr == recipes.SGD_RATE


@pytest.mark.parametrize("seconds", [5.0, 300.0])
@pytest.mark.parametrize(
    "model",
    [
        {"tied": True, "embedding_size": 256},
        {"tied": True, "embedding_size": 100, "hidden_size": 100},
        {"proj_size": 200},
        {"proj_size": 500, "hidden_size": 600},
        {"proj_size": 64, "tied": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("tokens", [1_000, 1_000_000])
def test_no_plan_breaks_a_setting_that_was_given(
    model: dict[str, Any], seconds: float, tokens: int
) -> None:
    given = {"model": model, "training": {"time": seconds}}
    found = planned(given, tokens=tokens)
    check(found.config)
    for name, value in model.items():
        assert getattr(found.config.model, name) == value


@pytest.mark.parametrize(("times", "chosen"), [(1.5, "bfloat16"), (1.05, "float32")])
def test_half_the_precision_is_chosen_where_it_is_much_faster(times: float, chosen: str) -> None:
    def speed(config: Config) -> float:
        return 1e5 * (times if config.training.precision == "bfloat16" else 1)

    found = planned({"training": {"time": 100.0}}, speed=speed)
    assert found.config.training.precision == chosen
    assert found.epochs == pytest.approx(10 * (times if chosen == "bfloat16" else 1))
    for given in ({"training": {"precision": "float32"}}, {"model": {"implementation": "scratch"}}):
        given.setdefault("training", {})["time"] = 100.0
        assert planned(given, speed=speed).config.training.precision == "float32"


def test_a_precision_that_was_asked_for_and_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("charlm.model.device.trains_in", lambda *what: what[0] == "float32")
    with pytest.raises(UsageError, match="precision bfloat16: torch cannot train an LSTM in it"):
        planned({"training": {"precision": "bfloat16"}})


def threads_of(given: dict[str, Any], speeds: dict[int, float | None]) -> tuple[int | None, list]:
    tried = []

    def speed(config: Config) -> float | None:
        if config.training.precision == "bfloat16":
            return None
        tried.append(config.training.threads)
        return speeds[config.training.threads or 0]

    found = planned({**given, "model": {"hidden_size": 8}}, speed=speed)
    return found.config.training.threads, tried


def test_as_many_threads_as_are_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastest, "usable_cores", lambda: 6)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    given = {"training": {"time": 5.0, "parts": 1}}
    assert threads_of(given, {1: 10, 2: 20, 4: 15}) == (2, [1, 2, 4, 4])
    assert threads_of(given, {1: 10, 2: 10.4}) == (1, [1, 2, 2])
    assert threads_of(given, {1: 10, 2: 20, 4: 30, 6: 40}) == (6, [1, 2, 4, 6])
    assert threads_of(given, {1: 10, 2: None}) == (1, [1, 2, 2])
    monkeypatch.setattr("charlm.model.device.usable_cores", lambda: 6)
    fixed = {"training": {"time": 5.0, "threads": 3, "parts": 1}}
    assert threads_of(fixed, {3: 10}) == (3, [3])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert threads_of(given, {1: 10}) == (1, [1])


def sides_of(speeds: dict[tuple[int, int], float], **given: Any) -> tuple[int | None, int]:
    """The threads and parts chosen where these (threads, parts) have these speeds."""

    def speed(config: Config) -> float | None:
        training = config.training
        if training.precision == "bfloat16":
            return None
        return speeds.get((training.threads or 0, training.parts), 1.0)

    asked = {"model": {"hidden_size": 8}, "training": {"time": 5.0, **given}}
    training = planned(asked, speed=speed).config.training
    return training.threads, training.parts


def test_as_many_parts_side_by_side_as_are_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastest, "usable_cores", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert sides_of({(1, 1): 10, (2, 1): 20, (4, 1): 21}) == (2, 1)
    assert sides_of({(1, 1): 10, (2, 1): 20, (2, 2): 30}) == (2, 2)
    assert sides_of({(1, 1): 10, (2, 2): 15, (4, 4): 30}) == (4, 4)
    assert sides_of({(1, 1): 10, (4, 4): 30}) == (1, 1)  # two were no gain, so four are not tried
    assert sides_of({(1, 1): 10, (2, 2): 15}, parts=1) == (1, 1)
    assert sides_of({(1, 1): 10, (2, 2): 15}, batch_size=1) == (1, 1)
    assert sides_of({(1, 1): 10, (2, 2): 15}, threads=1) == (1, 1)
    # Two layers with something dropped between are for one part: no reason not to drop.
    deep = {"model": {"num_layers": 2}, "training": {"time": 300.0}}

    def by_parts(config: Config) -> float | None:
        training = config.training
        return None if training.precision == "bfloat16" else 1e5 * training.parts

    found = planned(deep, speed=by_parts)
    assert (found.config.training.parts, found.config.model.hidden_size) == (1, 768)
    assert found.config.model.dropout > 0
    dropped = {"model": {"num_layers": 2, "dropout": 0.1}, "training": {"time": 5.0}}
    monkeypatch.setattr("charlm.model.device.usable_cores", lambda: 4)
    assert planned(dropped).config.training.parts == 1


def test_many_symbols_share_a_matrix_and_are_sampled() -> None:
    def chosen(vocab_size: int, given: dict[str, Any]) -> tuple[bool, int, int]:
        given.setdefault("training", {})["time"] = 5.0
        config = planned(given, vocab_size=vocab_size).config
        return config.model.tied, config.model.embedding_size, config.training.sampled

    default = Config().model.embedding_size
    assert chosen(recipes.MANY_SYMBOLS - 1, {}) == (False, default, 0)
    assert chosen(recipes.MANY_SYMBOLS, {}) == (True, 256, 0)
    many = 2 * recipes.SAMPLED + 1
    assert chosen(many, {}) == (True, 256, recipes.SAMPLED)
    assert chosen(many, {"model": {"hidden_size": 100}}) == (True, 100, recipes.SAMPLED)
    assert chosen(many, {"model": {"embedding_size": 32}}) == (False, 32, recipes.SAMPLED)
    assert chosen(many, {"model": {"tied": False}}) == (False, default, recipes.SAMPLED)
    assert chosen(many, {"training": {"sampled": 0}}) == (True, 256, 0)
    projected = {"model": {"hidden_size": 100, "proj_size": 40}}
    assert chosen(many, projected) == (True, 40, recipes.SAMPLED)
    for textbook in ({"init": "normal"}, {"init": "torch"}, {"bidirectional": True}):
        assert chosen(many, {"model": textbook}) == (False, default, 0)


def test_the_processor_is_taken_where_it_is_much_faster_than_the_accelerator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fastest, "pick_device", lambda name: torch.device(
        "mps" if name == "auto" else name))  # fmt: skip
    for speed, chosen in ((3e5, "cpu"), (1.1e5, "auto")):

        def measured(config: Config, cpu: float = speed) -> float:
            return cpu if config.training.device == "cpu" else 1e5

        found = planned({"training": {"time": 5.0}}, speed=measured)
        assert found.config.training.device == chosen


def test_what_was_given_is_kept() -> None:
    given = {"model": {"dropout": 0.05}, "training": {"time": 300.0, "seq_len": 20}}
    found = planned(given)
    assert found.config.model.dropout == 0.05
    assert found.config.training.seq_len == 20


def test_time_that_is_over_does_not_count_nor_that_of_measuring() -> None:
    late = planned({"training": {"time": 100.0}}, elapsed=95.0)
    assert late.epochs == pytest.approx(0.5)
    assert follows(late, RECIPES[0])
    clock = iter(range(0, 10_000, 10))
    config = configured(Config(), given := {"training": {"time": 100.0}})
    found = plan(config, given, train_tokens=10**6, vocab_size=50, speed=always(1e5),
                 elapsed=lambda: next(clock))  # fmt: skip
    assert found.epochs is not None
    assert found.epochs < 9


def test_of_a_model_that_reads_both_ways_the_sizes_are_left_alone() -> None:
    given = {"model": {"bidirectional": True}}
    found = planned(given)
    assert found.config.model == configured(Config(), given).model
    assert found.config.training.threads == 1


@pytest.mark.parametrize("tokens", [90, 1350, 18_000, 180_000, 10**6, 10**9])
def test_without_a_limit_the_text_is_read_as_often_as_it_is_worth(tokens: int) -> None:
    found = planned({}, tokens=tokens)
    a_step = 32 * min(32, (tokens - 1) // 32)
    worth = max(MOST_EPOCHS, LEAST_STEPS * a_step / tokens)
    assert found.epochs == pytest.approx(min(worth, 600 * 1e5 / tokens), rel=0.01)
    assert found.config.training.time is None


def test_nothing_is_planned_by_what_cannot_be_trained() -> None:
    assert planned({"training": {"time": 5.0}}, speed=lambda config: None).epochs is None


def test_the_speed_is_measured_and_chance_left_as_it_was() -> None:
    before = torch.get_rng_state()
    config = configured(Config(), {"model": {"hidden_size": 8, "dropout": 0.5}})
    speed = Speed(10, 1.0)(config)
    assert speed is not None
    assert 1e3 < speed < 1e8
    assert torch.equal(torch.get_rng_state(), before)


class Clock:
    """Each look at it takes `tick` seconds."""

    def __init__(self, tick: float) -> None:
        self.time, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.time += self.tick
        return self.time


@pytest.mark.parametrize("tick", [0.001, 0.1, 2.0])
def test_measuring_keeps_to_its_time(tick: float) -> None:
    clock = Clock(tick)
    speed = Speed(10, 3.0, now=clock)
    for units in (8, 8, 16, 24, 32, 48, 64):
        speed(configured(Config(), {"model": {"hidden_size": units}}))
    # The first step is made whatever it takes: a step is two looks, a measurement three more.
    assert clock.time <= 3.0 + 9 * tick


def test_no_more_streams_are_measured_than_the_text_fills() -> None:
    measured = []

    def speed(config: Config) -> float:
        measured.append(config.training.batch_size)
        return 1e5

    given = {"training": {"batch_size": 1_000_000, "time": 5.0}}
    found = planned(given, tokens=18_000, speed=speed)
    assert set(measured) == {(18_000 - 1) // 32}
    assert found.config.training.batch_size == 1_000_000  # as it was given


def test_what_fails_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("could not create a primitive descriptor")

    monkeypatch.setattr("charlm.training.speed.Gradient", fails)
    assert Speed(10, 1.0)(Config()) is None


def test_a_training_tells_its_plan_and_what_there_is_to_beat(charlm: Any, text_file: Any) -> None:
    options = ["--hidden-size", 8, "--time", "2s", "-o", "run"]
    told = charlm("train", text_file, *options).err
    assert "about " in told
    assert "to beat: 5 characters of context, a validation perplexity of about " in told
    nothing = charlm("train", text_file, *options, "--force", "--val-frac", 0).err
    assert "nothing to validate on" in nothing
