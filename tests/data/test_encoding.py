import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.data.encoding import AROUND, diagnosis, likely

CHINESE = "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。"
TRADITIONAL = "春眠不覺曉，處處聞啼鳥。夜來風雨聲，花落知多少。"
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
KOREAN = "모든 국민은 법률이 정하는 바에 의하여 국방의 의무를 진다."
RUSSIAN = "Все счастливые семьи похожи друг на друга."
FRENCH = "Longtemps, je me suis couché de bonne heure. À peine ma bougie éteinte, mes yeux"
GERMAN = "Über allen Gipfeln ist Ruh, in allen Wipfeln spürest du kaum einen Hauch"
GREEK = "Η Ελλάδα είναι μια χώρα της νότιας Ευρώπης"
HEBREW = "בראשית ברא אלהים את השמים ואת הארץ"
ARABIC = "بسم الله الرحمن الرحيم الحمد لله رب العالمين"
ENGLISH = "It was the best of times, it was the worst of times."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "gb18030"),
        (TRADITIONAL, "big5"),
        (TRADITIONAL, "gb18030"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (KOREAN, "euc_kr"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (GREEK, "cp1253"),
        (HEBREW, "cp1255"),
        (ARABIC, "cp1256"),
        (FRENCH, "cp1252"),
        (GERMAN, "cp1252"),
        ("it’s a “good” day — isn’t it…", "cp1252"),
        ("naïve", "cp1252"),
        ("café", "cp1252"),
        ("¡Xavier!", "cp1252"),
        ("👍🎉 a party 🎂", "gb18030"),
        ("a £5 note, at 20\xa0°C", "cp1252"),
        *((text, name)
          for text in (ENGLISH, CHINESE, TRADITIONAL, JAPANESE, KOREAN, RUSSIAN, FRENCH)
          for name in ("utf-16-le", "utf-16-be", "utf-16", "utf-8")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("times", [1, 50])
def test_row_21_a_text_is_recognised_in_its_encoding(text: str, encoding: str, times: int) -> None:
    data = (text + "\n").encode(encoding) * times
    found = likely(data)
    assert next(iter(found)) == encoding
    # And where the text around it is English, which has no say.
    if encoding not in ("utf-16-le", "utf-16-be", "utf-16"):
        data = (ENGLISH + "\n").encode() * times + data
        assert next(iter(likely(data))) == encoding


def test_latin_1_is_named_where_windows_lacks_a_byte() -> None:
    assert next(iter(likely(b"\x81 " + FRENCH.encode("latin-1") * 20))) == "latin-1"


def test_what_makes_no_text_is_in_no_encoding() -> None:
    assert likely(b"\x81\x8d\x8f\x90\x9d" * 9) == {}


@given(st.binary(max_size=200), st.integers(0, 200))
def test_row_21_any_byte_has_a_diagnosis_in_one_line(data: bytes, place: int) -> None:
    message = diagnosis(io.BytesIO(data), "utf-8", min(place, len(data)))
    assert message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("five euros: 5 €".encode()[:-1], ", where the file ends in the middle of a character"),
        ("déjà vu, déj".encode() + b"\xc3", ", where the file ends in the middle of a character"),
        ("却说曹操引军".encode()[:-2], ", where the file ends in the middle of a character"),
        (b"un caf\xe9", "; --encoding"),  # no other character says that it is UTF-8
        (b"\x81\x8d\x8f\0\x90\x9d" * 9, "; the file is binary"),
    ],
)
def test_row_21_what_latin_1_would_not_mend_is_told(data: bytes, told: str) -> None:
    with pytest.raises(UnicodeDecodeError) as error:
        data.decode()
    assert diagnosis(io.BytesIO(data), "utf-8", error.value.start).startswith(told)


@pytest.mark.parametrize("space", [b" ", b"\n", b"x"])
def test_row_21_far_into_a_file_the_text_around_tells(space: bytes) -> None:
    before = b"many" + space
    data = before * (AROUND // 2) + b"it\x92s" + before * AROUND
    message = diagnosis(io.BytesIO(data), "utf-8", data.index(b"\x92"))
    assert message.startswith("; --encoding cp1252 (“")
    assert "it’s" in message
