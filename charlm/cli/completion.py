"""What the shell offers for an argument, when the user asks it to complete one.

Each Tab is a process of its own: nothing here imports torch or NumPy. What cannot be read is not
offered; an error would land in the middle of what is being typed.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from charlm.config import RUNS

CONFIGS = Path("configs")
# What a shell would take for its own.
_SPECIAL = re.compile(r"[^\w./+@%=:,-]")


def complete_runs(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Those below ./runs, beside $CHARLM_MODEL and in the folder typed so far; else folders."""
    model = os.environ.get("CHARLM_MODEL")
    folders = [RUNS, *([Path(model).parent] if model else []), _typed_folder(incomplete)]
    found = {str(path) for folder in folders for path in _below(folder) if _is_run(path)}
    return _offered(found, incomplete, otherwise="dir")


def complete_configs(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """TOML files in ./configs, here and in the folder typed so far; else files."""
    folders = [CONFIGS, _typed_folder(incomplete)]
    found = {str(path) for folder in folders for path in _below(folder) if path.suffix == ".toml"}
    return _offered(found, incomplete, otherwise="file")


def complete_files(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Files and folders, as the shell finds them."""
    return [CompletionItem(incomplete, type="file")]


def complete_runs_or_files(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Runs where some begin as what is typed, else files."""
    runs = complete_runs(ctx, param, incomplete)
    return runs if runs[0].type == "plain" else complete_files(ctx, param, incomplete)


def _typed_folder(incomplete: str) -> Path:
    return Path(f"{incomplete}…").parent


def _below(folder: Path) -> Iterator[Path]:
    """What is in a folder and not hidden."""
    with suppress(OSError, ValueError):  # gone, closed, or no name that a file can have
        for path in folder.iterdir():
            if not path.name.startswith("."):
                yield path


def _is_run(path: Path) -> bool:
    with suppress(OSError):
        return (path / "config.json").is_file()
    return False


def _offered(found: set[str], incomplete: str, *, otherwise: str) -> list[CompletionItem]:
    """Those that begin as what was typed; where none does, the shell's own of a kind."""
    fitting = sorted(value for value in found if value.startswith(incomplete))
    if not fitting:
        return [CompletionItem(incomplete, type=otherwise)]
    return [CompletionItem(_in_shell(value)) for value in fitting]


def _in_shell(value: str) -> str:
    """As it is to be typed. zsh and fish see to that themselves; bash takes it as it is, once
    `read` in click's script has taken one backslash of two."""
    if os.environ.get("_CHARLM_COMPLETE") != "bash_complete":
        return value
    return _SPECIAL.sub(r"\\\\\g<0>", value)
