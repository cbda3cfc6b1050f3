"""A text counted: what its corpus will be, or why it cannot be one, before any of it is written."""

import dataclasses
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from charlm.config import DataConfig, TextConfig
from charlm.data.counter import TokenCounter
from charlm.data.extension import extended
from charlm.data.folder import listed
from charlm.data.jobs import ALONE, Jobs, OnDone
from charlm.data.source import Read, Source
from charlm.data.splits import SPLITS, Segment, check_own, check_sizes, lay_out
from charlm.data.text import BYTE_ORDER_MARK, clean
from charlm.data.vocab import UNK, Vocab, build_vocab, describe_token, recounted
from charlm.data.words import cut_as, level_of, unit_of
from charlm.errors import DataError, UsageError

# Told, in a line, of what is odd about a text and no error.
OnNote = Callable[[str], None]

# Of unknown tokens, and of marks, so many are named.
NAMED = 10
# Of no width, or of direction: who searches a text does not see them, a model learns them.
INVISIBLE = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069]")


@dataclass(frozen=True)
class Measured:
    """What a corpus of a text will be.

    sha256: of the cleaned text in UTF-8, what is held out as a text of its own included.
    sizes: tokens in each part. segments: which part the tokens of the source itself go to.
    tokens: in each text of the source itself.
    """

    vocab: Vocab
    sha256: str
    characters: int
    sizes: dict[str, int]
    segments: list[Segment]
    tokens: Sequence[int] = ()


@dataclass(frozen=True)
class Counted:
    """tokens: in each text of the source itself; held_out: in each part that has its own text."""

    counter: TokenCounter
    sha256: str
    characters: int
    tokens: list[int]
    held_out: dict[str, int]


@dataclass(frozen=True)
class _CountedText:
    """One text. marks: how many byte-order marks it has."""

    counter: TokenCounter
    sha256: str
    characters: int
    marks: int


def count_tokens(
    source: Source,
    config: TextConfig,
    progress: OnDone = lambda size: None,
    note: OnNote = lambda message: None,
    jobs: Jobs = ALONE,
    level: str | None = None,
) -> Counted:
    """One pass over a text and over what is held out of it. progress: told of bytes of UTF-8.

    level: how a vocabulary that is there already cuts texts. jobs: who reads. Raises
    UsageError where there are more than one and a text is not in a file.
    """
    sources = (source, *source.held_out.values())
    if jobs.number > 1 and not all(one.in_files for one in sources):
        raise UsageError("--jobs is for files: standard input and pipes are read by one process")
    level = level or level_of(config)
    tasks = [(read, config, level) for one in sources for read in one.texts]
    counter, characters, marks = TokenCounter(level), 0, 0
    digests: list[str] = []
    tokens: list[int] = []
    for text in jobs.do_all(_count_text, tasks, progress):
        counter.add_counted(text.counter)
        characters, marks = characters + text.characters, marks + text.marks
        digests.append(text.sha256)
        tokens.append(text.counter.total)
    for message in (
        *(n for one in sources for n in one.notes),
        *_marks(source.label, marks, counter),
    ):
        note(message)
    own, held_out = len(source.texts), dict[str, int]()
    for part, one in source.held_out.items():
        held_out[part] = sum(tokens[own : own + len(one.texts)])
        own += len(one.texts)
    return Counted(counter, text_digest(digests), characters, tokens[: len(source.texts)], held_out)


def _count_text(task: tuple[Read, TextConfig, str], progress: OnDone) -> _CountedText:
    read, config, level = task
    counter, digest, characters, marks = TokenCounter(level), hashlib.sha256(), 0, 0

    def unmarked(pieces: Iterator[str]) -> Iterator[str]:
        nonlocal marks
        for piece in pieces:
            marks += piece.count(BYTE_ORDER_MARK)
            yield piece

    for piece in clean(unmarked(read()), config):
        counter.add(piece)
        data = piece.encode("utf-8", "surrogatepass")
        digest.update(data)
        characters += len(piece)
        progress(len(data))
    return _CountedText(counter, digest.hexdigest(), characters, marks)


def text_digest(texts: Sequence[str]) -> str:
    """The SHA-256 of a text; of several, that of the list of theirs.

    So they can be read side by side. texts: the SHA-256 of each.
    """
    if len(texts) == 1:
        return texts[0]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _marks(label: str, byte_order: int, counter: TokenCounter) -> Iterator[str]:
    """Notes of characters that nobody sees."""
    if byte_order:
        s = "s" * (byte_order > 1)
        yield f"{label}: dropped {byte_order:,} byte-order mark{s} inside the text (files joined?)"
    found = Counter[str]()
    for token, count in counter.frequencies.items():
        for mark in INVISIBLE.findall(token):
            found[mark] += count
    if found:
        named = [f"U+{ord(m):04X} {unicodedata.name(m)} ({n:,})" for m, n in found.most_common()]
        yield f"{label}: the text has marks that do not show: {listed(named, NAMED)}"


def measure(
    source: Source,
    text: TextConfig,
    data: DataConfig,
    vocab: Vocab | None = None,
    progress: OnDone = lambda size: None,
    note: OnNote = lambda message: None,
    jobs: Jobs = ALONE,
) -> Measured:
    """Read `source` once. vocab: the ids to use, where they are not to be made from the text, or
    (`data.extend_vocab`) only for what the text has beyond them.

    jobs: as of `count_tokens`.

    Raises DataError if a text is too short, or more than half unknown to `vocab`; UsageError for a
    vocabulary of another level.
    """
    if vocab is not None:
        check_level(vocab, text)
    level = None if vocab is None else vocab.level
    counted = count_tokens(source, text, progress, note, jobs, level)
    if vocab is not None and data.extend_vocab:
        vocab = extended(vocab, counted.counter, min_freq=data.min_freq, reserve=data.reserve)
    elif vocab is not None:
        vocab = recounted(vocab, counted.counter)
        check_known(source.label, counted.counter, vocab, note)
    else:
        vocab = build_vocab(counted.counter, min_freq=data.min_freq, reserve=data.reserve)
    cut = dataclasses.replace(
        data,
        val_frac=0.0 if "valid" in source.held_out else data.val_frac,
        test_frac=0.0 if "test" in source.held_out else data.test_frac,
    )
    segments, sizes = lay_out(counted.tokens, cut), dict.fromkeys(SPLITS, 0)
    for part, size in segments:
        sizes[part] += size
    check_sizes(sizes, cut, source.label)
    for part, own in source.held_out.items():
        check_own(counted.held_out[part], part, own.label)
    sizes |= counted.held_out
    return Measured(vocab, counted.sha256, counted.characters, sizes, segments, counted.tokens)


def check_level(vocab: Vocab, text: TextConfig) -> None:
    """Raises UsageError for a text that is to be cut otherwise than its vocabulary was."""
    unit, apart = cut_as(vocab.level)
    if unit != text.level:
        raise UsageError(f"--vocab is by {unit}, the text by {text.level} (--level)")
    if apart != text.split_punctuation:
        has, add = ("has", "add") if apart else ("has not", "leave out")
        raise UsageError(
            f"--vocab {has} punctuation split from the words: {add} --split-punctuation"
        )


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
    unit = f"{unit_of(vocab.level)}s"
    message = (
        f"{label}: {unknown:,} of its {counter.total:,} {unit} ({unknown / counter.total:.2%}) are "
        f"not in the vocabulary: {named}"
    )
    if unknown > counter.total / 2:
        raise DataError(f"{message}; it takes a vocabulary of its own")
    note(f"{message}; they become {UNK}")
