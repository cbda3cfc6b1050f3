import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from charlm.card import card_of
from charlm.config import GenerationConfig
from charlm.data.vocab import Vocab
from charlm.errors import UsageError
from charlm.export.folder import write_folder
from charlm.generation.sampler import Sampler
from charlm.generation.stepper import Stepper
from charlm.model.network import open_model
from charlm.run import Run, open_run

MakeRun = Callable[..., Run]
LSTM = {"rnn_type": "lstm"}
MODELS = {
    "lstm": LSTM,
    "gru": {"rnn_type": "gru", "num_layers": 3, "bias": False},
    "relu": {"rnn_type": "rnn", "nonlinearity": "relu", "embedding_size": 0},
    "projected": {**LSTM, "proj_size": 8, "num_layers": 2, "tied": True},
    "fill": {**LSTM, "bidirectional": True, "num_layers": 2, "proj_size": 5},
}
WORDS = Vocab("word", ("<unk>", "the", "cat", "sat"), (0, 1, 3, 2))
LINES = Vocab("word+breaks", ("<unk>", "the", "\n", "cat", "ab"), (0, 1, 3, 2, 1))
MARKS = Vocab("word+punctuation", ("<unk>", "the", ",", "cat"), (0, 1, 3, 2))
# Which torch says of an LSTM with a projection.
NO_NEWS = "LSTM with projections is not supported with oneDNN"
# Reads each folder named, in a process that knows neither charlm nor where it is.
READER = """
import importlib, json, sys
sys.modules["charlm"] = None
import torch
torch.set_num_threads(1)
found = {}
for name in sys.argv[2:]:
    sys.path.insert(0, f"{sys.argv[1]}/{name}")
    loader = importlib.import_module("charlm_loader")
    model = loader.load()
    symbols = model.embedding.num_embeddings if model.embedding else model.rnn.input_size
    ids = torch.arange(40).reshape(20, 2) % symbols
    logits, _ = model(ids)
    fills = model.rnn.bidirectional
    able = not fills and "punctuation" not in model.level
    texts = [] if not able else [model.generate(p, 30, t, 7) for p in ("", "ab") for t in (0, 0.8)]
    found[name] = [logits.tolist(), texts]
    del sys.modules["charlm_loader"], sys.path[0]
print(json.dumps(found))
"""


def greedy(run: Run, prefix: str) -> str:
    engine, settings = Stepper(run.config.model, run.weights), GenerationConfig(30, temperature=0)
    sampler = Sampler(engine, run.vocab, settings)
    ids = run.vocab.encode(prefix).tolist()
    [sample] = samples = sampler.start(ids)
    for _ in sampler.stream(ids, samples, seed=0):
        pass
    return sample.text.strip(" ") if run.vocab.level != "char" else sample.text


def test_the_loader_reads_them_without_charlm(make_run: MakeRun, tmp_path: Path) -> None:
    runs = {name: make_run(name=f"run-{name}", **model) for name, model in MODELS.items()}
    words = {"words": WORDS, "lines": LINES, "marks": MARKS}
    runs |= {name: make_run(vocab, f"run-{name}", **LSTM) for name, vocab in words.items()}
    for name, run in runs.items():
        write_folder(run, tmp_path / name, ["charlm generate"])
    done = subprocess.run(
        [
            sys.executable, "-I", "-W", "error", "-W", f"ignore:{NO_NEWS}", "-c", READER,
            str(tmp_path), *runs,
        ], capture_output=True, timeout=60, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.decode()) == (0, "")
    found = json.loads(done.stdout)
    for name, run in runs.items():
        network = open_model(run, "cpu")
        ids = torch.arange(40).reshape(20, 2) % network.symbols
        with torch.inference_mode():
            expected, _ = network(ids)
        assert np.abs(np.array(found[name][0]) - expected.numpy()).max() < 1e-5
        if name == "marks":
            assert "generate(" not in (tmp_path / name / "README.md").read_text().split("torch,")[1]
        elif not run.config.model.bidirectional:
            sharp, drawn = found[name][1][::2], found[name][1][1::2]
            assert sharp == [greedy(run, prefix) for prefix in ("", "ab")]
            assert drawn != sharp


def test_it_is_a_run_that_tells_nothing_of_the_machine(
    trained: Path, text_file: Path, tmp_path: Path
) -> None:
    run = open_run(trained)
    written = write_folder(run, tmp_path / "shared", ["charlm generate -m shared"])
    names = {
        "model.safetensors", "config.json", "layers.json", "vocab.json", "README.md",
        "charlm_loader.py",
    }  # fmt: skip
    assert (
        {path.name for path in (tmp_path / "shared").iterdir()}
        == names
        == {*written.facts["files"]}
    )
    for name in names:
        held = (tmp_path / "shared" / name).read_bytes()
        assert str(text_file.parent).encode() not in held
        assert text_file.read_bytes()[:50] not in held
    assert load_file(tmp_path / "shared" / "model.safetensors").keys() == run.weights.keys()
    shared = open_run(tmp_path / "shared")
    assert shared.facts == run.facts
    assert all((shared.weights[name] == run.weights[name]).all() for name in run.weights)
    assert card_of(shared).holds == ()


def test_the_text_that_a_config_held_stays_at_home(make_run: MakeRun, tmp_path: Path) -> None:
    config = make_run().path / "config.json"
    record = json.loads(config.read_text())
    record["config"]["data"] |= {"text": "dear diary", "vocab": "/home/me/other"}
    config.write_text(json.dumps(record))
    write_folder(open_run(config.parent), tmp_path / "shared", [])
    shared = json.loads((tmp_path / "shared" / "config.json").read_text())["config"]["data"]
    assert (shared["text"], shared["vocab"]) == (None, None)
    assert "/home/me" not in (tmp_path / "shared" / "README.md").read_text()


def test_the_card_begins_with_what_a_hub_reads(make_run: MakeRun, tmp_path: Path) -> None:
    for fills, task in ((False, "text-generation"), (True, "fill-mask")):
        write_folder(
            make_run(name=f"run-{task}", bidirectional=fills), tmp_path / task, ["charlm do -m it"]
        )
        head, _, rest = (tmp_path / task / "README.md").read_text()[4:].partition("\n---\n")
        assert head == (
            f"library_name: pytorch\npipeline_tag: {task}\ntags:\n- charlm\n- character-level\n"
            "- lstm\n- recurrent"
        )
        assert rest.startswith(f"\n# {task}\n\nA recurrent language model")
        assert "charlm do -m it\n" in rest
        assert "from charlm_loader import load" in rest


def test_only_another_export_is_replaced(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    with pytest.raises(UsageError, match="already holds other files"):
        write_folder(run, run.path, [], replace=True)
    write_folder(run, tmp_path / "out", [])
    with pytest.raises(
        UsageError, match=r"already exists; give another name \(-o\), or replace it \(--force"
    ):
        write_folder(run, tmp_path / "out", [])
    (tmp_path / "out" / "README.md").unlink()
    write_folder(run, tmp_path / "out", [], replace=True)
    assert (tmp_path / "out" / "README.md").exists()


def test_the_loader_is_forty_lines(make_run: MakeRun, tmp_path: Path) -> None:
    write_folder(make_run(), tmp_path / "out", [])
    code = (tmp_path / "out" / "charlm_loader.py").read_text()
    told = r'"""(?s:.)*?"""|^ *#.*'
    lines = re.sub(told, "", code, flags=re.M).splitlines()
    assert len([line for line in lines if line.strip()]) <= 40
