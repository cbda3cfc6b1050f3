"""What Tab offers: asked for as click's scripts ask, and in the shells themselves."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from charlm.cli.commands import COMMANDS, cli

ROOT = Path(__file__).parents[2]
# `charlm` in a shell: completes as itself, and else tells its arguments.
STAND_IN = """#!/bin/sh
if [ -n "$_CHARLM_COMPLETE" ]; then exec "{python}" -m charlm "$@"; fi
printf '<%s>' "$@"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs, configs and texts, by their names alone."""
    for run in ("runs/book", "runs/我的 书", "elsewhere/far", "elsewhere/near"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "config.json").touch()
    (tmp_path / "runs/.hidden").mkdir()
    (tmp_path / "runs/.hidden/config.json").touch()
    (tmp_path / "runs/notes").mkdir()
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/gru.toml").touch()
    (tmp_path / "mine.toml").touch()
    (tmp_path / "novel.txt").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHARLM_MODEL", raising=False)
    return tmp_path


@pytest.fixture
def offered(folder: Path) -> Callable[..., list[str]]:
    """`offered("info", "ru")`: what stands for the last word, each as kind,value."""
    from click.shell_completion import ShellComplete

    def ask(*words: str) -> list[str]:
        asked = ShellComplete(cli, {}, "charlm", "_CHARLM_COMPLETE")
        found = asked.get_completions(list(words[:-1]), words[-1])
        return [item.value if item.type == "plain" else f"({item.type})" for item in found]

    return ask


@pytest.mark.parametrize(
    "words",
    [["info"], ["neurons"], ["generate", "-m"], ["evaluate", "--model"], ["train", "--resume"],
     ["train", "--init-from"], ["vocab"]],
)  # fmt: skip
def test_runs_complete(offered, words: list[str]) -> None:
    assert offered(*words, "") == ["runs/book", "runs/我的 书"]
    assert offered(*words, "runs/b") == ["runs/book"]
    assert offered(*words, "elsewhere/") == ["elsewhere/far", "elsewhere/near"]


def test_the_neighbours_of_the_model_of_the_environment_complete(
    offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARLM_MODEL", "elsewhere/far")
    assert offered("info", "") == ["elsewhere/far", "elsewhere/near", "runs/book", "runs/我的 书"]


def test_where_no_run_begins_so_the_shell_is_asked_for_its_own(offered) -> None:
    assert offered("info", "x") == ["(dir)"]
    assert offered("neurons", "no") == ["(file)"]
    assert offered("info", "nowhere/") == ["(dir)"]
    assert offered("info", "a\0") == ["(dir)"]


def test_configs_complete(offered) -> None:
    assert offered("train", "--config", "") == ["configs/gru.toml", "mine.toml"]
    assert offered("train", "--config", "configs/") == ["configs/gru.toml"]
    assert offered("train", "--config", "../") == ["(file)"]


def test_commands_options_and_choices_complete(offered) -> None:
    assert offered("neu") == ["neurons"]
    assert offered("generate", "--top-") == ["--top-k", "--top-p"]
    assert offered("train", "--rnn-type", "") == ["rnn", "gru", "lstm"]


NAMES_OF_FILES = {"RUN", "FILE", "INPUT", "TEXT", "PAGE", "PATH", "FOLDER", "CORPUS", "OTHER"}
# Texts themselves, not files.
TYPED = {
    ("generate", "prefix"), ("generate", "separator"), ("fill", "text"),
    ("train", "training__sample_prefix"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_whatever_names_a_file_or_a_run_completes(offered, name: str) -> None:
    """Once a command has completion of its own, its shell's own is gone."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    context = click.Context(command)
    for param in command.params:
        metavar = param.metavar
        if isinstance(param, click.Argument):
            metavar = param.make_metavar(context)
        named = re.sub(r"[^A-Z]", "", metavar or "") in NAMES_OF_FILES
        if named and (name, param.name) not in TYPED:
            assert param.shell_complete(context, "nothing begins like this"), param.name


def ask_click(
    folder: Path, *words: str, shell: str = "bash", encoding: str = "utf-8"
) -> subprocess.CompletedProcess[str]:
    """What click's script asks for at each Tab, with what was imported for the answer."""
    code = (
        "import sys\nfrom charlm.cli.main import run_command\n"
        "from charlm.cli.streams import open_streams\n"
        "open_streams()\ntry:\n    run_command([])\nfinally:\n"
        "    print([m for m in ('torch', 'numpy') if m in sys.modules], file=sys.stderr)"
    )
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "_CHARLM_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "\n".join(("charlm", *words)), "COMP_CWORD": str(len(words)),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True,
        encoding=encoding, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("words", [[""], ["info", ""], ["train", "--config", "c"], ["train", "--"]])
def test_completing_imports_neither_torch_nor_numpy(folder: Path, words: list[str]) -> None:
    asked = ask_click(folder, *words)
    assert asked.stdout
    assert asked.stderr == "[]\n"


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("runs/我", "plain,runs/我的\\\\ 书\n"),
        ("'runs/我", "plain,runs/我的 书\n"),
        ('"runs/我', "plain,runs/我的 书\n"),
        ("runs/it", "plain,runs/it\\\\'s \\\\$5\n".replace("s \\", "s\\\\ \\")),
        ('"runs/it', "plain,runs/it's \\\\$5\n"),
        ("'runs/it", "plain,runs/it'\\\\''s $5\n"),
    ],
)
def test_a_name_is_one_word_in_bash(folder: Path, typed: str, answer: str) -> None:
    make_run(folder, "runs/it's $5")
    assert ask_click(folder, "info", typed).stdout == answer


