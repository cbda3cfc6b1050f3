"""Give settings their values: from dictionaries, TOML, the command line; typed and checked.

They come, the later ones winning, from the defaults of config.py, a TOML file (`--config`), `--set
SECTION.KEY=VALUE`, and the options of the command line.
"""

import dataclasses
import operator
import re
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from math import inf, isfinite
from numbers import Integral, Real
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from charlm.config import LIMITS, SECTIONS, Config
from charlm.consistency import check
from charlm.errors import UsageError, typed

Nested = Mapping[str, Mapping[str, Any]]
# Section -> key -> value.
Changes = dict[str, dict[str, Any]]
# The configs beside the package, where it is used from its checkout.
OURS = Path(__file__).resolve().parents[1] / "configs"
# What others call them: as options these are taken too, and as settings known for what is meant.
SECOND_NAMES = {"bptt": "seq_len", "learning_rate": "lr", "rnn_size": "hidden_size"}


def fields_of(section: str) -> dict[str, dataclasses.Field[Any]]:
    """The settings of a section, by name."""
    return {f.name: f for f in dataclasses.fields(SECTIONS[section])}


@cache
def _hints(section: type) -> dict[str, Any]:
    return get_type_hints(section)


def type_of(section: str, key: str) -> tuple[type, bool]:
    """(str, int, float, bool or tuple; whether None is allowed) of a setting."""
    hint = _hints(SECTIONS[section])[key]
    optional = get_origin(hint) is UnionType
    if optional:
        hint = next(part for part in get_args(hint) if part is not type(None))
    return (get_origin(hint) or hint), optional


def configured(config: Config, changes: Nested) -> Config:
    """`config` with `changes` (section -> key -> value) checked and put in.

    Raises UsageError for an unknown section or key, a value of the wrong type or out of range.
    """
    for section, values in changes.items():
        if section not in SECTIONS:
            raise UsageError(
                f"unknown section {section!r} in the settings; there are {', '.join(SECTIONS)}"
            )
        if not isinstance(values, Mapping):
            raise UsageError(f"{section} is a section: write {section}.KEY = VALUE")
        checked = {key: _checked(section, key, value) for key, value in values.items()}
        part = dataclasses.replace(getattr(config, section), **checked)
        config = dataclasses.replace(config, **{section: part})
    return config


def _meant(name: str, known: list[str], listing: str) -> str:
    """Behind a name that is unknown: which may be meant, or else all that there are."""
    second = SECOND_NAMES.get(name)
    near = [second] if second in known else get_close_matches(name, known, 1)
    return f"; is {near[0]!r} meant?" if near else f"; {listing} {', '.join(known)}"


def _checked(section: str, key: str, value: Any) -> Any:
    known = fields_of(section)
    name = f"{section}.{key}"
    if key not in known:
        raise UsageError(f"unknown setting {name!r}{_meant(key, list(known), f'{section} has')}")
    meta = known[key].metadata
    kind, optional = type_of(section, key)
    if value is None and optional:
        return None
    if meta["duration"] and isinstance(value, str):
        value = parse_duration(value, name)
    value = _coerced(value, kind, name)
    if meta["choices"] and value not in meta["choices"]:
        raise UsageError(f"{name} is {value!r}; it can be {', '.join(meta['choices'])}")
    _check_limits(value, meta["limits"], name)
    return value


def _coerced(value: Any, kind: type, name: str) -> Any:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return inf
    if kind is tuple:
        values = [value] if isinstance(value, str) else value
        if isinstance(values, list | tuple) and all(isinstance(v, str) for v in values):
            return tuple(values)
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    wanted = {int: "a whole number", float: "a number", bool: "true or false",
              str: "a text", tuple: "a list of texts"}[kind]  # fmt: skip
    raise UsageError(f"{name} is {value!r}; it must be {wanted}")


def _check_limits(value: Any, limits: Mapping[str, float | None], name: str) -> None:
    if isinstance(value, float) and not isfinite(value):
        raise UsageError(f"{name} is {value}; it must be a finite number")
    for words, limit in limits.items():
        if limit is not None and not _HOLDS[words](value, limit):
            raise UsageError(f"{name} is {value}; it must be {words.replace('_', ' ')} {limit}")


