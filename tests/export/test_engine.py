"""The engine of a page, run by Node where there is one, is the model: its logits, and its texts.

ENGINE_LENGTH=500 in the environment has it write longer texts, which takes longer.
"""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_models import MODELS, model_called, model_of, some_logits

from charlm.config import Config, GenerationConfig
from charlm.data.text import clean_text, detokenize, tokenize
from charlm.data.vocab import UNK, UNK_ID, Vocab
from charlm.data.words import level_of
from charlm.export.page import about_model
from charlm.export.weights import packed
from charlm.generation.drawing import Dice
from charlm.generation.filler import Filler
from charlm.generation.gaps import read_gaps
from charlm.generation.sampler import Sampler
from charlm.generation.stepper import Stepper
from charlm.model.network import CharLM, weights_of
from charlm.run import Run
from charlm.settings import configured

HERE = Path(__file__).parent
NODE = shutil.which("node")
LENGTH = int(os.environ.get("ENGINE_LENGTH", "150"))
# Of every model; and of one.
SETTINGS: list[dict[str, Any]] = [{"temperature": 0.0}, {"temperature": 0.8, "seed": 7}]
MORE_SETTINGS: list[dict[str, Any]] = [
    {"temperature": 1.0, "seed": 2**64 - 1, "top_k": 5},
    {"temperature": 1.3, "seed": 0, "top_p": 0.9},
    {"temperature": 0.7, "seed": 123456789012, "min_p": 0.05, "top_k": 9, "top_p": 0.95},
    {"temperature": 1.0, "seed": 3, "stop": ("ab", "b\n", "king")},
]
CLEANINGS: list[dict[str, Any]] = [
    {},
    {"newlines": "keep"},
    {"normalize": "nfc", "lowercase": True},
    {"normalize": "nfkc", "lowercase": True},
    {"keep": "A-Za-z"},
    {"keep": r"\w'\n"},
    {"keep": r"[a-z&~|", "lowercase": True, "strip_lines": True},
    {"strip_lines": True},
    {"level": "word", "strip_lines": True, "lowercase": True},
    {"level": "word", "keep": r"\w"},
    {"level": "word"},
    {"level": "word", "split_punctuation": True},
    {"level": "word", "split_punctuation": True, "strip_lines": True, "normalize": "nfkc"},
]
TYPED = [
    "", "Time Traveller\r\n\r for so\r\n", " \t\x1c\x85A b\u3000\n\n\ufeffc \u2028 d ",
    "e\u0301 ﬁ ＡＢ İΣΑΣ ΟΔΟΣ. Straße 𝒳 日本",
    'He said: "no" (or--not?), don\'t! \'tis a-b\n\n ($5)… ‘q’ ↔ x→ , ← 「好」。',
    "don't [stop] & ~ | _under_ ٣ x\u200cy 👨‍👩‍👧",
]  # fmt: skip


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


def case_of(name: str) -> dict[str, Any]:
    config, vocab, model = model_called(name)
    weights = weights_of(model)
    pack = packed(weights, "float32")
    about = about_model(config, vocab, pack, "float32")
    case = {"name": name, "about": about, "letters": pack.letters}
    return case | (
        fillings(model, vocab)
        if config.model.bidirectional
        else texts(config, weights, vocab, SETTINGS + MORE_SETTINGS * (name == "lstm"))
    )


def texts(config: Config, weights: Any, vocab: Vocab, wishes: Any) -> dict[str, Any]:
    stepper = Stepper(config.model, weights)
    ids, logits = some_logits(stepper, len(vocab))
    text, written = vocab.decode(ids[:5]), []
    for number, settings in enumerate(wishes):
        about = GenerationConfig(length=LENGTH, **settings)
        begin = "" if number == 1 else text
        sampler = Sampler(stepper, vocab, about)
        start = [i for i in vocab.encode(begin).tolist() if i != UNK_ID]
        (sample,) = samples = sampler.start(start)
        for _ in sampler.stream(start, samples, about.seed or 0):
            pass
        wish = {**settings, "length": LENGTH, "seed": str(about.seed or 0)}
        wish = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "stop": [], **wish}
        told = {"text": sample.text, "reason": sample.stop_reason}
        written.append({"prefix": begin, "settings": wish, **told})
    return {"ids": ids, "logits": encoded(logits), "written": written}


def fillings(model: CharLM, vocab: Vocab) -> dict[str, Any]:
    cases = []
    asked = [("ab_de", 3), ("the ___ tr_veller", 10), ("_", 1)]
    if vocab.level != "char":
        asked = [("a king, (_) said. _", 3), ("_, the _-_", 10), ('said "_" -', 1)]
    run = Run(Path("run"), Config(), vocab, {})
    for text, count in asked:
        ids = read_gaps(text, "_", run)
        found = Filler(model, vocab).fill(ids, count)
        told = [[vocab.decode(filling.ids), filling.probability] for filling in found]
        cases.append({"text": text, "count": count, "fillings": told})
    return {"fillings": cases}


def cleanings() -> list[dict[str, Any]]:
    found, (model_config, model) = [], model_of({}, 2)
    pack = packed(weights_of(model), "float32")
    for settings in CLEANINGS:
        config = configured(model_config, {"text": settings})
        vocab = Vocab(level_of(config.text), (UNK, "a"), (0, 1))
        about = about_model(config, vocab, pack, "float32")
        tokens = [tokenize(clean_text(text, config.text), vocab.level) for text in TYPED]
        texts = [detokenize(some, vocab.level) for some in tokens]
        found.append({"about": about, "typed": TYPED, "tokens": tokens, "texts": texts})
    return found


def rolls() -> list[dict[str, Any]]:
    found = []
    for seed, index in ((0, 0), (7, 3), (2**32, 0), (2**64 - 1, 9)):
        dice = Dice(seed, index)
        found.append(
            {"seed": str(seed), "index": index, "rolls": [dice.roll() for _ in range(600)]}
        )
    return found


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    whole = {"models": [case_of(name) for name in MODELS], "cleanings": cleanings(),
             "rolls": rolls()}  # fmt: skip
    (folder / "cases.json").write_text(json.dumps(whole), encoding="utf-8")
    return folder / "cases.json"


@pytest.mark.skipif(NODE is None, reason="there is no Node here")
def test_the_engine_s_own_checks_pass(cases: Path) -> None:
    assert NODE
    result = subprocess.run(
        [NODE, "--test", str(HERE / "engine.test.mjs")], capture_output=True, text=True,
        encoding="utf-8", check=False, timeout=110, env={**os.environ, "ENGINE_CASES": str(cases)},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    # Whatever was found to differ by rounding alone is told.
    print(*(line for line in result.stdout.splitlines() if "differs" in line), sep="\n")
