"""A corpus is the same by however many processes it was made, and in however many files it is."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.config import DataConfig, TextConfig
from charlm.data import corpus, parts, shards
from charlm.data.corpus import Corpus, build_corpus, open_corpus
from charlm.data.jobs import Jobs
from charlm.data.source import open_source
from charlm.errors import DataError, UsageError

TEXTS = ("To be, or not to be:\n" * 9, "那就是问题。\n" * 31, "x\n", "Whether ’tis nobler\n" * 5)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units, shards and what is checked whole are of a size that a test can fill."""
    monkeypatch.setattr(parts, "UNIT_TOKENS", 100)
    monkeypatch.setattr(parts, "SHARD_BYTES", 64)
    monkeypatch.setattr(corpus, "CHECKED_BYTES", 64)
    monkeypatch.setattr(shards, "READ_AT_ONCE", 50)


def build(folder: Path, texts: tuple[str, ...] = TEXTS, jobs: int = 1, **data: object) -> Corpus:
    names = []
    for number, text in enumerate(texts):
        path = folder.parent / f"{number}.txt"
        path.write_text(text, encoding="utf-8")
        names.append(str(path))
    folder.mkdir()
    source = open_source(names, "utf-8")
    with Jobs(jobs) as side_by_side:
        return build_corpus(source, TextConfig(), DataConfig(**data), folder, jobs=side_by_side)  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("split", ["tail", "blocks"])
def test_the_parts_hold_the_text_whatever_their_files(tmp_path: Path, split: str) -> None:
    made = build(tmp_path / "c", val_frac=0.2, test_frac=0.1, val_split=split)
    assert len(made.shards["train"]) > 3
    opened = open_corpus(tmp_path / "c")
    assert opened.shards == made.shards
    assert opened.digests == made.digests
    files = {path.name for path in (tmp_path / "c").iterdir()}
    listed = {one.name for files in made.shards.values() for one in files}
    assert files == listed | {"corpus.json", "vocab.json"}
    for one in (one for files in made.shards.values() for one in files):
        data = (tmp_path / "c" / one.name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == one.sha256
    texts = {part: opened.vocab.decode(np.asarray(opened.split(part))) for part in opened.splits}
    if split == "tail":
        assert texts["train"] + texts["valid"] + texts["test"] == "".join(TEXTS)
    assert sum(map(len, texts.values())) == len("".join(TEXTS))
    assert sorted("".join(texts.values())) == sorted("".join(TEXTS))


def test_by_several_processes_the_same_bytes_come(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    told: list[int] = []
    build(tmp_path / "a" / "c", jobs=1)
    names = [str(tmp_path / "a" / f"{number}.txt") for number in range(len(TEXTS))]
    (tmp_path / "b" / "c").mkdir()
    with Jobs(2) as jobs:
        build_corpus(
            open_source(names, "utf-8"), TextConfig(), DataConfig(), tmp_path / "b" / "c",
            progress=told.append, jobs=jobs,
        )  # fmt: skip
    assert contents(tmp_path / "a" / "c") == contents(tmp_path / "b" / "c")
    assert sum(told) == 2 * len("".join(TEXTS).encode())


def test_what_a_process_finds_wrong_is_said_here(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("a good text\n" * 9)
    (tmp_path / "bad.txt").write_bytes(b"a text and \xff no text\n" * 9)
    (tmp_path / "c").mkdir()
    source = open_source([str(tmp_path / "good.txt"), str(tmp_path / "bad.txt")], "utf-8")
    with (
        pytest.raises(DataError, match=r"bad.txt: byte 11 \(line 1\) is not utf-8"),
        Jobs(2) as jobs,
    ):
        build_corpus(source, TextConfig(), DataConfig(), tmp_path / "c", jobs=jobs)


def test_what_can_be_read_once_is_read_by_one(tmp_path: Path) -> None:
    from charlm.data.source import text_source

    with pytest.raises(UsageError, match="--jobs is for files"), Jobs(2) as jobs:
        build_corpus(text_source("t", "abc" * 9), TextConfig(), DataConfig(), tmp_path, jobs=jobs)


@pytest.mark.usefixtures("small")
def test_an_id_beyond_the_vocabulary_is_refused_where_it_is_read(tmp_path: Path) -> None:
    made = build(tmp_path / "c")
    one = made.shards["train"][1]
    path = tmp_path / "c" / one.name
    data = bytearray(path.read_bytes())
    data[5] = 255
    path.write_bytes(data)
    train, begin = open_corpus(tmp_path / "c").split("train"), made.shards["train"][0].tokens
    assert len(train[: begin + 5]) == begin + 5
    with pytest.raises(DataError, match=rf"{one.name} is damaged: it has the id 255, the vocab"):
        train[begin + 4 : begin + 7]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("damage", [
    lambda shard: shard.update(name="../train.bin"),
    lambda shard: shard.update(name="/etc/passwd"),
    lambda shard: shard.update(name=7),
    lambda shard: shard.update(tokens=-1),
    lambda shard: shard.update(tokens=shard["tokens"] - 1),
    lambda shard: shard.pop("sha256"),
])  # fmt: skip
def test_a_header_names_files_beside_it_and_all_their_tokens(
    tmp_path: Path, damage: Callable[[dict[str, object]], object]
) -> None:
    build(tmp_path / "c")
    path = tmp_path / "c" / "corpus.json"
    header = json.loads(path.read_bytes())
    damage(header["shards"]["train"][0])
    path.write_text(json.dumps(header))
    with pytest.raises(DataError, match="is not a corpus's header"):
        open_corpus(tmp_path / "c")


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 150), st.integers(0, 150)), min_size=1),
)
def test_ids_in_several_files_read_as_one_array(
    sizes: list[int], slices: list[tuple[int, int]]
) -> None:
    whole = np.arange(sum(sizes), dtype=np.uint8)
    ends = np.cumsum(sizes)
    pieces = np.split(whole, ends[:-1])
    ids = shards.ShardedIds(pieces, [Path(f"{k}.bin") for k in range(len(pieces))], 256)
    assert len(ids) == len(whole)
    for begin, end in slices:
        np.testing.assert_array_equal(np.asarray(ids[begin:end]), whole[begin:end])
        assert ids[begin:end].dtype == whole.dtype
    assert ids[-1] == whole[-1]
    np.testing.assert_array_equal(np.asarray(ids), whole)


