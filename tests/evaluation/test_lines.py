"""Lines come out as they went in, however they are grouped, and are read as each would be alone."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charlm.config import ModelConfig, TextConfig
from charlm.data.stream import lines_of
from charlm.data.text import clean, clean_text
from charlm.data.vocab import Vocab
from charlm.evaluation import lines as module
from charlm.evaluation.lines import LineReader, ReadLine, Total, groups
from charlm.evaluation.scores import Scorer
from charlm.generation.stepper import Stepper
from charlm.model.network import CharLM, weights_of

LETTERS = "\nabcde ΣσςÀ"
CHARS = Vocab("char", ("<unk>", *LETTERS), (0, *range(len(LETTERS), 0, -1)))
WORDS = Vocab("word", ("<unk>", "a", "ab", "b"), (2, 3, 2, 1))
CONFIG = ModelConfig(embedding_size=3, hidden_size=4)
CONFIGS = [
    TextConfig(),
    TextConfig(newlines="keep"),
    TextConfig(lowercase=True),
    TextConfig(normalize="nfc"),
    TextConfig(normalize="nfkc", lowercase=True),
    TextConfig(keep="a-z"),
    TextConfig(keep="a-z\n", lowercase=True),
    TextConfig(strip_lines=True),
    TextConfig(level="word"),
    TextConfig(level="word", strip_lines=True, lowercase=True),
]
TEXTS = st.text(st.sampled_from("abΣςÀ \t\n\r\ufeffe\u0301,"), max_size=40)


def reader(vocab: Vocab, config: TextConfig, *, eol: bool, details: bool = False) -> LineReader:
    torch.manual_seed(0)
    stepper = Stepper(CONFIG, weights_of(CharLM(CONFIG, len(vocab))))
    return LineReader(Scorer(stepper, vocab, details=details), vocab, config, eol=eol)


READERS = [
    (config, eol, reader(WORDS if config.level == "word" else CHARS, config, eol=eol))
    for config in CONFIGS
    for eol in (True, False)
]


@given(TEXTS, st.sampled_from(READERS))
def test_a_line_is_read_as_it_would_be_alone(
    text: str, chosen: tuple[TextConfig, bool, LineReader]
) -> None:
    config, eol, lines = chosen
    came = list(lines_of([text], config))
    found = lines.afresh(came)
    assert [line.text for line in found] == [line.removesuffix("\n") for line in came]
    for line in found:
        end = "\n" if eol and config.level == "char" else ""
        assert line.read == clean_text(line.text, config) + end
        tokens = len(line.read.split()) if config.level == "word" else len(line.read)
        assert len(line.score.ids) == len(line.score.nats) == tokens
        [alone] = lines.afresh([line.text])
        np.testing.assert_allclose(alone.score.nats, line.score.nats, atol=1e-5)


@given(TEXTS, st.sampled_from(READERS))
def test_lines_in_order_are_the_text(
    text: str, chosen: tuple[TextConfig, bool, LineReader]
) -> None:
    config, eol, lines = chosen
    came = list(lines_of([text], config))
    found = list(lines.in_order(came))
    assert [line.text for line in found] == [line.removesuffix("\n") for line in came]
    whole = "".join(clean([text], config))
    if config.level == "word":
        assert [word for line in found for word in line.read.split()] == whole.split()
    elif eol:
        assert "".join(line.read for line in found) == whole
    elif not config.strip_lines and config.keep is None:
        assert "\n".join(line.read for line in found) == whole.removesuffix("\n")
    assert all(
        len(line.read.split() if config.level == "word" else line.read) == len(line.score.nats)
        for line in found
    )


def test_without_its_end_a_line_keeps_the_figures_of_the_rest() -> None:
    came = ["abc\n", "\n", "de"]
    with_ends = list(reader(CHARS, CONFIGS[0], eol=True, details=True).in_order(came))
    without = list(reader(CHARS, CONFIGS[0], eol=False, details=True).in_order(came))
    for one, other, size in zip(with_ends, without, (3, 0, 2), strict=True):
        np.testing.assert_array_equal(one.score.nats[:size], other.score.nats)
        assert one.score.details is not None
        assert other.score.details is not None
        np.testing.assert_array_equal(one.score.details.rank[:size], other.score.details.rank)
        assert other.score.details.expected.shape == (size, 3)


def test_a_line_is_answered_before_the_next_is_read() -> None:
    read = []

    def typed() -> Iterator[str]:
        for line in ("ab\n", "a\n", "b"):
            read.append(line)
            yield line

    for number, _ in enumerate(reader(CHARS, CONFIGS[0], eol=True).in_order(typed()), 1):
        assert len(read) == number


def test_groups_grow_and_hold_so_much_text_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"{k}\n" for k in range(30_000)]
    found = list(groups(lines))
    assert [line for group in found for line in group] == lines
    sizes = list(map(len, found))
    assert sizes[:3] == [16, 32, 64]
    assert max(sizes) == module.LARGEST_GROUP
    assert all(one <= other for one, other in pairwise(sizes[:-1]))
    assert set(map(len, groups(lines, one_by_one=True))) == {1}
    monkeypatch.setattr(module, "MOST_CHARACTERS", 100)
    for group in groups(["a" * 60, "b" * 60, "c" * 500, "d"] * 20):
        assert sum(map(len, group[:-1])) < 100
    assert list(groups([])) == []


def test_the_total_is_of_all_lines_and_tells_the_unknown_apart() -> None:
    for seen in (0, 5):
        vocab = Vocab("char", CHARS.tokens, (seen, *CHARS.counts[1:]))
        lines = reader(vocab, CONFIGS[0], eol=False).afresh(["ab?", "", "??", "c"])
        total = Total("char")
        for line in lines:
            total.add(line.score)
        assert (total.lines, total.unknown) == (4, 3)
        assert total.left_out == (0 if seen else 3)
        assert total.tokens == (6 if seen else 3)
        score = total.score()
        assert score is not None
        assert score.nats == pytest.approx(math.fsum(line.score.total for line in lines))
        known = math.fsum(float(line.score.nats[line.score.ids > 0].sum()) for line in lines)
        assert score.known_nats == (pytest.approx(known) if seen else None)
        assert score.unknown == (3 if seen else 0)
    nothing = Total("char")
    assert nothing.score() is None
    assert isinstance(lines[1], ReadLine)
