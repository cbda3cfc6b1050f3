import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from charlm.config import GenerationConfig, ModelConfig
from charlm.data.vocab import UNK_ID, Vocab
from charlm.generation.drawing import Dice
from charlm.generation.layers import ROW_BY_ROW
from charlm.generation.rules import (
    RULES,
    cumulated,
    draw,
    relative,
    rules_of,
    with_min_p,
    with_temperature,
    with_top_k,
    with_top_p,
    with_typical,
)
from charlm.generation.sampler import Sample, Sampler
from charlm.generation.stepper import Stepper
from charlm.model.network import CharLM, weights_of
from tests.vocabularies import vocab_of

VOCAB = vocab_of("the cat sat on the mat\n")


def sampler_of(vocab: Vocab = VOCAB, **settings: object) -> Sampler:
    torch.manual_seed(0)
    config = ModelConfig(hidden_size=16, embedding_size=8)
    model = CharLM(config, len(vocab))
    with torch.no_grad():
        model.head.weight *= 20
        model.head.bias[UNK_ID] = 50  # the model would like nothing better than <unk>
    return Sampler(Stepper(config, weights_of(model)), vocab, GenerationConfig(**settings))


def texts(sampler: Sampler, prefix: str = "", seed: int = 7) -> list[str]:
    ids = [int(i) for i in VOCAB.encode(prefix)]
    samples = sampler.start(ids)
    shown = [""] * len(samples)
    for index, text in sampler.stream(ids, samples, seed):
        shown[index] += text
    assert shown == [sample.text for sample in samples]
    return shown


LOGITS = arrays(np.float32, (2, 6), elements=st.floats(-20, 20, width=32)).map(
    lambda logits: relative(logits)[0]
)


def probabilities(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).softmax(-1).numpy()


@given(arrays(np.float32, (2, 6), elements=st.floats(-(2.0**20), 2.0**20, width=32)))
def test_relative_logits_have_their_largest_at_zero(logits: np.ndarray) -> None:
    shifted, largest = relative(logits)
    assert (shifted.max(axis=1) == 0).all()
    assert (largest == logits.max(axis=1)).all()
    differences = logits[:, :1] - logits.astype(float)
    np.testing.assert_allclose(shifted[:, :1] - shifted, differences, atol=1e-9)


@given(LOGITS, st.integers(1, 8))
def test_top_k_keeps_the_k_likeliest(logits: np.ndarray, k: int) -> None:
    kept = np.isfinite(with_top_k(k)(logits))
    assert (kept.sum(axis=1) == min(k, 6)).all()
    for row, keep in zip(logits, kept, strict=True):
        assert row[keep].min() >= row[~keep].max(initial=-np.inf)


@given(LOGITS, st.floats(0.01, 1))
def test_top_p_keeps_the_fewest_that_reach_p(logits: np.ndarray, p: float) -> None:
    kept = np.isfinite(with_top_p(p)(logits))
    for row, keep in zip(probabilities(logits), kept, strict=True):
        assert row[keep].sum() >= p - 1e-9
        assert row[keep].sum() - row[keep].min() < p + 1e-9
        assert row[keep].min() >= row[~keep].max(initial=0)


# With many of a row alike, and some ruled out before.
TIES = arrays(np.float64, (3, 9), elements=st.sampled_from([0.0, -0.5, -1.0, -3.0, -np.inf])).map(
    lambda logits: logits - np.fmax(logits.max(axis=1, keepdims=True), -9)
)


def ranked(logits: np.ndarray) -> np.ndarray:
    return np.argsort(-logits, axis=1, kind="stable")


@given(TIES, st.integers(1, 10))
def test_of_equals_top_k_keeps_the_smaller_ids(logits: np.ndarray, k: int) -> None:
    expected = np.full_like(logits, -np.inf)
    for row, order in enumerate(ranked(logits)):
        expected[row, order[:k]] = logits[row, order[:k]]
    np.testing.assert_array_equal(with_top_k(k)(logits), expected)


