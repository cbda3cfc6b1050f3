"""The same commands on every kind of machine, as far as one processor can play others.

oneDNN and torch can be told to know no more than an older processor does. Each kind trains,
resumes, evaluates and generates with each cell, and fills, in a process of its own.
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = """
import sys
from charlm.cli.main import run_command
from charlm.config import ModelConfig

def charlm(*arguments):
    assert run_command([str(argument) for argument in arguments]) == 0, arguments

text = sys.argv[1]
tiny = ["--hidden-size", 16, "--embedding-size", 8, "--batch-size", 4, "--seq-len", 8]
for cell in ModelConfig.__dataclass_fields__["rnn_type"].metadata["choices"]:
    charlm("train", text, "--rnn-type", cell, *tiny, "--max-steps", 6, "-o", cell)
    charlm("train", "--resume", cell, "--max-steps", 12)
    charlm("evaluate", "-m", cell)
    charlm("generate", "-m", cell, "--prefix", "ab", "-l", 20, "-n", 2, "--seed", 1)
charlm("train", text, "--bidirectional", *tiny, "--max-steps", 6, "-o", "fill")
charlm("fill", "-m", "fill", "ab_de")
"""


# Every two of the three together, in half of the runs that all three would take.
KINDS = itertools.product(["SSE41", "AVX2", "AVX512_CORE", "DEFAULT"], ["default", "avx2"])
MACHINES = [
    (onednn, aten, threads) for (onednn, aten), threads in zip(KINDS, "12212112", strict=True)
]


@pytest.mark.parametrize(("onednn", "aten", "threads"), MACHINES)
def test_every_command_works_with_every_cell(
    text_file: Path, tmp_path: Path, onednn: str, aten: str, threads: str
) -> None:
    machine = {
        "ONEDNN_MAX_CPU_ISA": onednn, "ATEN_CPU_CAPABILITY": aten, "OMP_NUM_THREADS": threads,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", COMMANDS, str(text_file)], cwd=tmp_path,
        env={**os.environ, **machine}, capture_output=True, text=True, encoding="utf-8",
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
