"""What is to be trained: a text measured, what was left open chosen, a run made and trained."""

import dataclasses
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.config import RUNS, Config, TextConfig
from charlm.data.batches import fitting_batch_size
from charlm.data.corpus import Corpus, open_corpus
from charlm.data.extension import share_known
from charlm.data.inputs import corpus_among, load_vocab, texts_of
from charlm.data.measure import Measured, measure
from charlm.data.source import Source
from charlm.data.text import clean_text
from charlm.data.vocab import Vocab, unknown_in
from charlm.data.words import cut_as, in_words, level_of
from charlm.errors import DataError, ModelError, UsageError, need_extra, typed
from charlm.run import CONFIG, Run, open_run
from charlm.settings import Changes, configured, merged, resolved
from charlm.storage.folders import try_output
from charlm.training.ahead import import_ahead
from charlm.training.distributed import Alone, World, check_gpus, check_streams
from charlm.training.new_run import make_run, resuming
from charlm.training.reports import Prospect, Reports
from charlm.views.shown_text import in_sight

if TYPE_CHECKING:
    from charlm.training.remembered import Remembered
    from charlm.training.result import Result

# Settings that do not change what a model's weights mean: all others of `model` must agree.
FREE_OF_SHAPE = ("dropout", "forget_bias", "init", "implementation")


@dataclasses.dataclass(frozen=True)
class Job:
    """A text, or a corpus prepared from one, and how to train on it.

    name: what the run may be called; given: what of the config is the user's; start_run: whose
    weights to start from. started: when the command, or whoever asked, began (`time.perf_counter`):
    the time of the training counts from there.
    """

    name: str
    config: Config
    given: Changes
    source: Source | None
    prepared: Corpus | None
    start_run: Run | None
    started: float

    def prospect(self, output: Path | None, reports: Reports) -> Prospect:
        """What would be trained, and nothing done. output: the run's folder, if it is named."""
        import_ahead("torch")
        check_tensorboard(self.given)
        _, remembered, prospect = self._planned(output or self._free_name(), reports, Alone())
        _note_recalled(remembered, reports)
        return prospect

    def train(
        self, output: Path | None, reports: Reports, *, replace: bool = False,
        world: World | None = None,
    ) -> "Result":  # fmt: skip
        """Measure the text, choose what was left open, make the run, train it.

        output: the run's folder, made whole or not at all; without one, runs/NAME, or the next name
        that is free. replace: the run that is there. world: who trains with this process, and
        follows it.
        """
        world = world or Alone()
        import_ahead("torch")
        place = output or self._free_name()
        check_tensorboard(self.given)
        check_gpus(self.config, world)
        try_output(place, replace=replace, marks=(CONFIG,), instead=resuming(place))
        measured, remembered, prospect = self._planned(place, reports, world)
        config = prospect.config
        reports.planned(prospect)
        _note_recalled(remembered, reports)
        with ExitStack() as lock:
            output = self._make_run(config, measured, output, replace, reports, lock)
            remembered.save()
            reports.opened(open_run(output))
            from charlm.model.device import pick_device
            from charlm.training.session import train_run

            reports.note(
                f"device: {pick_device(config.training.device)}; run: {in_sight(str(output))}"
            )
            return train_run(
                output, config, self.start_run,
                started=self.started, locked_already=True, reports=reports, speed=prospect.speed,
                world=world,
            )  # fmt: skip

    def _planned(
        self, place: Path, reports: Reports, world: World
    ) -> tuple[Measured, "Remembered", Prospect]:
        """place: where the run will be, beside which speeds are remembered."""
        measured = self._measured(reports)
        check_streams(self.config, measured.sizes["train"], world)
        check_sample_prefix(self.config, measured.vocab)
        from charlm.training.following import measuring
        from charlm.training.planner import plan
        from charlm.training.remembered import Remembered

        remembered = Remembered(place.parent, len(measured.vocab))
        given = self.given
        if self.start_run:
            # The weights that it starts from have their shape.
            shape = dict(vars(self.start_run.config.model))
            del shape["dropout"]  # which is chosen for this text
            given = merged(given, {"model": shape})
        found = plan(
            self.config, given, train_tokens=measured.sizes["train"],
            vocab_size=len(measured.vocab), elapsed=lambda: time.perf_counter() - self.started,
            remembered=remembered if world.size == 1 else None,
            known=self._known(measured.vocab), measuring=partial(measuring, world),
            world=world,
        )  # fmt: skip
        prospect = Prospect(
            self.name, found.config, measured.sizes, len(measured.vocab), found.epochs, found.speed
        )
        return measured, remembered, prospect

    def _measured(self, reports: Reports) -> Measured:
        """What there is to train on. Raises DataError where that is too little, or unknown."""
        if self.prepared:
            corpus = self.prepared
            measured = Measured(
                corpus.vocab, corpus.sha256, corpus.characters, corpus.splits, segments=[]
            )
        else:
            assert self.source is not None
            with reports.reading(self.source.name) as reading:
                data = self.config.data
                if self.start_run:
                    data = dataclasses.replace(data, extend_vocab=True)
                measured = measure(self.source, self.config.text, data, self._vocab(), *reading)
        training = self.config.training
        fitting_batch_size(measured.sizes["train"], training.batch_size, training.seq_len)
        return measured

    def _known(self, vocab: Vocab) -> float:
        """The share of the text in symbols that the weights to begin with have learned."""
        known = len(self.start_run.vocab) if self.start_run else 0
        return share_known(vocab, known)

    def _vocab(self) -> Vocab | None:
        """The vocabulary to use, where it is not to be made from the text."""
        if self.start_run:
            return self.start_run.vocab
        return load_vocab(Path(self.config.data.vocab)) if self.config.data.vocab else None

    def _free_name(self) -> Path:
        """runs/NAME, or runs/NAME-2 and so on where that is taken."""
        path, number = RUNS / self.name, 2
        while path.exists():
            path, number = RUNS / f"{self.name}-{number}", number + 1
        return path

    def _make_run(
        self, config: Config, measured: Measured, named: Path | None, replace: bool,
        reports: Reports, lock: ExitStack,
    ) -> Path:  # fmt: skip
        """The folder of the new run, locked: the one that was named, or the next that is free."""
        text = self.prepared or self.source
        assert text is not None
        while True:
            output = named or self._free_name()
            try:
                make_run(text, self.name, config, measured, output, replace, reports, lock)
                return output
            except UsageError:
                # Another training may have taken a name of our choice in the meantime.
                if named or not output.exists():
                    raise


