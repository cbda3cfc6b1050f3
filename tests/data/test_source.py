import bz2
import codecs
import gzip
import io
import lzma
import os
import shutil
import threading
from encodings.aliases import aliases
from pathlib import Path

import pytest
from hypothesis import example, given
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
    # Not as a file begins that is no text at all.
    good = good.decode("utf-8", "ignore").replace("\0", "").lstrip("BGP%").encode()
    with pytest.raises(DataError) as error:
        list(decode(io.BytesIO(good + b"\xff"), "utf-8", "file", size))
    line = good.count(b"\n") + 1
    assert str(error.value).startswith(f"file: byte {len(good)} (line {line}) is not utf-8")


def test_row_21_encodings_that_would_read_a_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes("春眠不觉晓".encode("gb18030"))
    with pytest.raises(DataError, match=r"; --encoding gb18030 \(“春眠不觉晓”\) would read it$"):
        read(path)
    path.write_bytes("春眠".encode("utf-16"))
    with pytest.raises(DataError, match=r"; --encoding utf-16 \(“.*春眠”\) would read it$"):
        read(path)
    assert read(path, encoding="utf-16") == "春眠"
    path.write_bytes("春眠不".encode())
    with pytest.raises(
        DataError, match=r"is not gbk; --encoding utf-8 \(“春眠不”\) would read it$"
    ):
        read(path, encoding="gbk")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "gb18030"])
def test_row_21_offset_and_line_at_the_edges_of_the_pieces(encoding: str) -> None:
    good = "one 春眠\ntwo 不觉晓\n".encode(encoding)
    bad = b"\x00\xd8\x00\x00" if encoding == "utf-16-le" else b"\xff"
    for size in range(1, 9):
        with pytest.raises(
            DataError, match=rf"^file: byte {len(good)} \(line 3\) is not {encoding}"
        ):
            list(decode(io.BytesIO(good + bad), encoding, "file", size))


def test_row_21_one_byte_in_a_good_file_is_shown_in_its_word(tmp_path: Path) -> None:
    path = tmp_path / "a"
    line = b"It was the best of times, it was the worst of times.\n"
    path.write_bytes(line * 2000 + b"and it\x92s gone\n" + line * 2000)
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value) == (
        f"{path}: byte 106006 (line 2001) is not utf-8; --encoding cp1252 (“it’s”) would read it"
    )
    path.write_bytes("Le café est fermé, là-bas.\n".encode() * 50 + b"and it\x92s gone\n" + line)
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value) == (
        f"{path}: byte 1506 (line 51) is not utf-8, unlike the rest (in cp1252 it would be "
        "“it’s”); mend it there"
    )
    path.write_bytes("春眠不觉晓，处处闻啼鸟。\n".encode("gb18030") * 50 + b"\xff\n")
    with pytest.raises(DataError, match=r"is not gb18030, unlike the rest; mend it there$"):
        read(path, encoding="gb18030")


def test_row_21_a_folder_in_two_encodings_names_the_files_of_each(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"g{number}").write_bytes("处处闻啼鸟".encode("gb18030"))
    (tmp_path / "plain").write_text("plain")
    with pytest.raises(DataError, match=r"would read it$"):
        read(tmp_path)
    (tmp_path / "u").write_text("处处闻啼鸟", encoding="utf-8")
    with pytest.raises(DataError) as error:
        read(tmp_path)
    g = [f"{tmp_path}/g{number}" for number in range(3)]
    assert str(error.value).endswith(
        f"; the files are in 2 encodings (gb18030: {', '.join(g)} and 2 more; utf-8: {tmp_path}/u)"
        ": bring them to one first"
    )


