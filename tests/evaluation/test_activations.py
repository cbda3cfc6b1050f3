"""Units are chosen on one half of a text, and what is told of them is measured on the other."""

from collections.abc import Iterator

import numpy as np
import pytest

from charlm.config import ModelConfig
from charlm.errors import DataError
from charlm.evaluation.activations import TIMES, Unit, correlate, held, pearson, units_of
from charlm.evaluation.features import features_of
from charlm.generation.stepper import Stepper
from charlm.model.network import CharLM, weights_of

T = 400
NOISE = np.random.default_rng(0).normal(size=(T, 8))
# Comes and goes often enough.
FEATURE = (np.arange(T) % 6 < 3).astype(float)


class Planted:
    """In place of a model's: units that hold what is planted in them (T, U), in uneven pieces."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values.astype(np.float32)

    def start(self) -> list[int]:
        return [0]

    def take(self, state: list[int], rows: list[int]) -> list[int]:
        return [state[row] for row in rows]

    def activations(self, ids: np.ndarray, state: list[int]) -> Iterator[np.ndarray]:
        values, state[0] = self.values[state[0] : state[0] + len(ids)], state[0] + len(ids)
        yield from (values[k : k + 70] for k in range(0, len(values), 70))


def test_pearson_is_that_of_numpy() -> None:
    units = np.concatenate([NOISE, 1000 + NOISE[:, :2] + FEATURE[:, None]], axis=1)
    features = np.stack([FEATURE, NOISE[:, 3] + 2, np.arange(T) * 1e6], axis=1)
    expected = np.corrcoef(units.T, features.T)[:10, 10:]
    for size in (1, 70, T):
        pieces = (units[k : k + size] for k in range(0, T, size))
        np.testing.assert_allclose(pearson(pieces, features), expected, atol=1e-7)


def test_a_unit_that_does_not_vary_or_holds_no_number_follows_nothing() -> None:
    units = np.stack([np.full(T, 0.1), np.full(T, np.nan), FEATURE], axis=1).astype(np.float32)
    np.testing.assert_allclose(pearson([units], FEATURE[:, None]), [[0], [0], [1]], atol=1e-12)


def test_a_unit_is_chosen_on_the_first_half_and_measured_on_the_second() -> None:
    first, second = np.arange(T) < T // 2, np.arange(T) >= T // 2
    values = NOISE.copy()
    values[:, 2] += 4 * FEATURE * first
    values[:, 5] -= 3 * FEATURE
    values[:, 6] += 9 * FEATURE * second
    read: list[int] = []
    found = correlate(Planted(values), np.zeros(T, np.uint8), {"it": FEATURE}, read.append)
    assert sum(read) == T
    [best] = found.best
    assert (best.column, best.feature) == (2, "it")
    assert best.seen == pytest.approx(np.corrcoef(values[first, 2], FEATURE[first])[0, 1])
    assert best.unseen == pytest.approx(np.corrcoef(values[second, 2], FEATURE[second])[0, 1])
    assert abs(best.unseen) < 0.2
    assert [finding.column for finding in found.of_feature("it", 2)] == [2, 5]
    assert found.of_feature("it", 2)[1].unseen < -0.7


def test_features_come_by_what_they_reach_on_the_second_half() -> None:
    other = (np.arange(T) % 8 < 4).astype(float)
    values = NOISE.copy()
    values[:, 1] += FEATURE
    values[:, 3] -= 5 * other
    features = {"weak": FEATURE, "strong": other}
    found = correlate(Planted(values), np.zeros(T, np.uint8), features)
    assert [(f.column, f.feature) for f in found.best] == [(3, "strong"), (1, "weak")]
    assert found.of_unit(3).feature == "strong"
    assert found.of_unit(1).feature == "weak"


def test_what_comes_and_goes_too_seldom_is_left_out() -> None:
    def comes(times: int) -> np.ndarray:
        """So many stretches in each half, and before, between and behind them none."""
        half = np.zeros(T // 2)
        half[4 : 4 + 8 * times : 8] = 1
        return np.tile(half, 2)

    features = {
        "enough": comes(TIMES), "one less": comes(TIMES - 1), "never": np.zeros(T),
        "rises alone": np.arange(T) * 1.0, "falls alone": np.exp2(-np.arange(T)),
        "in the first half alone": comes(TIMES) * (np.arange(T) < T // 2),
    }  # fmt: skip
    found = correlate(Planted(NOISE), np.zeros(T, np.uint8), features)
    assert found.features == ["enough"]
    with pytest.raises(DataError, match="the text's 400 characters are too few: nothing comes"):
        correlate(Planted(NOISE), np.zeros(T, np.uint8), {"never": np.zeros(T)})
    with pytest.raises(DataError, match="the text's 1 characters are too few"):
        correlate(Planted(NOISE), np.zeros(1, np.uint8), features_of("a"))


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(rnn_type="gru", num_layers=2, embedding_size=3, hidden_size=5),
        ModelConfig(rnn_type="lstm", num_layers=2, embedding_size=3, hidden_size=5, proj_size=2),
    ],
)
def test_there_is_a_name_for_each_unit(config: ModelConfig) -> None:
    stepper = Stepper(config, weights_of(CharLM(config, 4)))
    [piece] = stepper.activations([1, 2], stepper.start())
    units = units_of(config)
    assert piece.shape == (2, len(units))
    assert len(set(units)) == len(units)
    assert str(units[0]) == "layer 1, output 1"
    if config.proj_size:
        assert units[2] == Unit(1, 1, "cell")
        assert str(units[-1]) == "layer 2, cell 5"


def model_that_follows_line_breaks() -> tuple[ModelConfig, dict[str, np.ndarray]]:
    """Of its units the third is 1 after a line break, which is id 2, and -1 elsewhere."""
    config = ModelConfig(rnn_type="rnn", num_layers=1, embedding_size=0, hidden_size=4)
    weights = weights_of(CharLM(config, 4))
    weights = {name: array.copy() for name, array in weights.items()}
    weights["rnn.weight_ih_l0"][2] = [-9, -9, 9, -9]
    weights["rnn.weight_hh_l0"][2] = weights["rnn.bias_ih_l0"][2] = weights["rnn.bias_hh_l0"][2] = 0
    return config, weights


def test_a_unit_made_to_follow_line_breaks_is_found() -> None:
    config, weights = model_that_follows_line_breaks()
    text = "".join(np.random.default_rng(0).choice(list("ab\n"), 1000))
    ids = np.array([{"a": 1, "b": 3, "\n": 2}[character] for character in text], np.uint8)
    stepper = Stepper(config, weights)
    found = correlate(stepper, ids, features_of(text))
    assert (found.best[0].feature, found.best[0].column) == ("after a line break", 2)
    assert found.best[0].unseen == pytest.approx(1)
    second = ids[500:]
    values = held(stepper, second, found.halfway, [2, 0])
    assert values.dtype == np.int8
    assert values.shape == (500, 2)
    np.testing.assert_array_equal(values[:, 0], np.where(second == 2, 127, -127))


def test_what_has_no_limit_is_held_to_what_it_reaches() -> None:
    values = np.stack([np.linspace(-4, 2, T), np.linspace(0, 0.5, T)], axis=1)
    shown = held(Planted(values), np.zeros(T, np.uint8), [0], [0, 1])
    assert shown[[0, -1]].tolist() == [[-127, 0], [64, 64]]
