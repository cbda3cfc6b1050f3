import codecs
import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.data.source import (
    _library_docstrings,
    decode,
    open_source,
    sample_source,
)
from charlm.errors import CharlmError, DataError, UsageError


def read(*inputs: Path | str, encoding: str = "utf-8") -> str:
    return "".join(open_source([str(i) for i in inputs], encoding).read())


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
       st.integers(1, 5), st.sampled_from(["utf-8", "utf-16", "gb18030"]))  # fmt: skip
def test_row_24_reading_in_chunks_is_reading_whole(text: str, size: int, encoding: str) -> None:
    data = text.encode(encoding)
    pieces = decode(io.BytesIO(data), encoding, "file", size)
    assert "".join(pieces) == data.decode(encoding).removeprefix("\ufeff")


@given(st.binary(), st.integers(1, 7))
def test_any_bytes_are_read_or_refused_in_one_line(data: bytes, size: int) -> None:
    try:
        "".join(decode(io.BytesIO(data), "utf-8", "file", size))
    except DataError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=20), st.integers(1, 7))
def test_row_21_the_offset_of_a_bad_byte_is_right(good: bytes, size: int) -> None:
    good = good.decode("utf-8", "ignore").replace("\0", "").encode()
    with pytest.raises(DataError) as error:
        list(decode(io.BytesIO(good + b"\xff"), "utf-8", "file", size))
    line = good.count(b"\n") + 1
    assert str(error.value).startswith(f"file: byte {len(good)} (line {line}) is not utf-8; ")


def test_row_21_encodings_that_would_read_a_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes("春眠不觉晓".encode("gb18030"))
    with pytest.raises(DataError, match=r"--encoding .*gb18030.* would read it$"):
        read(path)
    path.write_bytes("春眠".encode("utf-16"))
    with pytest.raises(DataError, match=r"--encoding utf-16 or .*would read it$"):
        read(path)
    assert read(path, encoding="utf-16") == "春眠"


def test_row_22_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(codecs.BOM_UTF8 + b"abc")
    assert read(path) == "abc"


def test_row_23_binary_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one\ntwo\0")
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value) == (
        f"{path}: a NUL character in line 2; the file is binary, or in another encoding "
        "(give it with --encoding)"
    )


def test_files_follow_each_other_with_a_line_break_between(tmp_path: Path) -> None:
    for name, text in (("a", "one"), ("b", "two\n"), ("c", "three")):
        (tmp_path / name).write_text(text, newline="")
    assert read(*(tmp_path / name for name in "abc")) == "one\ntwo\nthree"


def test_a_folder_is_its_texts_in_order(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("1\n")
    (tmp_path / "b.c").write_text("2\n")
    (tmp_path / ".hidden").write_text("3\n")
    (tmp_path / "picture").write_bytes(b"\x89PNG\0")
    source = open_source([str(tmp_path)], "utf-8")
    assert "".join(source.read()) == "2\n1\n"
    assert source.files == 2


def test_row_29_a_folder_without_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text files in this folder"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "encoding", "message"),
    [
        ("nothing", "utf-8", "nothing: there is no such file or folder"),
        ("/dev/zero", "utf-8", "/dev/zero is a device, not a text"),
        ("nothing", "utf-9", "--encoding 'utf-9': Python knows no such encoding"),
    ],
)
def test_row_29_what_is_no_text_is_refused(name: str, encoding: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        read(name, encoding=encoding)
    assert str(error.value) == message


def test_row_29_a_pipe_can_be_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=["abc"])
    writer.start()
    source = open_source([str(path)], "utf-8")
    writer.join()
    assert ["".join(source.read()) for _ in range(2)] == ["abc", "abc"]


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("abc")
    source = open_source([str(path)], "utf-8")
    path.unlink()
    with pytest.raises(CharlmError, match="No such file"):
        list(source.read())


def test_the_sample_is_a_real_text() -> None:
    text = "".join(sample_source().read())
    assert len(text) > 10_000
    assert text == "".join(sample_source().read())


def test_without_the_sample_there_are_docstrings() -> None:
    assert len(_library_docstrings()) > 100_000
