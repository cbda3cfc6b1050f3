"""Lists of lines: as many as asked for, as asked for, whoever stands beside them."""

import re
from dataclasses import replace
from math import inf

import numpy as np
import pytest
import torch

from charlm.config import GenerationConfig, ModelConfig
from charlm.data.vocab import Vocab
from charlm.errors import ModelError, UsageError
from charlm.generation import lines as module
from charlm.generation.known_lines import KnownLines
from charlm.generation.lines import Line, Lines, Wanted
from charlm.generation.stepper import Stepper
from charlm.generation.torch_stepper import TorchStepper
from charlm.model.network import CharLM, weights_of
from tests.vocabularies import vocab_of

VOCAB = vocab_of("anna\nbea\ncab\n")
CONFIG = ModelConfig(hidden_size=12, embedding_size=6)


def model_of(vocab: Vocab = VOCAB) -> CharLM:
    torch.manual_seed(0)
    model = CharLM(CONFIG, len(vocab))
    with torch.no_grad():
        model.head.weight *= 4
        model.head.bias[vocab["\n"]] += 0.5
    return model


STEPPER = Stepper(CONFIG, weights_of(model_of()))
WARM = GenerationConfig(temperature=1.0)


def drawn(
    count: int, prefix: str = "", seed: int = 7, settings: GenerationConfig = WARM, **wanted: object
) -> list[Line]:
    lines = Lines(STEPPER, VOCAB, settings, Wanted(count, **wanted))
    return list(lines.stream(VOCAB.encode(prefix).tolist(), seed))


def texts(lines: list[Line]) -> list[str]:
    return [line.prefix + line.text for line in lines]


def test_so_many_and_always_the_same() -> None:
    found = texts(drawn(300))
    assert len(found) == 300
    assert not any("\n" in line or not line for line in found)
    assert found[:10] == texts(drawn(10)) == texts(drawn(10))
    assert found[:10] != texts(drawn(10, seed=8))


def test_they_do_not_depend_on_how_many_are_drawn_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = drawn(40, unique=True)
    for width in (1, 5, 100):
        monkeypatch.setattr(module, "WIDTH", width)
        found = drawn(40, unique=True)
        assert texts(found) == texts(expected)
        for line, other in zip(found, expected, strict=True):
            assert line.nats == pytest.approx(other.nats, rel=1e-4)


def test_what_is_asked_of_a_line_leaves_the_others_out_and_nothing_else() -> None:
    free = texts(drawn(400, shortest=0))
    known = KnownLines([VOCAB.encode("a\nb\nan\n")], len(VOCAB), VOCAB["\n"])
    found = texts(drawn(50, unique=True, known=known, shortest=1, longest=4))
    expected = [line for line in dict.fromkeys(free)
                if 1 <= len(line) <= 4 and line not in ("a", "b", "an")]  # fmt: skip
    assert found == expected[: len(found)]
    assert len(found) == 50
    assert "" in free


def test_the_nats_of_a_line_are_those_of_its_letters_and_of_its_end() -> None:
    for prefix in ("", "an"):
        for line in drawn(20, prefix):
            ids = VOCAB.encode(f"\n{line.prefix}{line.text}\n").tolist()
            assert line.prefix == prefix
            logits = np.concatenate(
                [part.copy() for part in STEPPER.logits(ids[:-1], STEPPER.start())]
            ).astype(float)
            own = logits[range(len(ids) - 1), ids[1:]]
            expected = (np.logaddexp.reduce(logits, axis=1) - own).sum()
            assert line.nats == pytest.approx(expected, rel=1e-4)
    lines = Lines(STEPPER, VOCAB, WARM, Wanted(3), scored=False)
    found = list(lines.stream([], 7))
    assert texts(found) == texts(drawn(3))
    assert all(np.isnan(line.nats) for line in found)


def test_a_prefix_is_read_and_what_follows_its_last_break_begins_each_line() -> None:
    for line in drawn(20, "cab\nan", longest=6):
        assert (line.prefix, len(line.text) <= 4) == ("an", True)
    assert {line.prefix for line in drawn(5, "cab\n")} == {""}
    assert texts(drawn(20, "cab\n")) != texts(drawn(20))


def test_lines_that_match() -> None:
    settings = replace(WARM, match="[^c]*b+")
    found = texts(drawn(60, settings=settings, longest=7))
    assert all(line[-1] == "b" and "c" not in line and len(line) <= 7 for line in found)
    # A match that could go on over the end of its line does not.
    found = texts(drawn(60, settings=replace(WARM, match=r"(?s:.)*"), longest=5))
    assert {len(line) for line in found} == {1, 2, 3, 4, 5}
    assert not any("\n" in line for line in found)
    for line in drawn(5, settings=settings):
        assert 0 < line.nats < inf


def test_lines_that_match_are_what_the_model_writes_of_itself_where_it_does() -> None:
    free = [line for line in texts(drawn(300)) if re.fullmatch("[ab]+n?", line)]
    found = texts(drawn(20, settings=replace(WARM, match="[ab]+n?")))
    assert found == free[:20]


def test_where_it_does_not_it_is_led() -> None:
    found = texts(drawn(3, settings=replace(WARM, match="[bc]{12}"), longest=12))
    assert [len(line) for line in found] == [12, 12, 12]


def test_no_line_repeats_itself() -> None:
    for line in texts(drawn(100, settings=replace(WARM, no_repeat=1), shortest=2)):
        assert len(set(line)) == len(line)


def test_where_no_more_are_found_it_says_how_many() -> None:
    lines = Lines(STEPPER, VOCAB, replace(WARM, match="a?b?"), Wanted(5, unique=True, longest=9))
    stream = lines.stream([], 7)
    found = [next(stream).text for _ in range(3)]
    with pytest.raises(ModelError) as raised:
        next(stream)
    assert sorted(found) == ["a", "ab", "b"]
    assert str(raised.value) == (
        "3 of 5 lines, and the last 2,000 draws gave no more that are unlike those before, 1 to 9 "
        "long: ask for fewer, or give a wider --match"
    )
    assert lines.found == 3


def test_a_beginning_that_is_too_long_for_a_line_is_refused() -> None:
    assert texts(drawn(2, "abc", longest=3)) == ["abc", "abc"]
    with pytest.raises(UsageError, match=r"begins with is 3 long, and no line .* longer than 2:"):
        drawn(1, "a\nabc", longest=2)


def test_a_model_without_line_breaks_writes_no_lines() -> None:
    with pytest.raises(ModelError, match="knows no line break"):
        Lines(STEPPER, vocab_of("abc"), WARM, Wanted(1))


@pytest.mark.parametrize("recorded", [False, True])
def test_a_model_in_torch_draws_the_same_lines(recorded: bool) -> None:
    record = (lambda work: work) if recorded else None
    stepper = TorchStepper(model_of(), record)
    found = list(Lines(stepper, VOCAB, WARM, Wanted(30)).stream([], 7))
    assert texts(found) == texts(drawn(30))
