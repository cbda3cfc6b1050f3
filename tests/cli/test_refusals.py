"""What does nothing beside something else is refused where it is typed, and only there."""

from pathlib import Path

import pytest

from charlm.cli.refusals import TRAINING

# What is refused, what makes it idle, and by which words.
CASES = [
    ("training.tensorboard", ["--tensorboard"], ["--dry-run"], "with --dry-run"),
    ("--force", ["--force"], ["--dry-run"], "with --dry-run"),
    ("training.eval_every", ["--eval-every", "5"], ["--val-frac", "0"], "without a validation"),
    ("training.patience", ["--set", "training.patience=3"], ["--val-frac", "0"],
     "without a validation part"),
    ("training.eval_tokens", ["--set", "training.eval_tokens=3"], ["--val-frac", "0"],
     "without a validation part"),
    ("data.val_split", ["--val-split", "blocks"], ["--val-frac", "0"], "where nothing is split"),
    ("training.weight_decay", ["--weight-decay", "0.1"], ["--optimizer", "sgd"], "optimizer sgd"),
    ("training.beta1", ["--set", "training.beta1=0.5"], ["--optimizer", "sgd"], "optimizer sgd"),
    ("training.beta2", ["--set", "training.beta2=0.5"], ["--optimizer", "sgd"], "optimizer sgd"),
    ("training.mask_frac", ["--set", "training.mask_frac=0.5"], [], "without --bidirectional"),
    ("training.mask_span", ["--set", "training.mask_span=5"], [], "without --bidirectional"),
    ("training.mask_single", ["--set", "training.mask_single=0.5"], [], "without --bidirectional"),
    ("training.sampling", ["--sampling", "random"], ["--bidirectional"], "with --bidir"),
    ("training.reset", ["--set", "training.reset=0.5"], ["--bidirectional"], "with --bidir"),
    ("training.random_offset", ["--set", "training.random_offset=true"], ["--bidirectional"],
     "with --bidirectional"),
    ("training.reset", ["--set", "training.reset=0.5"], ["--sampling", "random"],
     "whose windows carry no state"),
    ("training.default_time", ["--set", "training.default_time=60"], ["--epochs", "2"],
     "beside a limit"),
    ("model.forget_bias", ["--set", "model.forget_bias=2.0"], ["--rnn-type", "gru"], "but with an"),
    ("model.forget_bias", ["--set", "model.forget_bias=2.0"], ["--set", "model.init=torch"],
     "but with an lstm"),
    ("model.init", ["--set", "model.init=normal"], ["--init-from"], "with --init-from"),
    ("model.forget_bias", ["--set", "model.forget_bias=2.0"], ["--init-from"], "with --init-from"),
    ("data.min_freq", ["--min-freq", "2"], ["--init-from"], "with --init-from, whose vocabulary"),
    ("data.reserve", ["--reserve", "x"], ["--init-from"], "with --init-from, whose vocabulary"),
    ("data.vocab", ["--vocab", "v.json"], ["--init-from"], "with --init-from, whose vocabulary"),
    ("text.newlines", ["--newlines", "keep"], ["--strip-lines"], "with --strip-lines"),
    ("text.newlines", ["--newlines", "keep"], ["--level", "word"], "with --level word"),
    ("text.encoding", ["--encoding", "latin-1"], ["no text"], "without a text of yours"),
]  # fmt: skip


def test_every_row_of_the_table_has_its_case() -> None:
    rows = [(name, idle.why) for idle in TRAINING for name in idle.names]
    covered = {next((row for row in rows if row[0] == name and words in f"does nothing {row[1]}"),
                    (name, words)) for name, _, _, words in CASES}  # fmt: skip
    assert covered == set(rows)


@pytest.mark.parametrize(("name", "typed", "beside", "words"), CASES)
def test_what_does_nothing_is_refused(
    charlm, text_file: Path, trained: Path, tmp_path: Path,
    name: str, typed: list[str], beside: list[str], words: str,
) -> None:  # fmt: skip
    inputs = [] if beside == ["no text"] else [text_file]
    beside = [*beside, str(trained)] if beside == ["--init-from"] else beside
    beside = [] if beside == ["no text"] else beside
    refused = charlm("train", *inputs, *typed, *beside)
    assert (refused.code, refused.out) == (2, "")
    told = typed[0] if typed[0] != "--set" else name
    assert refused.err.startswith(f"Error: {told} does nothing ")
    assert words in refused.err
    assert refused.err.endswith(": drop it\n")
    assert refused.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_config_file_may_say_more_than_counts(charlm, text_file: Path) -> None:
    Path("all.toml").write_text(
        "[training]\nweight_decay = 0.1\ntensorboard = true\npatience = 3\nmask_span = 3\n"
        "[data]\nval_frac = 0\n"
    )
    options = ["--config", "all.toml", "--optimizer", "sgd", "--epochs", "1", "--dry-run"]
    assert charlm("train", text_file, *options).code == 0


@pytest.mark.parametrize(
    "options",
    [["--weight-decay", "0", "--optimizer", "sgd"], ["--newlines", "lf", "--strip-lines"],
     ["--no-strip-lines", "--level", "word"], ["--set", "training.patience=0", "--val-frac", "0"],
     ["--no-tensorboard"]],
    ids=str,
)  # fmt: skip
def test_what_is_off_is_no_contradiction(charlm, text_file: Path, options: list[str]) -> None:
    more = ["--epochs", "1", "--hidden-size", "8", "--dry-run"]
    assert charlm("train", text_file, *options, *more).code == 0
