"""The README, the help and the configs agree with the code."""

import re
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

import charlm
from charlm.cli.commands import COMMANDS, cli
from charlm.config import Config
from charlm.consistency import check
from charlm.settings import configured, read_toml

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def options(name: str) -> list[click.Option]:
    return [p for p in command(name).params if isinstance(p, click.Option) and not p.hidden]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_is_in_the_readme(name: str) -> None:
    assert command(name).help
    assert f"charlm {name}" in README


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help_and_is_in_the_readme(name: str) -> None:
    for option in options(name):
        assert option.help, option.opts
        assert any(f"`{opt}" in README for opt in option.opts), option.opts


def test_the_readme_names_no_option_that_does_not_exist() -> None:
    known = {opt for name in COMMANDS for option in options(name) for opt in option.opts}
    known |= {opt for name in COMMANDS for o in options(name) for opt in o.secondary_opts}
    known |= {"--help", "--version", "--debug"}
    assert set(re.findall(r"`(--[a-z-]+)", README)) <= known


def test_the_readme_does_not_send_anyone_to_another_project() -> None:
    assert "pip install charlm" not in README


def test_every_file_of_the_readme_exists() -> None:
    tree = README[README.index("```\ncharlm/") :].split("```")[1]
    folders: list[str] = []
    for line in tree.strip("\n").splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folders = [*folders[:depth], name]
        assert (ROOT / "".join(folders)).exists(), "".join(folders)


def test_there_are_configs() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_loads_and_says_what_it_gave(path: Path) -> None:
    check(configured(Config(), read_toml(path)))
    first = path.read_text(encoding="utf-8").splitlines()[:3]
    assert all(line.startswith("#") for line in first)


@pytest.mark.draws
def test_the_example_of_the_library_runs(
    text_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    [code] = re.findall(r"```python\n(.*?)```", README, re.S)
    tiny = "max_steps=20, hidden_size=16, embedding_size=8, batch_size=4, seq_len=8"
    code = code.replace('time="20s"', f'{tiny}, precision="float32"')
    # What the model of a nonsense of seven letters can read.
    for text in ("Once upon a time", "Once", "Onc"):
        code = code.replace(f'("{text}"', '("abcd"')
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_bytes(text_file.read_bytes())
    exec(code, {})
    shown = capsys.readouterr()
    assert shown.out.startswith(charlm.load("runs/book").generate("abcd", seed=7) + "\n")
    assert (tmp_path / "runs" / "book" / "curves.svg").exists() == bool(find_spec("matplotlib"))
    assert shown.err == ""


def test_the_section_on_python_is_short() -> None:
    section = README[README.index("## In Python") :].split("\n## ")[0]
    assert len(re.findall(r"```python\n(.*?)```", section, re.S)[0].splitlines()) <= 15
