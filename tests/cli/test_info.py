import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from charlm.run import MODEL, open_run
from charlm.storage.tensors import read_tensors, write_tensors


def card(run: Path | str, charlm) -> dict[str, str]:
    """What `charlm info` tells, by name; without its first line and the commands."""
    lines = [line for line in charlm("info", run).out.splitlines()[1:] if line[2] != " "]
    return {line[2:14].rstrip(): line[14:] for line in lines}


def test_the_card(charlm, trained: Path) -> None:
    assert charlm("info", trained).out.splitlines()[0] == str(trained)
    told = card(trained, charlm)
    assert told["model"] == "LSTM, 1 layer of 16 units, embedding 8, 1,889 parameters"
    assert told["corpus"] == "nonsense: 4,000 characters (train 3,600, valid 400), in corpus"
    assert re.fullmatch("[0-9a-f]{64} .of the cleaned text.", told["SHA-256"])
    assert told["scripts"] == "Latin 100.0% of its letters"
    assert told["text"] == "level char, encoding utf-8, newlines lf, normalize none"
    assert told["vocabulary"] == "9 tokens"
    assert told["plan"].startswith("4×8 (sequential), soap 0.018, dropout 0, 20 steps")
    assert told["trained"].startswith("20 steps, ")
    assert " in float32, train perplexity " in told["trained"]
    assert re.fullmatch(
        r"perplexity [\d.]+ per character \([\d.]+ bits, [\d.]+ nats\) over 399 characters",
        told["validation"],
    )
    assert re.fullmatch(
        r"about: counting 5 characters of context [\d.]+, counting single characters [\d.]+",
        told["baselines"],
    )
    assert re.fullmatch(r"charlm 0\.1\.0, torch \S+, on \d\d\d\d-\d\d-\d\d", told["made with"])
    assert "thread" in told["processor"]
    assert told["holds"] == (
        "its whole training text, in corpus/: leave that out to share the model alone"
    )
    assert told["use"] == f'charlm generate -m {trained} --prefix "…"'


