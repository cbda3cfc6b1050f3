"""What several tests share: a text, a corpus, a trained run, and the command line in-process."""

import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from charlm.cli.main import run_command as run_cli
from charlm.config import Config
from charlm.data.corpus import Corpus, build_corpus
from charlm.data.source import text_source
from charlm.settings import configured

torch.set_num_threads(1)
# A slow machine is no fault; and where nobody watches, a test finds the same each time.
settings.register_profile("charlm", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("charlm")
# Begun in the background, a script's children do not hear it; these tests, and theirs, must.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Small enough to train in a moment.
TINY = [
    "--hidden-size", "16", "--embedding-size", "8", "--batch-size", "4", "--seq-len", "8",
    "--max-steps", "20", "--precision", "float32",
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def nonsense(length: int, alphabet: str = "abcdef \n", seed: int = 0) -> str:
    """A text with something to learn in it: each letter likes the one after it."""
    source = random.Random(seed)
    letters = [alphabet[0]]
    while len(letters) < length:
        step = source.choice((1, 1, 1, 2, 5))
        letters.append(alphabet[(alphabet.index(letters[-1]) + step) % len(alphabet)])
    return "".join(letters)


@pytest.fixture(autouse=True)
def no_curves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training in this process draws nothing, which would be half of its time."""
    if request.node.get_closest_marker("draws") is None:
        monkeypatch.setattr("charlm.views.plot.find_spec", lambda name: None)


@pytest.fixture
def charlm(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """`charlm("vocab", path)`: a command, run in this process in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARLM_MODEL", raising=False)

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run_cli([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def make_corpus(tmp_path: Path) -> Callable[..., Corpus]:
    """`make_corpus(text, **data settings)`"""

    def make(text: str, **data: object) -> Corpus:
        config = configured(Config(), {"data": data})
        folder = tmp_path / f"corpus-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return build_corpus(text_source("text", text), config.text, config.data, folder)

    return make


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "nonsense.txt"
    path.write_text(nonsense(4000), encoding="utf-8", newline="")
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, text_file: Path) -> Path:
    """A run, trained for a moment. Tests only read it."""
    path = tmp_path_factory.mktemp("runs") / "tiny"
    assert run_cli(["train", str(text_file), *TINY, "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def fill_run(tmp_path_factory: pytest.TempPathFactory, text_file: Path) -> Path:
    """A bidirectional run, trained for a moment. Tests only read it."""
    path = tmp_path_factory.mktemp("runs") / "fill"
    arguments = ["train", str(text_file), *TINY, "--bidirectional", "--max-steps", "300"]
    assert run_cli([*arguments, "--lr", "0.02", "-o", str(path)]) == 0
    return path


def tiny_config(**sections: dict[str, object]) -> Config:
    """Settings of a model that trains in a moment, and what `sections` change in them."""
    base = configured(
        Config(),
        {
            "model": {"hidden_size": 16, "embedding_size": 8},
            "training": {"batch_size": 4, "seq_len": 8, "max_steps": 20, "device": "cpu"},
        },
    )
    return configured(base, sections)


@pytest.fixture(name="tiny_config")
def tiny_config_fixture() -> Callable[..., Config]:
    return tiny_config


@pytest.fixture(name="nonsense", scope="session")
def nonsense_fixture() -> Callable[..., str]:
    return nonsense


@pytest.fixture(name="tiny_options", scope="session")
def tiny_options_fixture() -> list[str]:
    return list(TINY)
