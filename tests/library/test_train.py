"""charlm.train: the path of the command, from Python."""

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import charlm
from charlm import CharlmError, load, train
from charlm.errors import DataError, UsageError
from charlm.library.progress import Step
from charlm.training.gradient import Gradient
from charlm.training.trainer import Trainer

TINY: dict[str, Any] = {
    "hidden_size": 16, "embedding_size": 8, "batch_size": 4, "seq_len": 8, "max_steps": 20,
    "precision": "float32", "device": "cpu",
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_trains_the_model_that_the_command_trains(
    here: Path, trained: Path, text_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = train(text_file, **TINY)
    assert model.path == Path("runs/nonsense")
    assert {k: v.tobytes() for k, v in model.run.weights.items()} == {
        k: v.tobytes() for k, v in load(trained).run.weights.items()
    }
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")
    assert train(str(text_file), **TINY).path == Path("runs/nonsense-2")


def test_a_text_is_told_from_a_path(here: Path, nonsense: Callable[[int], str]) -> None:
    model = train(nonsense(1000), output="of-a-text", **TINY)
    assert model.path == Path("of-a-text")
    assert model.run.corpus_record["name"] == "text"
    assert model.run.config.data.text is None
    Path("abc").write_text(nonsense(2000))
    assert train("abc", **TINY).path == Path("runs/abc")
    again = train(["abc", Path("abc")], output="twice", **TINY)
    # A line break is put between two files where the first does not end in one.
    assert sum(again.run.open_corpus().splits.values()) == 4001
    with pytest.raises(DataError, match="nor is there a file called 'abcd'"):
        train("abcd", **TINY)
    with pytest.raises(CharlmError, match="abcd: there is no such file"):
        train(Path("abcd"), **TINY)


def test_settings_go_by_their_names(here: Path, nonsense: Callable[[int], str]) -> None:
    Path("c.toml").write_text('[training]\nepochs = 50\n[model]\nrnn_type = "gru"\n')
    given = TINY | {"generation": {"temperature": 0.5}, "seed": np.int64(3), "lowercase": True}
    model = train(nonsense(1000), output="run", config="c.toml", **given)
    config = model.config
    assert (config.model.rnn_type, config.training.max_steps) == ("gru", 20)
    assert (config.training.seed, config.generation.temperature) == (3, 0.5)
    assert config.text.lowercase
    with pytest.raises(UsageError, match=r"run already exists; .*\(output=…\).* \(replace=True\)"):
        train(nonsense(1000), output="run", **TINY)
    assert train(nonsense(1000), output="run", replace=True, **TINY).config.model.rnn_type == "lstm"
    started = train(nonsense(1000), output="more", init_from=load("run"), max_steps=1)
    assert started.config.model.hidden_size == 16


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: train(3), "a text is a str, or a path, or a list of paths; it is 3"),
        (lambda: train([]), "a text is a str"),
        (lambda: train("a", hiden_size=3), "'hiden_size'; is 'hidden_size' meant"),
        (lambda: train("a", input="b"), "it is the first argument"),
        (lambda: train("a", model=3), "give it a dictionary"),
        (lambda: train("a", time="soon"), "a time such as 90s"),
        (lambda: train("a", progress=3), "it must be a function"),
        (lambda: train("a", output=3), "output is 3"),
        (lambda: train("a", output="a\0b"), "it must be a path"),
        (lambda: train(Path("a\0b")), "is no path"),
        (lambda: train("a", progress=np.zeros(2)), "it must be a function"),
        (lambda: train("abc", output="a", replace="no"), "replace is 'no'; it must be True or"),
        (lambda: train("no/book.txt"), "no file or folder 'no/book.txt', and as a text it looks"),
        (lambda: train("the name of my book.txt"), "no file or folder 'the name of my book.txt'"),
        (lambda: train("a", hidden_size="x"), "it must be a whole number"),
        (lambda: train("abc" * 99, split_punctuation=True), 'add level="word"'),
        (lambda: train("abc" * 99, freeze="recurrent"), "add init_from=RUN"),
        (lambda: train("abc" * 99, encoding="klingon", max_steps=1), "^encoding 'klingon'"),
        (lambda: train("abc" * 99, val_frac=0, seq_len=5000, batch_size=1), "a smaller seq_len"),
    ],
)
def test_mistakes_end_in_errors_of_charlm(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(CharlmError, match=message):
        call()


def test_a_callback_is_told_of_steps_and_validations(
    here: Path, nonsense: Callable[[int], str], capfd: pytest.CaptureFixture[str]
) -> None:
    steps: list[Step] = []
    train(nonsense(1000), progress=steps.append, eval_every=10, **TINY)
    assert [one.step for one in steps if one.validation is None] == list(range(1, 21))
    assert [one.step for one in steps if one.validation] == [10, 20]
    assert {one.steps for one in steps} == {20}
    assert steps[0].loss == pytest.approx(2.1, abs=0.3)
    assert capfd.readouterr().err == ""


def test_a_bar_is_shown_where_it_is_asked_for(
    here: Path, nonsense: Callable[[int], str], capfd: pytest.CaptureFixture[str]
) -> None:
    train(nonsense(1000), progress=True, **TINY)
    assert "20/20" in capfd.readouterr().err


def interrupted(monkeypatch: pytest.MonkeyPatch, number: signal.Signals, times: int = 1) -> None:
    step = Trainer.step

    def under_fire(self: Trainer, batch: Any) -> float:
        if self.done == 4:
            for _ in range(times):
                os.kill(os.getpid(), number)
        return step(self, batch)

    monkeypatch.setattr(Trainer, "step", under_fire)


def test_an_interrupt_keeps_the_model_so_far(
    here: Path, nonsense: Callable[[int], str], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    before = signal.getsignal(signal.SIGINT)
    interrupted(monkeypatch, signal.SIGINT)
    with caplog.at_level(logging.INFO, logger="charlm"):
        model = train(nonsense(1000), **TINY)
    assert model.run.facts["step"] == 5
    assert model.generate("ab", length=5)
    assert "charlm train --resume runs/text" in caplog.messages[-1]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_ends_it_at_once(
    here: Path, nonsense: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(monkeypatch, signal.SIGINT, times=2)
    with pytest.raises(KeyboardInterrupt, match="before all was saved"):
        train(nonsense(1000), **TINY)


def test_another_signal_has_its_usual_effect_when_all_is_saved(
    here: Path, nonsense: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(Exception):
        pass

    def end(number: int, frame: object) -> None:
        raise Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        interrupted(monkeypatch, signal.SIGTERM)
        with pytest.raises(Ended):
            train(nonsense(1000), **TINY)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert load("runs/text").run.facts["step"] == 5


def test_no_module_is_entered_twice_from_the_command_to_the_gradient(
    charlm: Callable[..., Any], text_file: Path, tiny_options: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    walks: list[list[str]] = []
    whole = Gradient.__call__

    def watched(self: Gradient, *arguments: Any) -> Any:
        import sys

        frame, walk = sys._getframe(), ["charlm.training.gradient"]
        while frame := frame.f_back:  # type: ignore[assignment]
            module = frame.f_globals["__name__"]
            if module.startswith("charlm.") and module != walk[-1]:
                walk.append(module)
        walks.append(walk[::-1])
        return whole(self, *arguments)

    monkeypatch.setattr(Gradient, "__call__", watched)
    expected = [f"charlm.training.{name}" for name in ("job", "session", "trainer", "gradient")]
    assert charlm("train", text_file, *tiny_options).code == 0
    assert walks[-1] == ["charlm.cli.main", "charlm.cli.train", *expected]
    train(text_file, **TINY)
    assert walks[-1] == ["charlm.library.train", *expected]


def test_the_types_are_there_for_whoever_checks_them() -> None:
    assert (Path(charlm.__file__).parent / "py.typed").exists()
