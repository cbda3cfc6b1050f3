"""What is to be read: texts as a source, a prepared corpus among them, vocabularies."""

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.config import Config
from charlm.errors import UsageError, typed

if TYPE_CHECKING:
    from charlm.data.source import Source
    from charlm.data.vocab import Vocab

# Of characters: no system has longer ones, and a text of as many is none.
LONGEST_PATH = 4096
# A str as long as this, or with a line break, is meant as a text; what ends like the name of a
# file, or has folders and no blank, is not.
LONGEST_NAME = 255
_NAME = re.compile(r"[^\n]*[^\s.]\.[A-Za-z]\w{0,4}|\S*/\S*")


def source_of(inputs: tuple[str, ...], config: Config) -> "Source":
    """The text to read: `inputs`, else what the config holds or names, else the sample."""
    from charlm.data.source import open_source, sample_source, text_source

    inputs = inputs or config.data.input
    if inputs:
        refuse_folders_of_ours(inputs)
        return open_source(inputs, config.text.encoding)
    if config.data.text is not None:
        return text_source("text", config.data.text)
    return sample_source()


def named_or_text(given: object, name: str) -> "tuple[str, ...] | Source":
    """What a Python user means by a text: the names of files and folders, or a text in memory.

    A `Path` is always a path, a list or tuple one of paths; a str is a path where there is such a
    file or folder (or it is "-", standard input), else the text itself. name: what to call that.
    Raises UsageError for anything else, and for the name of a file that is not there.
    """
    from charlm.data.source import text_source

    if isinstance(given, os.PathLike):
        return _names((given,))
    if isinstance(given, list | tuple) and given:
        if all(isinstance(part, str | os.PathLike) for part in given):
            return _names(given)
    elif isinstance(given, str):
        # Of any text this says no, where `Path.exists` may raise.
        there = len(given) <= LONGEST_PATH and os.path.exists(given)  # noqa: PTH110
        if not there and _named_like_a_file(given):
            raise UsageError(
                f"there is no file or folder {given!r}, and as a text it looks like the name of "
                "one; if it is a text, end it with a line break"
            )
        return (given,) if there or given == "-" else text_source(name, given)
    raise UsageError(f"a text is a str, or a path, or a list of paths; it is {given!r:.60}")


def _names(given: Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    names = tuple(map(os.fsdecode, given))
    if ill := next((name for name in names if "\0" in name), None):
        raise UsageError(f"{ill!r:.60} is no path: no name has such a character")
    return names


def _named_like_a_file(text: str) -> bool:
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


def texts_of(inputs: "tuple[str, ...] | Source", config: Config) -> "Source":
    """The text to make a corpus of, with what the settings hold out as texts of their own.

    inputs: see `source_of`; or a text that is already in memory, of which no encoding is asked, but
    which the run keeps. Raises UsageError.
    """
    from charlm.data.text import check_text

    check_text(config.text)
    source = source_of(inputs, config) if isinstance(inputs, tuple) else inputs
    own = {"valid": config.data.val, "test": config.data.test}
    held_out = {part: source_of((name,), config) for part, name in own.items() if name is not None}
    return dataclasses.replace(source, held_out=held_out)


def refuse_folders_of_ours(inputs: tuple[str, ...]) -> None:
    """A run or a corpus is a folder of files, but none of them is a text. Raises UsageError."""
    from charlm.data.folder import made_by_charlm
    from charlm.storage.files import naming

    for name in inputs:
        with naming(name):
            made = name != "-" and made_by_charlm(Path(name))
        if made == "corpus":
            raise UsageError(
                f"{name} is a prepared corpus, not a text: "
                f"charlm train {typed(name)} trains on it, "
                f"charlm vocab {typed(name)} shows its vocabulary"
            )
        if made == "run":
            raise UsageError(
                f"{name} is a run, not a text: "
                f"charlm train {typed(f'{name}/corpus')} trains on its corpus, "
                f"charlm train --resume {typed(name)} goes on with it, "
                f"charlm evaluate -m {typed(name)} scores it"
            )


def corpus_among(inputs: tuple[str, ...]) -> Path | None:
    """The prepared corpus, where that is what `inputs` names."""
    from charlm.data.corpus import is_corpus

    found = [Path(name) for name in inputs if name != "-" and is_corpus(Path(name))]
    if found and len(inputs) > 1:
        raise UsageError(f"{found[0]} is a prepared corpus: train on it alone, or on texts")
    return found[0] if found else None


def load_vocab(path: Path) -> "Vocab":
    """The vocabulary at `path`: a vocab.json, a corpus or a run."""
    from charlm.data.vocab import Vocab

    return Vocab.load(path / "vocab.json" if path.is_dir() else path)
