"""A text counted: what its corpus will be, or why it cannot be one, before any of it is written."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from charlm.config import DataConfig, TextConfig
from charlm.data.folder import listed
from charlm.data.source import Source
from charlm.data.splits import check_sizes, split_sizes
from charlm.data.text import clean
from charlm.data.vocab import (
    UNK,
    TokenCounter,
    Vocab,
    build_vocab,
    describe_token,
    recounted,
)
from charlm.errors import DataError, UsageError

# Told of every piece that was read, in bytes of UTF-8.
OnRead = Callable[[int], None]
# Told, in a line, of what is odd about a text and no error.
OnNote = Callable[[str], None]

# Of the unknown tokens, so many are named.
NAMED = 10


@dataclass(frozen=True)
class Measured:
    """What a corpus of a text will be. sha256: of the cleaned text in UTF-8."""

    vocab: Vocab
    sha256: str
    characters: int
    sizes: dict[str, int]


def count_tokens(
    source: Source, config: TextConfig, progress: OnRead
) -> tuple[TokenCounter, str, int]:
    """One pass over the text: token counts, SHA-256 of the cleaned text, its characters."""
    counter, digest, characters = TokenCounter(config.level), hashlib.sha256(), 0
    for piece in clean(source.read(), config):
        counter.add(piece)
        data = piece.encode("utf-8", "surrogatepass")
        digest.update(data)
        characters += len(piece)
        progress(len(data))
    return counter, digest.hexdigest(), characters


def measure(
    source: Source,
    text: TextConfig,
    data: DataConfig,
    vocab: Vocab | None = None,
    progress: OnRead = lambda size: None,
    note: OnNote = lambda message: None,
) -> Measured:
    """Read `source` once. vocab: the ids to use, where they are not to be made from the text.

    Raises DataError if the text is too short, or more than half unknown to `vocab`; UsageError for
    a vocabulary of another level.
    """
    if vocab is not None and vocab.level != text.level:
        raise UsageError(f"--vocab is by {vocab.level}, the text by {text.level} (--level)")
    counter, sha256, characters = count_tokens(source, text, progress)
    if vocab is not None:
        vocab = recounted(vocab, counter)
        check_known(source.label, counter, vocab, note)
    else:
        vocab = build_vocab(counter, min_freq=data.min_freq, reserve=data.reserve)
    tokens = min(counter.total, data.max_tokens or counter.total)
    sizes = split_sizes(tokens, data.val_frac, data.test_frac)
    check_sizes(sizes, data, source.label)
    return Measured(vocab, sha256, characters, sizes)


def check_known(label: str, counter: TokenCounter, vocab: Vocab, note: OnNote) -> None:
    """Tell which tokens of a text its vocabulary lacks. Raises DataError if most of them."""
    lacking = {
        token: count
        for token, count in counter.frequencies.items()
        if token not in vocab.ids or token == UNK
    }
    unknown = sum(lacking.values())
    if not unknown:
        return
    ordered = sorted(lacking, key=lambda token: -lacking[token])
    named = listed([f"{describe_token(token)} ({lacking[token]:,})" for token in ordered], NAMED)
    unit = "characters" if vocab.level == "char" else "words"
    message = (
        f"{label}: {unknown:,} of its {counter.total:,} {unit} ({unknown / counter.total:.2%}) are "
        f"not in the vocabulary: {named}"
    )
    if unknown > counter.total / 2:
        raise DataError(f"{message}; it takes a vocabulary of its own")
    note(f"{message}; they become {UNK}")
