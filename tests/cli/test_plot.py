import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

Charlm = Callable[..., Any]


def test_a_run_is_drawn_and_the_picture_named(charlm: Charlm, trained: Path) -> None:
    done = charlm("plot", trained)
    assert (done.code, done.out, done.err) == (0, "curves.svg\n", "")
    assert Path("curves.svg").read_bytes().startswith(b"<?xml")
    done = charlm("plot", trained, "-o", "a.PNG", "--over", "characters")
    assert (done.code, done.out) == (0, "a.PNG\n")
    assert Path("a.PNG").read_bytes().startswith(b"\x89PNG")


def test_several_runs_are_in_one_picture_by_the_names_typed(
    charlm: Charlm, trained: Path, tmp_path: Path
) -> None:
    for name in ("one", "三国"):
        shutil.copytree(trained, tmp_path / name)
    done = charlm("plot", "one", "三国")
    assert (done.code, done.err) == (0, "")
    picture = Path("curves.svg").read_text(encoding="utf-8")
    assert ">one<" in picture
    assert ">三国<" in picture


def test_the_newest_run_is_drawn_where_none_is_named(
    charlm: Charlm, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "book")
    assert charlm("plot").code == 0
    assert ">runs/book<" in Path("curves.svg").read_text()
    shutil.rmtree("runs")
    done = charlm("plot")
    assert (done.code, done.err.split(":")[1]) == (2, " there is no model here")


def test_a_picture_is_replaced_and_nothing_else(charlm: Charlm, trained: Path) -> None:
    assert charlm("plot", trained).code == charlm("plot", trained).code == 0
    Path("letter.svg").write_text("dear")
    done = charlm("plot", trained, "-o", "letter.svg")
    assert (done.code, done.err) == (
        2, "Error: --output letter.svg: what is there is no SVG; give another name\n",
    )  # fmt: skip
    Path("empty.png").touch()
    assert charlm("plot", trained, "-o", "empty.png").code == 2


@pytest.mark.parametrize("name", ["curves.pdf", "curves", "-"])
def test_the_end_of_the_name_says_what_to_draw(charlm: Charlm, trained: Path, name: str) -> None:
    done = charlm("plot", trained, "-o", name)
    assert (done.code, done.err) == (
        2, f"Error: --output {name}: name a file that ends in .svg or .png\n",
    )  # fmt: skip


def test_bits_of_different_things_are_not_put_beside_each_other(
    charlm: Charlm, trained: Path, fill_run: Path
) -> None:
    done = charlm("plot", trained, fill_run)
    assert (done.code, done.err) == (
        4, f"Error: {fill_run} has bits per masked character, {trained} bits per character: draw a "
        "picture of each\n",
    )  # fmt: skip
    assert not Path("curves.svg").exists()
    assert charlm("plot", fill_run).code == 0


def test_a_run_without_a_log_and_what_is_no_run_are_refused(
    charlm: Charlm, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    Path("run/metrics.jsonl").write_text("nonsense\n")
    done = charlm("plot", "run")
    assert (done.code, done.err) == (4, "Error: run/metrics.jsonl: line 1 is not JSON\n")
    Path("run/metrics.jsonl").unlink()
    assert charlm("plot", "run").code == 4
    assert charlm("plot", "nowhere").code == 4
    done = charlm("plot", trained, "-o", "nodir/a.svg")
    assert (done.code, done.err) == (
        5, "Error: --output nodir/a.svg: there is no folder nodir: make it (mkdir -p nodir), or "
        "name another\n",
    )  # fmt: skip


def test_without_matplotlib_it_says_what_to_install(
    charlm: Charlm, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charlm.errors.find_spec", lambda name: None)
    done = charlm("plot", trained)
    assert (done.code, done.err) == (
        2, "Error: charlm plot needs matplotlib: pip install matplotlib\n",
    )  # fmt: skip


@pytest.mark.draws
def test_a_finished_training_leaves_its_curves(
    charlm: Charlm, text_file: Path, tiny_options: list[str]
) -> None:
    assert charlm("train", text_file, *tiny_options, "-o", "run").code == 0
    drawn = Path("run/curves.svg").read_bytes()
    Path("run/curves.svg").unlink()
    # The name that is typed is in the picture: that of the folder is its own.
    os.chdir("run/..")
    assert charlm("plot", "run").code == 0
    assert Path("curves.svg").read_bytes() == drawn


@pytest.mark.draws
def test_curves_that_cannot_be_drawn_fail_no_training(
    charlm: Charlm, text_file: Path, tiny_options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("no\nink")

    with monkeypatch.context() as patch:
        patch.setattr("charlm.views.curves.picture", broken)
        done = charlm("train", text_file, *tiny_options, "-o", "run")
    assert done.code == 0
    assert done.err.splitlines()[-1] == (
        "Warning: no curves.svg is drawn in run: RuntimeError no ink"
    )
    monkeypatch.setattr("charlm.views.plot.find_spec", lambda name: None)
    done = charlm("train", text_file, *tiny_options, "-o", "other")
    assert (done.code, "curves" in done.err) == (0, False)
    assert not Path("other/curves.svg").exists()
