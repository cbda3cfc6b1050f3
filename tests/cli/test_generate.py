import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from charlm.generation.layers import ROW_BY_ROW
from charlm.storage.tensors import read_tensors, write_tensors


def test_greedy_text_is_always_the_same(charlm, trained: Path) -> None:
    arguments = ["generate", "-m", trained, "--prefix", "abc", "--temperature", "0", "-l", "40"]
    texts = {charlm(*arguments).out for _ in range(2)} | {charlm(*arguments, "--no-stream").out}
    assert len(texts) == 1
    [text] = texts
    assert text.startswith("abc")
    assert len(text.rstrip("\n")) in (42, 43)


def test_the_same_seed_gives_the_same_three(charlm, trained: Path) -> None:
    arguments = ["generate", "-m", trained, "--seed", "7", "-n", "3", "-l", "30"]
    assert charlm(*arguments).out == charlm(*arguments).out
    samples = [json.loads(line) for line in charlm(*arguments, "--json").out.splitlines()]
    assert len({sample["text"] for sample in samples}) == 3
    assert charlm(*arguments).out != charlm(*arguments, "--seed", "8").out


def test_json(charlm, trained: Path) -> None:
    result = charlm("generate", "-m", trained, "--prefix", "ab\r\n", "-l", "12", "--json")
    sample = json.loads(result.out)
    assert list(sample) == ["prefix", "text", "nats", "stop_reason", "seed"]
    assert sample["prefix"] == "ab\n"
    assert len(sample["text"]) == 12
    assert sample["stop_reason"] == "length"
    assert sample["nats"] > 0
    again = charlm("generate", "-m", trained, "--prefix", "ab\n", "-l", "12", "--json",
                   "--seed", sample["seed"])  # fmt: skip
    assert json.loads(again.out) == sample


def test_stop(charlm, trained: Path) -> None:
    arguments = ["generate", "-m", trained, "--seed", "1", "-l", "300", "--json"]
    free = json.loads(charlm(*arguments).out)["text"]
    stopped = json.loads(charlm(*arguments, "--stop", "zz", "--stop", "c").out)
    assert stopped["text"] == free.partition("c")[0]
    assert stopped["stop_reason"] == "stop"


def test_what_a_stop_text_cuts_off_is_not_in_the_nats(charlm, trained: Path) -> None:
    arguments = ["generate", "-m", trained, "--seed", "1", "--json"]
    text = json.loads(charlm(*arguments, "-l", "9").out)["text"]
    stopped = json.loads(charlm(*arguments, "--stop", text[5:]).out)
    short = json.loads(charlm(*arguments, "-l", len(stopped["text"])).out)
    assert stopped["text"] == short["text"]
    assert stopped["nats"] == pytest.approx(short["nats"])


def test_a_prefix_from_a_file_with_its_last_line_break(
    charlm, trained: Path, tmp_path: Path
) -> None:
    for text in ("ab\ncd\n", "ab\ncd"):
        (tmp_path / "p.txt").write_text(text)
        result = charlm("generate", "-m", trained, "--prefix-file", "p.txt", "-l", "0", "--json")
        assert json.loads(result.out)["prefix"] == text
    (tmp_path / "p.txt").write_bytes("ab".encode("utf-16"))
    refused = charlm("generate", "-m", trained, "--prefix-file", "p.txt")
    assert (refused.code, "--encoding utf-16" in refused.err) == (3, True)
    options = ["--encoding", "utf-16", "-l", "0", "--json"]
    result = charlm("generate", "-m", trained, "--prefix-file", "p.txt", *options)
    assert json.loads(result.out)["prefix"] == "ab"
    refused = charlm("generate", "-m", trained, "--prefix", "ab", "--encoding", "utf-16")
    assert (refused.code, "it goes with --prefix-file" in refused.err) == (2, True)
    assert "a last line break is part of it" in " ".join(charlm("generate", "-h").out.split())


def test_escapes_in_the_prefix_and_the_stop_texts(charlm, trained: Path) -> None:
    arguments = ["generate", "-m", trained, "--seed", "1", "--json", "--escapes"]
    result = charlm(*arguments, "--prefix", r"ab\ncd\x20", "--stop", r"\n", "-l", "300")
    sample = json.loads(result.out)
    assert (sample["prefix"], sample["stop_reason"], result.err) == ("ab\ncd ", "stop", "")
    plain = charlm(*arguments[:-1], "--prefix", "ab\ncd ", "--stop", "\n", "-l", "300")
    assert (plain.out, plain.err) == (result.out, "")
    for option in ("--prefix", "--stop"):
        refused = charlm(*arguments, option, r"a\q")
        assert (refused.code, refused.err) == (
            2,
            f"Error: {option}: \\q is no escape of Python's; a backslash itself is \\\\\n",
        )


