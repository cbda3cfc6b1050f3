"""What an exception means to a user: one line and the right code, and hardly ever a bug."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from charlm.cli.explain import explain

CHARLM = [sys.executable, "-m", "charlm"]


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b: Permission denied", 5),
        (OSError(errno.EIO, "Input/output error", b"a/\xff"), "a/\udcff: Input/output error", 5),
        (OSError(errno.ENOSPC, "No space left on device", "a"),
         "a: No space left on device; make room first", 5),
        (OSError("said in another way"), "said in another way", 5),
        (MemoryError(), "out of memory: lower --batch-size, --seq-len or --hidden-size", 6),
        (KeyboardInterrupt(), "stopped by Ctrl-C", 130),
        (RuntimeError("CUDA error: no kernel image is available for execution on the device"),
         "the installed torch was not built for this GPU: use --device cpu", 2),
        (ModuleNotFoundError("No module named 'torch'", name="torch"),
         "torch does not load: install it anew (ModuleNotFoundError: No module named 'torch')", 5),
        (ImportError("cannot import name 'x' from 'charlm.run'", name="charlm.run"),
         "a bug in charlm: ImportError: cannot import name 'x' from 'charlm.run' "
         "(charlm --debug … shows where)", 1),
    ],
)  # fmt: skip
def test_every_kind_has_its_line_and_its_code(error: Exception, message: str, code: int) -> None:
    assert explain(error) == (message, code)


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(ValueError, match="null") as caught:
        Path("a\0b").stat()
    assert explain(caught.value) == ("a file's name cannot hold a NUL character", 2)


@pytest.mark.parametrize(
    "fault",
    [
        "raise OSError('libcudart.so.12: cannot open shared object file: No such file')",
        "raise ImportError('DLL load failed while importing _C')",
        "import torch.of_another_version",
    ],
)
def test_a_torch_that_does_not_load_is_one_line(trained: Path, tmp_path: Path, fault: str) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(fault)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [*CHARLM, "evaluate", "-m", str(trained)], env=os.environ | {"PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (5, 1), done.stderr
    assert done.stderr.startswith("Error: torch does not load: install it anew (")


def test_a_file_that_may_not_be_read_is_no_bug(charlm, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(name: str | None) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/root/run")

    monkeypatch.setattr("charlm.cli.inputs.find_run", forbidden)
    result = charlm("info")
    assert (result.code, result.err) == (5, "Error: /root/run: Permission denied\n")