_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "at_least": operator.ge,
    "above": operator.gt,
    "below": operator.lt,
    "at_most": operator.le,
}


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str, name: str) -> float:
    """Seconds in "90", "90s", "1.5m" or "2h". Raises UsageError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", text)
    if not found:
        raise UsageError(f"{name} is {text!r}; it must be a time such as 90s, 2m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def parse_assignment(text: str) -> dict[str, dict[str, Any]]:
    """`section.key=value` as changes; the value as in TOML, or else as plain text."""
    name, equals, value = text.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and section and key):
        raise UsageError(f"--set {text!r}: write it as SECTION.KEY=VALUE")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return {section: {key: parsed}}


def read_toml(path: Path) -> dict[str, Any]:
    """The changes that a TOML file asks for; the texts it names are relative to its folder."""
    try:
        changes = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        ours = OURS / path.name
        instead = f"; there is {typed(ours)}" if not path.exists() and ours.is_file() else ""
        raise UsageError(f"cannot read the config {path}: {error.strerror}{instead}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from error
    data = changes.get("data")
    if isinstance(data, dict) and "input" in data:
        inputs = _coerced(data["input"], tuple, "data.input")
        data["input"] = tuple(str(path.parent / name) for name in inputs)
    for key in ("val", "test"):
        if isinstance(data, dict) and isinstance(data.get(key), str):
            data[key] = str(path.parent / data[key])
    return changes


def to_dict(config: Any) -> dict[str, Any]:
    """A config, or one section of it, as plain JSON values."""
    return dataclasses.asdict(config)


def by_name(values: Mapping[str, Any], *sections: str) -> Changes:
    """Changes from settings by their names alone, each in the first of `sections` that has it; the
    name of a section stands for several of its settings: `text={"level": "word"}`.

    Raises UsageError for a name that none of them has.
    """
    changes: Changes = {}
    for name, value in values.items():
        if name in sections:
            if not isinstance(value, Mapping):
                raise UsageError(f"{name} is a section of settings: give it a dictionary")
            changes.setdefault(name, {}).update({key: _plain(of) for key, of in value.items()})
            continue
        found = next((section for section in sections if name in fields_of(section)), None)
        if found is None:
            known = [key for section in sections for key in fields_of(section)]
            raise UsageError(f"unknown setting {name!r}{_meant(name, known, 'there are')}")
        changes.setdefault(found, {})[name] = _plain(value)
    return changes


def _plain(value: Any) -> Any:
    """A path as a text, and a number of NumPy's as one of Python's."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, Real) and not isinstance(value, int) else value


def merged(*parts: Changes) -> Changes:
    """Changes put together; the later ones win."""
    result: Changes = {}
    for part in parts:
        for section, values in part.items():
            if not isinstance(values, dict):
                raise UsageError(f"{section} is no section; write [{section}] above its settings")
            result.setdefault(section, {}).update(values)
    return result


def given_over(filed: Changes, typed: Changes) -> Changes:
    """What a file gives, and over it what was typed."""
    if isinstance(filed.get("training"), dict) and set(LIMITS) & typed.get("training", {}).keys():
        # Whoever types how long it is to take means it in place of what the file says.
        kept = {key: value for key, value in filed["training"].items() if key not in LIMITS}
        filed = {**filed, "training": kept}
    return merged(filed, typed)


def resolved(given: Changes, base: Config | None = None) -> Config:
    """The complete settings, of those that were given. Raises UsageError.

    base: what was not given is as in that.
    """
    config = configured(base or Config(), given)
    if base is None:
        config = _sizes_agreed(config, given)
    check(config)
    return config


def _sizes_agreed(config: Config, given: Changes) -> Config:
    """A tied model with one size as the other where one of them, or both, were left open."""
    model, of_model = config.model, given.get("model", {})
    if not model.tied or {"hidden_size", "embedding_size"} <= of_model.keys():
        return config
    if "embedding_size" not in of_model:
        return configured(config, {"model": {"embedding_size": model.output_size}})
    if model.proj_size or not model.embedding_size:
        return config
    return configured(config, {"model": {"hidden_size": model.embedding_size}})