@given(TIES, st.floats(1e-9, 1) | st.sampled_from([0.25, 1 / 3, 0.5]))
def test_of_equals_top_p_keeps_the_smaller_ids(logits: np.ndarray, p: float) -> None:
    expected = np.full_like(logits, -np.inf)
    for row, order in enumerate(ranked(logits)):
        sums = np.exp(logits[row, order]).cumsum()
        for place, before in zip(order, [0, *sums[:-1]], strict=True):
            if before < p * sums[-1]:
                expected[row, place] = logits[row, place]
    np.testing.assert_array_equal(with_top_p(p)(logits), expected)


@given(LOGITS, st.floats(0.01, 1))
def test_min_p_keeps_what_is_likely_enough(logits: np.ndarray, share: float) -> None:
    kept = np.isfinite(with_min_p(share)(logits))
    assert kept[range(len(kept)), logits.argmax(axis=1)].all()
    for row, keep in zip(probabilities(logits), kept, strict=True):
        assert (row[keep] >= share * row.max() * 0.999).all()
        assert (row[~keep] <= share * row.max() * 1.001).all()


@given(LOGITS, st.floats(0.01, 0.999))
def test_typical_keeps_the_fewest_of_about_the_expected_surprise(
    logits: np.ndarray, mass: float
) -> None:
    ruled = with_typical(mass)(logits)
    assert (ruled.max(axis=1) == 0).all()
    for row, keep in zip(probabilities(logits), np.isfinite(ruled), strict=True):
        surprises = -np.log(row)
        distances = np.abs(surprises - (row * surprises).sum())
        assert row[keep].sum() >= mass - 1e-9
        assert row[keep].sum() - row[keep][distances[keep].argmax()] < mass + 1e-9
        assert distances[keep].max() <= distances[~keep].min(initial=np.inf) + 1e-9


def test_typical_can_leave_the_likeliest_out() -> None:
    """The expected surprise is nearer to that of the seven than to that of the one."""
    logits = relative(np.log(np.array([[0.3] + 7 * [0.1]])))[0]
    assert np.isfinite(with_typical(0.6)(logits)).tolist() == [[False] + 6 * [True] + [False]]
    # What was ruled out before stays so.
    logits[0, 1:] = -np.inf
    assert with_typical(0.5)(logits).tolist() == [[0] + 7 * [-np.inf]]


@given(LOGITS, st.floats(1e-300, 50))
def test_temperature_keeps_the_order(logits: np.ndarray, temperature: float) -> None:
    shares = probabilities(with_temperature(temperature)(logits))
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    for row, share in zip(logits, shares, strict=True):
        assert share[row.argmax()] == share.max()
    if temperature >= 0.1:
        expected = probabilities(logits / temperature)
        np.testing.assert_allclose(shares, expected, atol=1e-5)


@given(LOGITS)
def test_temperature_zero_leaves_one(logits: np.ndarray) -> None:
    kept = np.isfinite(with_temperature(0)(logits))
    assert (kept.sum(axis=1) == 1).all()
    assert (logits[kept] == logits.max(axis=1)).all()


def test_only_the_rules_asked_for_are_applied() -> None:
    assert rules_of(GenerationConfig(temperature=1.0)) == []
    assert len(rules_of(GenerationConfig(temperature=0.5, top_k=3, top_p=0.5, min_p=0.1))) == 4
    for name, (no_rule, _) in RULES.items():
        assert hasattr(GenerationConfig(), name)
        assert no_rule in (0, 1)


def test_a_draw_follows_the_probabilities() -> None:
    logits = np.log(np.array([[0.5, 1e-30, 0.3, 0.2]]))
    uniform = np.random.default_rng(0).random(20_000)
    drawn = draw(np.repeat(cumulated(logits), len(uniform), axis=0), uniform.tolist())
    shares = np.bincount(drawn, minlength=4) / len(uniform)
    np.testing.assert_allclose(shares, [0.5, 0, 0.3, 0.2], atol=0.015)


