"""Which encoding a file is likely to be in: the one in which its text looks like one."""

import codecs
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import BinaryIO

from charlm.errors import UsageError

# What texts are in; of two that read one alike, the first is named.
IN_PAIRS = (
    "gb18030", "big5", "cp950", "shift_jis", "cp932", "euc_jp", "euc_kr", "cp949",
)  # fmt: skip
BY_BYTE = ("cp1252", "latin-1", "cp1251", "koi8-r", "cp1253", "cp1255", "cp1256")
WITHOUT_MARK = ("utf-16-le", "utf-16-be")
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
# What is no encoding of texts, although Python has it among them: these read names of hosts, whole.
_NO_TEXTS = ("punycode", "idna", "undefined")
# What else people take for a text, by its first bytes.
_PACKED = {
    b"\x1f\x8b": "a gzip: unpack it first (gunzip)",
    b"BZh": "a bzip2: unpack it first (bunzip2)",
    b"\xfd7zXZ\0": "an xz: unpack it first (unxz)",
    b"\x28\xb5\x2f\xfd": "a zstd: unpack it first (unzstd)",
    b"PK\x03\x04": "a zip, as .docx and .epub are too: take the text out of it first",
    b"%PDF-": "a PDF: take the text out of it first",
    b"\x89PNG": "a picture (PNG)",
    b"\xff\xd8\xff": "a picture (JPEG)",
    b"GIF8": "a picture (GIF)",
}
# The least likeness worth naming, and how near to the best another must come to be named too.
PLAUSIBLE, AS_GOOD = 0.4, 0.95
# That all bytes are pairs of an encoding is seldom an accident, unless no letter of the East comes
# of it; those by the byte read anything.
READS_ANYTHING, NO_LETTER = 0.75, 0.5

_EAST = "\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff"
# Patterns as texts: to compile them takes longer than all else of an import here.
_EASTERN = f"[{_EAST}]"
_EMOJI = "\U0001f300", "\U0001faff"
_OF_PAIRS = f"[{_EAST}{_EMOJI[0]}-{_EMOJI[1]}]"
# The letters that make up half or more of a text in an alphabet, a fifth in Chinese or Korean.
# In another reading of the same bytes, others are the common ones.
_ACCENTED = "[\u00c0-\u024f]"
_ALPHABETS = {
    _ACCENTED: "éèêëàâäçîïôöùûüœßáíóúñãõåøæÉÀÄÖÜ",
    "[\u0370-\u03ff]": "αοιετσνηυρςάόίέ",
    "[\u0400-\u04ff]": "оеаинтслвр",
    "[\u05d0-\u05ea]": "יוהלאתמרשנ",
    "[\u0620-\u064a]": "اليمونرتبةعدس",
}
_COMMON_EASTERN = frozenset(
    "的一是不了人在有我他这個个們们中来來上大为為和国國地到以说說时時要就出會会可也你對对生能而子那得于於着著"
    "下自之年过過发發后後作里裏道行所然家种種事成方多经經麼么去法学學如都同现現当當没沒动動面起看定天分还還进進"
    "好小部其些主样樣理心她本前开開但因只从從想实實日月山水風风花春秋曰者何無无与與相此知今见見云雲君"
    "이다는에의가을은고한지하사로를기리도서그나어"
)
# Marks that people write with; other signs in a text are mostly letters misread.
_MARKS_IN_USE = frozenset(
    "’‘“”„‚–—…«»‹›°§£€©®·•½¼¿¡×™\u00a0№、。「」『』《》〈〉【】（），：；？！～　"
)
# How much of a file is looked at before and after a byte, and at the start.
AROUND = 1 << 15

_PLAIN = frozenset(map(chr, (*range(32, 127), *b"\t\n\r\f\x1a")))
_IMPOSSIBLE = ("Cc", "Co", "Cn", "Cs")


