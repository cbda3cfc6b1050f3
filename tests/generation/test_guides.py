"""Texts follow their rules, whatever the model would rather write."""

import re
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.config import GenerationConfig, ModelConfig
from charlm.data.vocab import Vocab
from charlm.errors import ModelError, UsageError
from charlm.generation.guides import NoRepeat
from charlm.generation.sampler import Sample, Sampler
from charlm.generation.stepper import Stepper
from charlm.model.network import CharLM, weights_of
from tests.vocabularies import vocab_of

VOCAB = vocab_of("aaab B1-\n")


def stepper_of(vocab: Vocab = VOCAB) -> Stepper:
    torch.manual_seed(0)
    config = ModelConfig(hidden_size=8, embedding_size=4)
    weights = weights_of(CharLM(config, len(vocab)))
    weights["head.weight"] *= 4
    return Stepper(config, weights)


STEPPER = stepper_of()


def written(prefix: str = "", **options: object) -> list[Sample]:
    sampler = Sampler(STEPPER, VOCAB, GenerationConfig(**options))
    ids = [int(i) for i in VOCAB.encode(prefix)]
    samples = sampler.start(ids)
    for _ in sampler.stream(ids, samples, seed=3):
        pass
    return samples


def repeated(text: str, length: int) -> set[str]:
    """The runs of so many characters that a text has more than once."""
    runs = [text[place : place + length] for place in range(len(text) - length + 1)]
    return {run for run in runs if runs.count(run) > 1}


@pytest.mark.parametrize("length", [2, 3, 5])
def test_no_run_comes_twice_the_prefix_included(length: int) -> None:
    prefix = "aab aB1" if length > 2 else "aab 1"
    for sample in written(prefix, no_repeat=length, temperature=0.0, length=40, num_samples=2):
        assert not repeated(prefix + sample.text, length)
        # Of two, a text of seven symbols soon has had all that there are.
        assert sample.stop_reason == ("repeat" if length == 2 else "length") or length == 3
    [free] = written(prefix, temperature=0.0, length=40)
    assert repeated(free.text, length)


def test_what_ends_is_told_and_the_others_go_on() -> None:
    samples = written(no_repeat=1, num_samples=3, length=9)
    assert {sample.stop_reason for sample in samples} == {"repeat"}
    assert {len(sample.text) for sample in samples} == {len(VOCAB) - 1}
    assert len({sample.text for sample in samples}) > 1


def test_a_run_that_the_prefix_has_already_twice_is_no_obstacle() -> None:
    [sample] = written("abababab", no_repeat=2, temperature=0.0, length=1)
    assert len(sample.text) == 1
    assert not repeated("b" + sample.text, 2)


def test_a_fork_goes_its_own_way() -> None:
    guide = NoRepeat(2, 3, [1, 2])
    other = guide.fork()
    guide.take(1, 0)
    other.take(3, 0)
    [first, second] = guide.allowed(1), other.allowed(1)
    assert first is not None
    assert first.tolist() == [True, False, True]
    assert second is None
    # What was known before is common to all, however long; what comes after it is not.
    guide.take(1, 0)
    other.take(1, 0)
    [first, second] = guide.allowed(1), other.allowed(1)
    assert first is not None
    assert first.tolist() == [False, False, True]
    assert second is not None
    assert second.tolist() == [True, False, True]
    assert guide._known is other._known


WORDS = st.sampled_from(["a", "B", " ", "1", "-", ".", r"\w", r"\s", r"\d", "[aB]", "[^a]", r"\n"])
COUNTS = st.sampled_from(["", "*", "+", "?", "{2}", "{3,}", "{1,4}", "*?"])
PARTS = st.recursive(
    st.builds(str.__add__, WORDS, COUNTS),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map("|".join).map("({})".format),
        st.builds("(?:{}){}".format, inner, COUNTS),
    ),
    max_leaves=6,
)


@given(PARTS, st.integers(0, 12), st.sampled_from([0.0, 0.8, 5.0]))
@settings(max_examples=200, deadline=None)
def test_each_text_is_a_full_match_or_one_line_says_that_none_fits(
    expression: str, length: int, temperature: float
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pattern = re.compile(expression)
        except re.error:
            return
    try:
        samples = written(match=expression, length=length, temperature=temperature, num_samples=2)
    except UsageError as error:
        assert str(error).count("\n") == 0
        assert f"no text of {length} characters or fewer" in str(error)
        return
    for sample in samples:
        assert pattern.fullmatch(sample.text), (expression, sample)
        assert len(sample.text) <= length
        assert sample.stop_reason == "match"


def test_a_match_ends_where_the_model_would_go_on_with_what_cannot_follow() -> None:
    words = {sample.text for sample in written(match=r"\w+", length=30, num_samples=40)}
    assert len({len(word) for word in words}) > 2
    assert max(map(len, words)) < 30


def test_what_is_left_of_the_length_suffices_for_the_end() -> None:
    for sample in written(match=r"[^-]*--1--", length=9, num_samples=20):
        assert sample.text.endswith("--1--")
        assert len(sample.text) <= 9


def test_a_model_of_words_cannot_match() -> None:
    vocab = vocab_of("a b", "word")
    with pytest.raises(ModelError, match="goes with a model of characters"):
        Sampler(STEPPER, vocab, GenerationConfig(match="a"))
    with pytest.raises(UsageError, match="is no regular expression"):
        written(match="(")
