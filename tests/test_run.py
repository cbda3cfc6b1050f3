import os
from pathlib import Path

import pytest

from charlm.cli.inputs import find_run
from charlm.config import ModelConfig
from charlm.errors import ModelError, UsageError
from charlm.model.shapes import expected_shapes
from charlm.run import MODEL, open_run


def test_a_run_is_found_by_name_then_environment_then_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARLM_MODEL", raising=False)
    with pytest.raises(UsageError, match="there is no model here: train one with charlm train"):
        find_run(None)
    for age, name in enumerate(["new", "newer", "newest", "unfinished"]):
        (tmp_path / "runs" / name).mkdir(parents=True)
        if name != "unfinished":
            (tmp_path / "runs" / name / MODEL).touch()
            os.utime(tmp_path / "runs" / name / MODEL, (age, age))
    # What a --force that was killed leaves is no run.
    (tmp_path / "runs" / ".book.0a-1-f-2.tmp").mkdir()
    (tmp_path / "runs" / ".book.0a-1-f-2.tmp" / MODEL).touch()
    assert find_run(None) == Path("runs/newest")
    monkeypatch.setenv("CHARLM_MODEL", "elsewhere")
    assert find_run(None) == Path("elsewhere")
    assert find_run("named") == Path("named")


def test_a_run_holds_its_corpus_and_can_be_moved(trained: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.symlink_to(trained)
    assert open_run(moved).open_corpus().splits == {"train": 3600, "valid": 400, "test": 0}


def test_row_18_only_the_fixed_names_are_read(trained: Path, tmp_path: Path) -> None:
    run = open_run(trained)
    assert run.weights.keys() == expected_shapes(run.config.model, len(run.vocab)).keys()
    with pytest.raises(ModelError, match="there is no such folder"):
        open_run(tmp_path / "none")


def test_shapes_of_a_one_hot_model_without_bias() -> None:
    config = ModelConfig(rnn_type="gru", embedding_size=0, hidden_size=3, num_layers=2, bias=False)
    assert expected_shapes(config, 5) == {
        "rnn.weight_ih_l0": (9, 5),
        "rnn.weight_hh_l0": (9, 3),
        "rnn.weight_ih_l1": (9, 3),
        "rnn.weight_hh_l1": (9, 3),
        "head.weight": (5, 3),
        "head.bias": (5,),
    }
