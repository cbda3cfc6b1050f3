import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.config import DataConfig, TextConfig
from charlm.data.corpus import Corpus, build_corpus, open_corpus
from charlm.data.ids import PIECE_BYTES, FiledIds, open_ids
from charlm.data.source import text_source
from charlm.data.vocab import id_type
from charlm.errors import CharlmError, DataError

TEXT = "hello, world! " * 20


def build(folder: Path, text: str = TEXT) -> Corpus:
    folder.mkdir()
    return build_corpus(text_source("text", text), TextConfig(), DataConfig(), folder)


def write(path: Path, ids: Any) -> str:
    path.write_bytes(ids.tobytes())
    return hashlib.sha256(path.read_bytes()).hexdigest()


@given(st.sampled_from([2, 256, 257, 65_537]), st.data())
def test_what_is_opened_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, size: int, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("ids") / "train.bin"
    given_ids = data.draw(st.lists(st.integers(0, size - 1), min_size=1))
    ids = np.array(given_ids, dtype=id_type(size))
    digest = write(path, ids)
    assert open_ids(path, size, digest).tolist() == ids.tolist()
    # Any byte of it.
    place = data.draw(st.integers(0, path.stat().st_size - 1))
    whole = bytearray(path.read_bytes())
    whole[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"train.bin is damaged: its SHA-256 is not the one"):
        open_ids(path, size, digest)


@pytest.mark.parametrize("size", [9, 300, 70_000])
def test_an_id_beyond_the_vocabulary_is_refused_wherever_it_stands(
    tmp_path: Path, size: int
) -> None:
    kind = id_type(size)
    ids = np.zeros(2 * PIECE_BYTES // kind.itemsize + 3, dtype=kind)
    for place in (0, len(ids) // 2, len(ids) - 1):
        ids[place] = size
        path = tmp_path / f"{place}.bin"
        digest = write(path, ids)
        for known in (digest, ""):
            with pytest.raises(DataError, match=f"it has the id {size}, the vocabulary {size} tok"):
                open_ids(path, size, known)
        ids[place] = 0


def test_a_large_file_is_looked_at_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    digest = write(path, np.zeros(40 * PIECE_BYTES, dtype=np.uint8))
    tracemalloc.start()
    try:
        open_ids(path, 9, digest)
        assert tracemalloc.get_traced_memory()[1] < 3 * PIECE_BYTES
    finally:
        tracemalloc.stop()


def test_a_corpus_checks_each_part_when_it_is_asked_for(tmp_path: Path) -> None:
    built = build(tmp_path / "corpus")
    whole = (tmp_path / "corpus" / "train.bin").read_bytes()
    (tmp_path / "corpus" / "train.bin").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    opened = open_corpus(tmp_path / "corpus")
    assert opened.split("valid").tolist() == built.split("valid").tolist()
    with pytest.raises(DataError, match=r"train.bin is damaged"):
        opened.split("train")


def test_another_vocabulary_of_the_same_size_is_refused(tmp_path: Path) -> None:
    build(tmp_path / "corpus")
    path = tmp_path / "corpus" / "vocab.json"
    record = json.loads(path.read_bytes())
    record["tokens"][1], record["tokens"][2] = record["tokens"][2], record["tokens"][1]
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"vocab.json is damaged: its tokens are not those of"):
        open_corpus(tmp_path / "corpus")


def test_what_was_checked_is_what_is_used(tmp_path: Path) -> None:
    build(tmp_path / "corpus")
    opened = open_corpus(tmp_path / "corpus")
    before = opened.split("train").tobytes()
    (tmp_path / "corpus" / "train.bin").rename(tmp_path / "gone")
    (tmp_path / "corpus" / "train.bin").write_bytes(bytes(len(before)))
    assert opened.split("train").tobytes() == before


@given(st.sampled_from(["shards", "splits", "characters"]), st.data())
def test_any_digest_and_any_count_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("any") / "corpus"
    build(folder)
    header = json.loads((folder / "corpus.json").read_bytes())
    anything = st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.just([1])
    value = data.draw(anything | st.dictionaries(st.sampled_from(["train", "valid"]), anything))
    if isinstance(value, dict):
        value = header[key] | value if isinstance(header[key], dict) else value
    (folder / "corpus.json").write_text(json.dumps(header | {key: value}))
    try:
        open_corpus(folder).split("train")
    except CharlmError as error:
        assert "\n" not in str(error)


@given(st.lists(st.integers(0, 999), max_size=40), st.integers(-50, 50), st.integers(-50, 50))
def test_ids_in_a_file_read_as_those_in_memory(
    tmp_path_factory: pytest.TempPathFactory, ids: list[int], begin: int, end: int
) -> None:
    path = tmp_path_factory.mktemp("ids") / "ids.bin"
    array = np.array(ids, id_type(1000))
    array.tofile(path)
    filed = FiledIds(path, 1000)
    assert len(filed) == len(array)
    np.testing.assert_array_equal(filed[begin:end], array[begin:end] if begin < end else [])


def test_a_corpus_is_made_without_a_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: Any, **named: Any) -> None:
        raise AssertionError("mapped")

    monkeypatch.setattr(np, "memmap", refused)
    assert build(tmp_path / "corpus").tokens == len(TEXT)
