"""Vocab: tokens <-> ids. `<unk>` is id 0, then reserved tokens, then the text's by frequency."""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from charlm.data.code_points import CODE_POINTS, code_points, latin_1
from charlm.data.counter import TokenCounter
from charlm.data.text import detokenize, pieces_of, tokenize
from charlm.data.words import BREAKS, WORD_LEVELS
from charlm.errors import DataError, ModelError, UsageError
from charlm.storage.files import naming, write_json

UNK = "<unk>"
UNK_ID = 0
VOCAB_FORMAT = 2

Ids = npt.NDArray[np.integer[Any]]


def id_type(vocab_size: int) -> np.dtype[Any]:
    """The narrowest little-endian unsigned integer that holds every id."""
    return np.dtype("<u1" if vocab_size <= 1 << 8 else "<u2" if vocab_size <= 1 << 16 else "<u4")


@dataclass(frozen=True)
class Vocab:
    """The tokens of a text in the order of their ids, with how often each stood in it.

    level: "char", or how the text is cut into words (words.py).
    """

    level: str
    tokens: tuple[str, ...]
    counts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def opening(self) -> int:
        """What is taken to stand before a text: a line break, or the commonest token."""
        newline: int = self["\n"]
        return newline or max(range(1, len(self)), key=self.counts.__getitem__)

    @cached_property
    def ids(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self.tokens)}

    def __getitem__(self, token: Any) -> Any:
        """The id of a token, or the ids of a (nested) list of them; an unknown one's is 0."""
        if isinstance(token, str):
            return self.ids.get(token, UNK_ID)
        return [self[part] for part in token]

    def to_tokens(self, ids: Any) -> Any:
        """The token of an id, or the tokens of a (nested) list of them."""
        if isinstance(ids, int | np.integer):
            return self.tokens[ids]
        return [self.to_tokens(part) for part in ids]

    def encode(self, text: str) -> Ids:
        """The ids of a cleaned text, as a flat array of their `id_type`; unknown tokens are 0."""
        if self.level != "char":
            return np.array(self[tokenize(text, self.level)], dtype=id_type(len(self)))
        if self._by_code_point.itemsize == 1 and (latin := latin_1(text)) is not None:
            # From byte to byte it goes six times as fast.
            return np.frombuffer(latin.translate(self._by_latin_1), dtype=np.uint8)
        return self._by_code_point.take(code_points(text))

    def decode(self, ids: Iterable[int]) -> str:
        return detokenize((self.tokens[i] for i in ids), self.level)

    @property
    def has_breaks(self) -> bool:
        """Whether a line break is a token."""
        return self.level == "char" or BREAKS in self.level

    def piece(self, i: int, before: int | None = None) -> str:
        """What a token adds to a text that ends in the token `before`, if in any."""
        if self.level == "char":
            return self.tokens[i]
        last = None if before is None else self.tokens[before]
        return "".join(pieces_of([self.tokens[i]], self.level, last))

    def as_read(self, text: str) -> str:
        """A cleaned text as its tokens make it: words with one space between."""
        return detokenize(tokenize(text, self.level), self.level)

    def unknown(self, text: str) -> list[str]:
        """The distinct tokens of a cleaned text that this vocabulary lacks, as they come."""
        return [t for t in dict.fromkeys(tokenize(text, self.level)) if t not in self.ids]

    @cached_property
    def _by_code_point(self) -> Ids:
        table = np.zeros(CODE_POINTS, dtype=id_type(len(self)))
        for i, token in enumerate(self.tokens):
            if len(token) == 1:
                table[ord(token)] = i
        return table

    @cached_property
    def _by_latin_1(self) -> bytes:
        return self._by_code_point[:256].tobytes()

    @cached_property
    def sha256(self) -> str:
        """Of what a model depends on: the tokens in their order."""
        text = json.dumps([self.level, *self.tokens], ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def save(self, path: Path) -> None:
        write_json(path, self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": VOCAB_FORMAT,
            "level": self.level,
            "tokens": list(self.tokens),
            "counts": list(self.counts),
        }

    @classmethod
    def load(cls, path: Path) -> "Vocab":
        """Raises ModelError if the file is not a vocabulary, naming what is wrong with it."""
        with naming(path):
            try:
                value = json.loads(path.read_bytes())
            except FileNotFoundError:
                raise ModelError(f"{path}: there is no such file") from None
            except (ValueError, RecursionError):
                raise ModelError(f"{path} is not a vocabulary: it is not JSON") from None
        return cls(*_checked(value, path))


def _checked(value: Any, path: Path) -> tuple[str, tuple[str, ...], tuple[int, ...]]:
    def refuse(problem: str) -> ModelError:
        return ModelError(f"{path} is not a vocabulary: {problem}")

    if not isinstance(value, dict) or not isinstance(value.get("format"), int):
        raise refuse('it has no "format"')
    if value["format"] > VOCAB_FORMAT:
        raise ModelError(f"{path} was made by a newer charlm (format {value['format']})")
    level, tokens, counts = (value.get(key) for key in ("level", "tokens", "counts"))
    if level not in ("char", *WORD_LEVELS):
        raise refuse(f'"level" is {level!r}, not char or word')
    if not isinstance(tokens, list) or not all(isinstance(t, str) and t for t in tokens):
        raise refuse('"tokens" is not a list of texts')
    if not isinstance(counts, list) or not all(type(c) is int and c >= 0 for c in counts):
        raise refuse('"counts" is not a list of counts')
    if not tokens or tokens[UNK_ID] != UNK:
        raise refuse(f"its first token is not {UNK}")
    if len(counts) != len(tokens):
        raise refuse(f"it has {len(tokens)} tokens and {len(counts)} counts")
    if len(tokens) == 1:
        raise refuse(f"it has no token but {UNK}")
    if len(set(tokens)) != len(tokens):
        twice = next(token for token, n in Counter(tokens).items() if n > 1)
        raise refuse(f"it has the token {twice!r} twice")
    return level, tuple(tokens), tuple(counts)


def build_vocab(counter: TokenCounter, *, min_freq: int = 1, reserve: Sequence[str] = ()) -> Vocab:
    """The vocabulary of the counted text: by falling frequency, ties by first appearance.

    Tokens rarer than `min_freq` are left out; their count goes to `<unk>`. Raises UsageError for
    reserved tokens that cannot be, DataError where no token of a text is left.
    """
    special = {UNK: 0} | dict.fromkeys(reserve, 0)
    if len(special) != len(reserve) + 1:
        raise UsageError("--reserve names a token twice")
    if "" in special:
        raise UsageError("--reserve needs a token that is not empty")
    kept: dict[str, int] = {}
    for token, count in counter.frequencies.items():
        if token in special:
            special[token] += count
        elif count >= min_freq:
            kept[token] = count
        else:
            special[UNK] += count
    ordered = sorted(kept, key=lambda token: -kept[token])  # stable: ties stay as they came
    tokens = (*special, *ordered)
    if counter.total and tokens == (UNK,):
        raise DataError(f"no token of the text occurs {min_freq:,} times: lower --min-freq")
    return Vocab(counter.level, tokens, (*special.values(), *(kept[t] for t in ordered)))


def recounted(vocab: Vocab, counter: TokenCounter) -> Vocab:
    """The same tokens and ids, with the counts of another text."""
    found = counter.frequencies
    counts = [found.get(token, 0) for token in vocab.tokens]
    counts[UNK_ID] = counter.total - sum(counts[1:])
    return Vocab(vocab.level, vocab.tokens, tuple(counts))


def describe_token(token: str) -> str:
    """A token as a user can read it: 'a' U+0061 LATIN SMALL LETTER A."""
    if len(token) != 1:
        return repr(token)
    return f"{token!r} U+{ord(token):04X} {unicodedata.name(token, 'unnamed')}"


def unknown_in(text: str, vocab: Vocab) -> str:
    """The tokens of a cleaned text that a vocabulary lacks, told to people; "" where none is."""
    unknown = vocab.unknown(text)
    listed = ", ".join(describe_token(token) for token in unknown[:10])
    return listed + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")
