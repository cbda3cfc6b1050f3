import json
import re
import shlex
from pathlib import Path

import pytest

from charlm.errors import typed
from charlm.model.device import usable_cores
from charlm.run import open_run

FILL = typed(Path(__file__).parents[2] / "configs" / "fill.toml")


def test_json_and_the_run_agree(charlm, text_file: Path, tiny_options: list[str]) -> None:
    result = charlm("train", text_file, *tiny_options, "--json")
    figures = json.loads(result.out.splitlines()[-1])
    assert list(figures) == [
        "run", "steps", "epochs", "seconds", "training_seconds", "characters_per_second",
        "train_perplexity", "estimated", "valid", "ended_early",
    ]  # fmt: skip
    assert figures["run"] == "runs/nonsense"
    assert figures["steps"] == 20
    scored = json.loads(charlm("evaluate", "--json").out)
    assert scored["nats_per_char"] == pytest.approx(figures["valid"]["nats_per_char"], abs=1e-6)
    assert figures["valid"]["split"] == "valid"


def test_two_clocks_each_by_its_name(charlm, text_file: Path, tiny_options: list[str]) -> None:
    begun = charlm("train", text_file, *tiny_options, "-o", "run", "--json")
    first = json.loads(begun.out)
    assert 0 < first["training_seconds"] <= first["seconds"]
    more = charlm("train", "--resume", "run", "--max-steps", "40", "--json")
    # Of the training, the seconds of both commands; and of the command, its own.
    second = json.loads(more.out)
    assert second["training_seconds"] >= first["training_seconds"]
    assert second["training_seconds"] <= first["seconds"] + second["seconds"]
    told = charlm("train", "--resume", "run").out
    assert re.search(r" \d+\.\d s of training \(this command: \d+\.\d s\)\n", told)


def test_the_name_of_a_run_is_free(charlm, text_file: Path, tiny_options: list[str]) -> None:
    for name in ("runs/nonsense", "runs/nonsense-2"):
        result = charlm("train", text_file, *tiny_options, "--json")
        assert json.loads(result.out)["run"] == name


def test_a_prepared_corpus_trains_the_same_model(
    charlm, text_file: Path, tiny_options: list[str]
) -> None:
    charlm("preprocess", text_file, "-o", "corpus", "--lowercase")
    charlm("train", "corpus", *tiny_options, "-o", "one")
    charlm("train", text_file, "--lowercase", *tiny_options, "-o", "two")
    one, two = open_run(Path("one")), open_run(Path("two"))
    assert all((one.weights[name] == two.weights[name]).all() for name in one.weights)
    assert not Path("one/corpus").exists()
    assert one.config.text.lowercase
    result = charlm("train", "corpus", "--keep", "a-z")
    assert result.err == "Error: corpus is already prepared: --keep goes with preprocess\n"


def test_config_file_set_and_options_in_that_order(charlm, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        'data.text = "abcabcabcabcabcabcabcabc"\ndata.val_frac = 0\n'
        "[model]\nhidden_size = 7\nembedding_size = 5\n"
        "[training]\nmax_steps = 3\nseq_len = 4\nlr = 0.1\n"
    )
    result = charlm("train", "--config", "a.toml", "--set", "model.hidden_size=8",
                    "--set", "training.lr=0.2", "--learning-rate", "0.3", "--rnn-type", "gru",
                    "--json")  # fmt: skip
    assert result.code == 0, result.err
    assert json.loads(result.out)["valid"] is None
    config = open_run(Path("runs/text")).config
    assert (config.model.hidden_size, config.model.embedding_size) == (8, 5)
    assert (config.training.lr, config.model.rnn_type) == (0.3, "gru")


def test_a_limit_that_is_typed_is_in_place_of_the_file_s(charlm, text_file: Path) -> None:
    Path("a.toml").write_text("[training]\nepochs = 50\nlr = 0.3\n[model]\nhidden_size = 8\n")
    assert charlm("train", text_file, "--config", "a.toml", "--max-steps", "3").code == 0
    training = open_run(Path("runs/nonsense")).config.training
    assert (training.epochs, training.max_steps, training.lr) == (None, 3, 0.3)


def test_of_a_tied_model_both_sizes_are_chosen(charlm, text_file: Path) -> None:
    def sizes(*options: str) -> tuple[int, int]:
        told = charlm("train", text_file, "--tied", *options, "--epochs", 1, "--dry-run", "--json")
        model = json.loads(told.out)["model"]
        return model["hidden_size"], model["embedding_size"]

    assert len(set(sizes())) == 1
    assert sizes("--hidden-size", "12") == sizes("--embedding-size", "12") == (12, 12)
    assert sizes("--hidden-size", "12", "--proj-size", "5") == (12, 5)
    assert sizes("--proj-size", "5", "--embedding-size", "5")[1] == 5


