"""The page of a model: what it holds, what it may do, and that any text in it is no markup."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from charlm.config import ModelConfig, TextConfig
from charlm.data.text import others
from charlm.data.vocab import Vocab
from charlm.errors import UsageError
from charlm.export.page import about_model, page_of, write_page
from charlm.export.weights import packed
from charlm.model.shapes import expected_shapes
from charlm.run import Run, open_run
from charlm.storage.files import write_bytes
from tests.views.reading import Page

HOSTILE = "</script><script>alert(1)</script><!--"


def written(run: Path, folder: Path, precision: str = "float32") -> str:
    page = folder / "page.html"
    facts = write_page(open_run(run), page, precision).facts
    assert facts["bytes"] == page.stat().st_size
    return page.read_text(encoding="utf-8")


def test_a_policy_forbids_requests_and_names_each_script(trained: Path, tmp_path: Path) -> None:
    html = written(trained, tmp_path)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    assert policy[1].startswith("default-src 'none'; base-uri 'none'; form-action 'none'; ")
    style = re.search("<style>(.*?)</style>", html, re.DOTALL)
    assert style
    run = [text for kind, text in re.findall(r"<script([^>]*)>(.*?)</script>", html, re.DOTALL)
           if "type=" not in kind]  # fmt: skip
    assert len(run) == 2
    for text in (*run, style[1]):
        assert "sha256-" + b64encode(sha256(text.encode()).digest()).decode() in policy[1]
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?:", html.replace("default-src", ""))


def test_a_page_tells_what_its_precision_costs(trained: Path, tmp_path: Path) -> None:
    page, run = tmp_path / "page.html", open_run(trained)
    sizes = []
    for precision, most in (("float32", 0), ("float16", 5e-4), ("int8", 0.01)):
        written = write_page(run, page, precision)
        assert written.facts["whole"]
        assert written.facts["float32"] == pytest.approx(
            run.facts["valid"]["nats_per_char"], abs=1e-4
        )
        assert abs(written.facts["cost"]) <= most
        shown = f"weights in {precision}: {written.facts['nats']:.4f} nats on the validation part"
        assert shown in written.told
        assert shown in page.read_text(encoding="utf-8")
        sizes.append(page.stat().st_size)
    assert "beside float32" in written.told
    assert sizes == sorted(sizes, reverse=True)


def test_without_its_corpus_a_run_has_a_page_too(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "vocab.json", "model.safetensors"):
        write_bytes(run / name, (trained / name).read_bytes())
    written = write_page(open_run(run), tmp_path / "page.html", "int8")
    assert f"its cost was not measured: the corpus of {run} is not at" in written.told
    assert "nats" not in written.facts
    assert str(tmp_path) not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_sizes_that_are_promised(trained: Path) -> None:
    # As trained ones are: bell-shaped, about 0.1 wide.
    run, random = open_run(trained), np.random.default_rng(0)
    model = ModelConfig(embedding_size=64, hidden_size=256)
    vocab = Vocab("char", ("<unk>", *map(chr, range(40, 104))), (1,) * 65)
    weights = {
        name: random.normal(0, 0.1, shape).astype(np.float32)
        for name, shape in expected_shapes(model, len(vocab)).items()
    }
    run = replace(run, config=replace(run.config, model=model), vocab=vocab)
    facts = open_run(trained).facts
    object.__setattr__(run, "_model", (weights, facts))
    for precision, most in (("float32", 1_600_000), ("int8", 500_000)):
        assert len(page_of(run, packed(weights, precision), precision, None).encode()) < most


def test_hostile_names_and_tokens_are_text(trained: Path, tmp_path: Path) -> None:
    run = open_run(trained)
    vocab = Vocab("word", ("<unk>", HOSTILE, "&amp;", "\u202e", *run.vocab.tokens[4:]),
                  run.vocab.counts)  # fmt: skip
    config = replace(run.config, generation=replace(run.config.generation, stop=(HOSTILE,)))
    named = Run(tmp_path / "<b>&\u202e", config, vocab, run.corpus_record)
    object.__setattr__(named, "_model", (run.weights, run.facts))
    html = page_of(named, packed(run.weights, "int8"), "int8", None)
    plain = page_of(run, packed(run.weights, "int8"), "int8", None)
    assert Page(html).tags.count("script") == Page(plain).tags.count("script") == 4
    assert "alert(1)</script>" not in html
    assert Page(html).tags.count("b") == Page(plain).tags.count("b")


def test_what_a_page_is_told_is_what_the_model_was_told(trained: Path) -> None:
    run = open_run(trained)
    told = about_model(run.config, run.vocab, packed(run.weights, "int8"), "int8")
    assert told["tokens"] == run.vocab.tokens
    assert told["labels"][run.vocab["\n"]] == "line break"
    assert told["first"] == run.vocab["\n"]
    names = [name for name, _, _ in told["tensors"]]
    assert sorted(names) == sorted(run.weights)


@pytest.mark.parametrize("keep", ["A-Za-z", r"\w", r"\n"])
def test_the_kept_characters_are_those_that_python_keeps(trained: Path, keep: str) -> None:
    run = open_run(trained)
    config = replace(run.config, text=TextConfig(keep=keep))
    pairs = about_model(config, run.vocab, packed(run.weights, "int8"), "int8")["text"]["keep"]
    kept = {code for first, last in pairs for code in range(first, last + 1)}
    edges = {code + step for pair in pairs for code in pair for step in (-1, 0, 1)}
    for code in (edges & set(range(0x110000))) | set(range(0, 0x110000, 997)):
        assert (code in kept) != bool(others(keep).match(chr(code))), hex(code)


def test_another_precision_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="precision is 'int4'; it can be float32, float16, int8"):
        write_page(open_run(trained), tmp_path / "page.html", "int4")
    assert not (tmp_path / "page.html").exists()


def test_a_model_that_fills_has_a_page_too(fill_run: Path, tmp_path: Path) -> None:
    html = written(fill_run, tmp_path, "int8")
    assert "fills gaps in text" in html
    assert "nats on masked tokens of the validation part" in html


def test_what_a_page_cannot_do_is_said(trained: Path, tmp_path: Path) -> None:
    run = open_run(trained)
    assert "without" not in write_page(run, tmp_path / "page.html", "int8").told
    generation = replace(run.config.generation, typical=0.9, no_repeat=4)
    asked = replace(run, config=replace(run.config, generation=generation))
    written = write_page(asked, tmp_path / "page.html", "int8")
    assert written.told.endswith("; the page writes without typical, no_repeat")
    assert "without typical, no_repeat, which charlm generate knows" in (
        tmp_path / "page.html"
    ).read_text(encoding="utf-8")


def test_a_model_that_gives_no_finite_number_has_a_page_without_one(
    trained: Path, tmp_path: Path
) -> None:
    run = open_run(trained)
    weights = {name: np.float32(3e38) * np.sign(array) for name, array in run.weights.items()}
    object.__setattr__(run, "_model", (weights, run.facts))
    told = write_page(run, tmp_path / "page.html", "float32").told
    assert told.endswith(
        f"weights in float32; its cost was not measured: {trained} gives its validation part no "
        "likelihood"
    )
    assert "nan" not in (tmp_path / "page.html").read_text(encoding="utf-8").partition("<script")[0]
