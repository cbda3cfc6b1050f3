"""A training that was stopped, or is done and gets a higher limit, and goes on."""

from pathlib import Path

from charlm.config import LIMITS, Config
from charlm.consistency import check
from charlm.errors import UsageError
from charlm.run import Run, open_run
from charlm.settings import Changes, configured
from charlm.training.checkpoint import find_checkpoint
from charlm.training.distributed import Alone, World, check_gpus, check_streams
from charlm.training.job import check_sample_prefix, check_tensorboard
from charlm.training.planner import check_machine
from charlm.training.reports import Prospect, Reports
from charlm.training.result import Result
from charlm.training.session import train_run

# Which the run does not keep: it has the texts themselves.
NAMES = ("val", "test")
# What a training that is resumed may do otherwise than it began: when it ends, and what shows.
FREE_TO_RESUME = (
    *LIMITS, "patience", "device", "threads", "precision", "save_every", "sample_every",
    "sample_prefix", "tensorboard",
)  # fmt: skip


class Resumed:
    """A run under its own settings, with new limits where they were given.

    prospect: what there is to train.
    """

    def __init__(self, path: Path, given: Changes, *, corpus: Path | None = None) -> None:
        """path: of the run, or of a resume point in it. corpus: where its corpus is now, where the
        user says so.

        Raises UsageError for settings other than those it was begun with, ModelError for what is
        no run.
        """
        self._chosen = path if path.suffix == ".safetensors" else None
        self._corpus = corpus
        self._run = open_run(path.parent.parent if self._chosen else path, corpus)
        config = _same_but_for_limits(self._run, given)
        check_tensorboard(given)
        check_sample_prefix(config, self._run.vocab)
        # What was asked for is refused where it is not to be had; what a run had, is done without.
        check_machine(config, given)
        sizes = self._run.open_corpus().splits
        name = self._run.corpus_record.get("name") or self._run.path.name
        self.prospect = Prospect(name, config, sizes, len(self._run.vocab))

    def train(self, reports: Reports, *, started: float, world: World | None = None) -> Result:
        """Go on. started: when the command began (`time.perf_counter`). world: who trains with this
        process, and follows it."""
        world, config = world or Alone(), self.prospect.config
        check_gpus(config, world)
        check_streams(config, self.prospect.sizes["train"], world)
        reports.planned(self.prospect)
        checkpoint = self._chosen or find_checkpoint(self._run.path)
        reports.opened(self._run)
        return train_run(
            self._run.path, self.prospect.config,
            checkpoint=checkpoint, started=started, corpus=self._corpus, reports=reports,
            world=world,
        )  # fmt: skip


def _same_but_for_limits(run: Run, given: Changes) -> Config:
    """The run's settings with new limits. Raises UsageError for any other change, with both."""
    base = run.config
    training = given.get("training", {})
    if any(training.get(key) is not None for key in LIMITS):
        base = configured(base, {"training": dict.fromkeys(LIMITS)})
    config = configured(base, given)
    check(config)
    for section in given:
        for key, value in vars(getattr(config, section)).items():
            theirs = getattr(getattr(run.config, section), key)
            free = {"training": FREE_TO_RESUME, "data": NAMES}.get(section, ())
            if value != theirs and key not in free:
                raise UsageError(
                    f"{section}.{key} is {value}, but {run.path} was begun with {theirs}; a "
                    "training is resumed as it was begun"
                )
    return config
