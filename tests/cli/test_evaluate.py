import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tqdm import tqdm

from charlm import load
from charlm.cli.evaluate import _progress
from charlm.errors import ModelError
from charlm.storage.tensors import read_tensors, write_tensors


def test_figures_of_the_validation_part(charlm, trained: Path) -> None:
    figures = json.loads(charlm("evaluate", "-m", trained, "--json").out)
    assert figures["split"] == "valid"
    assert figures["characters"] == 399
    assert figures["unknown"] == 0
    assert math.exp(figures["nats_per_char"]) == pytest.approx(figures["perplexity"])
    assert figures["bits_per_char"] == pytest.approx(figures["nats_per_char"] / math.log(2))
    text = charlm("evaluate", "-m", trained).out
    assert text.startswith(f"valid part: perplexity {figures['perplexity']:.3f} per character (")


def test_the_batch_size_does_not_matter(charlm, trained: Path) -> None:
    scores = {
        round(json.loads(charlm("evaluate", "-m", trained, "--split", "train", "--batch-size", b,
                                "--json").out)["nats_per_char"], 5)
        for b in (1, 2, 3, 64)
    }  # fmt: skip
    assert len(scores) == 1


def test_a_text_is_cleaned_and_scored_as_the_corpus_was(
    charlm, trained: Path, tmp_path: Path, text_file: Path
) -> None:
    text = text_file.read_text(encoding="utf-8")
    (tmp_path / "a.txt").write_text(text[3600:].replace("\n", "\r\n"), newline="")
    figures = json.loads(charlm("evaluate", "a.txt", "-m", trained, "--json").out)
    valid = json.loads(charlm("evaluate", "-m", trained, "--json").out)
    assert figures["nats_per_char"] == pytest.approx(valid["nats_per_char"], abs=1e-9)
    assert (figures["split"], figures["text"]) == (None, "a.txt")


def test_row_31_unknown_characters_are_counted(charlm, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abé龙c")
    result = charlm("evaluate", "a.txt", "-m", trained, "--json")
    assert json.loads(result.out)["unknown"] == 2
    result = charlm("evaluate", "a.txt", "-m", trained)
    assert "over 4 characters, 2 of them unknown" in result.out


def test_row_31_unknown_characters_do_not_flatter(charlm, trained: Path, tmp_path: Path) -> None:
    """Of a text that is all unknown, <unk> is soon all that is expected."""
    (tmp_path / "a.txt").write_text("abc" + "龙" * 40)
    figures = json.loads(charlm("evaluate", "a.txt", "-m", trained, "--json").out)
    assert figures["unknown_share"] == pytest.approx(40 / 42)
    assert math.exp(figures["known_nats_per_char"]) == pytest.approx(figures["known_perplexity"])
    shown = charlm("evaluate", "a.txt", "-m", trained).out.splitlines()[0]
    assert " per character, which means little, since 95% are unknown (" in shown
    assert shown.endswith(
        f"40 of them unknown (95.24%), {figures['known_perplexity']:.3f} over the known ones alone"
    )


def test_a_corpus_with_the_same_vocabulary(charlm, trained: Path, text_file: Path) -> None:
    charlm("preprocess", text_file, "-o", "c", "--test-frac", "0.2", "--vocab", trained)
    figures = json.loads(charlm("evaluate", "c", "-m", trained, "--split", "test", "--json").out)
    assert (figures["split"], figures["characters"]) == ("test", 799)
    charlm("preprocess", text_file, "-o", "d", "--reserve", "<pad>")
    result = charlm("evaluate", "d", "-m", trained)
    assert (result.code, result.err) == (
        4,
        f"Error: d has another vocabulary than {trained}; prepare it with --vocab "
        f"{trained}/vocab.json\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing.txt"], 2, "nothing.txt: there is no such file or folder"),
        (["empty.txt"], 3, "empty.txt: the text is empty"),
        (["--split", "test"], 3, "RUN/corpus has no test part (see --val-frac and --test-frac)"),
        (["empty.txt", "--split", "test"], 2, "--split names a part of a corpus; TEXT is a text"),
        (["--batch-size", "0"], 2, "Invalid value for '--batch-size': 0 is not in the range x>=1 "
         "(see charlm evaluate --help)"),
    ],
)  # fmt: skip
def test_mistakes(
    charlm, trained: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "empty.txt").write_text("")
    result = charlm("evaluate", "-m", trained, *arguments)
    assert (result.code, result.err) == (code, f"Error: {message}\n".replace("RUN", str(trained)))