def test_an_escape_as_typed_gets_a_note(charlm, trained: Path) -> None:
    """The model's text has line breaks and no backslash."""
    arguments = ["generate", "-m", trained, "-l", "0"]
    said = (
        "note: {} has a backslash and n, as typed; for a line break write it as $'…\\n…', or add "
        "--escapes\n"
    )
    result = charlm(*arguments, "--prefix", r"ab\ncd", "--on-unknown", "replace")
    assert (result.code, result.err) == (0, said.format("--prefix"))
    assert charlm(*arguments, "--stop", r"ab\n").err == said.format("--stop")
    assert charlm(*arguments, "--prefix", r"ab\ncd").err.startswith(said.format("--prefix"))
    # A tab is not in the model's text, and \\ stands for what was typed.
    for typed in (r"ab\t", r"ab\\"):
        assert "note" not in charlm(*arguments, "--prefix", typed, "--on-unknown", "replace").err


def test_where_backslashes_are_common_none_is_noted(charlm, tmp_path: Path, tiny_options) -> None:
    (tmp_path / "code.txt").write_text('printf("done\\n");\n' * 100)
    charlm("train", "code.txt", *tiny_options, "-o", "code")
    result = charlm("generate", "-m", "code", "--prefix", r'"do\n', "-l", "0")
    assert (result.out, result.err) == ('"do\\n\n', "")


def test_a_run_has_defaults_of_its_own_and_the_help_says_so(
    charlm, trained: Path, tmp_path: Path
) -> None:
    run = altered(trained, tmp_path / "run", length=7, stop=["zz"], num_samples=2)
    samples = charlm("generate", "-m", run, "--json").out.splitlines()
    assert [len(json.loads(sample)["text"]) for sample in samples] == [7, 7]
    assert len(charlm("generate", "-m", run, "-n", 1, "-l", 9, "--json").out.splitlines()) == 1
    told = " ".join(charlm("generate", "-h").out.split())
    assert "its settings are then the defaults, in place of those shown here" in told
    assert f"among up to {ROW_BY_ROW}" in told


@pytest.mark.parametrize(
    ("own", "typed"),
    [
        ({"beam": 2}, ("-t", 2, "--seed", 1)),
        ({"beam": 2}, ("--temperatures", "2", "--seed", 1)),
        ({"match": "abc"}, ("--stop", "zz", "--seed", 1)),
    ],
)
def test_what_is_typed_takes_the_place_of_what_a_run_has_in_its_way(
    charlm, trained: Path, tmp_path: Path, own: dict, typed: tuple
) -> None:
    run = altered(trained, tmp_path / "run", **own)
    command = ("generate", "--json", "-l", 20, *typed)
    assert charlm(*command, "-m", run).out == charlm(*command, "-m", trained).out


def test_a_run_that_asks_for_a_billion_texts_is_refused(
    charlm, trained: Path, tmp_path: Path
) -> None:
    run = altered(trained, tmp_path / "run", num_samples=10**9)
    result = charlm("generate", "-m", run)
    assert (result.code, result.out, result.err) == (
        4,
        "",
        f"Error: {run}/config.json: generation.num_samples is 1000000000; it must be at most "
        "10000\n",
    )


def altered(run: Path, copy: Path, **generation: object) -> Path:
    """A copy of a run with other [generation] settings."""
    shutil.copytree(run, copy)
    record = json.loads((copy / "config.json").read_text())
    record["config"]["generation"] |= generation
    (copy / "config.json").write_text(json.dumps(record))
    return copy


def test_a_state_that_grows_beyond_all_bounds_is_one_line(
    charlm, text_file: Path, tmp_path: Path, tiny_options: list[str]
) -> None:
    charlm("train", text_file, *tiny_options, "--rnn-type", "rnn", "--nonlinearity", "relu",
           "-o", "relu")  # fmt: skip
    path = tmp_path / "relu" / "model.safetensors"
    weights, facts = read_tensors(path)
    weights["rnn.weight_hh_l0"] = np.full_like(weights["rnn.weight_hh_l0"], 2.0)
    write_tensors(path, weights, facts)
    result = charlm("generate", "-m", "relu", "--prefix", "ab", "--json")
    sample = json.loads(result.out)
    assert (result.code, sample["stop_reason"]) == (4, "overflow")
    assert len(sample["text"]) < 30
    assert result.err == (
        "Error: relu: the state of this model grows beyond all bounds as it reads on (here, "
        f"{len(sample['text'])} characters after the prefix): it has not learned to write longer "
        "texts\n"
    )


