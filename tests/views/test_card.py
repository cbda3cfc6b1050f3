import re
from dataclasses import replace
from pathlib import Path

import pytest
from wcwidth import width as cells

from charlm.card import Beside, Card, Validation
from charlm.config import Config
from charlm.settings import configured
from charlm.views.card import as_markdown, as_text

USE = ['charlm generate -m runs/book --prefix "…"']


@pytest.fixture
def card() -> Card:
    return Card(
        path=Path("/home/me/runs/book"),
        config=Config(),
        vocab_size=65,
        parameters=400_000,
        scripts={"Latin": 0.75, "Han": 0.2498, "Greek": 0.0001, "Thai": 0.0001},
        corpus={
            "path": "/home/me/secret", "name": "book", "sha256": "ab" * 32,
            "splits": {"train": 900, "valid": 100, "test": 0},
        },
        trained={
            "step": 100, "epochs": 2.5, "seconds": 60.0, "train_perplexity": 4.0,
            "charlm": "0.1.0", "saved": "2026-05-04T03:02:01+00:00",
            "conditions": {"torch": "2.13.0", "processor": "A chip", "device": "A GPU"},
        },
        validation=Validation(1.0, 99),
        beside=Beside({"unigram": 3.0, "order_5": 2.0, "xz": 2.5}, 99),
        holds=(),
    )  # fmt: skip


def test_scripts_are_named_with_their_shares(card: Card) -> None:
    named = "scripts     Latin 75.0%, Han 25.0% of its letters"
    assert f"{named}; 2 other scripts, less than 0.05% each\n" in as_text(card, USE)
    few = {name: share for name, share in card.scripts.items() if share > 0.1}
    assert f"{named}\n" in as_text(replace(card, scripts=few), USE)
    one = as_text(replace(card, scripts={**few, "Thai": 1e-6}), USE)
    assert f"{named}; 1 other script, less than 0.05%\n" in one
    assert "scripts     none: the text has no letters\n" in as_text(replace(card, scripts={}), USE)


def test_figures_stand_beside_the_model_s(card: Card) -> None:
    assert (
        "| this model | 1.443 | 2.718 |\n"
        "| counting 5 characters of context | 2.885 | 7.389 |\n"
        "| xz | 3.607 | 12.182 |\n"
        "| counting single characters | 4.328 | 20.086 |\n"
    ) in as_markdown(card, USE)


def test_what_was_compared_is_said(card: Card) -> None:
    def said(**changes: object) -> str:
        return (
            as_markdown(replace(card, **changes), USE).split("lower is better.")[1].split("\n")[0]
        )

    assert said() == " The others were fitted on the same training part."
    assert said(beside=Beside({"unigram": 3.0}, 50)).endswith("scored on the first 50.")
    assert said(beside=Beside({"unigram": 3.0})).endswith("on a beginning of that text: about.")
    assert said(beside=None) == " What simple models make of it was not recorded."
    assert said(validation=Validation(1.0, 9, masked=True)).endswith("no perplexity of a text.")
    alone = as_markdown(replace(card, validation=None), USE)
    assert "Not validated: the weights are those of the last step." in alone


def test_a_shared_card_names_no_folder_of_the_machine(card: Card) -> None:
    assert "/home/me" not in as_markdown(card, ["charlm fill"])
    assert "book: 1,000 characters (train 900, valid 100), in /home/me/secret\n" in (
        as_text(card, USE)
    )


def test_values_stay_text(card: Card) -> None:
    evil = "a|b<script>\n# x\u202e`"
    hostile = replace(
        card,
        path=Path("/") / evil.replace("/", ""),
        corpus={**card.corpus, "name": evil, "sha256": evil},
        trained={**card.trained, "charlm": evil, "saved": evil, "precision": evil,
                 "conditions": {"torch": evil, "processor": evil, "device": evil}},
        config=configured(card.config, {"data": {"reserve": [evil]}, "text": {"keep": evil}}),
    )  # fmt: skip
    shared = as_markdown(hostile, [f"charlm info '{evil}'"])
    prose, block, _ = re.split("```+", shared)
    assert "<script>" not in prose
    assert "\u202e" not in shared
    assert prose.count("\n# ") == 0
    lines = [line for line in prose.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3, 4}
    assert block.count("\n") == 2
    assert len(as_text(hostile, USE).splitlines()) == len(as_text(card, USE).splitlines())


@pytest.mark.parametrize("width", [40, 80])
def test_lines_are_broken_for_the_terminal_and_commands_are_not(card: Card, width: int) -> None:
    chinese = replace(card, corpus={**card.corpus, "name": "红楼梦 " * 30})
    lines = as_text(chinese, [f"charlm info {'x' * 100}"], width).splitlines()
    assert all(cells(line) <= width for line in lines[1:-1])
    assert lines[-1] == f"  use         charlm info {'x' * 100}"
    assert sum("红楼梦" in line for line in lines) > 1