def test_a_long_slice_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "READ_AT_ONCE", 3)
    whole = np.arange(20, dtype=np.uint8)
    ids = shards.ShardedIds([whole[:9], whole[9:]], [Path("0.bin"), Path("1.bin")], 20)
    part = ids[4:16][2:9]
    assert isinstance(part, shards.ShardedIds)
    assert part[1:3].tolist() == [7, 8]
    assert part[2:5].tolist() == [8, 9, 10]
    assert np.asarray(part).tolist() == list(range(6, 13))


def test_whoever_reads_a_corpus_reads_one_in_several_files(
    charlm: Any, text_file: Path, trained: Path, fill_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every part is then read as a long one is; and all that is told of it stays as it is."""
    commands = [
        ["evaluate", "-m", trained, "--dynamic", "--json"],
        ["evaluate", "-m", trained, "--split", "train", "--json"],
        ["generate", "-m", trained, "--length", 30, "--seed", 1, "--json", "--novelty"],
        ["generate", "-m", trained, "--lines", 2, "--new", "--seed", 1, "--max-length", 9],
        ["info", trained, "--json"], ["info", fill_run, "--json"],
        ["neurons", "-m", trained, "--json"],
    ]  # fmt: skip
    plain = [charlm(*command) for command in commands]
    monkeypatch.setattr("charlm.data.corpus.CHECKED_BYTES", 0)
    for command, expected in zip(commands, plain, strict=True):
        found = charlm(*command)
        assert (found.code, found.out) == (expected.code, expected.out), (command, found.err)
    few = ["--max-steps", 3, "--batch-size", 4, "--seq-len", 8, "--threads", 1, "-o"]
    for name, more in (("ahead", ["--init-from", trained]), ("fill", ["--init-from", fill_run])):
        result = charlm("train", text_file, *more, *few, name)
        assert result.code == 0, result.err
        assert "held-out part: " in result.err
