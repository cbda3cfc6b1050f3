"""What is copied is found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.generation import novelty as module
from charlm.generation.novelty import SHORTEST_COPY, Automaton, Novelty, novelty
from tests.vocabularies import vocab_of

TEXTS = st.text(alphabet="ab", max_size=30)


def compared(texts: list[str], training: str, level: str = "char") -> list[Novelty]:
    vocab = vocab_of(training, level)
    return novelty(texts, vocab, vocab.encode(training))


@given(texts=st.lists(TEXTS, max_size=3), training=TEXTS.filter(len), piece=st.integers(1, 9))
def test_it_is_what_trying_every_run_gives(texts: list[str], training: str, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHORTEST_COPY", 3)
        patch.setattr(module, "PIECE", piece)
        found = compared(texts, training)
    assert len(found) == len(texts)
    for text, figures in zip(texts, found, strict=True):
        runs = [(a, b) for a in range(len(text)) for b in range(a + 1, len(text) + 1)
                if text[a:b] in training]  # fmt: skip
        assert figures.longest == max((b - a for a, b in runs), default=0)
        covered = {i for a, b in runs if b - a >= 3 for i in range(a, b)}
        assert figures.share == len(covered) / max(1, len(text))


def test_a_copy_and_its_length() -> None:
    training = "it was the best of times, it was the worst of times"
    [found] = compared([f"??{training[:25]}!!{training[30:40]}"], training)
    assert found.longest == 25 >= SHORTEST_COPY
    assert found.share == 25 / 39
    assert str(found) == (
        "longest run copied from the training text: 25 characters; 64% in copies of 20 or more"
    )


def test_words_are_compared_whole_and_measured_in_characters() -> None:
    [found] = compared(["in the best of all times"], "it was the best of times", "word")
    assert found.longest == len("the best of")
    assert found.share == 0
    [found] = compared(["so it was the best of it"], "it was the best of times", "word")
    assert (found.longest, found.share) == (18, 0)
    [found] = compared(["no it was the best of times no"], "it was the best of times", "word")
    assert (found.longest, found.share) == (24, 24 / 30)


def test_unknown_tokens_are_no_copy_of_each_other() -> None:
    vocab = vocab_of("ab")
    unknown = np.zeros(30, dtype=np.uint8)
    assert novelty(["x" * 30], vocab, unknown) == [Novelty(0, 0.0)]


def test_the_training_text_is_read_once_whatever_is_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And each symbol of it costs a step or two, also where the texts are long and alike."""
    read: list[int] = []
    plain = Automaton.read

    def counted(self: Automaton, symbols: list[int]) -> None:
        read.extend(symbols)
        plain(self, symbols)

    monkeypatch.setattr(Automaton, "read", counted)
    training = "ab" * 50_000
    found = compared(["ab" * 2_000 + "c", "ba" * 2_000, "cc"], training)
    assert [figures.longest for figures in found] == [4_000, 4_000, 0]
    assert len(read) == len(training)


@given(
    text=st.text("ab\n", max_size=30), training=st.text("ab\n", min_size=1, max_size=30),
    held_out=st.text("ab\n", max_size=20),
)  # fmt: skip
def test_whole_lines_that_are_copied_and_what_held_out_text_has(
    text: str, training: str, held_out: str
) -> None:
    vocab = vocab_of("ab\n")
    known = set(training.split("\n"))
    [found] = novelty([text], vocab, vocab.encode(training), vocab.encode(held_out))
    whole = [line for line in text.split("\n")[1:-1] if line]
    assert (found.lines, found.copied) == (len(whole), sum(line in known for line in whole))
    if not held_out:
        assert found.usual is None
        return
    [usual] = novelty([held_out[: len(text)]], vocab, vocab.encode(training))
    assert found.usual == usual


def test_each_text_is_compared_with_another_stretch_of_what_was_held_out() -> None:
    vocab = vocab_of("abc")
    found = novelty(["cc", "ccc", "c"], vocab, vocab.encode("ab"), vocab.encode("abcb"))
    longest = [figures.usual.longest for figures in found if figures.usual]
    assert longest == [2, 2, 1]  # ab, abc from the beginning again, and b


def test_all_of_it_in_words() -> None:
    training = "\nin the beginning\nit was the best of times\n"
    vocab = vocab_of(training)
    held_out = vocab.encode("\nin the end it was\nin the beginning\n" * 2)
    text = "n\nit was the best of times\nit is the best\n"
    [found] = novelty([text], vocab, vocab.encode(training), held_out)
    assert str(found) == (
        "longest run copied from the training text: 26 characters (18 in as much held-out text); "
        "62% in copies of 20 or more (0%); 1 of 2 whole lines are lines of it (1 of 2)"
    )
