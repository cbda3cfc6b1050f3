"""Figures from sums: their names, what is said of them, and nothing that JSON lacks."""

import json
import math

import pytest

from charlm.evaluation.metrics import Score, in_digits, sum_in_digits


def test_figures() -> None:
    score = Score(nats=2 * math.log(2), tokens=4, bytes=8)
    assert score.bits_per_token == pytest.approx(0.5)
    assert score.bits_per_byte == pytest.approx(0.25)
    assert score.perplexity == pytest.approx(2**0.5)
    figures = score.to_dict()
    assert math.exp(figures["nats_per_char"]) == pytest.approx(figures["perplexity"])
    assert figures["characters"] == 4
    assert Score(nats=1e9, tokens=1).perplexity < math.inf
    words = Score(nats=1.0, tokens=2, level="word").to_dict()
    assert {"nats_per_word", "perplexity_per_word", "words"} <= set(words)
    assert "per word" in str(Score(nats=1.0, tokens=2, level="word"))


def test_the_known_tokens_have_a_figure_of_their_own() -> None:
    score = Score(nats=10.0, tokens=5, unknown=2, known_nats=3 * math.log(7))
    figures = score.to_dict()
    assert figures["unknown_share"] == pytest.approx(0.4)
    assert figures["known_nats_per_char"] == pytest.approx(math.log(7))
    assert figures["known_perplexity"] == pytest.approx(7)
    assert str(score).endswith(
        " over 5 characters, 2 of them unknown (40.00%), 7.000 over the known ones alone"
    )
    assert "means little" not in str(score)


def test_where_all_are_known_nothing_is_said_of_unknown_ones() -> None:
    score = Score(nats=10.0, tokens=5)
    assert "known" not in str(score)
    figures = score.to_dict()
    assert [figures[k] for k in ("unknown_share", "known_nats_per_char", "known_perplexity")] == (
        [None] * 3
    )


@pytest.mark.parametrize("masked", [False, True])
def test_above_half_unknown_the_headline_says_that_it_means_little(masked: bool) -> None:
    half = Score(nats=1.0, tokens=4, unknown=2, known_nats=0.5, masked=masked)
    assert "means little" not in str(half)
    most = Score(nats=1.0, tokens=4, unknown=3, known_nats=0.5, masked=masked)
    name = "masked perplexity" if masked else "perplexity"
    assert str(most).startswith(
        f"{name} {math.exp(0.25):.3f} per character, which means little, since 75% are unknown ("
    )
    figures = most.to_dict()
    assert figures["known_masked_perplexity" if masked else "known_perplexity"] == (
        pytest.approx(math.exp(0.5))
    )


def test_where_none_is_known_there_is_no_figure_for_known_ones() -> None:
    score = Score(nats=1.0, tokens=4, unknown=4, known_nats=0.0)
    assert score.to_dict()["known_perplexity"] is None
    assert str(score).endswith("over 4 characters, 4 of them unknown (100.00%)")


def test_a_perplexity_beyond_reading_is_told_in_powers_of_ten() -> None:
    assert str(Score(nats=1e4, tokens=2, unknown=1, known_nats=13.8)) == (
        "perplexity 1.014e+304 per character (7213.4752 bits, 5000.0000 nats) over 2 characters, "
        "1 of them unknown (50.00%), 984609.111 over the known ones alone"
    )


@pytest.mark.parametrize("nats", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null_in_json(nats: float) -> None:
    for masked in (False, True):
        score = Score(nats, 3, unknown=1, bytes=3, known_nats=nats, masked=masked)
        json.dumps(score.to_dict(), allow_nan=False)
        assert str(score)
    assert score.to_dict()["masked_nats_per_char"] is None


def test_a_score_that_was_saved_without_the_newer_figures_is_read() -> None:
    saved = {
        "nats": 1.0,
        "tokens": 2,
        "unknown": 1,
        "bytes": None,
        "level": "char",
        "masked": False,
    }
    score = Score(**saved)
    assert score.known_nats_per_token is None
    assert str(score).endswith("1 of them unknown (50.00%)")


def test_what_is_huge_is_told_in_a_few_digits() -> None:
    assert (in_digits(2.0), in_digits(999_999.0), in_digits(1e30)) == (
        "2.0000",
        "999999.0000",
        "1.000e+30",
    )
    assert (sum_in_digits(2e6), sum_in_digits(2e6, ",.1f"), sum_in_digits(1e30)) == (
        "2000000.000", "2,000,000.0", "1.000e+30",
    )  # fmt: skip
    assert len(str(Score(nats=3e38, tokens=2, bytes=2))) < 120