def test_the_card_of_an_older_run(charlm, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    weights, facts = read_tensors(tmp_path / "run" / MODEL)
    for name in ("charlm", "saved", "conditions"):
        del facts[name]
    write_tensors(tmp_path / "run" / MODEL, weights, facts)
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for name in ("name", "baselines"):
        del config["corpus"][name]
    path.write_text(json.dumps(config), encoding="utf-8")
    told = card("run", charlm)
    assert told["corpus"].startswith("(its name was not recorded): 4,000 characters")
    assert told["baselines"].startswith("not recorded; charlm evaluate shows them")
    assert told["made with"] == "charlm (version not recorded), torch (version not recorded)"
    assert told["processor"] == "not recorded"


def test_a_card_to_share(charlm, trained: Path) -> None:
    shared = charlm("info", trained, "--markdown")
    assert shared.code == 0
    assert shared.out.startswith("# tiny\n\nA recurrent language model that writes, continues and ")
    assert str(trained.parent) not in shared.out
    theirs = json.loads(charlm("evaluate", "-m", trained, "--json").out)
    assert f"| this model | {theirs['bits_per_char']:.3f} | {theirs['perplexity']:,.3f} |" in (
        shared.out
    )
    counted = math.exp(theirs["baselines"]["order_5"])
    assert re.search(
        rf"\| counting 5 characters of context \| [\d.]+ \| {counted:,.3f} \|", shared.out
    )
    assert 'charlm generate -m tiny --prefix "…"\n' in shared.out


def test_a_card_is_printed_in_one_way(charlm, trained: Path) -> None:
    result = charlm("info", trained, "--markdown", "--json")
    assert (result.code, result.err) == (
        2, "Error: --markdown and --json are two ways to print it: give one\n",
    )  # fmt: skip


def test_how_the_text_was_prepared(
    charlm, text_file: Path, tiny_options: list[str], tmp_path: Path
) -> None:
    options = ["--lowercase", "--reserve", "<x>", "--max-tokens", 2000]
    assert charlm("train", text_file, *tiny_options, *options, "-o", "run").code == 0
    assert card("run", charlm)["text"] == (
        "level char, encoding utf-8, newlines lf, normalize none, lowercase True, reserve <x>, "
        "max_tokens 2000"
    )


def test_what_a_run_holds_of_its_text(
    charlm, text_file: Path, tiny_options: list[str], tmp_path: Path
) -> None:
    def held(run: str) -> str:
        return card(run, charlm)["holds"]

    text = '[data]\ntext = "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc"\n'
    Path("config.toml").write_text(text)
    assert charlm("train", "--config", "config.toml", *tiny_options, "-o", "own").code == 0
    assert held("own").startswith("its whole training text, in corpus/ and config.json: ")
    shutil.rmtree("own/corpus")
    assert held("own").startswith("its whole training text, in config.json: ")
    assert charlm("preprocess", text_file, "-o", "corpus").code == 0
    assert charlm("train", "corpus", *tiny_options, "-o", "prepared").code == 0
    assert held("prepared") == "no training text"


def test_json(charlm, trained: Path) -> None:
    facts = json.loads(charlm("info", trained, "--json").out)
    assert facts["parameters"] == 1889
    assert facts["config"]["model"]["hidden_size"] == 16
    assert facts["trained"]["step"] == 20
    assert facts["trained"]["conditions"]["torch"] == torch.__version__
    assert facts["scripts"] == {"Latin": 1.0}
    assert facts["corpus"]["name"] == "nonsense"
    assert facts["baselines"].keys() == {"unigram", "order_5"}


def test_the_model_of_the_environment(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARLM_MODEL", str(trained))
    assert charlm("info").out == charlm("info", trained).out


@pytest.fixture
def damaged(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def test_row_13_what_is_no_run_is_refused(charlm, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04K\x01.")
    (tmp_path / "b.pt").write_bytes(b"PK\x03\x04")
    (tmp_path / "c").mkdir()
    for name, what in (
        ("nowhere", "there is no such folder"),
        ("a.pkl", "looks like a pickle"),
        ("b.pt", "looks like a zip, or what torch.save writes"),
        ("c", "it has no config.json"),
    ):
        result = charlm("info", name)
        assert (result.code, result.err) == (4, f"Error: {name} is not a charlm run ({what})\n")


def test_a_damaged_run_is_refused(charlm, damaged: Path) -> None:
    model = damaged / MODEL
    good = model.read_bytes()
    model.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    result = charlm("info", damaged)
    assert (result.code, result.err) == (
        4,
        f"Error: {model} is damaged: its SHA-256 is not the one it was saved with\n",
    )
    model.unlink()
    assert charlm("info", damaged).err == f"Error: {model} is missing\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("head.bias"), "the tensor head.bias (9,) is missing"),
        (lambda w: w.update(extra=w["head.bias"]), "the tensor extra (9,) does not belong"),
        (lambda w: w.update({"head.bias": w["head.bias"][:5]}),
         "the tensor head.bias is float32 (5,), config.json and vocab.json ask for float32 (9,)"),
        (lambda w: w["head.bias"].fill(np.nan), "the tensor head.bias holds NaN or infinity"),
    ],
)  # fmt: skip
def test_row_16_weights_that_do_not_fit_are_refused(
    charlm, damaged: Path, change, message: str
) -> None:
    run = open_run(damaged)
    weights = {name: array.copy() for name, array in run.weights.items()}
    change(weights)
    write_tensors(damaged / MODEL, weights, run.facts)
    result = charlm("generate", "-m", damaged)
    assert (result.code, result.err) == (4, f"Error: {damaged / MODEL}: {message}\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "{run} was made by a newer charlm (format 99)"),
        ({"extra": 1}, "{run}/config.json: 'extra' is nothing that a run says of itself"),
        ({"format": "x"}, '{run}/config.json is not a run\'s config: it has no "format"'),
        ({"config": {"model": {"hidden_size": -1}}},
         "{run}/config.json: model.hidden_size is -1; it must be at least 1"),
        ({"config": {"model": {"colour": 1}}}, "{run}/config.json: unknown setting 'model.colour'"),
        ({"config": {"text": {"encoding": "klingon"}}},
         "{run}/config.json: --encoding 'klingon': Python knows no such encoding"),
        ({"config": {"text": {"keep": "z-a"}}},
         "{run}/config.json: --keep 'z-a' is no class of characters: bad character range z-a"),
        ({"config": {"generation": {"length": 10**30}}},
         "{run}/config.json: generation.length is 1000000000000000000000000000000; it must be"),
        ({"corpus": None},
         '{run}/config.json: "corpus" is not what a run says of its corpus (TypeError('),
    ],
)  # fmt: skip
def test_row_15_a_wrong_config_is_refused(
    charlm, damaged: Path, change: dict, message: str
) -> None:
    path = damaged / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change))
    result = charlm("info", damaged)
    assert result.code == 4
    assert result.err.startswith("Error: " + message.format(run=damaged))
    assert result.err.count("\n") == 1
