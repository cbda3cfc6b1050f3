"""Each feature is what its name says, and tells nothing of what comes after a place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.evaluation.features import FEATURES, features_of

C = "#include <a.h>\n"
PYTHON = "import a\n"

# A feature, a text, and the feature's values below each of its characters.
CASES = [
    ("place in the line",
     "ab\nc\n\nd",
     "1201001"),
    ("at the beginning of a line",
     "abcd\n\nab",
     "11100011"),
    ("after a line break",
     "ab\n\nc",
     "00110"),
    ("after a blank line",
     "a\n\n\nb",
     "00110"),
    ("in a line after a blank one",
     "a\n\nb c\nd",
     "00111100"),
    ("in the indentation of a line",
     "  a b\n\t c\n \n",
     "110000110010"),
    ("depth of indentation",
     "  a b\n\t c\nd\n \n",
     "12222012200010"),
    ("in a word",
     "Ab, c1 诗e\u0301.",
     "11001000110"),
    # Where words stand side by side, nothing shows where one ends.
    ("in a word",
     "ครับ はい、诗々ok ﾈｺ한국",
     "00000000001100011"),
    ("place in the word",
     "ab cde.",
     "1201230"),
    ("in a word with a capital first",
     "Ab aB 1C",
     "11000001"),
    ("in a word all in capitals",
     "AB Cd EFg I",
     "01000001000"),
    ("a capital",
     "AbÉЯя",
     "10110"),
    ("a vowel",
     "hAlf e",
     "010001"),
    ("a digit",
     "a1٢b",
     "0110"),
    ("a space",
     "a b\u3000\n",
     "01010"),
    ("at the beginning of a clause",
     "abcd, efgh\nij",
     "1110001110011"),
    ("at the beginning of a clause",
     "床前明月光，疑是地上霜。\n",
     "1110001110000"),
    ("punctuation",
     "a,b。(",
     "01011"),
    ("inside double quotes",
     'a "b" “c” «d» "e\n\nf',
     "0011001100110011100"),
    ("inside double quotes",
     'no”pe"x',
     "0000011"),
    ("inside single quotes",
     "a 'don't x' b",
     "0011111111100"),
    ("inside single quotes",
     "don't ‘so’.",
     "00000011110"),
    ("inside single quotes",
     "'tis\n\nso",
     "11111000"),
    ("inside 「」 or 『』",
     "他「说『好』了」。",
     "011111100"),
    ("inside ( ) or [ ]",
     "a)(b[c])d（e）",
     "001111100110"),
    ("depth of ( ) and [ ]",
     "((a)[b\n\nc",
     "122122200"),
    ("depth of { }",
     "}{a{b}\n\n}",
     "011221110"),
    ("in a comment",
     C + "a/*b*/c//'d\n\"/*\"/",
     "0" * 15 + "00111000111000000"),
    ("in a comment",
     C + "/*/a*/b",
     "0" * 15 + "0111100"),
    ("in a comment",
     PYTHON + "a # b'\n'#'",
     "0" * 9 + "0011110000"),
    ("in a comment",
     "See http://a.b # 1, it's /* so */.",
     "0" * 34),
    ("in a string literal",
     C + r'a"b\"c"d' + "'\\''\n\"e\n/*\"*/f",
     "0" * 15 + "01111100" + "11100" + "11" + "0" * 7),
    ("in a string literal",
     PYTHON + "'''a\n\"'''b\"\"",
     "0" * 9 + "001111110010"),
]  # fmt: skip


@pytest.mark.parametrize(("feature", "text", "expected"), CASES)
def test_a_feature_is_what_its_name_says(feature: str, text: str, expected: str) -> None:
    values = FEATURES[feature](text)
    assert "".join(str(int(value)) for value in values) == expected


def test_places_in_a_suiting_form() -> None:
    text = "ab\nc. d\n\ne"
    found = features_of(text)
    place = np.array([1, 2, 0, 1, 2, 3, 4, 0, 0, 1])
    np.testing.assert_allclose(found["place in the line (logarithm)"], np.log(1 + place))
    for half in (2, 8):
        fading = found[f"after a line break (halved every {half} characters)"]
        np.testing.assert_allclose(fading, 0.5 ** (place / half))
    since = np.log(1 + np.array([1, 2, 3, 4, 0, 1, 2, 3, 0, 1]))
    np.testing.assert_allclose(found["place since punctuation (logarithm)"], since)
    np.testing.assert_allclose(found["place in the sentence (logarithm)"], since)
    comma = features_of("a,b.c")
    np.testing.assert_allclose(
        comma["place in the sentence (logarithm)"], np.log(1 + np.array([1, 2, 3, 0, 1]))
    )


@given(st.text(alphabet="aB1 \t\n\n.,'\"‘’“”「」()[]{}/*/*\\#诗\u0301", min_size=1), st.data())
def test_nothing_is_known_of_what_comes_after(text: str, data: st.DataObject) -> None:
    text = C + text
    read = data.draw(st.integers(len(C), len(text)))
    whole, part = features_of(text), features_of(text[:read])
    for name, values in part.items():
        assert len(values) == read
        np.testing.assert_array_equal(values, whole[name][:read], err_msg=name)


@given(st.text(min_size=1))
def test_any_text_has_all_features(text: str) -> None:
    for values in features_of(text).values():
        assert values.shape == (len(text),)
        assert np.isfinite(values).all()
