"""What the automaton says of a text is what `re.fullmatch` says."""

import re
import warnings
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import UsageError
from charlm.generation.breadth import most_at_once
from charlm.generation.expression import read_expression
from charlm.generation.matching import NEVER, Matcher

ALPHABET = "aB \n"
LONGEST = 3
TEXTS = ["".join(text) for n in range(LONGEST + 1) for text in product(ALPHABET, repeat=n)]

ATOMS = st.sampled_from(
    ["a", "B", " ", r"\n", ".", r"\w", r"\W", r"\s", r"\S", r"\d", "[aB]", "[^a]", "[]a]", r"\x61",
     r"\u0042", "(?i:b)", "(?s:.)", "(?-i:b)", "b", "^", "$", r"\A", r"\Z", "(?#no)", "(?:)"]
)  # fmt: skip
COUNTS = st.sampled_from(
    ["", "*", "+", "?", "{2}", "{1,2}", "{,2}", "{2,}", "*?", "+?", "{1,3}?", "{5}", "{4,9}"]
)


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    groups = st.sampled_from(["({})", "(?:{})", "(?i:{})", "(?s:{})"])
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map("|".join).map("(?:{})".format),
        st.builds(lambda group, text, count: group.format(text) + count, groups, inner, COUNTS),
    )


EXPRESSIONS = st.recursive(st.builds(str.__add__, ATOMS, COUNTS), grown, max_leaves=6)


def compiled(expression: str) -> re.Pattern[str] | None:
    try:
        return re.compile(expression)
    except re.error:
        return None


def accepts(matcher: Matcher, text: str, alphabet: str = ALPHABET) -> bool:
    """Whether each character is allowed where it comes, and the text ends where it may."""
    state = matcher.first
    for place, character in enumerate(text):
        if not matcher.allowed(state, len(text) - place)[alphabet.index(character)]:
            return False
        state = matcher.step(state, alphabet.index(character))
    return state.ends


