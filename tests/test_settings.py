import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.config import SECTIONS, Config
from charlm.consistency import check
from charlm.errors import UsageError
from charlm.settings import (
    configured,
    fields_of,
    parse_assignment,
    parse_duration,
    read_toml,
    to_dict,
    type_of,
)


def test_the_defaults_are_valid_and_survive_json() -> None:
    config = Config()
    check(config)
    assert configured(Config(), to_dict(config)) == config


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_has_help_and_a_type_that_can_be_given(section: str) -> None:
    for key, field in fields_of(section).items():
        assert field.metadata["help"]
        assert type_of(section, key)[0] in (str, int, float, bool, tuple)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modell": {}}, "unknown section 'modell' in the settings; there are text, data, model, "
         "training, generation"),
        ({"model": {"hiden": 1}}, "unknown setting 'model.hiden'"),
        ({"model": 3}, "model is a section: write model.KEY = VALUE"),
        ({"model": {"hidden_size": "x"}}, "model.hidden_size is 'x'; it must be a whole number"),
        ({"model": {"hidden_size": 0}}, "model.hidden_size is 0; it must be at least 1"),
        ({"model": {"hidden_size": True}}, "model.hidden_size is True; it must be a whole number"),
        ({"model": {"rnn_type": "cnn"}}, "model.rnn_type is 'cnn'; it can be rnn, gru, lstm"),
        ({"model": {"dropout": 1.0}}, "model.dropout is 1.0; it must be below 1"),
        ({"training": {"lr": math.nan}}, "training.lr is nan; it must be a finite number"),
        ({"training": {"lr": math.inf}}, "training.lr is inf; it must be a finite number"),
        ({"training": {"time": "soon"}},
         "training.time is 'soon'; it must be a time such as 90s, 2m or 1h"),
        ({"data": {"reserve": [1]}}, "data.reserve is [1]; it must be a list of texts"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(changes: Any, message: str) -> None:
    with pytest.raises(UsageError) as error:
        configured(Config(), changes)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"tied": True, "embedding_size": 8, "hidden_size": 16}},
         "model.tied needs model.embedding_size (8) equal to model.hidden_size (16)"),
        ({"data": {"val_frac": 0.5, "test_frac": 0.5}},
         "data.val_frac (0.5) and data.test_frac (0.5) leave nothing to train on"),
        ({"data": {"text": "a", "input": ["b"]}},
         "data.text and data.input both name a corpus: give one of them"),
        ({"training": {"time": "1m", "epochs": 3}},
         "training.time and training.epochs both limit the run"),
    ],
)  # fmt: skip
def test_row_35_settings_that_contradict_each_other_are_both_named(
    changes: Any, message: str
) -> None:
    with pytest.raises(UsageError) as error:
        check(configured(Config(), changes))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), (" 3 m ", 180)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text, "time") == seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b=1", 1),
        ("a.b=0.5", 0.5),
        ("a.b=true", True),
        ("a.b=word", "word"),
        ("a.b=x=y", "x=y"),
        ('a.b=["x"]', ["x"]),
    ],
)
def test_assignments(text: str, value: Any) -> None:
    assert parse_assignment(text) == {"a": {"b": value}}


@given(st.text(max_size=40))
def test_an_assignment_is_parsed_or_refused(text: str) -> None:
    try:
        [(_, values)] = parse_assignment(text).items()
    except UsageError:
        return
    assert len(values) == 1


def test_inputs_of_a_config_are_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('data.input = "book.txt"')
    assert read_toml(path)["data"]["input"] == (str(tmp_path / "book.txt"),)


@given(st.binary(max_size=200))
def test_any_file_is_a_config_or_refused(tmp_path_factory: Any, data: bytes) -> None:
    path = tmp_path_factory.mktemp("toml") / "a.toml"
    path.write_bytes(data)
    try:
        configured(Config(), read_toml(path))
    except UsageError as error:
        assert "\n" not in str(error)
