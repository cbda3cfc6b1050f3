import json
import shutil
from pathlib import Path

import pytest

from charlm.run import MODEL


def test_a_row_for_each_run(charlm, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "书")
    header, row = charlm("runs").out.splitlines()
    assert header.split() == [
        "run", "bits", "perplexity", "text", "model", "parameters", "time", "saved", "state",
    ]  # fmt: skip
    name, bits, perplexity, text, *model, parameters, _, unit, _, _, state = row.split()
    assert (name, text, model, parameters) == ("书", "nonsense", ["lstm", "1×16"], "1,889")
    assert 2 ** float(bits) == pytest.approx(float(perplexity), rel=1e-3)
    assert (unit, state) == ("s", "finished")


def test_a_damaged_run_is_one_line_beside_the_others(charlm, trained: Path, tmp_path: Path) -> None:
    for name in ("good", "bad"):
        shutil.copytree(trained, tmp_path / "runs" / name)
    (tmp_path / "runs" / "bad" / MODEL).write_bytes(b"")
    result = charlm("runs")
    assert result.code == 0
    assert [line.split()[0] for line in result.out.splitlines()] == ["run", "good", "bad"]
    assert result.err.startswith("damaged: runs/bad/model.safetensors is not a safetensors file")
    assert result.err.count("\n") == 1


def test_json(charlm, trained: Path) -> None:
    listed = json.loads(charlm("runs", trained.parent, "--json").out)
    assert listed["folder"] == str(trained.parent)
    [run] = listed["runs"]
    theirs = json.loads(charlm("evaluate", "-m", trained, "--json", "--no-baselines").out)
    assert run["bits_per_char"] == pytest.approx(theirs["bits_per_char"], rel=1e-6)
    assert (run["run"], run["text"], run["parameters"]) == (str(trained), "nonsense", 1889)


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("nowhere", "nowhere: there is no such folder; charlm train makes runs below ./runs"),
        ("file", "file: is a file; charlm train makes runs below ./runs"),
        ("empty", "empty: there is no run below it; charlm train makes one"),
    ],
)
def test_where_there_are_none(charlm, tmp_path: Path, folder: str, message: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    result = charlm("runs", folder)
    assert (result.code, result.out, result.err) == (2, "", f"Error: {message}\n")
    assert charlm("runs", folder, "--json").code == 2


def test_a_name_is_shown_as_text(charlm, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "a\nb\x1b[31m")
    assert "a↵bU+001B[31m" in charlm("runs").out
