"""The folder of a run that is about to be trained: all but what training adds."""

import dataclasses
from contextlib import ExitStack
from pathlib import Path

from charlm.config import Config
from charlm.data.corpus import Corpus, write_corpus
from charlm.data.measure import Measured
from charlm.data.source import Source
from charlm.data.splits import LEAST_TOKENS
from charlm.errors import typed
from charlm.evaluation.baselines import at_a_glance
from charlm.run import CONFIG, CORPUS, save_run
from charlm.storage.files import make_folder
from charlm.storage.folders import new_folder
from charlm.training.reports import Reports


def make_run(
    text: Source | Corpus, name: str, config: Config, measured: Measured, output: Path,
    replace: bool, reports: Reports, lock: ExitStack,
) -> None:  # fmt: skip
    """Make the run folder. On an error nothing is left.

    name: of the text. lock: takes over the lock of the folder, and with it the folder.
    """
    with new_folder(
        output, replace=replace, marks=(CONFIG,), instead=resuming(output), hold=lock
    ) as staging:
        if isinstance(text, Corpus):
            corpus, where = text, str(text.folder.resolve())
        else:
            make_folder(staging / CORPUS)
            with reports.reading(text.name) as reading:
                corpus = write_corpus(
                    text, config.text, config.data, staging / CORPUS, measured, *reading
                )
            where = CORPUS
            # The names of these files are no more the run's to tell than the corpus's.
            data = dataclasses.replace(config.data, val=None, test=None)
            config = dataclasses.replace(config, data=data)
        save_run(staging, config, corpus, where, _about_text(name, config, corpus))


def _about_text(name: str, config: Config, corpus: Corpus) -> dict[str, object]:
    """What the run keeps of the text, for whoever is given the run without it."""
    train, valid = corpus.split("train"), corpus.split("valid")
    if config.model.bidirectional or len(valid) < LEAST_TOKENS:
        return {"name": name}
    unigram, order_5 = at_a_glance(train, valid, len(corpus.vocab))
    return {"name": name, "baselines": {"unigram": unigram, "order_5": order_5}}


def resuming(output: Path) -> str:
    """What else could be done where the output is taken."""
    return f", go on with it (charlm train --resume {typed(output)})"
