import json
from pathlib import Path

import pytest


def test_it_prints_the_text_filled_and_nothing_else(charlm, fill_run: Path) -> None:
    result = charlm("fill", "ab_def ab_d", "-m", fill_run)
    assert result.code == 0, result.err
    assert len(result.out) == len("ab_def ab_d\n")
    assert result.out[:2] == "ab"
    assert "_" not in result.out
    assert result.err == ""


def test_alternatives_come_with_their_probability(charlm, fill_run: Path) -> None:
    lines = charlm("fill", "ab_def", "-m", fill_run, "-n", "3").out.splitlines()
    shares = [float(line.split("\t")[0]) for line in lines]
    assert len(lines) == 3
    assert shares == sorted(shares, reverse=True)
    lines = charlm("fill", "ab?def", "-m", fill_run, "-n", "3", "--json", "--mask", "?").out
    values = [json.loads(line) for line in lines.splitlines()]
    assert [round(value["probability"], 4) for value in values] == shares
    assert all(value["text"] == f"ab{value['fills'][0]}def" for value in values)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["abc"], 3, "the text has no gap: mark what is to be filled with '_' (--mask)"),
        (["a_é"], 3, "the text has what RUN does not know: 'é' U+00E9 LATIN SMALL LETTER E WITH "
         "ACUTE; leave it out"),
        (["a_", "--mask", "__"], 2, "--mask '__': it must be one character"),
    ],
)  # fmt: skip
def test_mistakes(charlm, fill_run: Path, arguments: list[str], code: int, message: str) -> None:
    result = charlm("fill", *arguments, "-m", fill_run)
    assert (result.code, result.err) == (code, f"Error: {message}\n".replace("RUN", str(fill_run)))


def test_each_command_refuses_the_other_kind_of_model(
    charlm, fill_run: Path, trained: Path
) -> None:
    for command in (["generate", "--prefix", "ab"], ["evaluate"]):
        result = charlm(*command, "-m", fill_run)
        assert (result.code, result.err) == (
            4,
            f"Error: {fill_run} is a bidirectional model: it has read the characters after a gap, "
            "so it can neither continue a text nor give a perplexity; use charlm fill\n",
        )
    result = charlm("fill", "a_", "-m", trained)
    assert (result.code, result.err) == (
        4,
        f"Error: {trained} reads from left to right alone, and cannot fill a gap from both sides; "
        "train a model with --bidirectional, or use charlm generate\n",
    )


def test_its_figures_are_never_called_perplexity(charlm, fill_run: Path) -> None:
    card = charlm("info", fill_run)
    assert "train masked perplexity" in card.out
    assert "masked perplexity" in card.out
    assert "charlm fill" in card.out
    trained = json.loads(charlm("info", fill_run, "--json").out)["trained"]
    assert "train_perplexity" not in trained
    assert "perplexity" not in trained["valid"]
    assert trained["valid"]["masked_perplexity"] > 1
    assert "_" in (fill_run / "samples.txt").read_text()


def test_words(charlm, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the time traveller came back in time for tea\n" * 60)
    options = ["--level", "word", "--bidirectional", "--hidden-size", "24", "--seq-len", "9",
               "--batch-size", "4", "--max-steps", "200", "--lr", "0.03"]  # fmt: skip
    assert charlm("train", "a.txt", *options).code == 0
    text = charlm("fill", "the ____ traveller came back").out
    assert text == "the time traveller came back\n"
