import pytest

from charlm.data.scripts import script_of, scripts
from charlm.data.vocab import Vocab


@pytest.mark.parametrize(
    ("characters", "script"),
    [
        ("aÅſﬁＡªKⓧ"[:7], "Latin"),
        ("αΩἄΩ", "Greek"),
        ("яЂѣ", "Cyrillic"),
        ("שﬡ", "Hebrew"),
        ("سپﷲ", "Arabic"),
        ("कअ", "Devanagari"),
        ("ไก", "Thai"),
        ("ሀ", "Ethiopic"),
        ("ცᲓ", "Georgian"),
        ("한ᄀ가ﾡ", "Hangul"),
        ("ひゝ𛀂", "Hiragana"),
        ("カヽㇰｱ", "Katakana"),
        ("漢々𠮷豈", "Han"),
        ("ㄅ", "Bopomofo"),
        ("𐌀", "Old Italic"),
        ("𐎠", "Old Persian"),
        ("𐀀", "Linear B"),
        ("ᐁ", "Canadian"),
    ],
)
def test_a_letter_s_name_tells_its_script(characters: str, script: str) -> None:
    assert {script_of(character) for character in characters} == {script}


@pytest.mark.parametrize("character", " \n1٣.，́ー𝐀ℂʰµ😀\ud800\U0010ffff")
def test_what_is_no_letter_or_of_no_one_script_has_none(character: str) -> None:
    assert script_of(character) is None


def test_shares_are_of_the_letters_by_how_often_they_stand_in_the_text() -> None:
    tokens, counts = ("<unk>", "<end>", "a", "é", "龙", " ", "ж"), (50, 9, 4, 2, 3, 70, 1)
    shares = scripts(Vocab("char", tokens, counts))
    assert shares == {"Latin": 0.6, "Han": 0.3, "Cyrillic": 0.1}
    assert list(shares) == ["Latin", "Han", "Cyrillic"]


def test_words_count_by_their_letters() -> None:
    assert scripts(Vocab("word", ("<unk>", "ab", "жж2", "…"), (5, 3, 1, 8))) == {
        "Latin": 0.75,
        "Cyrillic": 0.25,
    }


def test_a_text_without_letters_and_a_token_that_it_lacks_have_none() -> None:
    assert scripts(Vocab("char", ("<unk>", "1", "a"), (0, 3, 0))) == {}
