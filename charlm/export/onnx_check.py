"""An .onnx file held to charlm's own logits, by onnxruntime."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from charlm.config import ModelConfig
from charlm.data.vocab import UNK_ID
from charlm.errors import ModelError
from charlm.export.onnx_graph import STATES
from charlm.export.reading import read_both_ways
from charlm.generation.drawing import OVERFLOW, Dice
from charlm.generation.rules import cumulated, draw, relative
from charlm.generation.sampler import Sampler
from charlm.generation.stepper import Stepper
from charlm.run import Run

# Symbols of a text that a model writes, and how far numbers may be apart: sums are rounded
# otherwise.
CHECKED, TOLERANCE = 500, 1e-4
# Of larger ones than this, so many of the first digits.
USUAL = 100
# Streams, each of another symbol.
AT_ONCE = 256
# Symbols of a text with a gap in their middle, and such texts at once.
AROUND_GAP = 16

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Agreement:
    """How far logits, and states after a step, were apart at most (`apart`) where both began with
    the same state, over so many symbols (`compared`).

    Of a model that writes, `same`: how many symbols of its greedy text onnxruntime writes as charlm
    does before it turns another way, each going on from its own states, in which differences of
    rounding may grow; `drift`: how far logits were apart until then; `gap`: where it turns, by how
    much charlm favours its own choice.
    """

    apart: float
    compared: int
    same: int | None = None
    drift: float = 0.0
    gap: float | None = None


def check(run: Run, data: bytes) -> Agreement:
    """Compare what an .onnx file gives with what charlm does.

    A model whose numbers grow beyond bounds is compared as far as they do not. Raises ModelError
    where numbers are further apart than rounding explains.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors, which are raised as well
    # A step is short work: threads that wait for it in a loop would take longer than they spare.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    comparison = Comparison(run)
    with np.errstate(over="ignore", invalid="ignore"):
        if run.config.model.bidirectional:
            _compare_texts(run, session, comparison)
            return Agreement(comparison.apart, comparison.compared)
        stepper = Stepper(run.config.model, run.weights)
        _compare_symbols(run, session, stepper, comparison)
        return _compare_steps(run, session, stepper, comparison)


class Comparison:
    """Numbers that are to be the same but for rounding."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.apart, self.compared = 0.0, 0

    def add(self, found: Array, expected: Array) -> bool:
        """Compare the logits, or states, of streams, (B, ...); whether they were within bounds.

        Raises ModelError where they are too far apart, or beyond all bounds from the first on.
        """
        largest = float(np.abs(expected).max())
        if not largest < OVERFLOW:
            if not self.compared:
                raise ModelError(f"{self._run.path}: its numbers are beyond bounds from the first")
            return False
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE * max(1, largest / USUAL):
            raise ModelError(
                f"{self._run.path}: after {self.compared + 1} symbols, onnxruntime "
                f"{onnxruntime.__version__} is {difference:.2g} away from what charlm computes, so "
                "nothing is written; try another version of it"
            )
        self.apart = max(self.apart, difference)
        return True


def _compare_symbols(run: Run, session: Any, stepper: Stepper, comparison: Comparison) -> None:
    """Each symbol of the vocabulary, read first of all; as many streams as are stepped at once."""
    for begin in range(0, len(run.vocab), AT_ONCE):
        ids = np.arange(begin, min(begin + AT_ONCE, len(run.vocab)))
        found = session.run(["logits"], {"ids": ids, **_zeros(run.config.model, len(ids))})[0]
        comparison.add(found, stepper.step(ids, stepper.start(len(ids))))
        comparison.compared += len(ids)


def _compare_steps(run: Run, session: Any, stepper: Stepper, comparison: Comparison) -> Agreement:
    """The steps of two streams: the greedy text, in which the file goes on from its own states, and
    one that is drawn, in which it is given charlm's before each step."""
    names = STATES[run.config.model.rnn_type]
    given, state, dice = _zeros(run.config.model, 2), stepper.start(2), Dice(0, 0)
    ids = [Sampler(stepper, run.vocab, run.config.generation).first_id()] * 2
    same, drift, gap = 0, 0.0, None
    for _ in range(CHECKED):
        found, *after = session.run(None, {"ids": np.array(ids), **given})
        expected = stepper.step(ids, state)
        bounded = float(np.abs(expected[0]).max()) < OVERFLOW
        if not comparison.add(found[1:], expected[1:]) or not bounded:
            break
        comparison.compared += 1
        for name, its in zip(names, after, strict=True):
            of_charlm = np.stack([getattr(layer, name)[1] for layer in state])
            comparison.add(its[:, 1], of_charlm)
            its[:, 1] = of_charlm
            given[name] = its
        ours, theirs = _likeliest(expected[0]), _likeliest(found[0])
        if gap is None:
            drift = max(drift, float(np.abs(found[0] - expected[0]).max()))
            gap = None if ours == theirs else float(expected[0, ours] - expected[0, theirs])
            same += gap is None
        sums = cumulated(relative(expected[1:, UNK_ID + 1 :])[0])
        ids = [ours, UNK_ID + 1 + draw(sums, [dice.roll()])[0]]
    return Agreement(comparison.apart, comparison.compared, same, drift, gap)


def _likeliest(logits: Array) -> int:
    """(V,) -> an id, of all but <unk>, which is never written."""
    return UNK_ID + 1 + int(logits[UNK_ID + 1 :].argmax())


def _zeros(model: ModelConfig, streams: int) -> dict[str, Array]:
    """The state before any text."""
    sizes = {"h": model.output_size, "c": model.hidden_size}
    return {
        name: np.zeros((model.num_layers, streams, sizes[name]), np.float32)
        for name in STATES[model.rnn_type]
    }


def _compare_texts(run: Run, session: Any, comparison: Comparison) -> None:
    """Short texts, in which rounding cannot grow, with the vocabulary around their gaps."""
    model, size = run.config.model, len(run.vocab)
    count = -(-max(CHECKED, size) // AROUND_GAP)
    texts = (np.arange(count * AROUND_GAP) % size).reshape(count, AROUND_GAP)
    texts = np.insert(texts, AROUND_GAP // 2, size, axis=1)
    for begin in range(0, count, AROUND_GAP):
        some = texts[begin : begin + AROUND_GAP]
        [found] = session.run(None, {"ids": np.ascontiguousarray(some.T)})
        for i, text in enumerate(some):
            comparison.add(found[:, i], read_both_ways(model, run.weights, text))
            comparison.compared += len(text)
