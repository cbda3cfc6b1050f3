import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Charlm = Callable[..., Any]


@pytest.mark.parametrize("name", ["book.pdf", "my book.tar.gz", "book.HTM"])
def test_another_end_of_the_name_is_wrong_usage(charlm: Charlm, trained: Path, name: str) -> None:
    done = charlm("export", trained, "-o", name)
    folder = f"'{name}/'" if " " in name else f"{name}/"
    assert (done.code, done.out, done.err) == (
        2, "", f"Error: --output {name}: name a page (.html), a model (.onnx) or a folder "
        f"({folder})\n",
    )  # fmt: skip
    assert list(Path().iterdir()) == []


def test_standard_output_is_no_place_for_it(charlm: Charlm, trained: Path) -> None:
    done = charlm("export", trained, "-o", "-")
    assert (done.code, done.err) == (2, "Error: --output -: name a file or a folder\n")


@pytest.mark.parametrize("name", ["page.html", "model.onnx", "MODEL.ONNX"])
def test_what_is_there_stays_unless_it_is_to_go(charlm: Charlm, trained: Path, name: str) -> None:
    Path(name).write_text("mine")
    done = charlm("export", trained, "-o", name)
    assert (done.code, done.err) == (
        2, f"Error: the output {name} already exists; give another name (-o), or replace it "
        "(--force)\n",
    )  # fmt: skip
    assert Path(name).read_text() == "mine"


@pytest.mark.parametrize("name", ["page.html", "model.onnx"])
def test_a_path_in_no_folder(charlm: Charlm, trained: Path, name: str) -> None:
    done = charlm("export", trained, "-o", f"nowhere/{name}")
    assert (done.code, done.err) == (
        5, f"Error: nowhere/{name}: there is no folder nowhere; make it first\n",
    )  # fmt: skip
    assert not Path("nowhere").exists()


@pytest.mark.parametrize("name", ["page.html", "model.onnx", "folder/"])
def test_no_run_a_folder_that_is_none_and_two(charlm: Charlm, name: str) -> None:
    done = charlm("export", "-o", name)
    assert (done.code, done.err.split(":")[1]) == (2, " there is no model here")
    done = charlm("export", "nothing", "-o", name)
    assert (done.code, done.err) == (
        4, "Error: nothing is not a charlm run (there is no such folder)\n",
    )  # fmt: skip
    done = charlm("export", "one", "-m", "two", "-o", name)
    assert (done.code, done.err) == (2, "Error: one and -m two both name a run: give one\n")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("missing", "needs"),
    [({"onnxruntime"}, "onnxruntime"), ({"onnx", "onnxruntime"}, "onnx and onnxruntime")],
)
def test_without_its_libraries_it_says_what_to_install(
    charlm: Charlm, trained: Path, missing: set[str], needs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "charlm.errors.find_spec", lambda name: None if name in missing else object()
    )
    done = charlm("export", trained, "-o", "model.onnx")
    assert (done.code, done.err) == (
        2, f"Error: charlm export to .onnx needs {needs}: pip install "
        f"{needs.replace(' and ', ' ')}\n",
    )  # fmt: skip
    assert not Path("model.onnx").exists()


def test_precision_is_for_a_page(charlm: Charlm, trained: Path) -> None:
    for name in ("model.onnx", "folder/", "folder"):
        done = charlm("export", trained, "-o", name, "--precision", "int8")
        assert (done.code, done.err) == (
            2, "Error: --precision int8 is for a page: name one with -o PAGE.html\n",
        )  # fmt: skip


def test_a_run_without_a_model(charlm: Charlm, trained: Path) -> None:
    shutil.copytree(trained, "run")
    Path("run/model.safetensors").unlink()
    for name in ("model.onnx", "folder/"):
        done = charlm("export", "run", "-o", name)
        assert (done.code, done.err) == (4, "Error: run/model.safetensors is missing\n")
    assert [path.name for path in Path().iterdir()] == ["run"]


def test_a_page_is_written_and_told_of(charlm: Charlm, trained: Path) -> None:
    done = charlm("export", trained, "-o", "page.html", "--precision", "int8", "--json")
    told = json.loads(done.out)
    assert (done.code, done.err, told["output"]) == (0, "", "page.html")
    assert told["bytes"] == Path("page.html").stat().st_size
    assert (told["precision"], told["whole"]) == ("int8", True)
    assert abs(told["cost"]) < 0.01
    done = charlm("export", trained, "-o", "page.html", "--force")
    assert (done.code, done.out) == (0, "page.html\n")
    assert "weights in float32: " in done.err