@pytest.mark.parametrize(
    "encoding", ["base64", "rot13", "hex", "punycode", "undefined", "idna", "zlib"]
)
def test_row_29_codecs_that_are_no_encodings_of_texts_are_refused(encoding: str) -> None:
    with pytest.raises(UsageError, match=rf"^--encoding '{encoding}' is no encoding of texts$"):
        read("nothing", encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-8\0", "龙", "\udcff", "u" * 9999, ""])
def test_row_29_names_that_are_no_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(UsageError, match="Python knows no such encoding"):
        read("nothing", encoding=encoding)


@example(data=bytes(9) + b"\xdc", encoding="utf_16")
@given(data=st.binary(), encoding=st.sampled_from(sorted(set(aliases.values()))))
def test_any_bytes_in_any_encoding_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, encoding: str
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a"
    path.write_bytes(data)
    try:
        read(path, encoding=encoding)
    except CharlmError as error:
        assert "\n" not in str(error).replace(str(path), "")


def test_row_22_utf_16_without_a_mark_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for name in ("utf-16-le", "utf-16-be"):
        path.write_bytes("Plain words, and 春眠不觉晓\n".encode(name) * 20)
        # As utf-8 it ends at a NUL; as utf-16, for want of a mark.
        for encoding in ("utf-8", "utf-16"):
            with pytest.raises(DataError, match=rf"--encoding {name}\b"):
                read(path, encoding=encoding)
        assert read(path, encoding=name).startswith("Plain words")


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


def test_a_file_named_twice_is_noted(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\n")
    name = str(tmp_path / "a")
    assert open_source([name, name], "utf-8").notes == (
        f"{name} is named 2 times, and read as often",
    )


def test_a_folder_is_its_texts_in_order(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("1\n")
    (tmp_path / "b.c").write_text("2\n")
    source = open_source([str(tmp_path)], "utf-8")
    assert "".join(source.read()) == "2\n1\n"
    assert (len(source.texts), source.notes) == (2, ())


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (gzip.compress(b"a text", mtime=0), "a gzip: unpack it first"),
        (bz2.compress(b"a text"), "a bzip2: unpack it first"),
        (lzma.compress(b"a text"), "an xz: unpack it first"),
        (b"PK\x03\x04\x14\x00", "a zip, as .docx"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "a PDF: take the text out"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"a picture \(PNG\)"),
    ],
    ids=["gzip", "bzip2", "xz", "zip", "pdf", "png"],
)
def test_a_text_in_a_wrapping_is_called_what_it_is(tmp_path: Path, data: bytes, kind: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(DataError, match=f"x is no text but {kind}"):
        read(tmp_path / "x")
    (tmp_path / "x").write_text("PK and BZh and %PDF- begin files")
    assert read(tmp_path / "x") == "PK and BZh and %PDF- begin files"


def test_what_a_folder_leaves_out_is_named(tmp_path: Path, trained: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("3\n")
    (tmp_path / "a.txt").write_text("1\n")
    for number in range(5):
        (tmp_path / f"p{number}.png").write_bytes(b"\x89PNG\0")
    (tmp_path / "wide").write_bytes("Plain words in two bytes each".encode("utf-16-le"))
    (tmp_path / "marked").write_bytes("2".encode("utf-16"))
    shutil.copytree(trained, tmp_path / "runs" / "book")
    shutil.copytree(trained / "corpus", tmp_path / "prepared")
    (tmp_path / "round").symlink_to(tmp_path)
    with pytest.raises(DataError, match="marked: byte 0"):
        read(tmp_path)
    (tmp_path / "marked").unlink()
    source = open_source([str(tmp_path)], "utf-8")
    assert "".join(source.read()) == "1\n"
    assert source.notes == (
        f"{tmp_path}: left out 1 hidden (.git), 5 binary (p0.png, p1.png, p2.png and 2 more), "
        "1 corpus (prepared), 1 linked (round), 1 run (runs/book), 1 in utf-16-le (wide)",
    )
    wide = tmp_path / "only"
    wide.mkdir()
    (tmp_path / "wide").rename(wide / "wide")
    assert read(wide, encoding="utf-16-le") == "Plain words in two bytes each"
    with pytest.raises(DataError, match=r"no text files in this folder, but 1 in utf-16-le \(wide"):
        read(wide)


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
