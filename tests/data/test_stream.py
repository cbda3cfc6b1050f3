"""A text that comes bit by bit is the text; its lines, cleaned one by one, are it cleaned whole."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.config import TextConfig
from charlm.data.stream import cleaned_as_one, lines_of, read_once
from charlm.data.text import clean
from charlm.errors import DataError, UsageError

CONFIGS = [
    TextConfig(),
    TextConfig(newlines="keep"),
    TextConfig(lowercase=True),
    TextConfig(normalize="nfc"),
    TextConfig(normalize="nfkc", lowercase=True),
    TextConfig(keep="a-z"),
    TextConfig(keep="a-z\n", lowercase=True),
    TextConfig(strip_lines=True),
    TextConfig(strip_lines=True, keep="A-Za-z", lowercase=True),
    TextConfig(level="word"),
    TextConfig(level="word", strip_lines=True, lowercase=True),
]
TEXTS = st.text(st.sampled_from("abΣςÀ \t\n\r\ufeffe\u0301,"), max_size=40)


class Bits(io.RawIOBase):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data, self._sizes = data, sizes

    def readable(self) -> bool:
        return True

    def read1(self, size: int) -> bytes:
        size = self._sizes.pop() if self._sizes else size
        piece, self._data = self._data[:size], self._data[size:]
        return piece


def come(monkeypatch: pytest.MonkeyPatch, data: bytes, *sizes: int) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Bits(data, list(sizes))))


@given(TEXTS, st.sampled_from(CONFIGS), st.lists(st.integers(1, 5), max_size=9))
def test_lines_cleaned_in_order_are_the_text_cleaned_whole(
    text: str, config: TextConfig, cuts: list[int]
) -> None:
    pieces, rest = [], text
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    lines = list(lines_of([*pieces, rest], config))
    assert all(line.endswith("\n") for line in lines[:-1])
    assert all("\n" not in line[:-1] for line in lines)
    found = list(cleaned_as_one(lines, config))
    assert len(found) == len(lines)
    whole = "".join(clean([text], config))
    if config.level == "word":
        assert "".join(found).split() == whole.split()
    else:
        assert "".join(found) == whole


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_line_is_known_before_the_next_one_comes(config: TextConfig) -> None:
    read = []

    def typed() -> object:
        for line in ("ab cd\n", "ef\n", "gh"):
            read.append(line)
            yield line

    for number, _ in enumerate(cleaned_as_one(typed(), config), 1):
        assert len(read) == number


@given(st.text(max_size=50), st.sampled_from(["utf-8", "utf-16", "gb18030"]), st.data())
def test_what_comes_in_bits_is_the_text(text: str, encoding: str, data: st.DataObject) -> None:
    text = text.replace("\0", "").removeprefix("\ufeff")
    encoded = text.encode(encoding, "ignore")
    sizes = data.draw(st.lists(st.integers(1, 7), max_size=30))
    with pytest.MonkeyPatch.context() as patch:
        come(patch, encoded, *sizes)
        assert "".join(read_once("-", encoding)) == encoded.decode(encoding).removeprefix("\ufeff")


def test_what_is_no_text_is_told_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for data, message in (
        (b"ab\ncd\n\xff\n", "standard input: line 3 is not utf-8; --encoding names another"),
        (b"ab\nc\0d\n", "standard input: a NUL character in line 2; it is binary, or in another"),
        (b"ab\n\xe4\xb8", "standard input: line 2 is not utf-8"),
    ):
        come(monkeypatch, data, 1, 2)
        with pytest.raises(DataError, match=message):
            list(read_once("-", "utf-8"))
    with pytest.raises(UsageError, match="there is no such file"):
        list(read_once(str(tmp_path / "none"), "utf-8"))
    with pytest.raises(UsageError):
        list(read_once("-", "none such"))


def test_what_came_before_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    come(monkeypatch, b"ab\n\xff", 1, 3)
    pieces = read_once("-", "utf-8")
    assert next(pieces) == "ab\n"
    with pytest.raises(DataError, match="line 2"):
        next(pieces)
