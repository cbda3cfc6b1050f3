"""Runs that are damaged, of another time, or made to do harm: one line, and nothing is executed."""

import json
import os
import pickle
import resource
import shutil
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charlm import run as run_module
from charlm.config import Config
from charlm.data import corpus as corpus_module
from charlm.data import vocab as vocab_module
from charlm.errors import CharlmError, ModelError
from charlm.run import MODEL, open_run
from charlm.settings import configured
from charlm.storage.tensors import read_tensors, tensor_bytes, write_tensors
from charlm.training import checkpoint as checkpoint_module

Charlm = Callable[..., Any]
GOLDEN = Path(__file__).parent / "golden"
# Peak memory in the unit that getrusage speaks: kB on Linux, bytes on a Mac.
MEGABYTE = 1024 * 1024 if sys.platform == "darwin" else 1024


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MEGABYTE


def header(length: int, text: bytes) -> bytes:
    return struct.pack("<Q", length) + text


def entry(begin: int, end: int, shape: str = "[2]") -> bytes:
    return f'{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[{begin},{end}]}}}}'.encode()


HEADERS = {
    "of 2^63 bytes": header(2**63, b"{}"),
    "of 2^64 - 1 bytes": header(2**64 - 1, b"{}"),
    "of 200 MB": header(200_000_000, b"{" + b" " * 1000),
    "really of 200 MB": header(200_000_000, b" " * 200_000_000),
    "deep JSON": header(200_000, b'{"a":' + b"[" * 199_995),
    "offsets beyond the end": header(len(entry(0, 8)), entry(0, 8)),
    "offsets that overflow": header(len(entry(0, 2**63)), entry(0, 2**63, f"[{2**61}]")) + bytes(8),
    "offsets backwards": header(len(entry(8, 0)), entry(8, 0)) + bytes(8),
    "a shape that overflows": header(len(e := entry(0, 8, f"[{2**40},{2**40}]")), e) + bytes(8),
    "no JSON": header(4, b"abcd"),
    "not UTF-8": header(4, b"\xff\xfe\xfd\xfc"),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_row_12_a_header_that_lies_is_refused_at_once(run: Path, kind: str) -> None:
    (run / MODEL).write_bytes(HEADERS[kind])
    before, started = peak_memory(), time.process_time()
    with pytest.raises(ModelError) as error:
        open_run(run).weights  # noqa: B018
    assert time.process_time() - started < 1
    assert peak_memory() - before < 200
    assert "\n" not in str(error.value)


def test_row_12_overlapping_and_duplicate_entries_are_refused(run: Path) -> None:
    one = '"dtype":"F32","shape":[2],"data_offsets"'
    for text in (
        f'{{"a":{{{one}:[0,8]}},"b":{{{one}:[4,12]}}}}',
        f'{{"a":{{{one}:[0,8]}},"a":{{{one}:[8,16]}}}}',
    ):
        (run / MODEL).write_bytes(header(len(text), text.encode()) + bytes(16))
        with pytest.raises(ModelError):
            open_run(run).weights  # noqa: B018


def test_row_12_deep_json_in_the_metadata_is_refused(run: Path) -> None:
    deep = "[" * 100_000
    metadata = json.dumps({"__metadata__": {"charlm": deep}}).encode()
    (run / MODEL).write_bytes(header(len(metadata), metadata))
    with pytest.raises(ModelError, match="was not written by charlm"):
        open_run(run).weights  # noqa: B018


class Harm:
    """Unpickled, it leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize(
    "name", ["model.pkl", "model.pt", "model.safetensors", "config.json", "checkpoint.bin"]
)
def test_row_13_a_pickle_that_runs_code_never_runs(
    charlm: Charlm, run: Path, tmp_path: Path, name: str
) -> None:
    trace = tmp_path / "trace"
    data = pickle.dumps(Harm(trace))
    pickle.loads(data)
    assert trace.exists()
    trace.unlink()
    # As the model itself, and in the place of every file that a run has.
    alone = tmp_path / name
    alone.write_bytes(data)
    for path in (MODEL, "vocab.json", "config.json"):
        (run / path).write_bytes(data)
        for command in ("info", "generate", "evaluate"):
            where = [run] if command == "info" else ["-m", run]
            refused = charlm(command, *where)
            assert (refused.code, refused.err.count("\n")) == (4, 1), refused
    for command in (["info", alone], ["generate", "-m", alone], ["train", "--resume", alone]):
        refused = charlm(*command)
        assert (refused.code, refused.err.count("\n")) == (4, 1), refused
        assert "is not a charlm run" in refused.err
    assert not trace.exists()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "", "nul", "NaN", '"x"', "[]"])
@pytest.mark.parametrize("name", ["config.json", "vocab.json"])
def test_row_15_json_that_is_no_record(charlm: Charlm, run: Path, name: str, text: str) -> None:
    (run / name).write_text(text)
    refused = charlm("generate", "-m", run)
    assert (refused.code, refused.err.count("\n")) == (4, 1), refused


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("model", "hidden_size", 10**12), ("model", "num_layers", 10**12),
        ("model", "embedding_size", 10**12), ("training", "seq_len", 10**12),
        ("model", "hidden_size", -5), ("model", "hidden_size", "16"), ("model", "rnn_type", "mlp"),
        ("training", "lr", float("nan")), ("model", "forget_bias", float("nan")),
        ("model", "forget_bias", 10**400), ("training", "lr", float("inf")),
    ],
)  # fmt: skip
def test_row_15_sizes_and_numbers_beyond_all_measure(
    charlm: Charlm, run: Path, section: str, key: str, value: Any
) -> None:
    path = run / "config.json"
    record = json.loads(path.read_text())
    record["config"][section][key] = value
    path.write_text(json.dumps(record))
    before, started = peak_memory(), time.process_time()
    refused = charlm("generate", "-m", run)
    assert (refused.code, refused.err.count("\n")) == (4, 1), refused
    assert f"{section}.{key}" in refused.err
    assert peak_memory() - before < 50
    assert time.process_time() - started < 1


def spoil_config(run: Path, section: str, **values: Any) -> None:
    path = run / "config.json"
    record = json.loads(path.read_text())
    (record["config"][section] if section != "corpus" else record["corpus"]).update(values)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize("command", ["evaluate", "generate", "fill", "--resume", "--init-from"])
def test_row_15_nothing_is_made_of_sizes_that_the_weights_do_not_have(
    charlm: Charlm, run: Path, fill_run: Path, tmp_path: Path, text_file: Path, command: str
) -> None:
    arguments: dict[str, list[Any]] = {
        "evaluate": ["evaluate", "-m", run, text_file],
        "generate": ["generate", "-m", run],
        "fill": ["fill", "-m", run, "a_c"],
        "--resume": ["train", "--resume", run, "--max-steps", 30],
        "--init-from": ["train", text_file, "--init-from", run, "--time", "5s", "-o", "new"],
    }
    if command == "fill":
        shutil.rmtree(run)
        shutil.copytree(fill_run, run)
    charlm(*arguments[command][:1], "--help")
    spoil_config(run, "model", hidden_size=20_000)
    before, started = peak_memory(), time.process_time()
    refused = charlm(*arguments[command])
    assert time.process_time() - started < 1
    assert peak_memory() - before < 50
    assert refused.code == 4, refused
    assert "the tensor " in refused.err.splitlines()[-1]
    assert "config.json and vocab.json ask for float32" in refused.err.splitlines()[-1]
    assert not (tmp_path / "new").exists()


def test_row_15_sizes_unlike_the_weights_name_both(charlm: Charlm, run: Path) -> None:
    path = run / "config.json"
    record = json.loads(path.read_text())
    record["config"]["model"]["hidden_size"] = 17
    path.write_text(json.dumps(record))
    refused = charlm("generate", "-m", run)
    assert refused.code == 4
    assert "(9, 16)" in refused.err
    assert "(9, 17)" in refused.err


def test_row_15_another_vocabulary_of_the_same_size_is_refused(charlm: Charlm, run: Path) -> None:
    path = run / "vocab.json"
    record = json.loads(path.read_text())
    record["tokens"][1], record["tokens"][2] = record["tokens"][2], record["tokens"][1]
    path.write_text(json.dumps(record))
    refused = charlm("generate", "-m", run)
    assert refused.code == 4
    assert "is not the vocabulary that" in refused.err


@pytest.mark.parametrize(
    "facts",
    [
        {}, {"step": 3}, {"step": "3"}, {"valid": 1}, {"epochs": None}, {"vocab": 5},
        {"train_perplexity": None}, {"train_perplexity": "low"}, {"epochs": 10**400},
        {"valid": {"perplexity": 10**400}}, {"step": 10**30},
    ],
)  # fmt: skip
def test_row_15_facts_that_are_none(charlm: Charlm, run: Path, facts: dict[str, Any]) -> None:
    opened = open_run(run)
    whole = {} if not facts or facts == {"step": 3} else opened.facts
    write_tensors(run / MODEL, opened.weights, {**whole, **facts})
    refused = charlm("info", run)
    assert (refused.code, refused.err.count("\n")) == (4, 1), refused


NUMBERS = st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from(["step", "epochs", "seconds", "train_perplexity", "x"]), NUMBERS
    ),
    st.none()
    | st.dictionaries(
        st.sampled_from(["perplexity", "whole", "unknown", "nats_per_char", "characters"]), NUMBERS
    ),
)
def test_row_15_any_facts_are_shown_or_refused(
    charlm: Charlm, trained: Path, run: Path, facts: dict[str, Any], valid: Any
) -> None:
    opened = open_run(trained)
    write_tensors(run / MODEL, opened.weights, {**opened.facts, **facts, "valid": valid})
    shown = charlm("info", run)
    assert (shown.code, shown.err.count("\n")) in ((0, 0), (4, 1)), shown
    assert charlm("info", run, "--markdown").code == shown.code
    assert charlm("runs", run, "--json").code == charlm("runs", run).code == 0


@pytest.mark.parametrize("value", ["many", None, [], -1, 1.5, float("inf"), float("nan"), "5"])
def test_row_15_parts_that_are_no_numbers(charlm: Charlm, run: Path, value: Any) -> None:
    whole = (run / "config.json").read_bytes()
    parts = {"train": 3600, "valid": value, "test": 0}
    spoil_config(run, "corpus", splits=parts)
    refused = charlm("info", run)
    assert (refused.code, refused.err.count("\n")) == (4, 1), refused
    (run / "config.json").write_bytes(whole)
    header = json.loads((run / "corpus" / "corpus.json").read_text())
    (run / "corpus" / "corpus.json").write_text(json.dumps({**header, "splits": parts}))
    refused = charlm("evaluate", "-m", run)
    assert (refused.code, refused.err.count("\n")) == (3, 1), refused


@pytest.mark.parametrize("digested", [True, False])
def test_row_11_ids_that_are_damaged_are_one_line(
    charlm: Charlm, run: Path, digested: bool
) -> None:
    ids = (run / "corpus" / "train.bin").read_bytes()
    (run / "corpus" / "train.bin").write_bytes(ids[:10] + b"\xff" + ids[11:])
    if not digested:
        header = json.loads((run / "corpus" / "corpus.json").read_text())
        header["format"] = 1  # which did not tell the digests
        (run / "corpus" / "corpus.json").write_text(json.dumps(header))
    words = "SHA-256 is not the one" if digested else "it has the id 255, the vocabulary 9 tokens"
    for command in (["evaluate", "--split", "train", "-m", run],
                    ["train", "--max-steps", 30, "--resume", run],
                    ["train", "-o", "new", "--max-steps", 5, run / "corpus"],
                    ["generate", "-l", 5, "--novelty", "-m", run]):  # fmt: skip
        refused = charlm(*command)
        assert refused.code == 3, refused
        assert words in refused.err.splitlines()[-1]
        assert "train.bin is damaged" in refused.err.splitlines()[-1]


@pytest.mark.parametrize(
    "name", ["config.json", "vocab.json", MODEL, "corpus/corpus.json", "corpus/vocab.json",
             "corpus/train.bin", "checkpoints/last.safetensors", "samples.txt"]
)  # fmt: skip
def test_nobody_waits_for_a_pipe_in_the_place_of_a_file(
    charlm: Charlm, run: Path, name: str
) -> None:
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    resumed = charlm("train", "--resume", run, "--max-steps", 30)
    assert resumed.code in (3, 4), resumed
    assert resumed.err.splitlines()[-1].startswith("Error: ")
    if not name.startswith(("checkpoints", "samples")):
        refused = charlm("evaluate", "--split", "train", "--no-baselines", "-m", run)
        assert (refused.code, refused.err.count("\n")) in ((3, 1), (4, 1)), refused


# Everything that a run has, and the locks that are made in it.
NAMES = ["config.json", "vocab.json", MODEL, "metrics.jsonl", "samples.txt", "checkpoints",
         "checkpoints/last.safetensors", "checkpoints/previous.safetensors", "corpus", ".lock",
         ".lock-holder"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_in_a_run_is_never_written_through(
    charlm: Charlm, run: Path, tmp_path: Path, text_file: Path, name: str, dangling: bool
) -> None:
    victims = tmp_path / "victims"
    victims.mkdir()
    victim = victims / "victim"
    if (run / name).exists() and not dangling:
        shutil.move(run / name, victim)
    else:
        shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink(True)
        if not dangling:
            victim.write_bytes(b"precious")
    (run / name).symlink_to(victim)
    before = {path: path.read_bytes() for path in victims.rglob("*") if path.is_file()}

    resumed = charlm("train", "--resume", run, "--max-steps", 30, "--sample-every", 5)
    assert resumed.code in (3, 4), resumed
    assert resumed.err.splitlines()[-1].startswith("Error: ")
    small = ["--hidden-size", 8, "--max-steps", 2]
    forced = charlm("train", text_file, *small, "-o", run, "--force")
    if name.startswith(".lock"):
        assert f"{name} is a link" in resumed.err
        assert forced.code == 4
    assert {p: p.read_bytes() for p in victims.rglob("*") if p.is_file()} == before


def test_who_put_a_run_together_by_hand_may_read_through_links(
    charlm: Charlm, run: Path, tmp_path: Path
) -> None:
    for name in (MODEL, "corpus"):
        shutil.move(run / name, tmp_path / name)
        (run / name).symlink_to(tmp_path / name)
    for command in (["info", run], ["evaluate", "-m", run], ["generate", "-l", 5, "-m", run]):
        assert charlm(*command).code == 0


FORMATS = {
    "config.json": run_module.RUN_FORMAT, "vocab.json": vocab_module.VOCAB_FORMAT,
    "corpus/corpus.json": corpus_module.CORPUS_FORMAT,
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_row_17_a_newer_format_is_refused(charlm: Charlm, run: Path, name: str) -> None:
    record = json.loads((run / name).read_text())
    record["format"] += 1
    (run / name).write_text(json.dumps(record))
    refused = charlm("evaluate", "-m", run)
    assert refused.code == (3 if "corpus" in name else 4)
    assert "made by a newer charlm" in refused.err


def test_row_17_newer_weights_are_refused(charlm: Charlm, run: Path) -> None:
    opened = open_run(run)
    write_tensors(
        run / MODEL,
        opened.weights,
        {**opened.facts, "format": checkpoint_module.CHECKPOINT_FORMAT + 1},
    )
    assert "made by a newer charlm" in charlm("generate", "-m", run).err
    last = run / "checkpoints" / "last.safetensors"
    arrays, facts = read_tensors(last)
    write_tensors(last, arrays, {**facts, "format": checkpoint_module.CHECKPOINT_FORMAT + 1})
    assert "made by a newer charlm" in charlm("train", "--resume", run).err


def test_row_17_every_released_format_is_read(charlm: Charlm, tmp_path: Path) -> None:
    newest = max(*FORMATS.values(), checkpoint_module.CHECKPOINT_FORMAT)
    assert {path.name for path in GOLDEN.iterdir()} == {str(n + 1) for n in range(newest)}
    for folder in GOLDEN.iterdir():
        expected = json.loads((folder / "expected.json").read_text())
        run = tmp_path / f"golden-{folder.name}"
        shutil.copytree(folder / "run", run)
        written = charlm("generate", "-m", run, "-t", 0, "-l", 20, "--prefix", "ab", "--json")
        assert json.loads(written.out)["text"] == expected["text"]
        scored = charlm("evaluate", "-m", run, "--json")
        figure = json.loads(scored.out)["nats_per_char"]
        assert figure == pytest.approx(expected["nats_per_char"], abs=1e-5)
        assert charlm("train", "--resume", run, "--max-steps", 12).code == 0


def small_model() -> bytes:
    generator = np.random.default_rng(0)
    weights = {"head.weight": generator.random((9, 20), dtype=np.float32)}
    return tensor_bytes(weights, {"format": 1, "step": 5})


def test_row_11_every_bit_of_a_model_counts(tmp_path: Path) -> None:
    path, data = tmp_path / MODEL, bytearray(small_model())
    assert 700 < len(data) < 1500
    for place in range(len(data)):
        for bit in range(8):
            data[place] ^= 1 << bit
            path.write_bytes(data)
            with pytest.raises(ModelError):
                read_tensors(path)
            data[place] ^= 1 << bit
        path.write_bytes(data[:place])
        with pytest.raises(ModelError):
            read_tensors(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_any_mutation_of_a_run_is_refused_or_harmless(run: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([MODEL, "config.json", "vocab.json"]))
    path = run / name
    good = path.read_bytes()
    place = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(0, 20))
    new = data.draw(st.binary(max_size=20))
    path.write_bytes(good[:place] + new + good[place + cut :])
    try:
        open_run(run).weights  # noqa: B018
    except CharlmError as error:
        assert "\n" not in str(error)
    finally:
        path.write_bytes(good)


@given(
    st.dictionaries(
        st.sampled_from(["model", "training", "data", "text", "generation", "x"]),
        st.dictionaries(
            st.sampled_from(["hidden_size", "lr", "rnn_type", "stop", "level", "y"]),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
            | st.lists(st.integers(), max_size=2),
            max_size=3,
        ) | st.integers(),
        max_size=3,
    )
)  # fmt: skip
def test_any_settings_are_taken_or_refused(changes: dict[str, Any]) -> None:
    try:
        configured(Config(), changes)
    except CharlmError as error:
        assert "\n" not in str(error)
