"""Which units of a model follow which features of a text (Karpathy, Johnson & Fei-Fei 2015, as a
measure): Pearson's correlation of what a unit holds after each character with what the feature is
there.

Of so many units one follows anything by chance. So units are chosen on the first half of a text,
and what is told of them is measured on the second. A feature that comes and goes but a few times is
left out: any unit that changes slowly looks as if it followed it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from charlm.config import ModelConfig
from charlm.data.vocab import Ids
from charlm.errors import DataError
from charlm.generation.stepper import LayerStates, Stepper

# How often a feature must rise and fall, at least, in each half of the text.
TIMES = 20

Floats = npt.NDArray[np.float64]
Activations = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Unit:
    """A number that a model holds. layer, number: counted from 1. state: "output", which is h, or
    "cell", which is tanh(c) of an LSTM: what it keeps, whether or not it lets it out."""

    layer: int
    number: int
    state: str

    def __str__(self) -> str:
        return f"layer {self.layer}, {self.state} {self.number}"


def units_of(model: ModelConfig) -> list[Unit]:
    """In the order of `Stepper.activations`."""
    states = [("output", model.output_size)]
    states += [("cell", model.hidden_size)] if model.rnn_type == "lstm" else []
    return [
        Unit(layer + 1, number + 1, state)
        for layer in range(model.num_layers)
        for state, width in states
        for number in range(width)
    ]


@dataclass(frozen=True)
class Finding:
    """A unit and a feature. column: the unit's place in `units_of`. seen: their correlation on the
    half of the text on which one was chosen for the other; unseen: on the other half."""

    column: int
    feature: str
    seen: float
    unseen: float


@dataclass(frozen=True)
class Correlations:
    """Of U units with F features. seen, unseen: (U, F), on the first half of a text and on the
    second; 0 where the unit does not change. halfway: the model's state between them."""

    features: list[str]
    seen: Floats
    unseen: Floats
    halfway: LayerStates

    @cached_property
    def best(self) -> list[Finding]:
        """For each feature the unit that follows it best on the first half: those that follow it on
        the second one best come first."""
        found = [self.of_feature(feature, 1)[0] for feature in self.features]
        return sorted(found, key=lambda finding: -abs(finding.unseen))

    def of_feature(self, feature: str, number: int) -> list[Finding]:
        """The units that follow a feature best on the first half, the best first."""
        k = self.features.index(feature)
        order = np.argsort(-np.abs(self.seen[:, k]), kind="stable")[:number]
        return [self._finding(int(column), k) for column in order]

    def of_unit(self, column: int) -> Finding:
        """What a unit follows best on the first half."""
        return self._finding(column, int(np.abs(self.seen[column]).argmax()))

    def _finding(self, column: int, k: int) -> Finding:
        seen, unseen = float(self.seen[column, k]), float(self.unseen[column, k])
        return Finding(column, self.features[k], seen, unseen)


def correlate(
    stepper: Stepper,
    ids: Ids,
    features: Mapping[str, Floats],
    on_read: Callable[[int], object] = lambda characters: None,
) -> Correlations:
    """features: (T,) each, of the characters ids (T,). Those that come and go too seldom are left
    out. Raises DataError where that are all of them. on_read: called with how many more have been
    read."""
    halves = slice(len(ids) // 2), slice(len(ids) // 2, None)
    usable = [
        name
        for name, values in features.items()
        if all(_comes_and_goes(values[half]) for half in halves)
    ]
    if not usable:
        raise DataError(
            f"the text's {len(ids):,} characters are too few: nothing comes and goes at least "
            f"{TIMES} times in each half of it, as words and lines do"
        )
    table, state = np.stack([features[name] for name in usable], axis=1), stepper.start()

    def activations(half: slice) -> Iterator[Activations]:
        for piece in stepper.activations(ids[half], state):
            yield piece
            on_read(len(piece))

    first, second = halves
    seen = pearson(activations(first), table[first])
    halfway = stepper.take(state, [0])
    return Correlations(usable, seen, pearson(activations(second), table[second]), halfway)


def _comes_and_goes(values: Floats) -> bool:
    changes = np.diff(values)
    return all(np.count_nonzero(way) >= TIMES for way in (changes > 0, changes < 0))


def pearson(pieces: Iterable[Activations], features: Floats) -> Floats:
    """The correlations (U, F) of units with features (T, F). pieces: of activations (T', U), T
    rows in all, of which no more is kept than sums. 0 where a unit does not vary; features do."""
    done, count = 0, len(features)
    sums = squares = products = np.zeros(())
    features = features - features.mean(axis=0)
    for piece in pieces:
        rows = piece.astype(np.float64)
        products = products + rows.T @ features[done : done + len(rows)]
        sums, squares = sums + rows.sum(axis=0), squares + np.square(rows).sum(axis=0)
        done += len(rows)
    with np.errstate(all="ignore"):
        variation = squares - np.square(sums) / count
        # What is left of a sum of squares by rounding is no variation.
        variation = np.where(variation > 1e-12 * squares, variation, 0)
        found = products / np.sqrt(np.outer(variation, np.square(features).sum(axis=0)))
    return np.where(np.isfinite(found), found, 0)


def held(stepper: Stepper, ids: Ids, state: LayerStates, columns: list[int]) -> Bytes:
    """What some units hold after each of the characters ids (T,), (T, N): from -127 to 127 for -1
    to 1 or, where a unit without limit goes beyond, for as far as it goes."""
    values = np.concatenate([piece[:, columns] for piece in stepper.activations(ids, state)])
    scaled: Activations = np.rint(127 * values / np.maximum(1, np.abs(values).max(axis=0)))
    return scaled.astype(np.int8)