def make_run(folder: Path, name: str | bytes) -> None:
    path = folder / os.fsdecode(name)
    path.mkdir(parents=True)
    model = {"rnn_type": "gru", "num_layers": 2, "hidden_size": 64}
    record = {"config": {"model": model}, "corpus": {"name": "a, b\x1b"}}
    (path / "config.json").write_text(json.dumps(record))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_names_of_other_encodings_come_as_they_are(folder: Path) -> None:
    make_run(folder, b"runs/caf\xe9")
    asked = ask_click(folder, "info", "runs/ca", encoding="latin-1")
    assert asked.stdout == "plain,runs/caf\xe9\n"


def test_what_is_offered_is_told_of(folder: Path) -> None:
    make_run(folder, "runs/new")
    make_run(folder, "runs/two\nlines")
    (folder / "configs/gru.toml").write_text("# a GRU, 85 s\n[model]\n")
    from click.shell_completion import ShellComplete

    asked = ShellComplete(cli, {}, "charlm", "_CHARLM_COMPLETE")
    told = {item.value: item.help for item in asked.get_completions(["info"], "runs/")}
    assert told == {"runs/book": None, "runs/我的 书": None, "runs/new": r"GRU 2×64, of a, b\x1b"}
    told = {item.value: item.help for item in asked.get_completions(["train", "--config"], "")}
    assert told == {"configs/gru.toml": "a GRU, 85 s", "mine.toml": None}


BASH = ["bash", "--norc", "--noprofile", "-i"]
ZSH = ["zsh", "-f", "-i"]
SET_UP = {
    "bash": 'eval "$(_CHARLM_COMPLETE=bash_source charlm)"',
    "zsh": 'autoload -U compinit; compinit -u -D; eval "$(_CHARLM_COMPLETE=zsh_source charlm)"',
    "fish": "_CHARLM_COMPLETE=fish_source charlm | source",
}


@pytest.fixture
def shell_environment(folder: Path) -> dict[str, str]:
    make_run(folder, "runs/it's, $5")
    (folder / "三国 'x'.txt").touch()
    (folder / "texts/a b").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin/charlm").write_text(STAND_IN.format(python=sys.executable))
    (folder / "bin/charlm").chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return {
        **os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(folder), "TERM": "dumb",
        "LC_ALL": "C.UTF-8", "COLUMNS": "200",
    }  # fmt: skip


def typed_into(
    command: list[str], environment: dict[str, str], line: str, answer: str = "<>"
) -> str:
    """What an interactive shell shows when its completion is set up and a line is typed, up to an
    answer that ends so."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, environment)
    shown = ""
    try:
        for text, last in ((f"{SET_UP[command[0]]}; echo re''ady\n", "ready"), (line, answer)):
            os.write(terminal, text.encode())
            shown = ""
            until = time.monotonic() + 30
            while last not in shown and time.monotonic() < until:
                if select.select([terminal], [], [], 0.1)[0]:
                    shown += os.read(terminal, 1 << 16).decode(errors="replace")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    return shown


def has_shell(name: str) -> bool:
    """Whether it is here, and one that click knows how to complete in."""
    if shutil.which(name) is None:
        return False
    if name != "bash":
        return True
    asked = ["bash", "--norc", "-c", "echo ${BASH_VERSINFO[0]} ${BASH_VERSINFO[1]}"]
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return tuple(map(int, version.split())) >= (4, 4)


@pytest.mark.parametrize("command", [BASH, ZSH], ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("charlm gener\t-m runs/b\t''\n", "<generate><-m><runs/book><>"),
        ("charlm info runs/我\t''\n", "<info><runs/我的 书><>"),
        ("charlm train nov\t--config c\t''\n", "<train><novel.txt><--config><configs/gru.toml><>"),
        ('charlm info "runs/我\t\'\'\n', "<info><runs/我的 书><>"),
        ("charlm vocab runs/it\t''\n", "<vocab><runs/it's, $5><>"),
        ("charlm train 三\t''\n", "<train><三国 'x'.txt><>"),
        ("charlm runs els\t''\n", "<runs><elsewhere/>"),
        ("charlm train texts/a\t''\n", "<train><texts/a b/>"),
    ],
    ids=["commands and runs", "a name with a space", "files and configs", "behind a quote",
         "a quote in a name", "a file with quotes", "a folder", "a folder of texts"],
)  # fmt: skip
def test_tab_in_a_real_shell(
    shell_environment: dict[str, str], command: list[str], line: str, arguments: str
) -> None:
    if not has_shell(command[0]):
        pytest.skip(f"there is no {command[0]} here")
    assert arguments in typed_into(command, shell_environment, line, arguments)


@pytest.mark.skipif(not has_shell("fish"), reason="there is no fish here")
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("charlm gener", ["generate"]),
        ("charlm info runs/", ["runs/book", "runs/it's, $5", "runs/我的 书"]),
        ("charlm info runs/it", [r"runs/it's, $5	GRU 2×64, of a, b\x1b"]),
        ("charlm gener", ["generate	Continue a prefix"]),
        ("charlm train --config ", ["configs/gru.toml", "mine.toml"]),
        ("charlm train nov", ["novel.txt"]),
        ("charlm train 三", ["三国 'x'.txt"]),
        ("charlm runs els", ["elsewhere/"]),
        ("charlm train texts/", ["texts/a b/"]),
    ],
)
def test_what_fish_offers(shell_environment: dict[str, str], line: str, found: list[str]) -> None:
    asked = subprocess.run(
        ["fish", "--no-config", "-c", f"{SET_UP['fish']}; complete -C '{line}'"],
        env=shell_environment, capture_output=True, encoding="utf-8", timeout=60, check=True,
    )  # fmt: skip
    for line, expected in zip(asked.stdout.splitlines(), found, strict=True):
        assert line.startswith(expected) if "\t" in expected else line.split("\t")[0] == expected
