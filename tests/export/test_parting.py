"""scripts/check_pages tells rounding from a mistake where a page writes other text than charlm."""

import numpy as np
import pytest
from engine_models import model_called
from engine_page_checks import EXACT, SEED, parting

from charlm.config import GenerationConfig
from charlm.data.vocab import Vocab
from charlm.generation.drawing import Dice
from charlm.generation.sampler import Sampler
from charlm.generation.stepper import Stepper
from charlm.model.network import weights_of

READ, LENGTH = [3, 4], 40


def written(temperature: float, twin: bool = False) -> tuple[Stepper, Vocab, list[int]]:
    """A stepper, its vocabulary, and what is written after READ. twin: the last symbol is as likely
    as the first that is written."""
    config, vocab, network = model_called("lstm")
    weights = weights_of(network)
    if twin:
        first = written(temperature)[2][0]
        for name in ("head.weight", "head.bias"):
            weights[name][-1] = weights[name][first]
    stepper = Stepper(config.model, weights)
    settings = GenerationConfig(length=LENGTH, temperature=temperature)
    sampler = Sampler(stepper, vocab, settings)
    (sample,) = samples = sampler.start(READ)
    for _ in sampler.stream(READ, samples, SEED):
        pass
    return stepper, vocab, sample.ids


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_another_symbol_than_rounding_may_choose_is_a_mistake(temperature: float) -> None:
    stepper, vocab, ids = written(temperature)
    for step in (0, 7, LENGTH - 1):
        wrong = (ids[step] + len(vocab) // 2) % (len(vocab) - 1) + 1
        others = [*READ, *ids[:step], wrong, *ids[step + 1 :]]
        found, gap = parting(stepper, READ, ids, others, temperature)
        assert found == step
        assert gap > EXACT
    assert parting(stepper, READ, ids, [*READ, *ids[:-1]], temperature) == (LENGTH - 1, np.inf)


def test_of_two_equally_likely_ones_either_is_right() -> None:
    stepper, vocab, ids = written(0.0, twin=True)
    step, gap = parting(stepper, READ, ids, [*READ, len(vocab) - 1, *ids[1:]], 0.0)
    assert (step, gap) == (0, 0.0)


def test_a_drawn_one_is_as_far_as_its_own_numbers_are() -> None:
    """Not as near as the next symbol, which stands between."""
    stepper, vocab, ids = written(0.8)
    state = stepper.start()
    for id_ in READ:
        logits = stepper.step([id_], state)[0].astype(np.float64)
    shares = np.exp(logits / 0.8)
    shares[0] = 0
    last = np.cumsum(shares) / shares.sum()
    number, chosen = Dice(SEED, 0).roll(), ids[0]
    assert last[chosen - 1] <= number < last[chosen]
    for other in range(1, len(vocab)):
        if other != chosen:
            _, gap = parting(stepper, READ, ids, [*READ, other, *ids[1:]], 0.8)
            nearest = last[other - 1] if other > chosen else last[other]
            assert gap == pytest.approx(abs(nearest - number), abs=1e-9)
