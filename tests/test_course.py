"""What a training logged is read again, and nothing else is taken for it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charlm.course import Loss, Validation, moment_of, read_course
from charlm.errors import ModelError

GOLDEN = Path(__file__).parent / "golden"
LOSS = {"step": 1, "epoch": 0.1, "seconds": 0.5, "train_loss": math.log(2), "rate": 0.01}
SEEN = {"step": 2, "epoch": 0.2, "seconds": 1, "valid": {"bits_per_char": 2.5}, "best": True}


def write(run: Path, *lines: object, end: str = "\n") -> None:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (run / "metrics.jsonl").write_text(text + end)


def test_losses_and_validations_come_in_bits_and_in_order(tmp_path: Path) -> None:
    write(tmp_path, LOSS, SEEN)
    course = read_course(tmp_path)
    assert course.moments == (
        Loss(1, 0.1, 0.5, pytest.approx(1.0), 0.01), Validation(2, 0.2, 1.0, 2.5, True),
    )  # fmt: skip
    assert (len(course.losses), len(course.validations)) == (1, 1)


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_logs_of_older_versions_are_read(version: str) -> None:
    course = read_course(GOLDEN / version / "run")
    assert course.losses
    assert course.validations[-1].bits > 1


def test_of_masked_and_word_models_too() -> None:
    for name in ("masked_bits_per_char", "bits_per_word", "masked_bits_per_word"):
        seen = moment_of({**SEEN, "valid": {name: 4, "bits_per_byte": 1}}, "here")
        assert seen.bits == 4
    assert moment_of({**SEEN, "valid": {"bits_per_char": None}}, "here").bits == math.inf


def test_a_line_that_is_being_written_is_not_yet_there(tmp_path: Path) -> None:
    write(tmp_path, LOSS, '{"step": 2, "ep', end="")
    assert len(read_course(tmp_path).moments) == 1
    write(tmp_path, LOSS, '{"step": 2, "ep')
    with pytest.raises(ModelError, match=r"metrics.jsonl: line 2 is not JSON$"):
        read_course(tmp_path)


def test_a_run_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no metrics\.jsonl: no training in it has"):
        read_course(tmp_path)


def test_a_line_longer_than_any_that_is_logged_is_refused(tmp_path: Path) -> None:
    write(tmp_path, " " * 1_000_000)
    with pytest.raises(ModelError, match="line 1 is not JSON"):
        read_course(tmp_path)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(
    st.sampled_from([LOSS, SEEN]),
    st.dictionaries(st.sampled_from([*LOSS, *SEEN]), ANY, min_size=1) | ANY,
)
def test_any_line_is_read_or_refused(line: dict[str, Any], change: Any) -> None:
    record = {**line, **change} if isinstance(change, dict) else change
    try:
        moment = moment_of(record, "here")
    except ModelError as error:
        assert str(error) == "here is not what a training logs"
    else:
        assert 0 <= moment.seconds + moment.epochs + moment.step < 1e13


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(data)
    try:
        assert read_course(tmp_path).moments == ()
    except ModelError as error:
        assert "metrics.jsonl: line " in str(error)
