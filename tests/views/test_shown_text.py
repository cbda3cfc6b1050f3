"""Texts as pages show them: whole graphemes, what cannot be seen, what looks like markup."""

from hypothesis import given
from hypothesis import strategies as st

from charlm.data.text import detokenize, tokenize
from charlm.views.shown_text import Place, ShownText, in_sight, label, marked_up, places_of, plain

ANY = st.text(st.characters(), max_size=60)


def sizes(text: str) -> list[int]:
    shown = ShownText("char")
    shown.add(list(text))
    return shown.sizes


def test_graphemes_are_one_place_each() -> None:
    assert sizes("ab") == [1, 1]
    assert sizes("e\u0301x") == [2, 1]
    assert sizes("👨\u200d👩\u200d👧 ") == [5, 1]
    assert sizes("مشکل\u200cها") == [1, 1, 1, 2, 1, 1]


def test_what_cannot_be_seen_stands_alone() -> None:
    assert sizes("\r\na") == [1, 1, 1]
    assert sizes("a\u202eb") == [1, 1, 1]


def test_unseen_characters_show_their_numbers() -> None:
    assert in_sight("a\x00\u202e\ud800\u2028") == "aU+0000U+202EU+D800U+2028"
    assert in_sight("a\n") == "a↵"
    assert in_sight("a\tب\u200cپ") == "a\tب\u200cپ"


def test_a_mark_without_a_letter_is_shown_by_its_number() -> None:
    shown = ShownText("char")
    shown.add(["\u0301", "a"])
    assert "U+0301" in shown.html[0]


def test_letters_that_join_stay_one_piece() -> None:
    shown = ShownText("char")
    shown.add(list("الا یا ایها"))
    assert shown.html == ['<div class="line" dir="auto" id="line-1">الا یا ایها</div>']


def test_white_space_and_marks_are_told_by_name() -> None:
    assert [label(token) for token in (" ", "\t", "\n")] == ["space", "tab", "line break"]
    assert label("\u202e") == "U+202E RIGHT-TO-LEFT OVERRIDE"
    assert label("\u0301") == "U+0301 COMBINING ACUTE ACCENT"
    assert label("\ud800") == "U+D800"
    assert label("字") == "字"


def test_words_stand_apart() -> None:
    shown = ShownText("word")
    shown.add(["to", "be"])
    assert ">to be<" in shown.html[0]
    assert (shown.sizes, shown.widths, shown.gaps) == ([1, 1], [2, 2], [0, 1])


def test_marks_that_are_words_are_joined_to_them_and_each_is_a_place() -> None:
    level = "word+breaks+punctuation"
    text = 'He said: "it\'s (well-known), no?"\n'
    places = places_of(tokenize(text, level), level)
    assert "".join(" " * place.apart + place.text for place in places) == text
    assert [place.text for place in places] == [
        "He", "said", ":", '"', "it's", "(", "well", "-", "known", ")", ",", "no", "?", '"', "\n",
    ]  # fmt: skip
    shown = ShownText(level)
    shown.add(tokenize(text, level))
    assert "(well-known), no?" in shown.html[0]
    assert shown.data()["gaps"] == [0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0]


def test_signs_that_are_one_grapheme_are_one_place() -> None:
    level = "word+punctuation"
    tokens = tokenize("yes 👍🏽!", level)
    assert len(tokens) == 4
    assert places_of(tokens, level) == [
        Place("yes", 1),
        Place("👍🏽", 2, apart=True),
        Place("!", 1),
    ]


@given(ANY, st.sampled_from(["word", "word+breaks", "word+punctuation", "word+breaks+punctuation"]))
def test_words_are_shown_as_the_text_has_them(text: str, level: str) -> None:
    tokens = tokenize(text, level)
    places = places_of(tokens, level)
    shown = "".join(" " * place.apart + place.text for place in places)
    assert shown == detokenize(tokens, level)
    assert sum(place.size for place in places) == len(tokens)


@given(ANY)
def test_no_text_becomes_markup_or_stays_hidden(text: str) -> None:
    html = marked_up(text)
    # No element but the boxes of what cannot be seen.
    assert html.count("<") == 2 * html.count('<bdi class="unseen" dir="ltr">')
    html.encode()


@given(ANY)
def test_places_are_all_of_the_text_and_as_wide_as_what_is_shown(text: str) -> None:
    shown = ShownText("char")
    shown.add(list(text))
    assert sum(shown.sizes) == len(text)
    assert 0 not in shown.sizes
    assert len(shown.sizes) == len(shown.widths) == sum(shown.lines)


def test_a_tab_has_a_sign_that_can_be_tinted_and_stays_a_tab() -> None:
    shown = ShownText("char")
    shown.add(["\t", "a", "\t", "\n"])
    assert shown.widths == [2, 1, 2, 1]
    sign = '<span class="sign">⇥</span>\t'
    assert f"{sign}a{sign}<bdi" in shown.html[0]
    assert plain(Place("\t", 1)) == "⇥\t"
