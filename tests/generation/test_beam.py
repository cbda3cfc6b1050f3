"""The beam finds what trying everything finds, and nothing worse than the greedy text."""

from itertools import product

import numpy as np
import pytest
import torch

from charlm.config import GenerationConfig, ModelConfig
from charlm.data.vocab import Vocab
from charlm.generation.sampler import Sample, Sampler
from charlm.generation.stepper import Stepper
from charlm.model.network import CharLM, weights_of
from tests.vocabularies import vocab_of

VOCAB = vocab_of("aaabbc")


def stepper_of(vocab: Vocab = VOCAB, seed: int = 0) -> Stepper:
    torch.manual_seed(seed)
    config = ModelConfig(hidden_size=12, embedding_size=6)
    weights = weights_of(CharLM(config, len(vocab)))
    weights["head.weight"] *= 8
    weights["rnn.weight_hh_l0"] *= 3
    return Stepper(config, weights)


def searched(
    stepper: Stepper, prefix: str, vocab: Vocab = VOCAB, **settings: object
) -> list[Sample]:
    sampler = Sampler(stepper, vocab, GenerationConfig(**settings))
    ids = [int(i) for i in vocab.encode(prefix)]
    samples, shown = sampler.start(ids), {}
    for index, text in sampler.stream(ids, samples, seed=0):
        shown[index] = shown.get(index, "") + text
    assert shown == {index: sample.text for index, sample in enumerate(samples)}
    return samples


def nats_of(stepper: Stepper, prefix: str, text: str, vocab: Vocab = VOCAB) -> float:
    """Of a text after a prefix, under the model."""
    ids = vocab.encode(prefix + text).tolist()
    logits = np.concatenate([part.copy() for part in stepper.logits(ids[:-1], stepper.start())])
    logits = logits[len(prefix) - 1 :].astype(float)
    own = logits[range(len(text)), ids[len(prefix) :]]
    return float((np.logaddexp.reduce(logits, axis=1) - own).sum())


@pytest.mark.parametrize("prefix", ["a", "cab"])
def test_a_wide_beam_finds_the_likeliest_of_all(prefix: str) -> None:
    stepper = stepper_of()
    best = sorted(
        (nats_of(stepper, prefix, "".join(text)), "".join(text))
        for text in product("abc", repeat=6)
    )[:3]
    found = searched(stepper, prefix, beam=3**5, length=6, num_samples=3)
    assert [sample.text for sample in found] == [text for _, text in best]
    assert [sample.nats for sample in found] == pytest.approx([nats for nats, _ in best], rel=1e-5)
    assert {sample.stop_reason for sample in found} == {"length"}


@pytest.mark.parametrize("rule", [{}, {"no_repeat": 3}])
def test_no_beam_is_worse_than_the_greedy_text(rule: dict[str, int]) -> None:
    better = 0
    for seed in range(12):
        stepper = stepper_of(seed=seed)
        for prefix in ("a", "bca"):
            [greedy] = searched(stepper, prefix, temperature=0.0, length=14, **rule)
            if greedy.stop_reason == "repeat":
                continue  # a shorter text
            for beam in (1, 2, 4):
                [found] = searched(stepper, prefix, beam=beam, length=14, **rule)
                assert found.nats <= greedy.nats * (1 + 1e-6)
                assert found.nats == pytest.approx(nats_of(stepper, prefix, found.text), rel=1e-5)
                better += found.nats < greedy.nats - 1e-3
    assert better > 3


def test_of_texts_that_a_stop_text_ends_the_likeliest_is_found() -> None:
    stepper = stepper_of()
    texts = ("".join(text) for n in (2, 3, 4, 5) for text in product("abc", repeat=n))
    ended = [text for text in texts if text.endswith("cb") and "cb" not in text[:-1]]
    whole = ["".join(text) for text in product("abc", repeat=5) if "cb" not in "".join(text)]
    best = min(ended + whole, key=lambda text: nats_of(stepper, "a", text))
    [found] = searched(stepper, "a", beam=3**4, length=5, stop=("cb",))
    assert found.text == best.removesuffix("cb")
    assert found.stop_reason == ("stop" if best.endswith("cb") else "length")


def test_words() -> None:
    vocab = vocab_of("to be or not to be that is", "word")
    [found] = searched(stepper_of(vocab), "to be", vocab, beam=5, length=3)
    assert (len(found.text.split()), found.text[0]) == (3, " ")


def test_stop_texts_are_found_where_marks_are_joined_to_words() -> None:
    text = 'to be, or "not" to be. or to be\nor, "to" be, not'
    vocab = vocab_of(text, "word+breaks+punctuation")
    stops = (", or", '"to', "be.", "be\nor")
    for seed in range(8):
        stepper = stepper_of(vocab, seed)
        [whole] = searched(stepper, "to be", vocab, beam=1, length=20)
        [ended] = searched(stepper, "to be", vocab, beam=1, length=20, stop=stops)
        found = [place for stop in stops if (place := whole.text.find(stop)) >= 0]
        assert ended.text == (whole.text[: min(found)] if found else whole.text)
        assert ended.stop_reason == ("stop" if found else "length")


def test_a_text_that_can_only_repeat_itself_ends() -> None:
    [found] = searched(stepper_of(), "a", beam=4, length=99, no_repeat=1)
    assert (sorted(found.text), found.stop_reason) == (["b", "c"], "repeat")


def test_nothing_to_find() -> None:
    [found] = searched(stepper_of(), "a", beam=4, length=0)
    assert (found.text, found.nats, found.stop_reason) == ("", 0, "length")


@pytest.mark.parametrize("prefix", ["a", "abc" * 40])
def test_a_state_that_grows_beyond_all_bounds_ends_the_text(prefix: str) -> None:
    """In the prefix or after it, with no warning (which would be an error here)."""
    torch.manual_seed(0)
    config = ModelConfig(rnn_type="rnn", nonlinearity="relu", hidden_size=16, embedding_size=8)
    weights = weights_of(CharLM(config, len(VOCAB)))
    weights["rnn.weight_hh_l0"] = np.full((16, 16), 1.0, np.float32)
    [found] = searched(Stepper(config, weights), prefix, beam=3, length=99)
    assert found.stop_reason == "overflow"
    assert (len(found.text) == 0) == (len(prefix) > 1)
    assert len(found.text) < 40
