"""The set-up of the scripts: which Python they take, and when they make .venv anew."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).parent.parent / "scripts" / "environment.sh"


def setup(call: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Call a function of the set-up in a folder."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"source '{SETUP}'; {call}"], cwd=folder,
        env=os.environ | {"PYTHON": ""} | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def fake(folder: Path, name: str, version: str, broken: str = "") -> None:
    """A Python that says it is of another version."""
    path = folder / name
    lie = f"import sys; sys.version_info = {version}; {broken}"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{lie}\n$2"\n')
    path.chmod(0o755)


@pytest.fixture
def only(tmp_path: Path) -> Path:
    """The only folder in which programs are looked for, beside bash itself."""
    folder = tmp_path / "bin"
    folder.mkdir()
    bash = shutil.which("bash")
    assert bash
    (folder / "bash").symlink_to(bash)
    return folder


def test_a_python_that_torch_is_made_for_is_taken_before_a_newer_one(only: Path) -> None:
    fake(only, "python3", "(3, 99)")
    assert setup("find_python", only, PATH=str(only)).stdout == "python3\n"
    fake(only, "python3.12", "(3, 12)")
    assert setup("find_python", only, PATH=str(only)).stdout == "python3.12\n"
    fake(only, "python3", "(3, 13)")
    assert setup("find_python", only, PATH=str(only)).stdout == "python3\n"


def test_a_python_without_venv_is_the_last_to_be_taken(only: Path) -> None:
    fake(only, "python3", "(3, 13)", "sys.path = []")
    fake(only, "python3.11", "(3, 11)")
    assert setup("find_python", only, PATH=str(only)).stdout == "python3.11\n"


def test_a_python_that_is_too_old_is_not_taken(only: Path) -> None:
    fake(only, "python3", "(3, 10)")
    refused = setup("find_python", only, PATH=str(only))
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: charlm needs Python 3.11 or newer")
    fake(only, "my python", "(3, 12)")
    named = str(only / "my python")
    assert setup("find_python", only, PATH=str(only), PYTHON=named).stdout == f"{named}\n"


def test_a_checkout_that_was_moved_makes_its_environment_anew(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    assert setup("usable", here).returncode == 1
    made = [sys.executable, "-m", "venv", "--without-pip", ".venv"]
    subprocess.run(made, cwd=here, check=True)
    assert setup("usable", here).returncode == 0
    here.rename(there)
    assert setup("usable", there).returncode == 1
