"""Options made from the settings: names, types, help and defaults all come from config.py."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from charlm.cli.completion import complete_files, complete_runs
from charlm.errors import UsageError
from charlm.settings import (
    SECOND_NAMES,
    Changes,
    fields_of,
    given_over,
    merged,
    parse_assignment,
    read_toml,
    type_of,
)

Command = TypeVar("Command", bound=Callable[..., Any])

# The short names.
SHORT = {
    "generation.length": ["-l"],
    "generation.num_samples": ["-n"],
    "generation.temperature": ["-t"],
}
TEXT_SETTINGS = [
    *(f"text.{key}" for key in fields_of("text")),
    *(f"data.{key}" for key in fields_of("data") if key not in ("input", "text")),
]
METAVARS = {
    "generation.match": "REGEX",
    "text.keep": "CLASS",
    "data.vocab": "FILE",
    "data.val": "FILE",
    "data.test": "FILE",
    "data.reserve": "TOKEN",
    "training.sample_prefix": "TEXT",
}


def setting_options(*paths: str) -> Callable[[Command], Command]:
    """A click option for each setting "section.key"; `changes_of` collects what was given."""

    def decorate(command: Command) -> Command:
        for path in reversed(paths):
            command = _option(path)(command)
        return command

    return decorate


def _option(path: str) -> Callable[[Command], Command]:
    section, _, key = path.partition(".")
    field = fields_of(section)[key]
    kind, _ = type_of(section, key)
    name = option_name(path)
    text = field.metadata["help"]
    if kind is bool:
        name = f"{name}/--no-{name[2:]}"
    elif field.metadata["chosen"]:
        text += "  [default: chosen]"
    elif field.default not in (None, (), ""):
        default = field.default
        text += f"  [default: {default:g}]" if kind is float else f"  [default: {default}]"
    kwargs: dict[str, Any] = {"help": text[0].upper() + text[1:], "default": None}
    if field.metadata["choices"]:
        kwargs["type"] = click.Choice(field.metadata["choices"])
    elif field.metadata["duration"] or kind is str:
        kwargs["type"] = str
    elif kind is tuple:
        kwargs |= {"type": str, "multiple": True}
    elif kind is not bool:
        kwargs["type"] = kind
    if path in METAVARS:
        kwargs["metavar"] = METAVARS[path]
        if METAVARS[path] == "FILE":
            kwargs["shell_complete"] = complete_files
    elif field.metadata["duration"]:
        kwargs["metavar"] = "TIME"
    return click.option(
        name, *_second_names(key), *SHORT.get(path, []), path.replace(".", "__"), **kwargs
    )


def _second_names(key: str) -> list[str]:
    return [_as_option(name) for name, meant in SECOND_NAMES.items() if meant == key]


def changes_of(options: dict[str, Any]) -> Changes:
    """What of the settings the command line gave, as section -> key -> value."""
    changes: Changes = {}
    for name, value in options.items():
        if value is not None and value != ():
            section, _, key = name.partition("__")
            changes.setdefault(section, {})[key] = value
    return changes


def typed_settings(options: dict[str, Any], assignments: tuple[str, ...]) -> dict[str, Any]:
    """What of the settings was typed, as section.key -> value: nothing of a config file."""
    changes = merged(*(parse_assignment(text) for text in assignments), changes_of(options))
    return {f"{section}.{key}": v for section, part in changes.items() for key, v in part.items()}


def option_name(path: str) -> str:
    """How a setting that has an option is typed."""
    return _as_option(path.partition(".")[2])


def _as_option(key: str) -> str:
    return "--" + key.replace("_", "-")


def given_changes(
    options: dict[str, Any], config_file: Path | None, assignments: tuple[str, ...]
) -> Changes:
    """What a config file, --set and the options give; the later ones win."""
    filed = read_toml(config_file) if config_file else {}
    typed = merged(*(parse_assignment(text) for text in assignments), changes_of(options))
    return given_over(filed, typed)


@contextmanager
def as_typed(options: dict[str, Any], mark: str = "--") -> Iterator[None]:
    """Where settings are refused inside the block, those that were given as options have the names
    of these. mark: what an option begins with."""
    try:
        yield
    except UsageError as error:
        message = str(error)
        for section, values in changes_of(options).items():
            for key, value in values.items():
                name = f"{mark}{'no-' * (value is False)}{key.replace('_', '-')}"
                message = re.sub(rf"\b{section}\.{key}\b", name, message)
        raise UsageError(message) from None


def began() -> float:
    """When the command that runs began (`time.perf_counter`), before anything was imported."""
    return float(click.get_current_context().obj)


model_option = click.option(
    "-m", "--model", metavar="RUN", shell_complete=complete_runs,
    help="The run to use.  [default: $CHARLM_MODEL, or the newest]",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
corpus_option = click.option(
    "--corpus", metavar="PATH", type=click.Path(path_type=Path),
    help="Where the corpus that the run was trained on is now.",
)  # fmt: skip
force_option = click.option("--force", is_flag=True, help="Replace what is at the output.")
