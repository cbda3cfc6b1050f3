"""What the shell offers for an argument, when the user asks it to complete one.

Each Tab is a process of its own: nothing here imports torch or NumPy. What cannot be read is not
offered; an error would land in the middle of what is being typed.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from charlm.config import RUNS
from charlm.data.text import ACTIVE, for_terminal

CONFIGS = Path("configs")
# Of a config, or of a TOML file's first line, no more is read.
_MOST_BYTES = 1 << 16


def complete_runs(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Those below ./runs, beside $CHARLM_MODEL and in the folder typed so far; else folders."""
    model = os.environ.get("CHARLM_MODEL")
    folders = [RUNS, *([Path(model).parent] if model else []), _typed_folder(incomplete)]
    found = {path for folder in folders for path in _below(folder) if _is_run(path)}
    return _offered(found, incomplete, about=_about_run, otherwise="dir")


def complete_configs(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """TOML files in ./configs, here and in the folder typed so far; else files."""
    folders = [CONFIGS, _typed_folder(incomplete)]
    found = {path for folder in folders for path in _below(folder) if path.suffix == ".toml"}
    return _offered(found, incomplete, about=_about_config, otherwise="file")


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
    """What is in a folder, is not hidden, and has a name that is one line."""
    with suppress(OSError, ValueError):  # gone, closed, or no name that a file can have
        for path in folder.iterdir():
            if not path.name.startswith(".") and not ACTIVE.search(path.name.replace("\n", "\0")):
                yield path


def _is_run(path: Path) -> bool:
    with suppress(OSError):
        return (path / "config.json").is_file()
    return False


def _offered(
    found: set[Path], incomplete: str, *, about: Callable[[Path], str], otherwise: str
) -> list[CompletionItem]:
    """Those that begin as what was typed, each with what it is; where none does, the shell's own of
    a kind."""
    fitting = sorted(path for path in found if str(path).startswith(incomplete))
    if not fitting:
        return [CompletionItem(incomplete, type=otherwise)]
    return [CompletionItem(str(path), help=about(path) or None) for path in fitting]


def _about_run(path: Path) -> str:
    """LSTM 1×256, of a text"""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        record = json.loads(_beginning(path / "config.json"))
        model, text = record["config"]["model"], record["corpus"].get("name")
        size = f"{int(model['num_layers'])}×{int(model['hidden_size'])}"
        of = f", of {text}" if isinstance(text, str) else ""
        return _one_line(f"{str(model['rnn_type']).upper()} {size}{of}")
    return ""


def _about_config(path: Path) -> str:
    """Its first comment."""
    with suppress(OSError):
        first = _beginning(path).decode(errors="replace").partition("\n")[0]
        return _one_line(first.removeprefix("#").strip()) if first.startswith("#") else ""
    return ""


def _beginning(path: Path) -> bytes:
    if not path.is_file():  # a pipe, at which one would wait for ever
        return b""
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def _one_line(text: str) -> str:
    return for_terminal(text.replace("\n", " "))[:60]
