import json
from pathlib import Path

import pytest


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
    assert charlm(*arguments).out.count("\n--------\n") == 2
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


def test_a_prefix_from_a_file(charlm, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("ab\ncd\n")
    result = charlm("generate", "-m", trained, "--prefix-file", "p.txt", "-l", "0")
    assert result.out == "ab\ncd\n"


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
        (["--temperature", "nan"], "generation.temperature is nan; it must be at least 0"),
        (["--temperature", "-1"], "generation.temperature is -1.0; it must be at least 0"),
        (["--top-p", "0"], "generation.top_p is 0.0; it must be above 0"),
        (["--top-p", "1.5"], "generation.top_p is 1.5; it must be at most 1"),
        (["--top-k", "-1"], "generation.top_k is -1; it must be at least 0"),
        (["-n", "0"], "generation.num_samples is 0; it must be at least 1"),
        (["-l", "-5"], "generation.length is -5; it must be at least 0"),
        (["--stop", ""], "--stop needs a text that is not empty"),
        (["--prefix", "a", "--prefix-file", "b"],
         "--prefix and --prefix-file both give the prefix: use one"),
        (["--prefix-file", "none"], "none: there is no such file or folder"),
        (["--on-unknown", "cry"], "Invalid value for '--on-unknown': 'cry' is not one of 'error', "
         "'skip', 'replace' (see charlm generate --help)"),
        (["--zzz"], "No such option '--zzz' (see charlm generate --help)"),
    ],
)  # fmt: skip
def test_row_34_mistakes(charlm, trained: Path, arguments: list[str], message: str) -> None:
    result = charlm("generate", "-m", trained, *arguments)
    assert (result.code, result.out, result.err) == (2, "", f"Error: {message}\n")


def test_novelty_tells_copies(charlm, trained: Path) -> None:
    options = ["generate", "-m", trained, "-l", 200, "-t", 0, "--novelty"]
    figures = json.loads(charlm(*options, "--json").out)
    assert 0 < figures["longest_copy"] <= 200
    assert 0 <= figures["copied_share"] <= 1
    told = charlm(*options)
    assert f"copied from the training text: {figures['longest_copy']} characters" in told.err
    assert charlm(*options, "-n", 2).err.count("copied from") == 2