def open_job(
    inputs: tuple[str, ...] | Source,
    given: Changes,
    *,
    init_from: Path | None = None,
    started: float,
    refuse: Callable[[Config], None] = lambda config: None,
) -> Job:
    """The job that the settings and the named texts, or the one corpus, make up.

    inputs: names of files and folders, or one text in memory. init_from: the run whose weights to
    start from. started: see `Job`. refuse: sees the settings before any text is read, and raises
    UsageError for what it does not like.
    Raises UsageError, DataError or ModelError for what cannot be trained, or would do nothing.
    """
    start_run, base = None, None
    if init_from:
        start_run = open_run(init_from)
        _ = start_run.weights  # which are checked, before a model of these sizes is made
        base = Config(text=start_run.config.text, model=start_run.config.model)
        _refuse_other_tokens(configured(base, given).text, start_run)
    config = resolved(given, base)
    refuse(config)
    if start_run:
        _refuse_other_settings(config, start_run)
    if start_run and config.data.vocab:
        raise UsageError("--vocab: the vocabulary is that of --init-from's run")
    if config.training.freeze != "none" and not start_run:
        raise UsageError(
            "training.freeze keeps what another model has learned: add --init-from RUN"
        )
    inputs = inputs or config.data.input
    folder = corpus_among(inputs) if isinstance(inputs, tuple) else None
    if folder is None:
        source = texts_of(inputs, config)
        return Job(source.name, config, given, source, None, start_run, started)
    corpus = _open(folder, given, start_run)
    config = dataclasses.replace(config, text=corpus.text, data=corpus.data)
    return Job(folder.resolve().name, config, given, None, corpus, start_run, started)


def _open(folder: Path, given: Changes, start_run: Run | None) -> Corpus:
    fixed = [f"text.{key}" for key in given.get("text", {})]
    fixed += [f"data.{key}" for key in given.get("data", {}) if key != "input"]
    if fixed:
        raise UsageError(f"{folder} is already prepared: {fixed[0]} goes with preprocess")
    corpus = open_corpus(folder)
    if start_run:
        _refuse_other_words(start_run, folder, corpus.vocab.level)
        known = start_run.vocab.tokens
        if corpus.vocab.tokens[: len(known)] != known:
            raise ModelError(
                f"{folder} has another vocabulary than {start_run.path}; prepare it with "
                f"--vocab {typed(start_run.path)} --extend-vocab"
            )
    return corpus


def _refuse_other_words(start_run: Run, text: Path | str, level: str) -> None:
    """Raises ModelError for a text that is not cut as the model's was."""
    theirs = start_run.vocab.level
    if theirs != level:
        raise ModelError(
            f"{start_run.path} reads {in_words(theirs)}, {text} is cut into {in_words(level)}: "
            "it knows none of these"
        )


def _note_recalled(remembered: "Remembered", reports: Reports) -> None:
    if remembered.recalled and not remembered.measured:
        path = in_sight(str(remembered.path))
        reports.note(f"speeds as measured before: {path} (delete it to measure anew)")


def check_tensorboard(given: Changes) -> None:
    """Refuse to be asked for events where they cannot be written; a run that is resumed where
    they cannot goes on without. Raises UsageError."""
    if given.get("training", {}).get("tensorboard"):
        need_extra("--tensorboard", "tensorboard")


def check_sample_prefix(config: Config, vocab: Vocab) -> None:
    """Raises DataError for a prefix that the model will not be able to read."""
    if unknown := unknown_in(clean_text(config.training.sample_prefix, config.text), vocab):
        raise DataError(f"--sample-prefix has what the text has not: {unknown}; leave it out")


def _refuse_other_settings(config: Config, start_run: Run) -> None:
    """--init-from takes over the shape of the model. Raises UsageError."""
    for key, value in vars(config.model).items():
        theirs = getattr(start_run.config.model, key)
        if key not in FREE_OF_SHAPE and value != theirs:
            raise UsageError(f"model.{key} is {value}, but {theirs} in {start_run.path}")


def _refuse_other_tokens(text: TextConfig, start_run: Run) -> None:
    """A text may be cleaned otherwise than that of --init-from, but not cut into other tokens.
    Raises ModelError."""
    if (text.level, text.split_punctuation) != cut_as(start_run.vocab.level):
        _refuse_other_words(start_run, "this text", level_of(text))
