"""How a run names the corpus that it was trained on, and finds it again.

path       relative to the run where the corpus is inside it, else absolute
relative   beside an absolute path: for when the two have moved together
sha256     of the cleaned text; digests: of each part's ids; splits: how many they are
name       what the text is called: the first file without its folder and suffix
baselines  nats per token of simple models of its training part on a beginning of its validation
           part (evaluation/baselines.py, at a glance)

Runs of an older charlm have neither of the last two.
"""

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charlm.data.corpus import Corpus, checked_splits, is_corpus, open_corpus
from charlm.data.vocab import Vocab
from charlm.errors import CharlmError, DataError, ModelError


def corpus_record(
    run: Path, corpus: Corpus, where: str, about: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The record of `corpus`, which is found at `where`, absolute or relative to the run.

    about: what is known of its text (`about_text`).
    """
    record: dict[str, Any] = {"path": where, **(about or {})}
    if Path(where).is_absolute():
        with contextlib.suppress(ValueError):  # on Windows, it may be on another drive
            record["relative"] = os.path.relpath(os.path.realpath(where), os.path.realpath(run))
    return {
        **record,
        "sha256": corpus.sha256,
        "splits": corpus.splits,
        "digests": dict(corpus.digests),
    }


def about_text(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a record tells of the text, wherever its corpus is."""
    return {key: record[key] for key in ("name", "baselines") if key in record}


def checked_record(record: dict[str, Any]) -> dict[str, Any]:
    """A record as read, with the types that its readers rely on.

    Raises KeyError, TypeError, ValueError or AttributeError if it does not have them.
    """
    known: dict[str, Any] = {k: _text(record[k]) for k in ("relative", "name") if k in record}
    if "baselines" in record:
        known["baselines"] = {name: _nats(nats) for name, nats in record["baselines"].items()}
    return {
        "path": _text(record["path"]),
        **known,
        "sha256": _text(record["sha256"]),
        "splits": checked_splits(record["splits"]),
        "digests": {name: _text(digest) for name, digest in record.get("digests", {}).items()},
    }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _nats(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < sys.maxsize:
        raise ValueError(f"{value!r} is no number of nats")
    return float(value)


def find_corpus(run: Path, record: Mapping[str, Any], vocab: Vocab) -> Corpus:
    """The corpus of a run, where the run says that it is: beside it first, if that is the one.

    Raises DataError if it is gone or damaged, ModelError if it is another.
    """
    names = [record[key] for key in ("relative", "path") if key in record]
    first: CharlmError | None = None
    for name in names:
        try:
            if not on_another_machine(name) and is_corpus(run / name):
                return check_same(open_corpus(run / name), run, record, vocab)
        except CharlmError as error:
            first = first or error
    inside = not Path(names[-1]).is_absolute()
    why = ": this needs the training text, without which a run may be shared" * inside
    raise first or DataError(
        f"the corpus of {run} is not at {run / names[-1]}{why}; if it has moved, say where it is "
        "now with --corpus"
    )


def on_another_machine(name: str) -> bool:
    r"""Whether a path asks another machine, as \\host\share does.

    Windows logs in to whatever host is named there, and a run may come from a stranger: it is not
    asked unless the user names it.
    """
    return name.replace("\\", "/").startswith("//")


def check_same(corpus: Corpus, run: Path, record: Mapping[str, Any], vocab: Vocab) -> Corpus:
    """Refuse a corpus with which the run was not begun. Raises ModelError."""
    if corpus.sha256 != record["sha256"]:
        raise ModelError(
            f"{corpus.folder} is not the corpus of {run}: its SHA-256 is "
            f"{corpus.sha256[:12]}…, the run's {record['sha256'][:12]}…"
        )
    same_ids = not (corpus.digests and record["digests"]) or corpus.digests == record["digests"]
    if corpus.vocab.tokens != vocab.tokens or corpus.splits != record["splits"] or not same_ids:
        raise ModelError(
            f"{corpus.folder} is not the corpus of {run}: its text is the same, but it was "
            "prepared with another vocabulary or other parts"
        )
    return corpus
