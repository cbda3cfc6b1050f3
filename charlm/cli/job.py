"""What `charlm train` is about to do: the text, the settings, the plan, the run folder."""

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.cli.inputs import build, corpus_among, load_vocab, measured_text, note, texts_of
from charlm.cli.options import Changes, merged
from charlm.config import Config
from charlm.errors import ModelError, UsageError

if TYPE_CHECKING:
    from charlm.data.corpus import Corpus
    from charlm.data.vocab import Vocab
    from charlm.run import Run


class Job:
    """What to train, before any of it is done: the text and the complete settings."""

    def __init__(
        self,
        inputs: tuple[str, ...],
        config: Config,
        given: Changes,
        start_run: "Run | None",
        started: float,
    ) -> None:
        """given: what of the config is the user's. started: when the command began."""
        self.config, self._start_run, self._given = config, start_run, given
        self._started, self._by_time = started, False
        self._folder = corpus_among(inputs)
        if self._folder:
            self._prepared = self._open(self._folder, given)
            self.config = dataclasses.replace(
                config, text=self._prepared.text, data=self._prepared.data
            )
            self.name = self._folder.resolve().name
        else:
            self._source = texts_of(inputs, config)
            self.name = self._source.name

    def _open(self, folder: Path, given: Changes) -> "Corpus":
        from charlm.data.corpus import open_corpus

        fixed = [f"text.{key}" for key in given.get("text", {})]
        fixed += [f"data.{key}" for key in given.get("data", {}) if key != "input"]
        if fixed:
            raise UsageError(f"{folder} is already prepared: {fixed[0]} goes with preprocess")
        corpus = open_corpus(folder)
        if self._start_run and corpus.vocab.tokens != self._start_run.vocab.tokens:
            raise ModelError(
                f"{folder} has another vocabulary than {self._start_run.path}; prepare it with "
                f"--vocab {self._start_run.path}"
            )
        return corpus

    def _vocab(self) -> "Vocab | None":
        """The vocabulary to use, where it is not to be made from the text."""
        if self._start_run:
            return self._start_run.vocab
        return load_vocab(Path(self.config.data.vocab)) if self.config.data.vocab else None

    def plan(self) -> str:
        """What would be trained."""
        if self._folder:
            return self._planned(self._prepared.splits, len(self._prepared.vocab))
        measured = measured_text(self._source, self.config, self._vocab())
        return self._planned(measured.sizes, len(measured.vocab))

    def _planned(self, sizes: dict[str, int], vocab_size: int) -> str:
        """Choose what was left open; what will be trained, in three lines."""
        from charlm.training.planner import plan

        given = self._given
        if self._start_run:
            # The weights that it starts from have their shape.
            given = merged(given, {"model": vars(self._start_run.config.model)})
        chosen = plan(
            self.config, given, train_tokens=sizes["train"], vocab_size=vocab_size,
            elapsed=time.monotonic() - self._started,
        )  # fmt: skip
        self.config, self._by_time = chosen.config, chosen.epochs is not None
        return describe(self.name, self.config, sizes, vocab_size, chosen.epochs)

    def make_run(self, output: Path, force: bool) -> None:
        """Make the run folder, with all but what training adds. On an error nothing is left."""
        from charlm.data.batches import fitting_batch_size
        from charlm.run import CONFIG, save_run
        from charlm.storage.folders import check_output, new_folder

        resume = f", go on with it (charlm train --resume {output})"
        check_output(output, replace=force, marks=(CONFIG,), instead=resume)
        with new_folder(output, replace=force, marks=(CONFIG,), instead=resume) as staging:
            if self._folder:
                corpus, where = self._prepared, str(self._folder.resolve())
            else:
                (staging / "corpus").mkdir()
                corpus = build(self._source, self.config, staging / "corpus", self._vocab())
                # The names of these files are no more the run's to tell than the corpus's.
                data = dataclasses.replace(self.config.data, val=None, test=None)
                self.config = dataclasses.replace(self.config, data=data)
                where = "corpus"
            training = self.config.training
            fitting_batch_size(corpus.splits["train"], training.batch_size, training.seq_len)
            note(self._planned(corpus.splits, len(corpus.vocab)))
            if self._by_time:
                note(_expected(corpus))
            from charlm.model.device import pick_device

            note(f"device: {pick_device(training.device)}; run: {output}")
            save_run(staging, self.config, corpus, where)


def _expected(corpus: "Corpus") -> str:
    """Where the validation is likely to end."""
    from math import exp

    from charlm.data.splits import LEAST_TOKENS
    from charlm.training.planner import expected_nats

    parts = corpus.split("train"), corpus.split("valid")
    if len(parts[1]) < LEAST_TOKENS:
        return "expected: nothing to validate on"
    low, high = expected_nats(*parts, len(corpus.vocab))
    return f"expected: a validation perplexity of {exp(low):.2f} to {exp(high):.2f}"


def describe(
    name: str, config: Config, sizes: dict[str, int], vocab_size: int, epochs: float | None = None
) -> str:
    """The plan in three lines. epochs: how many the time is likely to allow."""
    from math import prod

    from charlm.model.shapes import expected_shapes

    model, training = config.model, config.training
    parts = ", ".join(f"{part} {size:,}" for part, size in sizes.items() if size)
    parameters = sum(map(prod, expected_shapes(model, vocab_size).values()))
    sampling = "windows with gaps" if model.bidirectional else training.sampling
    both = ", bidirectional" * model.bidirectional
    limit = (
        f"{training.max_steps:,} steps" if training.max_steps
        else f"{training.epochs:g} epochs" if training.epochs
        else f"{training.time or training.default_time:g} s in all"
    )  # fmt: skip
    return (
        f"text: {name}, vocabulary of {vocab_size:,}; {parts}\n"
        f"model: {model.rnn_type.upper()} {model.num_layers}×{model.hidden_size}, "
        f"embedding {model.embedding_size or 'one-hot'}, {parameters:,} parameters{both}\n"
        f"training: {training.batch_size}×{training.seq_len} ({sampling}), "
        f"{training.optimizer} {training.lr:g}, dropout {model.dropout:g}, {limit}"
        + f", {training.precision}" * (training.precision != "float32")
        + (f", about {epochs:.3g} epochs" if epochs else "")
    )