def broadest(matcher: Matcher) -> int:
    """The most places, of all states in which a character may follow."""
    states, most = {matcher.first}, 0
    for left in range(LONGEST, 0, -1):
        most = max([most, *(len({place // 3 for place in state.places}) for state in states)])
        states = {
            matcher.step(state, number)
            for state in states for number in range(len(ALPHABET))
            if matcher.allowed(state, left)[number]
        }  # fmt: skip
    return most


@given(st.builds(str.__add__, st.sampled_from(["", "", "(?i)", "(?s)", "(?x)"]), EXPRESSIONS))
@settings(max_examples=200, deadline=None)
def test_it_accepts_what_re_accepts_and_knows_the_least_length(expression: str) -> None:
    pattern = compiled(expression)
    if pattern is None:
        with pytest.raises(UsageError, match="is no regular expression"):
            Matcher(expression, ALPHABET, LONGEST)
        return
    matcher = Matcher(expression, ALPHABET, LONGEST)
    matches = [text for text in TEXTS if pattern.fullmatch(text)]
    assert [text for text in TEXTS if accepts(matcher, text)] == matches
    assert broadest(matcher) <= most_at_once(read_expression(expression, ALPHABET), LONGEST)
    least = matcher.least(matcher.first)
    assert least == min(map(len, matches)) if matches else least > LONGEST


@pytest.mark.parametrize(
    ("expression", "yes", "no"),
    [
        (r"\d{4}-\d\d-\d\d", "2024-01-31", "2024-1-31"),
        (r"[^\W\d]+", "été", "été1"),
        (r"龙{2}.", "龙龙é", "龙é"),
        (r"(?x) a b # and no more", "ab", "a b"),
        (r"(?x: a\ b[ ] )", "a b ", "ab"),
        (r"a{", "a{", "a"),
        (r"a{}|{,2", "{,2", "aa"),
        (r"\101\0?", "A", "101"),
        (r"(?P<day>\d)-(?P<month>\d)", "1-2", "12"),
        (r"(?ia:[^b])(?i:É)(?-i:b)", "1éb", "1éB"),
        (r"[]\]-^]{3}", "]^]", "]-]a"),
        (r"\N{SPACE}", " ", "é"),
        (r"a\\\.", "a\\.", "ab"),
    ],
)
def test_what_expressions_are_made_of(expression: str, yes: str, no: str) -> None:
    alphabet = "0123456789-été龙abAB{},\\.\0^] "
    matcher = Matcher(expression, alphabet, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert re.fullmatch(expression, yes)
        assert not re.fullmatch(expression, no)
    assert (accepts(matcher, yes, alphabet), accepts(matcher, no, alphabet)) == (True, False)


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        (r"(a)\1", r"\1 (a reference to a group) at character 6"),
        (r"(?P<x>a)(?P=x)", "(?P=…)"),
        (r"\ba", r"\b (a word boundary)"),
        ("a(?=b)", "(?=b…)"),
        ("(?<!b)a", "(?<!…)"),
        ("(?>a)b", "(?>a…)"),
        ("a++b", "a possessive repetition"),
        ("(?m)^a", "^ with (?m)"),
        ("(a?b?c?){1,3}" * 5000, "more than 100,000 places"),
        ("a{2", None),
        ("(a", "is no regular expression: missing ), unterminated subpattern at position 0"),
        ("a**", "multiple repeat"),
        ("(" * 5000 + ")" * 5000, "nested too deeply"),
    ],
)
def test_what_cannot_be_followed_is_refused(expression: str, what: str | None) -> None:
    if what is None:
        Matcher(expression, ALPHABET, LONGEST)
        return
    with pytest.raises(UsageError, match=re.escape(what)):
        Matcher(expression, ALPHABET, LONGEST)


def test_what_the_characters_cannot_make_is_known() -> None:
    matcher = Matcher("a|bc", "ad", LONGEST)
    assert matcher.least(matcher.first) == 1
    matcher = Matcher("b|[^ad]", "ad", LONGEST)
    assert matcher.least(matcher.first) == NEVER


def test_only_the_states_that_a_text_comes_through_are_made() -> None:
    """All of them would be 2 to the power of 60."""
    matcher = Matcher("(a|B)*a(a|B){60}", ALPHABET, 81)
    state, least = matcher.first, [matcher.least(matcher.first)]
    for character in "aB" * 40:
        state = matcher.step(state, ALPHABET.index(character))
        least.append(matcher.least(state))
    assert least[0] == 61
    assert state.ends != matcher.step(state, 0).ends
    assert len(matcher._states) < 100


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ("(){999999999}a", ["a"]),
        ("((){9999}(^){9999}|B{0}){0,9999}a", ["a"]),
        ("(.{0,40000}){0,40000}a{40000}|a", ["a"]),
        ("(a?){40000}", ["", "a", "aa", "aaa"]),
        ("(a|$){40000}", ["", "a", "aa", "aaa"]),
        ("a{4,40000}", []),
    ],
)
def test_repetitions_cost_no_more_than_a_text_has_room_for(
    expression: str, matches: list[str]
) -> None:
    matcher = Matcher(expression, ALPHABET, LONGEST)
    assert [text for text in TEXTS if accepts(matcher, text)] == matches
    assert len(matcher._nodes) < 200


@pytest.mark.parametrize(
    ("expression", "longest", "most"),
    [
        ("(?s).{0,10000}", 10_000, 1),
        ("(?s)(the|a|an)* .*king.{0,1000}", 10_000, 1012),
        ("(?s)(.{20}){0,30}", 600, 1),
        ("(?s)(.{0,100}){0,300}", 300, None),
        ("(?s).*.{0,10000}", 10_000, None),
    ],
)
def test_an_expression_that_can_be_read_in_too_many_ways_is_refused(
    expression: str, longest: int, most: int | None
) -> None:
    """A character would take a tenth of a second and more."""
    if most is None:
        with pytest.raises(UsageError, match="places of it at once, and 2,000 can be followed"):
            Matcher(expression, ALPHABET, longest)
        return
    Matcher(expression, ALPHABET, longest)
    assert most_at_once(read_expression(expression, ALPHABET), longest) == most
