"""Every setting, its default and what it means, on one page.

A `Config` is frozen and complete: what a run's `config.json` holds is all that shaped it. The help
of the command line is the text written here; settings.py gives settings their values.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

# Of any size: what is larger is a mistake, or somebody's trap.
LARGEST = 1_000_000
# What torch takes for a seed.
LARGEST_SEED = 2**64 - 1
# Below which a training makes its run, where none is named.
RUNS = Path("runs")
# Characters (words, at word level) of a line of a list, where nothing else is said.
SHORTEST_LINE, LONGEST_LINE = 1, 500
# What ends a training; one of them at most.
LIMITS = ("time", "epochs", "max_steps")


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
    chosen: bool = False,
) -> Any:
    """A field with its default, its help and its limits (checked by `check`).

    chosen: `charlm train` chooses it where it is not given; the default is for the library.
    """
    limits = {"at_least": at_least, "above": above, "below": below, "at_most": at_most}
    meta = {
        "help": help, "choices": choices, "limits": limits, "duration": duration, "chosen": chosen,
    }  # fmt: skip
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
    split_punctuation: bool = setting(
        False, "at word level: punctuation marks are words too (and joined again in what is shown)"
    )


@dataclass(frozen=True)
class DataConfig:
    """Which text, how its vocabulary is made, and where it is split."""

    input: tuple[str, ...] = setting((), "texts, folders or one corpus, relative to the config")
    text: str | None = setting(None, "the corpus itself")
    min_freq: int = setting(1, "tokens rarer than this become <unk>", at_least=1)
    reserve: tuple[str, ...] = setting((), "a token to give an id although no text has it")
    max_tokens: int | None = setting(
        None, "use the first N tokens (of the texts that are trained on)", at_least=1
    )
    val_frac: float = setting(0.1, "share of the tokens kept for validation", at_least=0, below=1)
    test_frac: float = setting(0.0, "share of the tokens kept for testing", at_least=0, below=1)
    val_split: str = setting(
        "tail", "what is held out; tail: the end of the text, blocks: blocks spread over it",
        choices=("tail", "blocks"),
    )  # fmt: skip
    val: str | None = setting(None, "validate on this text or folder, all of it")
    test: str | None = setting(None, "test on this text or folder, all of it")
    vocab: str | None = setting(None, "use this vocabulary (a vocab.json, a corpus or a run)")
    extend_vocab: bool = setting(
        False, "what the text has beyond --vocab gets ids of its own, behind those"
    )


@dataclass(frozen=True)
class ModelConfig:
    """The network: embedding (or one-hot) -> recurrent layers -> linear head."""

    rnn_type: str = setting("lstm", "recurrent cell", choices=("rnn", "gru", "lstm"))
    embedding_size: int = setting(
        64, "width of the embedding; 0: one-hot input", at_least=0, at_most=LARGEST, chosen=True
    )
    hidden_size: int = setting(
        256, "units in each recurrent layer", at_least=1, at_most=LARGEST, chosen=True
    )
    num_layers: int = setting(1, "recurrent layers", at_least=1, at_most=100)
    bias: bool = setting(True, "biases in the recurrent layers")
    nonlinearity: str = setting("tanh", "of an rnn cell", choices=("tanh", "relu"))
    proj_size: int = setting(
        0, "an LSTM's outputs, projected to so many; 0: as they are", at_least=0
    )
    bidirectional: bool = setting(
        False, "read both ways: a model that fills gaps (charlm fill) and writes no text"
    )
    dropout: float = setting(
        0.0,
        "share of each recurrent layer's units zeroed in training; of the last layer the same ones "
        "at all time steps",
        at_least=0, below=1, chosen=True,
    )  # fmt: skip
    tied: bool = setting(
        False, "one matrix for the embedding and the head (sizes must agree)", chosen=True
    )
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
    """How the network is trained: by a limit, or as long as the text is worth (`limits.py`)."""

    time: float | None = setting(
        None, "from start to last figure: 90s, 2m, 1h (else as long as the text is worth: to 10m)",
        above=0, duration=True,
    )  # fmt: skip
    epochs: float | None = setting(None, "passes over the training part", above=0)
    max_steps: int | None = setting(None, "optimiser steps", at_least=1)
    default_time: float = setting(
        600.0, "the most time where no limit is given", above=0, duration=True
    )
    seq_len: int = setting(32, "time steps in a window", at_least=1, at_most=LARGEST)
    batch_size: int = setting(32, "streams trained side by side", at_least=1, at_most=LARGEST)
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
    mask_single: float = setting(
        0.7, "bidirectional: share of the masked runs that are one token", at_least=0, at_most=1
    )
    reset: float = setting(
        0.01, "chance per window that a stream's carried state is zeroed", at_least=0, at_most=1
    )
    optimizer: str = setting(
        "adamw", "optimiser; soap: adamw in the basis of each matrix's gradients",
        choices=("adamw", "soap", "sgd"), chosen=True,
    )  # fmt: skip
    lr: float = setting(0.01, "peak learning rate", above=0, chosen=True)
    beta1: float = setting(
        0.0, "AdamW's and SOAP's decay of the mean gradient", at_least=0, below=1
    )
    beta2: float = setting(0.99, "AdamW's and SOAP's decay of the mean square", at_least=0, below=1)
    weight_decay: float = setting(
        0.02, "AdamW's and SOAP's decay of the weight matrices", at_least=0
    )
    freeze: str = setting(
        "none", "what keeps the weights that it begins with; recurrent: the layers, so that only "
        "what stands for the symbols learns",
        choices=("none", "recurrent"),
    )  # fmt: skip
    schedule: str = setting("cosine", "course of the learning rate", choices=("cosine", "constant"))
    warmup: float = setting(0.05, "share of the steps in which the rate rises", at_least=0, below=1)
    grad_clip: float = setting(1.0, "largest L2 norm of the gradient; 0: no limit", at_least=0)
    seed: int = setting(
        0, "seed of everything random in training", at_least=0, at_most=LARGEST_SEED
    )
    precision: str = setting(
        "float32",
        "numbers to multiply with in training; bfloat16: half as long, much faster where the "
        "processor knows them (weights, updates and scores stay float32)",
        choices=("float32", "bfloat16"),
        chosen=True,
    )
    device: str = setting("auto", "where to compute: auto, cpu, cuda, cuda:N or mps")
    threads: int | None = setting(
        None, "processors to compute with", at_least=1, at_most=1024, chosen=True,
    )  # fmt: skip
    sampled: int = setting(
        0, "score a step against so many symbols, and its own, instead of all; 0: all",
        at_least=0, chosen=True,
    )  # fmt: skip
    parts: int = setting(
        1, "shares of a batch's streams that are trained side by side, each on its share of the "
        "processors", at_least=1, at_most=1024, chosen=True,
    )  # fmt: skip
    eval_every: int | None = setting(
        None, "steps between validations (by default, chosen from their cost)", at_least=1
    )
    save_every: int | None = setting(
        None, "steps between checkpoints (by default, at each validation)", at_least=1
    )
    sample_every: int | None = setting(
        None, "steps between samples (by default, at each validation)", at_least=1
    )
    sample_prefix: str = setting("", "the text that samples continue")
    tensorboard: bool = setting(False, "write the course of the training for TensorBoard too")
    patience: int = setting(
        5, "end after this many validations without a new best; 0: never", at_least=0
    )
    eval_tokens: int = setting(
        250_000, "validate on at most this many tokens; 0: on all of them", at_least=0
    )

    def is_sampled(self, vocab_size: int) -> bool:
        """Whether a step is scored against a sample: of fewer symbols, it is against all."""
        return 0 < 2 * self.sampled < vocab_size


@dataclass(frozen=True)
class GenerationConfig:
    """How text is drawn from the model."""

    length: int = setting(500, "new characters (words, at word level)", at_least=0, at_most=10**12)
    num_samples: int = setting(1, "texts to generate side by side", at_least=1, at_most=10_000)
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
    typical: float = setting(
        1.0, "draw among those of about the expected surprise, up to this probability", above=0,
        at_most=1,
    )  # fmt: skip
    no_repeat: int = setting(
        0, "no run of so many characters (words) twice, the prefix included; 0: any", at_least=0,
        at_most=LARGEST,
    )  # fmt: skip
    match: str | None = setting(
        None, "the new text is a full match of this regular expression of Python's"
    )
    beam: int = setting(
        0, "search for the likeliest text, keeping so many at a time, instead of drawing; 0: draw",
        at_least=0, at_most=10_000,
    )  # fmt: skip
    stop: tuple[str, ...] = setting((), "end before this text (repeatable)")
    seed: int | None = setting(
        None,
        "seed of the draw; the same seed, the same texts, whether alone or among up to 8 (among "
        "more, or on another machine or device, sums round otherwise and a text can turn away)",
        at_least=0, at_most=LARGEST_SEED,
    )  # fmt: skip
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
