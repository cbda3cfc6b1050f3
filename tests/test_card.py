import json
import shutil
from pathlib import Path

import pytest

from charlm.card import Validation, card_of, validation_of
from charlm.run import MODEL, open_run
from charlm.storage.tensors import read_tensors, write_tensors


def test_a_run_keeps_the_facts_of_its_card(trained: Path) -> None:
    card = card_of(open_run(trained))
    assert card.corpus["name"] == "nonsense"
    assert card.scripts == {"Latin": 1.0}
    assert card.beside is not None
    assert card.beside.tokens is None
    assert set(card.beside.nats) == {"unigram", "order_5"}
    assert card.charlm == "0.1.0"
    assert card.saved is not None
    assert {"torch", "processor", "threads"} <= card.conditions.keys()
    assert card.holds == ("corpus/",)
    json.dumps(card.to_dict())


def test_exact_baselines_are_those_of_evaluate(charlm, trained: Path) -> None:
    beside = card_of(open_run(trained), exact=True).beside
    assert beside is not None
    theirs = json.loads(charlm("evaluate", "-m", trained, "--json").out)["baselines"]
    assert beside.tokens == theirs.pop("tokens")
    assert beside.nats == {name: value for name, value in theirs.items() if value is not None}


def test_without_its_corpus_a_run_has_the_baselines_that_it_kept(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "alone", ignore=shutil.ignore_patterns("corpus"))
    card = card_of(open_run(tmp_path / "alone"), exact=True)
    assert card.holds == ()
    assert card.beside == card_of(open_run(trained)).beside
    assert card.beside is not None


def test_a_model_that_fills_gaps_has_no_baselines(fill_run: Path) -> None:
    card = card_of(open_run(fill_run), exact=True)
    assert card.validation is not None
    assert card.validation.masked
    assert card.beside is None


@pytest.mark.parametrize(
    ("valid", "found"),
    [
        (None, None),
        ({}, None),
        ({"nats_per_char": None, "characters": 5}, None),
        ({"nats_per_char": "1", "characters": 5}, None),
        ({"nats_per_char": 2, "characters": 5}, Validation(2.0, 5)),
        ({"nats_per_word": 2.0, "words": 5, "whole": False},
         Validation(2.0, 5, "word", whole=False)),
        ({"masked_nats_per_char": 1.5, "masked_characters": 7},
         Validation(1.5, 7, masked=True)),
    ],
)  # fmt: skip
def test_figures_as_they_were_saved(valid: dict | None, found: Validation | None) -> None:
    assert validation_of({"valid": valid}) == found


def older(run: Path, **facts: object) -> None:
    """Make a run what an older charlm left: without `facts`, or what a stranger has put there."""
    weights, known = read_tensors(run / MODEL)
    kept = {k: v for k, v in known.items() if k not in ("charlm", "saved", "conditions")}
    write_tensors(run / MODEL, weights, {**kept, **facts})
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    config["corpus"] = {k: config["corpus"][k] for k in ("path", "sha256", "splits")}
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_what_an_older_run_did_not_record_is_not_there(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    older(tmp_path / "run")
    card = card_of(open_run(tmp_path / "run"))
    assert (card.charlm, card.saved, card.conditions, card.beside) == (None, None, {}, None)
    assert "name" not in card.corpus


def test_facts_of_other_kinds_count_as_not_recorded(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    older(tmp_path / "run", charlm=[1], saved={}, conditions={"torch": None, "threads": 2})
    card = card_of(open_run(tmp_path / "run"))
    assert (card.charlm, card.saved, card.conditions) == (None, None, {"threads": 2})