def check_encoding(encoding: str) -> None:
    """Raises UsageError for what is not the name of an encoding of texts."""
    try:
        codec = codecs.lookup(encoding)
    except (LookupError, ValueError):
        raise UsageError(f"--encoding {encoding!r}: Python knows no such encoding") from None
    # base64 and their like make bytes of bytes.
    if not codec._is_text_encoding or codec.incrementaldecoder is None or codec.name in _NO_TEXTS:
        raise UsageError(f"--encoding {encoding!r} is no encoding of texts")


def packed(start: bytes) -> str | None:
    """What a file is that begins so, where it is a text in a wrapping; and what to do."""
    return next((kind for first, kind in _PACKED.items() if start.startswith(first)), None)


def marked(data: bytes) -> str | None:
    """The encoding that a file's first bytes announce, UTF-8 apart."""
    return next((name for mark, name in MARKS.items() if data.startswith(mark)), None)


def likely(
    data: bytes, *, not_in: str = "", start: bool = True, end: bool = True
) -> dict[str, str]:
    """Encoding -> the text in it, the likeliest first; empty where none makes a text.

    data: of a file, from its `start` or from between two characters, and to its `end` or not.
    not_in: an encoding that is out of the question.
    """
    if start and (name := marked(data)):
        text = decoded(data, name, end)
        return {} if text is None else {name: text}
    names = [
        name
        for name in ("utf-8", *(WITHOUT_MARK if start else ()), *IN_PAIRS, *BY_BYTE)
        if not not_in or codecs.lookup(name).name != codecs.lookup(not_in).name
    ]
    found: dict[str, tuple[float, str]] = {}
    for name in names:
        text = decoded(data, name, end)
        if text and name == "utf-8" and "\0" not in text:
            return {name: text}
        if text and text not in (other for _, other in found.values()):
            found[name] = _doubt(name, text) * likeness(text, every=name in WITHOUT_MARK), text
    ranked = sorted(found, key=lambda name: -found[name][0])  # stable: ties stay as listed
    least = max([PLAUSIBLE, *(AS_GOOD * found[name][0] for name in ranked[:1])])
    return {name: found[name][1] for name in ranked if found[name][0] >= least}


def _doubt(name: str, text: str) -> float:
    if name in BY_BYTE:
        return READS_ANYTHING
    return 1.0 if name in WITHOUT_MARK or re.search(_OF_PAIRS, text) else NO_LETTER