def test_without_a_prefix(charlm, trained: Path) -> None:
    text = json.loads(charlm("generate", "-m", trained, "-l", "5", "--json").out)
    assert (text["prefix"], len(text["text"])) == ("", 5)


@pytest.mark.parametrize("device", [[], ["--device", "cpu"]])
def test_the_newest_run_is_used(
    charlm, text_file: Path, tiny_options: list[str], device: list[str]
) -> None:
    charlm("train", text_file, *tiny_options)
    charlm("train", text_file, *tiny_options, "--seed", "1")
    arguments = ["generate", "-t", "0", "-l", "30", *device]
    assert charlm(*arguments).out == charlm(*arguments, "-m", "runs/nonsense-2").out


def test_row_25_unknown_characters_are_listed(charlm, trained: Path) -> None:
    arguments = ["generate", "-m", trained, "-l", "0", "--prefix", "a龙bé龙"]
    result = charlm(*arguments)
    assert (result.code, result.out, result.err) == (
        3,
        "",
        f"Error: the prefix has what {trained} does not know: '龙' U+9F99 CJK UNIFIED "
        "IDEOGRAPH-9F99, 'é' U+00E9 LATIN SMALL LETTER E WITH ACUTE; leave it out, or add "
        "--on-unknown skip or replace\n",
    )
    assert charlm(*arguments, "--on-unknown", "skip").out == "ab\n"
    assert charlm(*arguments, "--on-unknown", "replace").out == "a龙bé龙\n"


def test_rules_narrow_the_choice(charlm, trained: Path) -> None:
    greedy = charlm("generate", "-m", trained, "-t", "0", "-l", "30").out
    for rule in (["--top-k", "1"], ["--top-p", "1e-9"], ["--min-p", "1"], ["-t", "1e-300"]):
        assert charlm("generate", "-m", trained, "-l", "30", *rule).out == greedy


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--temperature", "nan"], "--temperature is nan; it must be a finite number"),
        (["--temperature", "-1"], "--temperature is -1.0; it must be at least 0"),
        (["--top-p", "0"], "--top-p is 0.0; it must be above 0"),
        (["--top-p", "1.5"], "--top-p is 1.5; it must be at most 1"),
        (["--top-k", "-1"], "--top-k is -1; it must be at least 0"),
        (["-n", "0"], "--num-samples is 0; it must be at least 1"),
        (["-n", "1000000"], "--num-samples is 1000000; it must be at most 10000"),
        (["-l", "-5"], "--length is -5; it must be at least 0"),
        (["--stop", ""], "--stop needs a text that is not empty"),
        (["--prefix", "a", "--prefix-file", "b"],
         "--prefix and --prefix-file both give the prefix: use one"),
        (["--prefix-file", "none"], "none: there is no such file or folder"),
        (["--on-unknown", "cry"], "Invalid value for '--on-unknown': 'cry' is not one of 'error', "
         "'skip', 'replace' (see charlm generate --help)"),
    ],
)  # fmt: skip
def test_row_34_mistakes(charlm, trained: Path, arguments: list[str], message: str) -> None:
    result = charlm("generate", "-m", trained, *arguments)
    assert (result.code, result.out, result.err) == (2, "", f"Error: {message}\n")


def test_novelty_tells_copies(charlm, trained: Path) -> None:
    options = ["generate", "-m", trained, "-l", 200, "-t", 0, "--novelty"]
    figures = json.loads(charlm(*options, "--json").out)
    assert 0 <= figures["copied_lines"] <= figures["lines"]
    assert set(figures["held_out"]) == {"longest_copy", "copied_share", "lines", "copied_lines"}
    assert 0 < figures["longest_copy"] <= 200
    assert 0 <= figures["copied_share"] <= 1
    told = charlm(*options)
    assert f"copied from the training text: {figures['longest_copy']} characters" in told.err
    assert charlm(*options, "-n", 2).err.count("copied from") == 2
