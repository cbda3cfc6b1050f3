"""Dynamic evaluation: a model that goes on learning from the text as it is scored.

Every token is scored before anything is learned from it, so the figure is honest; it answers
another question than the plain pass does, and is named apart. After each window the weights take a
step against its gradient, scaled by how large their gradients were in training, and are drawn a
little back to where they were (Krause et al. 2018, the variant with RMS).
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from charlm.data.vocab import UNK_ID, Ids, Vocab
from charlm.evaluation.evaluator import score_of
from charlm.evaluation.metrics import Score
from charlm.evaluation.single_pass import OnScored
from charlm.model.cells import State
from charlm.model.network import CharLM, map_state

WINDOW = 32
# Steps against the gradient in units of its usual size, tried on the end of the training part.
RATES = (3e-5, 1e-4, 3e-4, 1e-3)
DECAY = 1e-3
TUNING_TOKENS = 20_000
# The least usual size, of the mean of all. A weight of a rare symbol had next to no gradient there;
# divided by that, its first real one would throw it far away, and the pull back is as weak.
LEAST_SCALE = 0.1
# No step is longer than so many usual ones: a gradient may be far from usual in a text unlike it.
MOST_USUAL = 10.0
EPSILON = 1e-8


@dataclass(frozen=True)
class Rule:
    """How the weights move. scales: for each parameter, the usual size of its gradient."""

    rate: float
    scales: list[Tensor]
    decay: float = DECAY


def fit_rule(model: CharLM, train: Ids) -> Rule:
    """The rule that does best on the end of the training part."""
    tail = train[-TUNING_TOKENS:]
    scales = gradient_scales(model, tail)
    rules = [Rule(rate, scales) for rate in RATES]
    totals = [dynamic_nats(model, tail, rule) for rule in rules]
    # A rate that leads to NaN is no better than any other, which min would not see.
    return min(zip(totals, rules, strict=True), key=lambda pair: _or_infinite(pair[0]))[1]


def gradient_scales(model: CharLM, ids: Ids) -> list[Tensor]:
    """The root mean square of each weight's gradient over the windows of a text, and no less than
    LEAST_SCALE of the mean of all of them.
    """
    learner = _learner(model)
    squares = [torch.zeros_like(p) for p in learner.parameters()]
    count, state = 0, None
    for window in _windows(ids, learner):
        _, gradients, state = _learn_from(learner, *window, state)
        for square, gradient in zip(squares, gradients, strict=True):
            square.addcmul_(gradient, gradient)
        count += 1
    scales = [(square / max(1, count)).sqrt_() for square in squares]
    least = LEAST_SCALE * _mean(scales)
    return [scale.clamp_(min=least) for scale in scales]


def dynamic_nats(model: CharLM, ids: Ids, rule: Rule) -> float:
    """The sum of nats over every token of `ids` after the first; `model` stays as it is."""
    return _sums(model, ids, rule)[0]


def _sums(
    model: CharLM, ids: Ids, rule: Rule, on_scored: OnScored = lambda streams, tokens: None
) -> tuple[float, float]:
    """The nats of every token after the first, and those of the unknown ones among them."""
    learner = _learner(model)
    mean_scale = _mean(rule.scales)
    pulls = [(rule.decay * scale / mean_scale).clamp_(max=1) for scale in rule.scales]
    steps = [rule.rate / scale for scale in rule.scales]
    begin = [p.detach() for p in model.parameters()]
    weights = [p.detach() for p in learner.parameters()]
    most, total, of_unknown, scored, state = MOST_USUAL * rule.rate, 0.0, 0.0, 0, None
    for window in _windows(ids, learner):
        losses, gradients, state = _learn_from(learner, *window, state)
        total += losses.sum().item()
        of_unknown += losses[window[1].flatten() == UNK_ID].sum().item()
        scored += len(losses)
        on_scored(1, scored)
        for weight, gradient, step, first, pull in zip(
            weights, gradients, steps, begin, pulls, strict=True
        ):
            weight.sub_((gradient * step).clamp_(-most, most)).lerp_(first, pull)
    return total, of_unknown


def _or_infinite(nats: float) -> float:
    return math.inf if math.isnan(nats) else nats


def _mean(scales: list[Tensor]) -> float:
    """The mean of all weights' scales; never zero."""
    mean = torch.cat([scale.flatten() for scale in scales]).mean().item()
    return max(mean, EPSILON)


def evaluate_dynamic(
    model: CharLM,
    ids: Ids,
    vocab: Vocab,
    rule: Rule,
    on_scored: OnScored = lambda streams, tokens: None,
) -> Score:
    """Score `ids` (N,) in order, from a zero state, learning on the way."""
    nats, of_unknown = _sums(model, ids, rule, on_scored)
    return score_of(_or_infinite(nats), of_unknown, ids, vocab)


def _learner(model: CharLM) -> CharLM:
    """A copy that can learn, with nothing dropped out."""
    learner = copy.deepcopy(model).eval()
    # cuDNN has no gradient for layers that are not in training.
    learner.rnn.train()
    learner.rnn.dropout = 0.0  # type: ignore[assignment]
    return learner


def _windows(ids: Ids, model: CharLM) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets (T, 1), one window after another."""
    device = model.head.weight.device
    for begin in range(0, len(ids) - 1, WINDOW):
        window = np.array(ids[begin : begin + WINDOW + 1], dtype=np.int64)
        tokens = torch.from_numpy(window).to(device)[:, None]
        yield tokens[:-1], tokens[1:]


def _learn_from(
    model: CharLM, inputs: Tensor, targets: Tensor, state: State | None
) -> tuple[Tensor, tuple[Tensor, ...], State]:
    """Nats of each target (T,), gradient of their mean, state after the window."""
    logits, state = model(inputs, state)
    nats = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    gradients = torch.autograd.grad(nats.mean(), list(model.parameters()))
    return nats.detach(), gradients, map_state(state, torch.Tensor.detach)
