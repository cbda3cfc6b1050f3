"""scripts/onnx_generate.py, in a process that has no charlm."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm.data.vocab import Vocab
from charlm.run import Run

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

EXAMPLE = Path(__file__).parents[2] / "scripts" / "onnx_generate.py"
# Several calls in one process, since onnxruntime takes a while to come.
CALLER = """
import json, runpy, sys
sys.modules["charlm"] = sys.modules["torch"] = None
example = runpy.run_path(sys.argv[1])
for arguments in json.loads(sys.argv[2]):
    try:
        example["main"](*arguments)
    except SystemExit as ended:
        print(ended)
    print("---")
"""


@pytest.fixture
def example() -> Callable[..., list[str]]:
    def call(*calls: list[str]) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-I", "-X", "utf8", "-W", "error", "-c", CALLER, str(EXAMPLE),
             json.dumps(calls)],
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr.decode()) == (0, "")
        return done.stdout.decode().split("\n---\n")[:-1]

    return call


def test_it_writes_what_charlm_does(
    charlm: Callable[..., Any], example: Callable[..., list[str]], trained: Path,
    make_run: Callable[..., Run],
) -> None:  # fmt: skip
    make_run(name="fill", bidirectional=True)
    make_run(Vocab("word+breaks", ("<unk>", "a", "\n", "b"), (0, 1, 3, 2)), "lines")
    make_run(Vocab("word+punctuation", ("<unk>", "a", ","), (0, 1, 3)), "marks")
    assert charlm("export", trained, "-o", "model.onnx").code == 0
    for name in ("fill", "lines", "marks"):
        assert charlm("export", name, "-o", f"{name}.onnx").code == 0
    texts = example(
        ["model.onnx", "abc", "100", "0"], ["model.onnx", "", "100", "0"],
        *(["model.onnx", "abc", "100", "1", seed] for seed in "112"),
        ["model.onnx", "a?é"], ["fill.onnx"], ["lines.onnx", "a b\na", "100", "0"], ["marks.onnx"],
    )  # fmt: skip
    for text, prefix in zip(texts, ("abc", ""), strict=False):
        ours = charlm(
            "generate", "-m", trained, "--prefix", prefix, "-t", 0, "-l", 100, "--json"
        )  # fmt: skip
        assert text == json.loads(ours.out)["text"]
    assert texts[2] == texts[3] != texts[4]
    assert len(texts[4]) == 100
    assert texts[5] == "the model does not know ['?', 'é']: leave that out of the prefix"
    assert texts[6] == "fill.onnx fills gaps: it reads all of a text at once, and writes none"
    told = charlm("generate", "-m", "lines", "--prefix", "a b\na", "-t", 0, "-l", 100, "--json")
    assert texts[7] == json.loads(told.out)["text"]
    assert texts[8] == "marks.onnx has words with punctuation apart: charlm alone cuts texts so"