def decoded(data: bytes, encoding: str, end: bool = True) -> str | None:
    """The text; None if it is not of the encoding. end: no character may be cut off there."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data, final=end)
    except UnicodeError:
        return None


def likeness(text: str, *, every: bool = False) -> float:
    """How much a text looks like one, at most 1: the mean worth of its characters.

    Of those beyond ASCII alone, unless `every`; those that no text has weigh the heavier.
    """
    counts = Counter(text)
    plain: int = sum(counts.pop(c) for c in list(counts) if c in _PLAIN)
    total: int = sum(counts.values()) + plain * every
    if not total:
        return 1.0
    worth = float(plain * every)
    for character, count in counts.items():
        if unicodedata.category(character) in _IMPOSSIBLE:
            worth -= 3 * count
        elif character in _MARKS_IN_USE or _EMOJI[0] <= character <= _EMOJI[1]:
            worth += 0.9 * count
    worth += _worth_eastern(text) + _worth_of_letters(text)
    return worth / total


def _worth_eastern(text: str) -> float:
    """The sum of what the Han characters, kana and Hangul of a text are worth."""
    found: list[str] = re.findall(_EASTERN, text)
    others = [c for c in found if not "\u3041" <= c <= "\u30ff"]
    used = sum(map(_in_use, others)) / max(1, len(others))
    usual = _usual(others, _COMMON_EASTERN, 0.1) * used * used
    return len(found) - len(others) + len(others) * usual


# Where the national standards have the few thousand characters that are in use, by lead byte.
_IN_USE = {
    "gb2312": (0xB0, 0xD7),
    "big5": (0xA4, 0xC6),
    "euc_jp": (0xB0, 0xCF),
    "euc_kr": (0xB0, 0xC8),
}


@lru_cache(maxsize=1 << 15)
def _in_use(character: str) -> bool:
    """Whether a Han character or a syllable of Hangul is one that people write."""
    for standard, (first, last) in _IN_USE.items():
        with suppress(UnicodeError):
            if first <= character.encode(standard)[0] <= last:
                return True
    return False


def _worth_of_letters(text: str) -> float:
    """The sum of what the letters of alphabets beyond ASCII are worth."""
    worth = 0.0
    for letter, common in _ALPHABETS.items():
        found = re.findall(letter, text)
        # Accented ones are sparse among the others of a word; no other alphabet is mixed with them.
        astray = f"(?<={letter}){letter}" if letter == _ACCENTED else (
            f"(?<=[A-Za-z]){letter}|{letter}(?=[A-Za-z])"
        )  # fmt: skip
        wrong = len(re.findall(astray, text)) / max(1, len(found))
        worth += len(found) * _usual(found, common, 0.4) * (1 - wrong)
    return worth


def _usual(letters: Sequence[str], common: Collection[str], share: float) -> float:
    """1 where at least such a share of the letters are common ones; few letters may do without."""
    return min(1.0, (sum(c in common for c in letters) + 1) / (share * len(letters) + 1.5))


def diagnosis(file: BinaryIO, encoding: str, offset: int) -> str:
    """What to do about a byte of a file that is not of the encoding, in words."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, offset - AROUND))
    data = file.read(2 * AROUND)
    start, end = offset <= AROUND, len(data) < 2 * AROUND
    # White space is no part of another character, in any encoding that may be cut there.
    cut = 0 if start else 1 + max(data.rfind(space, 0, AROUND) for space in (b" ", b"\n"))
    data, place = data[cut:], min(offset, AROUND) - cut
    if offset + 3 >= size and codecs.lookup(encoding).name == "utf-8" and _is_cut_off(data, place):
        return ", where the file ends in the middle of a character: it was cut off; mend it there"
    rest = data.decode(encoding, "replace")
    readings = likely(data, not_in=encoding, start=start, end=end)
    certain = any(name.startswith("utf") for name in readings)
    if not certain and 4 * rest.count("\ufffd") < sum(c > "\x7f" for c in rest):
        return f", unlike the rest{_as_one_byte(data, place, encoding)}; mend it there"
    shown = [
        f"{name} (“{_excerpt(text, len(decoded(data[:place], name, end=False) or ''))}”)"
        for name, text in readings.items()
    ]
    if not shown and b"\0" in data:
        return "; the file is binary"
    if not shown:
        return "; --encoding latin-1 would read it, right or wrong"
    return f"; --encoding {' or '.join(shown)} would read it"


def _is_cut_off(data: bytes, place: int) -> bool:
    """Whether all from a place on is the beginning of a character in UTF-8, and not likelier a
    letter of another encoding: that is one byte, and others like it would be before it."""
    end = data[place:]
    try:
        codecs.getincrementaldecoder("utf-8")().decode(end)
    except UnicodeError:
        return False
    return len(end) > 1 or (len(end) == 1 and not data[:place].isascii())


def _as_one_byte(data: bytes, place: int, encoding: str) -> str:
    """What a stray byte in UTF-8 was before it was put there."""
    character = decoded(data[place : place + 1], BY_BYTE[0])
    if codecs.lookup(encoding).name != "utf-8" or character is None:
        return ""
    before, after = (part.decode(encoding, "replace") for part in (data[:place], data[place + 1 :]))
    return f" (in {BY_BYTE[0]} it would be “{_excerpt(before + character + after, len(before))}”)"


def _excerpt(text: str, place: int) -> str:
    """The word, or some of it, in which a character stands."""
    before, after = text[max(0, place - 12) : place], text[place + 1 : place + 13]
    first = "" if before[-1:].isspace() else (before.split() or [""])[-1]
    last = "" if after[:1].isspace() else (after.split() or [""])[0]
    return first + text[place : place + 1].replace("\n", " ") + last
