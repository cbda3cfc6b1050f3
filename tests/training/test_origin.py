"""Trainings that begin with the weights of another model."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charlm.data.batches import Batch
from charlm.data.corpus import open_corpus
from charlm.model.shapes import frozen_by
from charlm.run import open_run
from charlm.storage.tensors import read_tensors
from charlm.training.frequencies import counts_of, log_frequencies
from charlm.training.origin import LEAST_BIAS
from charlm.training.recipes import LEARNED, in_two_digits
from charlm.training.trainer import Trainer

STEPS = ["--max-steps", 20, "--batch-size", 4, "--seq-len", 8, "--threads", 1]
NEW = "jklé龙\n" * 150


@pytest.fixture
def new_text(tmp_path: Path) -> Path:
    path = tmp_path / "new.txt"
    path.write_text(NEW, encoding="utf-8", newline="")
    return path


def test_new_symbols_get_ids_behind_those_it_knows(charlm, trained: Path, new_text: Path) -> None:
    result = charlm("train", new_text, "--init-from", trained, *STEPS, "-o", "run")
    assert result.code == 0, result.err
    run, start = open_run(Path("run")), open_run(trained)
    assert run.vocab.tokens == (*start.vocab.tokens, "j", "k", "l", "é", "龙")
    assert run.config.model == start.config.model
    # Of the new text; of what that lacks, none.
    assert dict(zip(run.vocab.tokens, run.vocab.counts, strict=True)) == (
        dict.fromkeys(start.vocab.tokens, 0) | dict.fromkeys("jklé龙\n", 150)
    )
    corpus = run.open_corpus()
    assert corpus.vocab.decode(corpus.split("valid")) == NEW[-90:]
    assert (
        f"begins with the weights of {trained}; 5 characters are new to it: "
        "'j' U+006A LATIN SMALL LETTER J (150), "
    ) in result.err
    assert "held-out part: perplexity" in result.err
    assert "unknown (8" in result.err  # 5 of 6
    assert "the text before (nonsense), 399 characters of it: " in result.out


def test_what_it_forgets_is_told_where_the_old_text_is(
    charlm, trained: Path, new_text: Path
) -> None:
    arguments = ["train", new_text, *STEPS, "--json", "--init-from"]
    figures = json.loads(charlm(*arguments, trained, "-o", "one").out)["memory"]
    assert figures["text"] == "nonsense"
    told = json.loads(charlm("evaluate", "-m", trained, "--json").out)
    assert figures["before"]["nats_per_char"] == pytest.approx(told["nats_per_char"], abs=1e-6)
    corpus = trained / "corpus"
    text = open_corpus(corpus).vocab.decode(open_corpus(corpus).split("valid"))
    Path("old.txt").write_text(text, encoding="utf-8", newline="")
    told = json.loads(charlm("evaluate", "old.txt", "-m", "one", "--json").out)
    assert figures["after"]["nats_per_char"] == pytest.approx(told["nats_per_char"], abs=1e-6)
    shutil.copytree(trained, "alone")
    shutil.rmtree("alone/corpus")
    assert "memory" not in json.loads(charlm(*arguments, "alone", "-o", "two").out)


def test_where_there_is_no_time_to_look_it_is_trained_all_the_same(
    charlm, trained: Path, new_text: Path
) -> None:
    arguments = ["train", new_text, *STEPS, "--init-from", trained, "-o", "run"]
    result = charlm(*arguments, "--set", "training.eval_tokens=1")
    assert result.code == 0, result.err
    assert "held-out part" not in result.err


def test_frozen_layers_stay_as_they_were(charlm, trained: Path, new_text: Path) -> None:
    arguments = ["train", new_text, "--init-from", trained, *STEPS, "--freeze", "recurrent"]
    assert charlm(*arguments, "-o", "run").code == 0
    run, start = open_run(Path("run")), open_run(trained)
    frozen = frozen_by(run.config.model, "recurrent")
    assert frozen == {name for name in run.weights if name.startswith("rnn.")}
    assert all(np.array_equal(run.weights[name], start.weights[name]) for name in frozen)
    assert not np.array_equal(run.weights["head.bias"][:9], start.weights["head.bias"])
    assert charlm("train", "--resume", "run", "--max-steps", 25).code == 0


def test_resumed_it_ends_as_if_never_stopped(
    charlm, trained: Path, new_text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["train", new_text, "--init-from", trained, *STEPS, "--optimizer", "soap"]
    assert charlm(*arguments, "-o", "whole").code == 0
    step = Trainer.step

    def step_under_fire(self: Trainer, batch: Batch) -> float:
        if self.done == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch)

    monkeypatch.setattr(Trainer, "step", step_under_fire)
    assert charlm(*arguments, "-o", "parts").code == 130
    monkeypatch.setattr(Trainer, "step", step)
    assert charlm("train", "--resume", "parts").code == 0
    ends = [read_tensors(Path(run, "checkpoints", "last.safetensors"))[0]
            for run in ("whole", "parts")]  # fmt: skip
    assert ends[0].keys() == ends[1].keys()
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize(
    "shape",
    [
        ["--tied", "--embedding-size", 16],
        ["--embedding-size", 0, "--rnn-type", "gru"],
        ["--embedding-size", 8, "--proj-size", 4],
        ["--bidirectional"],
        ["--level", "word"],
        ["--level", "word", "--split-punctuation"],
    ],
    ids=str,
)
def test_models_of_every_kind_go_on(
    charlm, text_file: Path, new_text: Path, shape: list[Any]
) -> None:
    small = ["--hidden-size", 16, "--max-steps", 3, "--batch-size", 4, "--seq-len", 8]
    assert charlm("train", text_file, *small, *shape, "-o", "old").code == 0
    new = Path("words.txt")
    new.write_text("a é, b\n龙 (c) d\n" * 60, encoding="utf-8", newline="")
    for options in ([], ["--freeze", "recurrent"]):
        run = Path(f"run{len(options)}")
        result = charlm("train", new, "--init-from", "old", *STEPS, *options, "-o", run)
        assert result.code == 0, result.err
    opened, old = open_run(run), open_run(Path("old"))
    assert opened.vocab.tokens[: len(old.vocab)] == old.vocab.tokens
    assert opened.vocab.level == old.vocab.level
    corpus = opened.open_corpus()
    assert 0 not in corpus.split("train")
    assert opened.vocab.decode(corpus.split("train")).startswith("a é, b\n龙 (c) d\n")
    assert "the text before (nonsense)" in result.out
    if not opened.config.model.bidirectional:
        assert charlm("generate", "-m", run, "--prefix", "龙", "-l", 5).code == 0


def test_a_prepared_corpus_has_to_know_the_same_symbols(
    charlm, trained: Path, new_text: Path
) -> None:
    charlm("preprocess", new_text, "-o", "other")
    refused = charlm("train", "other", "--init-from", trained)
    assert (refused.code, refused.err) == (
        4, f"Error: other has another vocabulary than {trained}; prepare it with --vocab {trained} "
        "--extend-vocab\n",
    )  # fmt: skip
    known = ["--vocab", trained / "vocab.json", "--extend-vocab"]
    assert charlm("preprocess", new_text, *known, "-o", "fit").code == 0
    assert charlm("train", "fit", "--init-from", trained, *STEPS, "-o", "run").code == 0
    tokens = open_run(Path("run")).vocab.tokens
    assert tokens[9:] == ("j", "k", "l", "é", "龙")
    assert json.loads(charlm("vocab", new_text, *known, "--json").out)["tokens"] == list(tokens)


def test_the_rate_is_lower_where_most_is_known_unless_it_is_given(
    charlm, trained: Path, text_file: Path, new_text: Path
) -> None:
    def rate(text: Path, *options: object) -> float:
        shape = ["--hidden-size", 16, "--embedding-size", 8]
        told = charlm("train", text, *STEPS, *options, "--dry-run", "--json", *shape)
        return float(json.loads(told.out)["training"]["lr"])

    going_on = ["--init-from", trained]
    assert rate(text_file, *going_on) == in_two_digits(LEARNED * rate(text_file))
    assert rate(text_file, *going_on, "--lr", 0.003) == 0.003
    assert rate(new_text, *going_on) == rate(new_text)


def test_biases_begin_anew_where_most_is_new(charlm, trained: Path, new_text: Path) -> None:
    mixed = Path("mixed.txt")
    mixed.write_text(NEW + open_run(trained).open_corpus().vocab.decode(range(1, 9)) * 150)
    for text, most_is_new in ((new_text, True), (mixed, False)):
        # One step at next to no rate.
        assert charlm("train", text, "--init-from", trained, "--lr", 1e-30, "--max-steps", 1,
                      "-o", text.stem).code == 0  # fmt: skip
        begun, start = open_run(Path(text.stem)), open_run(trained)
        biases, before = begun.weights["head.bias"], start.weights["head.bias"]
        counts = counts_of(begun.open_corpus().split("train"), len(begun.vocab))
        expected = np.maximum(log_frequencies(counts), LEAST_BIAS)
        assert np.allclose(biases[9:], expected[9:])
        assert np.allclose(biases[:9], expected[:9] if most_is_new else before)


def test_a_text_may_be_cleaned_otherwise(charlm, trained: Path) -> None:
    Path("loud.txt").write_text("ABC DEF\n" * 100)
    arguments = ["train", "loud.txt", "--init-from", trained, *STEPS]
    assert charlm(*arguments, "--lowercase", "-o", "run").code == 0
    run = open_run(Path("run"))
    assert run.config.text.lowercase
    assert run.vocab.tokens == open_run(trained).vocab.tokens


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--hidden-size", 99], 2, "--hidden-size is 99, but 16 in {run}"),
        (["--tied"], 2, "--tied needs model.embedding_size (8) equal to model.hidden_size "
         "(16)"),
        (["--vocab", "v.json"], 2, "--vocab does nothing with --init-from, whose vocabulary it "
         "has: drop it"),
        (["--level", "word"], 4, "{run} reads characters, this text is cut into words with line "
         "breaks apart: it knows none of these"),
        (["--freeze", "all"], 2, "Invalid value for '--freeze': 'all' is not one of 'none', "
         "'recurrent' (see charlm train --help)"),
    ],
)  # fmt: skip
def test_what_cannot_go_on_is_told_in_a_line(
    charlm, trained: Path, new_text: Path, options: list[Any], code: int, message: str
) -> None:
    refused = charlm("train", new_text, "--init-from", trained, *options)
    assert (refused.code, refused.err) == (code, f"Error: {message.format(run=trained)}\n")
    assert not Path("runs").exists()


def test_a_model_of_words_is_not_gone_on_with_by_characters(charlm, new_text: Path) -> None:
    words = ["--level", "word", "--set", "text.split_punctuation=true"]
    assert charlm("train", new_text, *STEPS, *words, "-o", "words").code == 0
    refused = charlm("train", new_text, "--init-from", "words", "--level", "char")
    assert (refused.code, refused.err) == (
        4, "Error: words reads words with line breaks and punctuation apart, this text is cut into "
        "characters: it knows none of these\n"
    )  # fmt: skip


def test_there_is_nothing_to_freeze_in_a_new_model(charlm, text_file: Path) -> None:
    refused = charlm("train", text_file, "--freeze", "recurrent")
    assert (refused.code, refused.err) == (
        2, "Error: --freeze keeps what another model has learned: add --init-from RUN\n"
    )  # fmt: skip
