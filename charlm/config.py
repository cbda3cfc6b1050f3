"""Every setting, its default and what it means, on one page.

A `Config` is frozen and complete: what a run's `config.json` holds is all that shaped it. Settings
come, the later ones winning, from the defaults here, a TOML file (`--config`), `--set
SECTION.KEY=VALUE`, and the options of the command line, whose help is the text written here.
"""

import dataclasses
import operator
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from charlm.errors import UsageError


def setting(
    default: Any,
    help: str,  # noqa: A002 - the word click uses
    *,
    choices: tuple[str, ...] = (),
    at_least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
    duration: bool = False,
) -> Any:
    """A field with its default, its help and its limits (checked by `check`)."""
    limits = {"at_least": at_least, "above": above, "below": below, "at_most": at_most}
    meta = {"help": help, "choices": choices, "limits": limits, "duration": duration}
    return field(default=default, metadata=meta)


@dataclass(frozen=True)
class TextConfig:
    """How a text becomes tokens: kept with a corpus and a run, and applied to every prefix."""

    level: str = setting("char", "what a token is", choices=("char", "word"))
    encoding: str = setting("utf-8", "encoding of the input, by its Python name")
    newlines: str = setting(
        "lf", "line ends; lf: CRLF and CR become LF, keep: as they are", choices=("lf", "keep")
    )
    normalize: str = setting("none", "Unicode normal form", choices=("none", "nfc", "nfkc"))
    lowercase: bool = setting(False, "lower-case the text")
    keep: str | None = setting(
        None, "characters to keep, as in A-Za-z; a run of any others becomes one space"
    )
    strip_lines: bool = setting(False, "strip each line and drop the line breaks")


@dataclass(frozen=True)
class DataConfig:
    """Which text, how its vocabulary is made, and where it is split."""

    input: tuple[str, ...] = setting((), "texts, folders or one corpus, relative to the config")
    text: str | None = setting(None, "the corpus itself")
    min_freq: int = setting(1, "tokens rarer than this become <unk>", at_least=1)
    reserve: tuple[str, ...] = setting((), "a token to give an id although no text has it")
    max_tokens: int | None = setting(None, "use the first N tokens", at_least=1)
    val_frac: float = setting(0.1, "share of the tokens kept for validation", at_least=0, below=1)
    test_frac: float = setting(0.0, "share of the tokens kept for testing", at_least=0, below=1)
    vocab: str | None = setting(None, "use this vocabulary (a vocab.json, a corpus or a run)")


@dataclass(frozen=True)
class ModelConfig:
    """The network: embedding (or one-hot) -> recurrent layers -> linear head."""

    rnn_type: str = setting("lstm", "recurrent cell", choices=("rnn", "gru", "lstm"))
    embedding_size: int = setting(64, "width of the embedding; 0: one-hot input", at_least=0)
    hidden_size: int = setting(256, "units in each recurrent layer", at_least=1)
    num_layers: int = setting(1, "recurrent layers", at_least=1)
    bias: bool = setting(True, "biases in the recurrent layers")
    nonlinearity: str = setting("tanh", "of an rnn cell", choices=("tanh", "relu"))
    proj_size: int = setting(
        0, "an LSTM's outputs, projected to so many; 0: as they are", at_least=0
    )
    bidirectional: bool = setting(
        False, "read both ways: a model that fills gaps (charlm fill) and writes no text"
    )
    dropout: float = setting(
        0.0, "share of the embedding and of each layer's output zeroed in training",
        at_least=0, below=1,
    )  # fmt: skip
    tied: bool = setting(False, "one matrix for the embedding and the head (sizes must agree)")
    forget_bias: float = setting(1.0, "an LSTM's forget-gate bias at first (not with init torch)")
    init: str = setting(
        "orthogonal",
        "first weights; orthogonal: recurrent ones, normal: N(0, 0.01²), torch: as torch.nn has it",
        choices=("orthogonal", "normal", "torch"),
    )
    implementation: str = setting(
        "torch", "cells; torch: of torch.nn, scratch: charlm's own, step by step",
        choices=("torch", "scratch"),
    )  # fmt: skip

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """The width of a recurrent layer's output, and of the state that goes back into it."""
        return self.proj_size or self.hidden_size


@dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained. With no limit set, `default_time` is the limit."""

    time: float | None = setting(
        None, "train for this long, all included: 90s, 2m, 1h (as none is set: 2m)",
        above=0, duration=True,
    )  # fmt: skip
    epochs: float | None = setting(None, "passes over the training part", above=0)
    max_steps: int | None = setting(None, "optimiser steps", at_least=1)
    default_time: float = setting(120.0, "the time where no limit is given", above=0, duration=True)
    seq_len: int = setting(32, "time steps in a window", at_least=1)
    batch_size: int = setting(32, "streams trained side by side", at_least=1)
    sampling: str = setting(
        "sequential",
        "order of reading; sequential: streams, state carried, random: windows, from zero",
        choices=("sequential", "random"),
    )  # fmt: skip
    random_offset: bool = setting(
        False, "start each epoch at another of the first `seq_len` tokens"
    )
    mask_frac: float = setting(
        0.15, "bidirectional: share of the tokens that are masked and predicted", above=0, below=1
    )
    mask_span: int = setting(10, "bidirectional: longest masked run of tokens", at_least=1)
    reset: float = setting(
        0.01, "chance per window that a stream's carried state is zeroed", at_least=0, at_most=1
    )
    optimizer: str = setting("adamw", "optimiser", choices=("adamw", "sgd"))
    lr: float = setting(0.01, "peak learning rate", above=0)
    beta1: float = setting(0.0, "AdamW's decay of the mean gradient", at_least=0, below=1)
    beta2: float = setting(0.99, "AdamW's decay of the mean square", at_least=0, below=1)
    weight_decay: float = setting(0.02, "AdamW's decay of the weight matrices", at_least=0)
    schedule: str = setting("cosine", "course of the learning rate", choices=("cosine", "constant"))
    warmup: float = setting(0.05, "share of the steps in which the rate rises", at_least=0, below=1)
    grad_clip: float = setting(1.0, "largest L2 norm of the gradient; 0: no limit", at_least=0)
    seed: int = setting(0, "seed of everything random in training", at_least=0)
    device: str = setting("auto", "where to compute: auto, cpu, cuda, cuda:N or mps")
    eval_every: int | None = setting(
        None, "steps between validations (by default, chosen from their cost)", at_least=1
    )
    save_every: int | None = setting(
        None, "steps between checkpoints (by default, at each validation)", at_least=1
    )
    sample_every: int | None = setting(
        None, "steps between samples (by default, at each validation)", at_least=1
    )
    patience: int = setting(
        5, "end after this many validations without a new best; 0: never", at_least=0
    )
    eval_tokens: int = setting(
        250_000, "validate on at most this many tokens; 0: on all of them", at_least=0
    )


@dataclass(frozen=True)
class GenerationConfig:
    """How text is drawn from the model."""

    length: int = setting(500, "new characters (words, at word level)", at_least=0)
    num_samples: int = setting(1, "texts to generate", at_least=1)
    temperature: float = setting(
        0.8, "randomness; 0: always the likeliest, 1: as the model says", at_least=0
    )
    top_k: int = setting(0, "draw among the k likeliest; 0: all", at_least=0)
    top_p: float = setting(
        1.0, "draw among the likeliest that sum to this probability", above=0, at_most=1
    )
    min_p: float = setting(
        0.0, "drop what is less likely than this share of the likeliest", at_least=0, at_most=1
    )
    stop: tuple[str, ...] = setting((), "end before this text (repeatable)")
    seed: int | None = setting(None, "seed of the draw; the same seed, the same text", at_least=0)
    on_unknown: str = setting(
        "error", "what to do with a character of the prefix that the model does not know",
        choices=("error", "skip", "replace"),
    )  # fmt: skip


@dataclass(frozen=True)
class Config:
    text: TextConfig = field(default_factory=TextConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    generation: GenerationConfig = field(default_factory=GenerationConfig)


SECTIONS: dict[str, type] = get_type_hints(Config)

Nested = Mapping[str, Mapping[str, Any]]


def fields_of(section: str) -> dict[str, dataclasses.Field[Any]]:
    """The settings of a section, by name."""
    return {f.name: f for f in dataclasses.fields(SECTIONS[section])}


def type_of(section: str, key: str) -> tuple[type, bool]:
    """(str, int, float, bool or tuple; whether None is allowed) of a setting."""
    hint = get_type_hints(SECTIONS[section])[key]
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


def _checked(section: str, key: str, value: Any) -> Any:
    known = fields_of(section)
    name = f"{section}.{key}"
    if key not in known:
        raise UsageError(f"unknown setting {name!r}; {section} has {', '.join(known)}")
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
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
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
    for words, limit in limits.items():
        # Asked so that NaN, for which nothing holds, is refused; so is infinity.
        if limit is not None and not (_HOLDS[words](value, limit) and abs(value) != inf):
            raise UsageError(f"{name} is {value}; it must be {words.replace('_', ' ')} {limit:g}")


_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "at_least": operator.ge,
    "above": operator.gt,
    "below": operator.lt,
    "at_most": operator.le,
}


def check(config: Config) -> None:
    """Refuse settings that contradict each other. Raises UsageError."""
    model, data, training = config.model, config.data, config.training
    if model.tied and model.embedding_size != model.output_size:
        width = "proj_size" if model.proj_size else "hidden_size"
        raise UsageError(
            f"model.tied needs model.embedding_size ({model.embedding_size}) equal to "
            f"model.{width} ({model.output_size})"
        )
    if model.proj_size and model.rnn_type != "lstm":
        raise UsageError(f"model.proj_size goes with an lstm; model.rnn_type is {model.rnn_type}")
    if model.proj_size >= model.hidden_size:
        raise UsageError(
            f"model.proj_size ({model.proj_size}) must be below model.hidden_size "
            f"({model.hidden_size})"
        )
    if model.bidirectional and model.tied:
        raise UsageError("model.bidirectional and model.tied do not go together: drop one of them")
    if model.bidirectional and model.implementation == "scratch":
        raise UsageError("model.bidirectional needs model.implementation torch, not scratch")
    if model.nonlinearity != "tanh" and model.rnn_type != "rnn":
        raise UsageError(f"model.nonlinearity goes with an rnn; model.rnn_type is {model.rnn_type}")
    if data.val_frac + data.test_frac >= 1:
        raise UsageError(
            f"data.val_frac ({data.val_frac:g}) and data.test_frac ({data.test_frac:g}) "
            "leave nothing to train on"
        )
    if data.text is not None and data.input:
        raise UsageError("data.text and data.input both name a corpus: give one of them")
    limits = [k for k in ("time", "epochs", "max_steps") if getattr(training, k) is not None]
    if len(limits) > 1:
        raise UsageError(f"training.{limits[0]} and training.{limits[1]} both limit the run")


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
    """The changes that a TOML file asks for; its `data.input` made relative to its folder."""
    try:
        changes = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the config {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from error
    data = changes.get("data")
    if isinstance(data, dict) and "input" in data:
        inputs = _coerced(data["input"], tuple, "data.input")
        data["input"] = tuple(str(path.parent / name) for name in inputs)
    return changes


def to_dict(config: Any) -> dict[str, Any]:
    """A config, or one section of it, as plain JSON values."""
    return dataclasses.asdict(config)