@pytest.mark.parametrize("uniform", [0.0, 0.5, np.nextafter(1, 0)])
@pytest.mark.parametrize("logit", [0.0, 1.0, -np.log(1.5)])
def test_what_is_ruled_out_is_never_drawn(uniform: float, logit: float) -> None:
    logits = np.array([[-np.inf, logit, -np.inf, logit, -np.inf]])
    assert draw(cumulated(logits), [uniform])[0] in (1, 3)
    assert draw(np.array([[0.0, 1.5, 1.5]]), [uniform]) == [1]


def test_dice_are_fair_and_of_their_own() -> None:
    numbers = [die.roll() for die in (Dice(1, 0), Dice(1, 1), Dice(2, 0), Dice(1, 0))]
    assert len(set(numbers)) == 3
    assert numbers[0] == numbers[3]
    die = Dice(1, 0)
    assert len({die.roll() for _ in range(1000)}) == 1000


def test_greedy_text_is_the_same_whatever_the_seed() -> None:
    one, other = (texts(sampler_of(temperature=0.0, length=50), "the", s) for s in (1, 2))
    assert one == other
    assert len(one[0]) == 50


def test_the_same_seed_gives_the_same_samples_and_each_its_own() -> None:
    three = texts(sampler_of(num_samples=3, length=30), "the")
    assert three == texts(sampler_of(num_samples=3, length=30), "the")
    assert len(set(three)) == 3
    assert three == texts(sampler_of(num_samples=5, length=30), "the")[:3]
    assert three != texts(sampler_of(num_samples=3, length=30), "the", seed=8)


def outcomes(cell: str, count: int, **settings: object) -> list[tuple[str, float, str | None]]:
    """Text, nats and why it ended of each sample of an untrained model of some size."""
    torch.manual_seed(0)
    config = ModelConfig(rnn_type=cell, num_layers=2, hidden_size=150, embedding_size=20)
    stepper = Stepper(config, weights_of(CharLM(config, len(VOCAB))))
    sampler = Sampler(stepper, VOCAB, GenerationConfig(num_samples=count, length=60, **settings))
    samples = sampler.start([])
    for _ in sampler.stream([], samples, 7):
        pass
    return [(sample.text, sample.nats, sample.stop_reason) for sample in samples]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_sample_is_the_same_to_the_bit_alone_and_among_a_few(cell: str) -> None:
    """Also when some of the others have ended."""
    [alone] = outcomes(cell, 1, stop=("zz",))
    few = outcomes(cell, ROW_BY_ROW, stop=("zz",))
    assert [few[0], len(set(few))] == [alone, ROW_BY_ROW]
    assert few[:3] == outcomes(cell, 3, stop=("zz",))
    stopped = outcomes(cell, ROW_BY_ROW, stop=("at", "he", "o"))
    assert len({len(text) for text, *_ in stopped}) > 2
    assert stopped[:2] == outcomes(cell, 2, stop=("at", "he", "o"))


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 1.0}, {"temperature": 0.7, "top_k": 9, "min_p": 0.01}, {"typical": 0.6}],
)
def test_nats_that_nobody_reads_are_none_and_the_text_is_the_same(
    settings: dict[str, float],
) -> None:
    """A lone text without them is drawn in a shorter way."""
    config = GenerationConfig(length=40, **settings)
    torch.manual_seed(0)
    model = ModelConfig(hidden_size=16, embedding_size=8)
    engine = Stepper(model, weights_of(CharLM(model, len(VOCAB))))
    found = {}
    for scored in (False, True):
        sampler = Sampler(engine, VOCAB, config, scored=scored)
        [sample] = sampler.start([])
        for _ in sampler.stream([], [sample], 7):
            pass
        found[scored] = sample
    assert found[False].text == found[True].text
    assert np.isnan(found[False].nats)
    assert found[True].nats > 0


def test_among_many_the_samples_are_the_same_but_for_rounding() -> None:
    many = outcomes("lstm", 3 * ROW_BY_ROW)
    for (text, nats, _), (expected, close, _) in zip(outcomes("lstm", 3), many[:3], strict=True):
        assert (text, nats) == (expected, pytest.approx(close, rel=1e-5))


