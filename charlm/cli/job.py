"""What `charlm train` is about to do: the text, its measure, the plan, the run folder."""

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.cli.inputs import build, corpus_among, load_vocab, measured_text, texts_of
from charlm.cli.options import Changes, merged
from charlm.config import Config
from charlm.errors import ModelError, UsageError, typed

if TYPE_CHECKING:
    from charlm.data.corpus import Corpus
    from charlm.data.measure import Measured
    from charlm.data.source import Source
    from charlm.data.vocab import Vocab
    from charlm.run import Run
    from charlm.training.planner import Plan
    from charlm.training.remembered import Remembered


@dataclasses.dataclass(frozen=True)
class Job:
    """A text, or a corpus prepared from one, and how to train on it.

    name: what the run may be called; given: what of the config is the user's; start_run: whose
    weights to start from.
    """

    name: str
    config: Config
    given: Changes
    source: "Source | None"
    prepared: "Corpus | None"
    start_run: "Run | None"

    def measure(self) -> "Measured":
        """What there is to train on. Raises DataError where that is too little, or unknown."""
        from charlm.data.batches import fitting_batch_size
        from charlm.data.measure import Measured

        if self.prepared:
            corpus = self.prepared
            measured = Measured(
                corpus.vocab, corpus.sha256, corpus.characters, corpus.splits, segments=[]
            )
        else:
            assert self.source is not None
            measured = measured_text(self.source, self.config, self._vocab())
        training = self.config.training
        fitting_batch_size(measured.sizes["train"], training.batch_size, training.seq_len)
        return measured

    def _vocab(self) -> "Vocab | None":
        """The vocabulary to use, where it is not to be made from the text."""
        if self.start_run:
            return self.start_run.vocab
        return load_vocab(Path(self.config.data.vocab)) if self.config.data.vocab else None

    def plan(
        self, measured: "Measured", elapsed: Callable[[], float], remembered: "Remembered"
    ) -> "Plan":
        """Choose what was left open. elapsed: seconds since the command began."""
        from charlm.training.planner import plan

        given = self.given
        if self.start_run:
            # The weights that it starts from have their shape.
            given = merged(given, {"model": vars(self.start_run.config.model)})
        return plan(
            self.config, given, train_tokens=measured.sizes["train"],
            vocab_size=len(measured.vocab), elapsed=elapsed, remembered=remembered,
        )  # fmt: skip

    def make_run(
        self, config: Config, measured: "Measured", output: Path, force: bool, lock: ExitStack
    ) -> None:
        """Make the run folder, with all but what training adds. On an error nothing is left.

        lock: takes over the folder's lock, and with it the folder until it is closed.
        """
        from charlm.run import CONFIG, save_run
        from charlm.storage.files import make_folder
        from charlm.storage.folders import new_folder

        with new_folder(
            output, replace=force, marks=(CONFIG,), instead=resuming(output), hold=lock
        ) as staging:
            corpus, where = self.prepared, ""
            if corpus:
                where = str(corpus.folder.resolve())
            else:
                assert self.source is not None
                make_folder(staging / "corpus")
                corpus, where = build(self.source, config, staging / "corpus", measured), "corpus"
                # The names of these files are no more the run's to tell than the corpus's.
                data = dataclasses.replace(config.data, val=None, test=None)
                config = dataclasses.replace(config, data=data)
            save_run(staging, config, corpus, where, self._about_text(config, corpus))

    def _about_text(self, config: Config, corpus: "Corpus") -> dict[str, object]:
        """What the run keeps of the text, for whoever is given the run without it."""
        from charlm.data.splits import LEAST_TOKENS
        from charlm.evaluation.baselines import at_a_glance

        train, valid = corpus.split("train"), corpus.split("valid")
        if config.model.bidirectional or len(valid) < LEAST_TOKENS:
            return {"name": self.name}
        unigram, order_5 = at_a_glance(train, valid, len(corpus.vocab))
        return {"name": self.name, "baselines": {"unigram": unigram, "order_5": order_5}}


def open_job(
    inputs: tuple[str, ...], config: Config, given: Changes, start_run: "Run | None"
) -> Job:
    """The job that the settings and the named texts, or the one corpus, make up."""
    folder = corpus_among(inputs)
    if folder is None:
        source = texts_of(inputs, config)
        return Job(source.name, config, given, source, None, start_run)
    corpus = _open(folder, given, start_run)
    config = dataclasses.replace(config, text=corpus.text, data=corpus.data)
    return Job(folder.resolve().name, config, given, None, corpus, start_run)


def _open(folder: Path, given: Changes, start_run: "Run | None") -> "Corpus":
    from charlm.data.corpus import open_corpus

    fixed = [f"text.{key}" for key in given.get("text", {})]
    fixed += [f"data.{key}" for key in given.get("data", {}) if key != "input"]
    if fixed:
        raise UsageError(f"{folder} is already prepared: {fixed[0]} goes with preprocess")
    corpus = open_corpus(folder)
    if start_run and corpus.vocab.tokens != start_run.vocab.tokens:
        raise ModelError(
            f"{folder} has another vocabulary than {start_run.path}; prepare it with "
            f"--vocab {typed(start_run.path)}"
        )
    return corpus


def resuming(output: Path) -> str:
    """What else could be done where the output is taken."""
    return f", go on with it (charlm train --resume {typed(output)})"


def describe(
    name: str, config: Config, sizes: dict[str, int], vocab_size: int, epochs: float | None = None
) -> str:
    """The plan in three lines. epochs: how many the time is likely to allow."""
    from charlm.model.shapes import parameters
    from charlm.training.limits import most_seconds
    from charlm.views.plan import limit_in_words, training_in_words

    model = config.model
    parts = ", ".join(f"{part} {size:,}" for part, size in sizes.items() if size)
    both = ", bidirectional" * model.bidirectional
    limit = limit_in_words(config.training) or f"at most {most_seconds(config.training):g} s"
    plan = training_in_words(
        config.training, model.dropout, vocab_size,
        limit=limit, masked=model.bidirectional, epochs=epochs,
    )  # fmt: skip
    return (
        f"text: {name}, vocabulary of {vocab_size:,}; {parts}\n"
        f"model: {model.rnn_type.upper()} {model.num_layers}×{model.hidden_size}, embedding "
        f"{model.embedding_size or 'one-hot'}{' (tied)' * model.tied}, "
        f"{parameters(model, vocab_size):,} parameters{both}\n"
        f"training: {plan}"
    )


def plan_figures(
    name: str, config: Config, sizes: dict[str, int], vocab_size: int, epochs: float | None
) -> dict[str, object]:
    """The plan for scripts."""
    from charlm.model.shapes import parameters
    from charlm.settings import to_dict

    return {
        "text": name,
        "vocab_size": vocab_size,
        "splits": sizes,
        "parameters": parameters(config.model, vocab_size),
        "epochs": epochs,
        "model": to_dict(config.model),
        "training": to_dict(config.training),
    }