def test_a_model_that_grows_beyond_all_numbers_is_refused(
    charlm, trained: Path, tmp_path: Path
) -> None:
    path = shutil.copytree(trained, tmp_path / "run") / "model.safetensors"
    weights, facts = read_tensors(path)
    write_tensors(path, {name: np.full_like(w, 1e38) for name, w in weights.items()}, facts)
    for options in ((), ("--json",)):
        result = charlm("evaluate", "-m", "run", *options)
        assert (result.code, result.out, result.err) == (
            4,
            "",
            "Error: the state of this model grows beyond all bounds as it reads the text: it gives "
            "it no likelihood\n",
        )
    with pytest.raises(ModelError, match="beyond all bounds"):
        load("run").evaluate()
    with pytest.raises(ModelError, match="beyond all bounds"):
        load("run").next("abc")


def test_a_run_moved_with_its_corpus_still_works(charlm, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "elsewhere")
    assert charlm("evaluate", "-m", "elsewhere").code == 0
    (tmp_path / "elsewhere" / "corpus" / "train.bin").unlink()
    result = charlm("evaluate", "-m", "elsewhere")
    assert result.code == 3
    assert "train.bin is missing; prepare the corpus again" in result.err


def test_another_corpus_in_the_place_of_the_runs_is_refused(
    charlm, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "corpus")
    (tmp_path / "a.txt").write_text("abcdef \n" * 99)
    charlm("preprocess", "a.txt", "-o", "run/corpus")
    result = charlm("evaluate", "-m", "run")
    assert result.code == 4
    assert result.err.startswith("Error: run/corpus is not the corpus of run: its SHA-256 is ")


def test_baselines_stand_beside_the_score_and_a_model_worse_than_them_says_so(
    charlm, trained: Path
) -> None:
    shown = charlm("evaluate", "-m", trained)
    assert "perplexity of others that know the same training text: unigram " in shown.out
    assert "worse than counting 5 characters of context: " in shown.out
    figures = json.loads(charlm("evaluate", "-m", trained, "--json").out)
    assert figures["baselines"].keys() == {"unigram", "order_5", "xz", "tokens"}
    assert figures["baselines"]["order_5"] < figures["nats_per_char"]
    # The part has 399 characters: too few for xz, which counts in bytes.
    assert figures["baselines"]["xz"] is None
    assert "baselines" not in json.loads(
        charlm("evaluate", "-m", trained, "--no-baselines", "--json").out
    )


def test_baselines_are_left_out_where_the_training_text_is_gone(
    charlm, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "corpus")
    Path("text.txt").write_text("abc def\n" * 10)
    scored = charlm("evaluate", "text.txt", "-m", "run")
    assert scored.code == 0
    assert scored.err.startswith("  no baselines: ")