def test_a_config_that_names_its_text(charlm, tmp_path: Path, text_file: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "book.txt").write_bytes(text_file.read_bytes())
    (tmp_path / "deep" / "a.toml").write_text('data.input = "book.txt"\ntraining.max_steps = 2')
    result = charlm("train", "--config", "deep/a.toml", "--hidden-size", "4", "--json")
    assert json.loads(result.out)["run"] == "runs/book"


def test_init_from_takes_over_weights_and_vocabulary(charlm, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("fedcba" * 100)
    result = charlm("train", "new.txt", "--init-from", trained, "--max-steps", "2", "--seq-len", 8)
    assert result.code == 0, result.err
    run, start = open_run(Path("runs/new")), open_run(trained)
    assert run.vocab.tokens == start.vocab.tokens
    assert run.config.model == start.config.model


def test_a_dry_run_shows_the_plan_and_makes_nothing(charlm, text_file: Path) -> None:
    options = ["--dry-run", "--epochs", "3", "--precision", "float32"]
    result = charlm("train", text_file, *options)
    assert result.out.splitlines() == [
        "text: nonsense, vocabulary of 9; train 3,600, valid 400",
        "model: LSTM 1×64, embedding 64, 34,441 parameters",
        "training: 32×32 (sequential), soap 0.01, dropout 0.3, 3 epochs, 1 thread",
    ]
    figures = json.loads(charlm("train", text_file, *options, "--json").out)
    assert (figures["text"], figures["model"]["hidden_size"]) == ("nonsense", 64)
    assert list(Path().iterdir()) == []


def test_the_sample_is_there_without_any_text(charlm) -> None:
    assert "text: sample, " in charlm("train", "--dry-run").out


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_every_cell_trains_and_generates(
    charlm, text_file: Path, tiny_options: list[str], cell: str
) -> None:
    options = ["--rnn-type", cell, "--num-layers", "2", "--dropout", "0.1", "--embedding-size", 16,
               "--tied"]  # fmt: skip
    assert charlm("train", text_file, *tiny_options, *options).code == 0
    sample = json.loads(charlm("generate", "--prefix", "ab", "-l", "20", "--json").out)
    assert len(sample["text"]) == 20


def test_force_replaces_a_run_and_nothing_else(
    charlm, text_file: Path, tiny_options: list[str]
) -> None:
    arguments = ["train", text_file, *tiny_options, "-o", "run"]
    assert charlm(*arguments).code == 0
    before = Path("run/model.safetensors").read_bytes()
    result = charlm(*arguments)
    assert (result.code, result.err) == (
        2, "Error: the output run already exists; give another name (-o), go on with it (charlm "
        "train --resume run), or replace it (--force; in Python, replace=True)\n",
    )  # fmt: skip
    assert charlm(*arguments, "--force", "--seed", "5").code == 0
    assert Path("run/model.safetensors").read_bytes() != before
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear")
    result = charlm("train", text_file, "-o", "mine", "--force")
    assert (
        result.err == "Error: the output mine already holds other files; give another name (-o)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--bidirectional", "--tied", "--embedding-size", "256"], 2,
         "--bidirectional and --tied do not go together: drop one of them"),
        (["--bidirectional", "--sample-prefix", "a"], 2,
         "--sample-prefix is for models that write: one that is bidirectional fills gaps"),
        (["--precision", "bfloat16", "--implementation", "scratch"], 2,
         "--precision bfloat16 needs --implementation torch, not scratch"),
        (["--bidirectional", "--implementation", "scratch"], 2,
         "--bidirectional needs --implementation torch, not scratch"),
        (["--set", "model.colour=3"], 2, "unknown setting 'model.colour'; model has rnn_type, "
         "embedding_size, hidden_size, num_layers, bias, nonlinearity, proj_size, bidirectional, "
         "dropout, tied, forget_bias, init, implementation"),
        (["--set", "lr=1"], 2, "--set 'lr=1': write it as SECTION.KEY=VALUE"),
        (["--rnn-type", "cnn"], 2, "Invalid value for '--rnn-type': 'cnn' is not one of 'rnn', "
         "'gru', 'lstm' (see charlm train --help)"),
        (["--hidden-size", "0"], 2, "--hidden-size is 0; it must be at least 1"),
        (["--lr", "nan"], 2, "--lr is nan; it must be a finite number"),
        (["--epochs", "inf"], 2, "--epochs is inf; it must be a finite number"),
        (["--val", "v.txt", "--val-split", "blocks"], 2,
         "--val is v.txt, a text of its own: --val-split blocks has nothing to split"),
        (["--threads", "1024"], 2,
         f"--threads is 1024; processors to use here: {usable_cores()}"),
        (["--set", "training.parts=1024"], 2,
         f"training.parts is 1024; processors to use here: {usable_cores()}"),
        (["--seed", str(2**64)], 2, "--seed is 18446744073709551616; it must be at most "
         "18446744073709551615"),
        (["--time", "1m", "--epochs", "2"], 2,
         "--time and --epochs both limit the run"),
        (["--proj-size", "8", "--rnn-type", "gru"], 2,
         "--proj-size goes with an lstm; --rnn-type is gru"),
        (["--proj-size", "256"], 2,
         "--proj-size (256) must be below model.hidden_size (256)"),
        (["--nonlinearity", "relu"], 2,
         "--nonlinearity goes with an rnn; model.rnn_type is lstm"),
        (["--tied", "--hidden-size", "8", "--embedding-size", "9"], 2,
         "--tied needs --embedding-size (9) equal to --hidden-size (8)"),
        (["--tied", "--embedding-size", "0"], 2,
         "--tied needs --embedding-size (0) equal to model.hidden_size (256)"),
        (["--config", "no.toml"], 2, "cannot read the config no.toml: No such file or directory"),
        (["--config", "configs/fill.toml"], 2,
         f"cannot read the config configs/fill.toml: No such file or directory; there is {FILL}"),
        (["--set", "training.learning_rate=3"], 2,
         "unknown setting 'training.learning_rate'; is 'lr' meant?"),
        (["--set", "model.hiden_size=3"], 2,
         "unknown setting 'model.hiden_size'; is 'hidden_size' meant?"),
        (["--vocab", "v.json", "--min-freq", "2"], 2,
          "--vocab is a vocabulary already made: --min-freq has no part in it"),
        (["--device", "cuda:7"], 2, "--device cuda:7: this machine has cpu"),
        (["--seq-len", "9000"], 3, "the train part has 3600 tokens, need at least 9001 for a "
         "window of 9000: give more text or a smaller --seq-len"),
        (["--init-from", "nowhere"], 4,
         "nowhere is not a charlm run (there is no such folder)"),
        (["-o", "file"], 2, "the output file is a file; give the name of a folder"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_leaves_nothing(
    charlm, tmp_path: Path, text_file: Path, arguments: list[str], code: int, message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("charlm.model.device.devices", lambda: ["cpu"])
    (tmp_path / "file").write_text("x")
    result = charlm("train", text_file, *arguments)
    lines = [line for line in result.err.splitlines() if line.startswith("Error")]
    assert (result.code, lines) == (code, [f"Error: {message}"])
    assert result.out == ""
    left = {path.name for path in tmp_path.rglob("*")}
    assert left == {"file"}


@pytest.mark.parametrize("data", [b"", b"0123456789"])
def test_row_20_a_text_too_short_leaves_nothing(charlm, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    result = charlm("train", "./a.txt")
    assert result.code == 3
    short = f"has {len(data)} tokens, need at least 11 " if data else "is empty\n"
    assert result.err.startswith(f"Error: ./a.txt: the text {short}")
    assert {path.name for path in tmp_path.rglob("*")} == {"a.txt"}


def test_the_width_of_a_tied_matrix_is_said_once(charlm, text_file: Path) -> None:
    options = ["--tied", "--embedding-size", "24", "--max-steps", "2", "--json"]
    run = json.loads(charlm("train", text_file, *options).out)["run"]
    assert open_run(Path(run)).config.model.hidden_size == 24


def test_of_a_model_that_fills_gaps_no_perplexity_is_expected(charlm, text_file: Path) -> None:
    options = ["--bidirectional", "--hidden-size", "8", "--time", "1s"]
    assert "expected" not in charlm("train", text_file, *options).err


def test_a_name_of_two_lines_is_told_in_one(charlm, tiny_options: list[str], nonsense) -> None:
    Path("a\nb.txt").write_text(nonsense(300))
    plan = charlm("train", "a\nb.txt", *tiny_options, "--dry-run").out
    assert plan.startswith("text: a↵b, vocabulary of ")
    told = charlm("train", "a\nb.txt", *tiny_options, "--max-steps", "1").out
    assert "\nrun: runs/a↵b\n" in told
    assert "\n  charlm evaluate -m $'runs/a\\nb'\n" in told


def test_a_training_ends_with_a_summary(charlm, text_file: Path, tiny_options: list[str]) -> None:
    told = charlm("train", text_file, *tiny_options, "-o", "run").out.splitlines()
    assert told[0].startswith("validation: perplexity ")
    assert re.fullmatch(
        r"  others, about: unigram \d\.\d\d, 5 characters of context \d\.\d\d", told[1]
    )
    assert told[2].startswith("training: perplexity ")
    assert told[3:] == [
        "The training part was not yet read once: a longer training would learn more.",
        "run: run",
        "try next:",
        '  charlm generate -m run --prefix "…"',
        "  charlm evaluate -m run",
        "  charlm neurons run",
    ]
    again = charlm("train", "--resume", "run").out.splitlines()
    assert (again[0], again[1], again[3:]) == (told[0], told[1], told[3:])


@pytest.mark.parametrize("options", [[], ["--bidirectional"], ["--level", "word"]])
def test_the_commands_that_are_told_can_be_typed(
    charlm, text_file, tiny_options, tmp_path, options: list[str]
) -> None:
    (tmp_path / "三国 'x'.txt").write_text("the time traveller came back in time for tea\n" * 60)
    told = charlm("train", "三国 'x'.txt", *tiny_options, *options).out
    commands = [shlex.split(line) for line in told.partition("try next:\n")[2].splitlines()]
    assert len(commands) == 3
    for name, *arguments in commands:
        assert name == "charlm"
        arguments = [{"…": "time", "a text with g_ps": "t_me"}.get(a, a) for a in arguments]
        assert charlm(*arguments).code == 0, arguments


def test_samples_continue_a_prefix_as_the_model_reads_it(
    charlm, text_file: Path, tiny_options: list[str]
) -> None:
    options = [*tiny_options, "--sample-every", "10", "--lowercase"]
    assert charlm("train", text_file, *options, "--sample-prefix", "ABC", "-o", "run").code == 0
    samples = Path("run/samples.txt").read_text()
    assert re.findall(r"=== step (\d+)\nabc", samples) == ["10", "20"]
    refused = charlm("train", text_file, *options, "--sample-prefix", "axy", "-o", "other")
    assert (refused.code, refused.err.splitlines()[-1]) == (
        3, "Error: --sample-prefix has what the text has not: 'x' U+0078 LATIN SMALL LETTER X, "
        "'y' U+0079 LATIN SMALL LETTER Y; leave it out",
    )  # fmt: skip
    assert not Path("other").exists()
    resumed = ["--resume", "run", "--max-steps", "40", "--sample-prefix", "de"]
    assert charlm("train", *resumed).code == 0
    assert "=== step 30\nde" in Path("run/samples.txt").read_text()


def test_the_run_of_a_hidden_text_is_found_again(
    charlm, text_file: Path, tiny_options: list[str], tmp_path: Path
) -> None:
    (tmp_path / ".diary").write_bytes(text_file.read_bytes())
    assert charlm("train", ".diary", *tiny_options).code == 0
    assert charlm("generate", "-l", "3").code == 0
    assert [path.name for path in (tmp_path / "runs").glob("[!.]*")] == ["diary"]


def test_a_corpus_is_trained_on_alone(charlm, text_file: Path) -> None:
    charlm("preprocess", text_file, "-o", "corpus")
    result = charlm("train", "corpus", text_file)
    assert result.err == ("Error: corpus is a prepared corpus: train on it alone, or on texts\n")


def test_words_from_text_to_text(charlm, tmp_path: Path, tiny_options: list[str]) -> None:
    (tmp_path / "a.txt").write_text("the time traveller came back in time for tea\n" * 60)
    result = charlm("train", "a.txt", "--level", "word", "--strip-lines", *tiny_options, "--json")
    valid = json.loads(result.out)["valid"]
    assert valid["perplexity_per_word"] > 1
    assert "perplexity" not in valid
    text = charlm("evaluate").out
    assert text.startswith(f"valid part: perplexity {valid['perplexity_per_word']:.3f} per word (")
    sample = json.loads(charlm("generate", "--prefix", "the time", "-l", "5", "--json").out)
    assert sample["text"].startswith(" ")
    assert len(sample["text"].split()) == 5
    shown = charlm("generate", "--prefix", "the  time", "-l", "0").out
    assert shown == "the time\n"


def test_verse_stays_verse(charlm, tmp_path: Path, tiny_options: list[str]) -> None:
    verse = "to be, or not\nto (be)\n\n"
    (tmp_path / "a.txt").write_text(verse * 60)
    options = ["--level", "word", "--split-punctuation", *tiny_options, "--embedding-size", 16]
    assert charlm("train", "a.txt", *options, "--max-steps", 150, "--lr", 0.03).code == 0
    run = open_run(Path("runs/a"))
    assert set(run.vocab.tokens) == {"<unk>", *["to", "be", ",", "or", "not", "(", ")"], "\n"}
    assert run.vocab.decode(run.open_corpus().split("train")).startswith(verse * 2)
    sample = charlm(
        "generate", "--prefix", "to be ,  or", "-l", 16, "-t", 0, "--on-unknown", "skip"
    )
    assert sample.out == "to be or not\nto (be)\n\nto be, or not\nto (\n"
    assert charlm("generate", "--prefix", "to be, or not\n", "-l", 3, "-t", 0).out == (
        "to be, or not\nto (be\n"
    )
    refused = charlm("train", "a.txt", "--split-punctuation")
    assert refused.err == ("Error: --split-punctuation goes with words: add --level word\n")


def test_a_run_of_words_of_an_older_charlm_reads_as_it_did(
    charlm, tmp_path: Path, tiny_options: list[str]
) -> None:
    (tmp_path / "a.txt").write_text("to be, or\nnot to be\n" * 60)
    assert charlm("train", "a.txt", "--level", "word", "--strip-lines", *tiny_options).code == 0
    run = Path("runs/a")
    # What it wrote: no line break has an id, and of how words are cut nothing is said.
    config = json.loads((run / "config.json").read_text())
    config["config"]["text"]["strip_lines"] = False
    del config["config"]["text"]["split_punctuation"], config["config"]["data"]["extend_vocab"]
    (run / "config.json").write_text(json.dumps({**config, "format": 2}))
    for path in (run / "vocab.json", run / "corpus" / "vocab.json"):
        vocab = json.loads(path.read_text())
        assert vocab["level"] == "word"
        path.write_text(json.dumps({**vocab, "format": 1}))
    assert charlm("generate", "--prefix", "to\nbe,", "-l", 0).out == "to be,\n"
    lines = "to be,\nnot to\n\n"
    (tmp_path / "b.txt").write_text(lines)
    scored = charlm("score", "b.txt", "--json").out.splitlines()
    assert [json.loads(line)["words"] for line in scored] == [2, 2, 0]
    assert json.loads(charlm("evaluate", "b.txt", "--json").out)["words"] == 3
    assert charlm("train", "b.txt", "--init-from", run, "--max-steps", 2, "-o", "c").code == 3
    (tmp_path / "b.txt").write_text(lines * 60)
    small = ["--max-steps", 2, "--seq-len", 8]
    assert charlm("train", "b.txt", "--init-from", run, *small, "-o", "c").code == 0
    assert open_run(Path("c")).vocab.tokens == open_run(run).vocab.tokens


def test_the_model_is_explained_before_it_is_trained(
    charlm, text_file: Path, tiny_options: list[str]
) -> None:
    options = [text_file, *tiny_options, "--optimizer", "adamw", "--explain"]
    shown = charlm("train", *options, "--dry-run")
    assert "  rnn.weight_hh_l0  4H × H  64 × 16  1,024\n" in shown.out
    # Of each of the 1,889 weights two means and one count of steps for each of its 7 tensors.
    assert "  1,889 in all: what is counted as the model's parameters\n" in shown.out
    assert f"  adamw      {4 * (2 * 1889 + 7):,}  what it keeps from step to step\n" in shown.out
    told = charlm("train", *options, "--max-steps", 1, "--json")
    assert "What happens\n" in told.err
    assert json.loads(told.out)["steps"] == 1
    assert "What happens\n" in charlm("train", *options, "--dry-run", "--json").err


def test_force_without_a_run_to_replace_is_refused(charlm, text_file: Path) -> None:
    result = charlm("train", text_file, "--force")
    assert result.code == 2
    assert "--force replaces the run that -o names" in result.err
    assert not Path("runs").exists()


def test_a_folder_with_a_line_break_in_its_name_is_told_in_one_line(
    charlm, text_file: Path, tiny_options: list[str]
) -> None:
    run = "a\nb"
    begun = charlm("train", text_file, *tiny_options, "--device", "cpu", "-o", run)
    assert begun.code == 0
    assert "\ndevice: cpu; run: a↵b\n" in begun.err
    resumed = charlm("train", "--resume", run, "--max-steps", 21)
    assert "going on from a↵b/checkpoints/" in resumed.err
    assert ": 1 step is left\n" in resumed.err
