"""The scripts that a text is written in, by the Unicode names of its letters.

Python tells a character's name and not its script; but the name of nearly every letter begins with
it: GREEK SMALL LETTER ALPHA, OLD ITALIC LETTER A. Those that begin otherwise are listed here. What
is no letter (digits, punctuation, combining marks), and letters that are of no one script (those of
mathematics and phonetics), are of none.
"""

import unicodedata
from collections import Counter
from functools import cache

from charlm.data.vocab import UNK_ID, Vocab

# The first word of these is not enough: OLD PERSIAN, OLD TURKIC.
_TWO_WORDS = {"OLD", "TAI", "NEW", "LINEAR", "INSCRIPTIONAL"}
_OTHERWISE = {
    "CJK": "Han", "IDEOGRAPHIC": "Han", "HENTAIGANA": "Hiragana", "FEMININE": "Latin",
    "MASCULINE": "Latin", "KELVIN": "Latin", "ANGSTROM": "Latin", "TURNED": "Latin",
    "SUPERSCRIPT": "Latin", "ROMAN": "Latin", "OHM": "Greek", "PHAGS-PA": "Phags-pa",
}  # fmt: skip
_OF_NONE = {
    "MATHEMATICAL", "MODIFIER", "DOUBLE-STRUCK", "SCRIPT", "BLACK-LETTER", "PLANCK", "MICRO",
    "EULER", "INFORMATION", "ALEF", "BET", "GIMEL", "DALET", "VERTICAL", "MASU",
    "KATAKANA-HIRAGANA", "CARON", "VEDIC",
}  # fmt: skip


@cache
def script_of(character: str) -> str | None:
    """The script of a letter, such as Latin, Han or Old Italic."""
    if unicodedata.category(character)[0] != "L":
        return None
    name = unicodedata.name(character, "")
    words = name.removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ").split()
    if not words or words[0] in _OF_NONE:
        return None
    if words[0] in _TWO_WORDS:
        return " ".join(words[:2]).title()
    return _OTHERWISE.get(words[0], words[0].title())


def scripts(vocab: Vocab) -> dict[str, float]:
    """Each script's share of the letters of the text that was counted, the largest first."""
    found = Counter[str]()
    for i, (token, count) in enumerate(zip(vocab.tokens, vocab.counts, strict=True)):
        # What `<unk>` stands for is not known, and a reserved token is not spelled in the text.
        if i == UNK_ID or (vocab.level == "char" and len(token) > 1):
            continue
        for character in token:
            if script := script_of(character):
                found[script] += count
    total = found.total()
    return {script: count / total for script, count in found.most_common() if count}
