"""A run finds its corpus again: beside it, where it was, or where the user says."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.data import record as record_module
from charlm.data.record import checked_record, on_another_machine
from charlm.errors import DataError, ModelError
from charlm.run import CONFIG, open_run

Charlm = Callable[..., Any]


@pytest.fixture
def pair(charlm: Charlm, text_file: Path, tiny_options: list[str], tmp_path: Path) -> Path:
    """A folder with a corpus, and a run that was trained on it."""
    (tmp_path / "pair").mkdir()
    assert charlm("preprocess", text_file, "-o", "pair/corpus").code == 0
    assert charlm("train", "pair/corpus", *tiny_options, "-o", "pair/run").code == 0
    return tmp_path / "pair"


def nats(charlm: Charlm, run: Path, *options: object) -> float:
    scored = charlm("evaluate", "-m", run, "--no-baselines", "--json", *options)
    assert scored.code == 0, scored.err
    return float(json.loads(scored.out)["nats_per_char"])


def change_record(run: Path, **values: Any) -> None:
    path = run / CONFIG
    config = json.loads(path.read_bytes())
    config["corpus"] |= values
    path.write_text(json.dumps(config))


def test_a_run_and_its_corpus_that_moved_together(charlm: Charlm, pair: Path) -> None:
    before = nats(charlm, pair / "run")
    moved = pair.rename(pair.with_name("moved"))
    assert nats(charlm, moved / "run") == before
    assert charlm("generate", "-m", moved / "run", "-l", 5, "--novelty").code == 0
    assert charlm("train", "--resume", moved / "run", "--max-steps", 25).code == 0
    assert open_run(moved / "run").open_corpus().folder.resolve() == moved / "corpus"


def test_a_run_that_moved_alone(charlm: Charlm, pair: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    moved = (pair / "run").rename(tmp_path / "elsewhere" / "run")
    assert open_run(moved).open_corpus().folder == pair / "corpus"


def test_another_corpus_beside_the_run_is_passed_over(
    charlm: Charlm, pair: Path, tmp_path: Path, nonsense: Any
) -> None:
    (tmp_path / "elsewhere").mkdir()
    moved = (pair / "run").rename(tmp_path / "elsewhere" / "run")
    Path("other.txt").write_text(nonsense(4000, seed=5), encoding="utf-8")
    assert charlm("preprocess", "other.txt", "-o", "elsewhere/corpus").code == 0
    assert open_run(moved).open_corpus().folder == pair / "corpus"
    # Where no other is the right one, it is named.
    shutil.rmtree(pair / "corpus")
    with pytest.raises(ModelError, match=r"run/\.\./corpus is not the corpus of .*: its SHA-256"):
        open_run(moved).open_corpus()


def test_a_corpus_that_is_gone_is_asked_for_and_can_be_named(charlm: Charlm, pair: Path) -> None:
    run, before = pair / "run", nats(charlm, pair / "run")
    (pair / "corpus").rename(pair / "moved")
    lost = "if it has moved, say where it is now with --corpus\n"
    for command in (["evaluate", "-m", run], ["train", "--resume", run, "--max-steps", 25],
                    ["generate", "-m", run, "-l", 5, "--novelty"]):  # fmt: skip
        refused = charlm(*command)
        assert (refused.code, refused.err.count("\n")) == (3, 1)
        assert refused.err.endswith(f"is not at {pair / 'corpus'}; {lost}")
        if command[0] != "train":
            assert charlm(*command, "--corpus", pair / "moved").code == 0
    assert nats(charlm, run, "--corpus", pair / "moved") == before
    # A training that goes on there remembers it.
    more = ["train", "--resume", run, "--max-steps", 25, "--corpus", pair / "moved"]
    assert charlm(*more).code == 0
    assert open_run(run).open_corpus().folder.resolve() == pair / "moved"
    assert open_run(run).corpus_record["name"] == "corpus"
    assert open_run(run).corpus_record["baselines"].keys() == {"unigram", "order_5"}
    assert charlm("train", "--resume", run, "--max-steps", 30).code == 0


def test_what_is_named_must_be_the_corpus(
    charlm: Charlm, pair: Path, text_file: Path, nonsense: Any
) -> None:
    Path("other.txt").write_text(nonsense(4000, seed=5), encoding="utf-8")
    for name, options in (
        ("other", ["other.txt"]),
        ("split", [text_file, "--val-frac", 0.2]),
        ("rare", [text_file, "--reserve", "<x>"]),
    ):
        assert charlm("preprocess", *options, "-o", name).code == 0
    # The same text, the same vocabulary, the same sizes; other ids.
    shutil.copytree(pair / "corpus", "order")
    header = json.loads(Path("order/corpus.json").read_text())
    header["shards"]["train"][0]["sha256"] = "0" * 64
    Path("order/corpus.json").write_text(json.dumps(header))
    # Of an older charlm, which did not tell the digests of ids.
    shutil.copytree("rare", "older")
    header = json.loads(Path("older/corpus.json").read_text())
    Path("older/corpus.json").write_text(json.dumps({**header, "format": 1}))
    for name, code, words in (
        ("other", 4, "is not the corpus of"),
        ("split", 4, "prepared with another vocabulary or other parts"),
        ("rare", 4, "prepared with another vocabulary or other parts"),
        ("older", 4, "prepared with another vocabulary or other parts"),
        ("order", 4, "prepared with another vocabulary or other parts"),
        ("none", 3, "none is not a corpus: it has no corpus.json"),
        ("other.txt", 3, "is not a corpus"),
    ):
        for command in (["evaluate", "-m"], ["train", "--resume"]):
            refused = charlm(*command, pair / "run", "--corpus", name)
            assert (refused.code, refused.err.count("\n")) == (code, 1), refused
            assert words in refused.err


def test_corpus_goes_with_resume(charlm: Charlm, pair: Path) -> None:
    refused = charlm("train", "--corpus", pair / "corpus")
    assert (refused.code, refused.err) == (
        2, "Error: --corpus goes with --resume; to train on a corpus, name it as INPUT\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    "name", [r"\\host\share", "//host/share", r"\\?\UNC\host\share", r"\/host/share", "//"]
)
def test_no_other_machine_is_asked_for_a_corpus(
    pair: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(record_module, "is_corpus", lambda path: asked.append(str(path)))
    change_record(pair / "run", path=name, relative="../gone")
    with pytest.raises(DataError, match="say where it is now with --corpus"):
        open_run(pair / "run").open_corpus()
    assert asked == [str(pair / "run" / "../gone")]


@pytest.mark.parametrize(
    ("name", "asks"), [("../corpus", False), ("/data/corpus", False), (r"C:\corpus", False),
                       ("corpus", False), (r"..\corpus", False), (r"\\host", True)],
)  # fmt: skip
def test_what_asks_another_machine(name: str, asks: bool) -> None:
    assert on_another_machine(name) == asks


def test_a_path_that_cannot_be_is_no_bug(charlm: Charlm, pair: Path) -> None:
    for name, code in (("a\0b", 3), ("x" * 5000, 5), ("/dev/null", 3)):
        change_record(pair / "run", path=name, relative=name)
        refused = charlm("evaluate", "-m", pair / "run")
        assert (refused.code, refused.err.count("\n")) == (code, 1), refused


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
            st.sampled_from(["path", "relative", "sha256", "splits", "digests", "train", "valid",
                             "test", "name", "baselines"]), inner),
        max_leaves=12,
    )
)  # fmt: skip
def test_any_record_is_taken_or_refused(record: Any) -> None:
    try:
        checked = checked_record(record)
    except (KeyError, TypeError, ValueError, AttributeError):
        return
    assert isinstance(checked["path"], str)
    assert all(type(size) is int for size in checked["splits"].values())
    assert isinstance(checked.get("name", ""), str)
    assert all(nats >= 0 for nats in checked.get("baselines", {}).values())
