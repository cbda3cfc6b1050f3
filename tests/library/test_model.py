"""A model in Python does what the commands do, and says nothing unless asked."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import charlm
from charlm.library.model import Model

Command = Callable[..., Any]
TEXT = "abcdef\nfed abc\n\nbad \n"


@pytest.fixture(scope="session")
def model(trained: Path) -> Model:
    return charlm.load(trained)


def test_loading_imports_no_torch_nor_does_what_writes_and_scores(trained: Path) -> None:
    code = (
        "import sys, charlm\n"
        "m = charlm.load(sys.argv[1])\n"
        "m.generate('ab', length=5); m.score('abc'); m.next('a'); m.card; repr(m)\n"
        "m.score('abc')._repr_html_(); m._repr_html_()\n"
        "assert 'torch' not in sys.modules and 'click' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(trained)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_writes_what_the_command_writes(charlm: Command, model: Model, trained: Path) -> None:
    options = ["--seed", 7, "-l", 40, "-t", 0.9, "--top-k", 5, "--stop", "fa"]
    told = charlm("generate", "-m", trained, "--prefix", "abc", *options, "--json")
    settings: dict[str, Any] = {
        "seed": 7, "length": 40, "temperature": 0.9, "top_k": 5, "stop": "fa",
    }  # fmt: skip
    text = model.generate("abc", **settings)
    assert text == json.loads(told.out)["text"]
    assert "".join(model.stream("abc", **settings)) == text
    told = charlm("generate", "-m", trained, "--prefix", "abc", *options, "-n", 3, "--json")
    texts = [json.loads(line)["text"] for line in told.out.splitlines()]
    assert model.samples(3, "abc", **settings) == texts
    assert texts[0] == text


def test_two_streams_of_one_model_do_not_disturb_each_other(model: Model) -> None:
    one, other = (model.stream("a", seed=seed, length=30) for seed in (1, 2))
    pieces = list(zip(one, other, strict=True))
    for k, seed in enumerate((1, 2)):
        assert "".join(pair[k] for pair in pieces) == model.generate("a", seed=seed, length=30)


def test_a_score_is_that_of_the_commands(
    charlm: Command, model: Model, trained: Path, tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    told = charlm("score", "-m", trained, "--carry", "--json", "--per-char", path)
    lines = [json.loads(line) for line in told.out.splitlines()]
    score, bits = model.score(TEXT), model.surprise(TEXT)
    assert score.nats == sum(line["nats"] for line in lines if line["nats"] is not None)
    assert bits == [value for line in lines for value in line["bits"]]
    assert len(bits) == len(TEXT)
    assert bits[0] is None
    assert score.bits == pytest.approx(sum(value for value in bits[1:] if value is not None))
    evaluated = model.evaluate(TEXT)
    assert evaluated.nats == pytest.approx(score.nats, abs=1e-4)
    told = charlm("evaluate", "-m", trained, path, "--json", "--no-baselines")
    assert json.loads(told.out)["nats_per_char"] == evaluated.nats_per_token
    assert model.evaluate(path) == model.evaluate(str(path)) == evaluated
    told = charlm("evaluate", "-m", trained, "--json", "--no-baselines")
    assert json.loads(told.out)["nats_per_char"] == model.evaluate("valid").nats_per_token


def test_what_comes_next_is_what_a_score_makes_of_it(model: Model) -> None:
    found = model.next("abc", k=3)
    assert [one.probability for one in found] == sorted(
        (one.probability for one in found), reverse=True
    )
    bits = model.surprise("abc" + found[0].token)[-1]
    assert bits is not None
    assert 2**-bits == pytest.approx(found[0].probability, rel=1e-4)
    assert sum(one.probability for one in model.next(k=1000)) <= 1 + 1e-9


def test_gaps_are_filled_as_by_the_command(charlm: Command, fill_run: Path) -> None:
    told = charlm("fill", "-m", fill_run, "abc_ef", "-n", 2, "--json")
    expected = [json.loads(line) for line in told.out.splitlines()]
    filler = load(fill_run)
    found = filler.fill("abc_ef", 2)
    assert [(one.text, one.probability) for one in found] == [
        (line["text"], line["probability"]) for line in expected
    ]
    with pytest.raises(CharlmError, match="can neither continue a text"):
        filler.generate("abc")


# Beside the command of the same name, which is a fixture.
load, CharlmError = charlm.load, charlm.CharlmError


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.generate(3), "prefix is 3; it must be a text"),
        (lambda m: m.generate("a", temprature=1), "'temprature'; is 'temperature' meant"),
        (lambda m: m.generate("a", temperature="hot"), "it must be a number"),
        (lambda m: m.generate("a", stop=""), "a text that is not empty"),
        (lambda m: m.stream("a", num_samples=2), r"use samples\(n\)"),
        (lambda m: m.samples(0, "a"), "it must be at least 1"),
        (lambda m: m.samples(2, "a", num_samples=3), r"use samples\(n\)"),
        (lambda m: m.generate("中"), 'IDEOGRAPH-4E2D; leave it out, or give on_unknown="skip"'),
        (lambda m: m.next("a", k=0), "at least 1"),
        (lambda m: m.next("a", k=True), "a whole number"),
        (lambda m: m.evaluate("no/book.txt"), "no file or folder 'no/book.txt'"),
        (lambda m: m.evaluate("vaild"), "'vaild' is no part of a corpus; is 'valid' meant"),
        (lambda m: m.score(b"abc"), "it must be a text"),
        (lambda m: m.score("a"), "nothing to score"),
        (lambda m: m.evaluate(None), "a text is a str, or a path, or a list of paths"),
        (lambda m: m.evaluate("a"), "need at least 2"),
        (lambda m: m.fill("a_c"), r"with bidirectional=True, or use generate\(\)"),
        (lambda m: m.generate(match="a("), "^match: 'a\\(' is no regular"),
        (lambda m: m.samples(2, match=r"\ba"), "^match: "),
        (lambda m: m.evaluate("test"), r"\(see val_frac and test_frac\)"),
        (lambda m: load(m.path, device="tpu").generate(), "^device tpu: this machine has"),
        (lambda m: load(3), "path is 3; it must be a path"),
        (lambda m: load("nowhere"), "no such folder"),
    ],
)
def test_mistakes_end_in_errors_of_charlm(
    model: Model, call: Callable[[Model], Any], message: str
) -> None:
    with pytest.raises(CharlmError, match=message):
        call(model)


def test_a_text_may_be_named_nearly_as_a_part_is(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("test.txt", "valid.txt", "tests"):
        Path(name).write_text(TEXT)
        assert model.evaluate(name) == model.evaluate(TEXT)
    assert model.evaluate("trained\n").tokens == len("trained")


def test_a_notebook_shows_text_as_text(model: Model) -> None:
    score = model.score("ab<script>alert(1)</script>&\u202ec\n")
    html = score._repr_html_()
    assert "<script" not in html
    assert "&lt;" in html
    assert "U+202E" in html
    assert f"{score.perplexity:.3f}" in html
    assert html.count("<div") == html.count("</div>")
    assert str(model.path) in model._repr_html_()
    assert "<table>" in model.card._repr_html_()
    assert str(model.path) in repr(model)
    assert "16" in str(model.card)
    assert repr(score).startswith("<perplexity ")


def test_what_a_notebook_shows_has_an_end(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charlm.views.notebook.MOST_SHOWN", 10)
    html = model.score("abc def\n" * 5)._repr_html_()
    assert "The first 10 of 40." in html
    assert html.count("<span") == 10