@pytest.mark.parametrize("prefix", ["", "the cat sat on the mat" * 4])
@pytest.mark.parametrize(("count", "scored"), [(2, True), (1, False)])
def test_a_state_that_grows_beyond_all_bounds_ends_the_text(
    prefix: str, count: int, scored: bool
) -> None:
    """In the prefix or after it, with no warning (which would be an error here)."""
    torch.manual_seed(0)
    config = ModelConfig(rnn_type="rnn", nonlinearity="relu", hidden_size=16, embedding_size=8)
    weights = weights_of(CharLM(config, len(VOCAB)))
    weights["rnn.weight_hh_l0"] = np.full((16, 16), 1.0, np.float32)
    settings = GenerationConfig(num_samples=count, length=99)
    sampler = Sampler(Stepper(config, weights), VOCAB, settings, scored=scored)
    ids = [int(i) for i in VOCAB.encode(prefix)]
    samples = sampler.start(ids)
    for _ in sampler.stream(ids, samples, 0):
        pass
    for sample in samples:
        assert sample.stop_reason == "overflow"
        assert len(sample.text) < 30
        assert np.isfinite(sample.nats) or not scored
        assert (len(sample.text) == 0) == bool(prefix)


def test_unk_is_never_generated_and_the_nats_are_the_models_own() -> None:
    sampler = sampler_of(length=20)
    samples = sampler.start([])
    for _ in sampler.stream([], samples, 0):
        pass
    assert "<unk>" not in samples[0].text
    # The model gives <unk> all but e^-50 or so: what is drawn instead surprises it.
    assert samples[0].nats > 20 * 10


def test_a_stop_text_ends_a_sample_and_the_others_go_on() -> None:
    free = texts(sampler_of(num_samples=8, length=40))
    stopped = texts(sampler_of(num_samples=8, length=40, stop=("a",)))
    assert stopped == [text.partition("a")[0] for text in free]
    assert len({len(text) for text in stopped}) > 1


@given(st.text("ab", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_what_is_shown_never_has_to_be_taken_back(text: str, stops: list[str]) -> None:
    vocab = vocab_of("ab")
    sample, shown, given = Sample(vocab, tuple(stops), follows=False), "", ""
    for character in text:
        shown += sample.add(vocab[character], 1.0)
        given += character
        if sample.stop_reason:
            break
    else:
        shown += sample.end("length")
    ends = [given.find(stop) for stop in stops if stop in given]
    assert shown == sample.text == given[: min(ends, default=len(given))]
    assert (sample.stop_reason == "stop") == bool(ends)
    assert sample.nats == len(sample.text)


def test_the_nats_are_those_of_the_words_that_stand_in_the_text_whole() -> None:
    vocab = vocab_of("in the end.", "word")
    for stop, text, nats in (("nd.", "in the e", 3), ("the", "in ", 1), ("in", "", 0)):
        sample = Sample(vocab, (stop,), follows=False)
        for word, surprise in (("in", 1.0), ("the", 2.0), ("end.", 4.0)):
            if sample.stop_reason is None:
                sample.add(vocab[word], surprise)
        assert (sample.text, sample.nats, sample.stop_reason) == (text, nats, "stop")


def test_words_are_separated() -> None:
    vocab = vocab_of("the time traveller", "word")
    after, alone = (Sample(vocab, (), follows=follows) for follows in (True, False))
    for sample in (after, alone):
        sample.add(vocab["time"], 0.0)
        sample.add(vocab["the"], 0.0)
    assert (after.text, alone.text) == (" time the", "time the")


def test_without_a_prefix_it_starts_after_a_line_break_or_the_commonest_token() -> None:
    assert sampler_of().first_id() == VOCAB["\n"]
    assert sampler_of(vocab_of("abbc")).first_id() == vocab_of("abbc")["b"]


def test_nothing_to_generate() -> None:
    assert texts(sampler_of(length=0, num_samples=2), "the") == ["", ""]