def test_without_the_training_text_dynamic_evaluation_is_refused_before_the_work(
    charlm, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be lost: what has been scored is shown with --json at the end alone."""
    shutil.copytree(trained, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "corpus")
    Path("text.txt").write_text("abc def\n" * 10)
    monkeypatch.setattr(
        "charlm.evaluation.evaluator.evaluate", lambda *_, **__: pytest.fail("work")
    )
    result = charlm("evaluate", "text.txt", "-m", "run", "--dynamic")
    assert (result.code, result.out) == (3, "")
    assert "the corpus of run is not at run/corpus" in result.err


def test_the_score_is_shown_before_what_takes_longer(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine that is too small for the rest has the score all the same."""
    seen = []

    def killed(*arguments: object) -> None:
        seen.append(capsys.readouterr().out)
        raise MemoryError

    monkeypatch.setattr("charlm.evaluation.baselines.baselines", killed)
    assert charlm("evaluate", "-m", trained).code == 6
    assert seen[0].startswith("valid part: perplexity ")
    assert charlm("evaluate", "-m", trained, "--json").code == 6
    assert seen[1] == ""
    monkeypatch.setattr("charlm.evaluation.dynamic.fit_rule", killed)
    assert charlm("evaluate", "-m", trained, "--dynamic").code == 6
    assert seen[2].startswith("valid part: perplexity ")


def test_baselines_of_a_part_alone_say_so_and_are_not_compared(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charlm.evaluation.baselines.MOST_SCORED", 100)
    shown = charlm("evaluate", "-m", trained).out
    assert "the same training text, over its first 100 alone: unigram " in shown
    assert "worse than" not in shown


def test_the_device_is_this_machines_and_not_the_runs(
    charlm, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["config"]["training"]["device"] = "cuda:7"
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    assert charlm("evaluate", "-m", "run", "--no-baselines").code == 0
    assert charlm("evaluate", "-m", "run", "--device", "cuda:7").code == 2
    assert "[default: auto]" in charlm("evaluate", "--help").out


def test_the_encoding_is_that_of_the_runs_text_unless_given(
    charlm, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["config"]["text"]["encoding"] = "utf-16"
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    Path("wide.txt").write_text("abc def\n" * 10, encoding="utf-16")
    Path("narrow.txt").write_text("abc def\n" * 10, encoding="utf-8")
    wide = json.loads(charlm("evaluate", "wide.txt", "-m", "run", "--json").out)
    narrow = json.loads(
        charlm("evaluate", "narrow.txt", "-m", "run", "--encoding", "utf-8", "--json").out
    )
    assert wide["nats_per_char"] == narrow["nats_per_char"]
    for text in ([], [trained / "corpus"]):
        refused = charlm("evaluate", *text, "-m", "run", "--encoding", "utf-8")
        assert (refused.code, "--encoding is how TEXT is encoded" in refused.err) == (2, True)
    assert "[default: as the run's text was]" in " ".join(charlm("evaluate", "--help").out.split())


def test_a_long_text_shows_how_far_it_is(
    charlm, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert charlm("evaluate", "-m", trained, "--no-baselines").err == ""
    monkeypatch.setattr("charlm.cli.evaluate.SECONDS_BETWEEN_LINES", 0.0)
    lines = charlm("evaluate", "-m", trained, "--no-baselines").err.splitlines()
    assert lines[-1] == "scoring in one stream: 399 of 399"
    lines = charlm("evaluate", "-m", trained, "--split", "train", "--no-baselines").err.splitlines()
    assert lines[0] == "scoring: 128 of 3,599"


def test_on_a_terminal_a_bar_shows_it_and_begins_again_in_one_stream(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class AtOnce(tqdm):
        def __init__(self, **options: Any) -> None:
            super().__init__(**{**options, "delay": 0, "mininterval": 0})

    monkeypatch.setattr("tqdm.tqdm", AtOnce)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with _progress(1000) as on_scored:
        on_scored(8, 900)
        assert capsys.readouterr().err.split("\r")[-1].startswith("scoring:  90%")
        on_scored(1, 10)
        on_scored(1, 500)
        assert capsys.readouterr().err.split("\r")[-1].startswith("scoring in one stream:  50%")


def test_dynamic_evaluation_is_a_figure_of_its_own(charlm, trained: Path) -> None:
    figures = json.loads(charlm("evaluate", "-m", trained, "--dynamic", "--json").out)
    plain = json.loads(charlm("evaluate", "-m", trained, "--json").out)
    assert figures["nats_per_char"] == plain["nats_per_char"]
    assert figures["dynamic"]["characters"] == plain["characters"]
    assert figures["dynamic"]["nats_per_char"] < plain["nats_per_char"]
    assert "dynamic evaluation" in charlm("evaluate", "-m", trained, "--dynamic").out


def test_of_the_training_part_itself_no_baselines_are_shown(charlm, trained: Path) -> None:
    result = charlm("evaluate", "-m", trained, "--split", "train")
    assert result.code == 0
    assert "no baselines: this is the very text that they are fitted on" in result.err
    assert "of context" not in result.out
