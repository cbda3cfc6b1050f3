"""Guides: rules that remember the text, one for each text in the making.

A guide says which characters may come next, and is told which did.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from charlm.config import GenerationConfig
from charlm.data.vocab import UNK_ID, Vocab
from charlm.errors import ModelError, UsageError
from charlm.generation.matching import Matcher
from charlm.generation.rules import Allowed

# A token that must not come: another one is to be drawn, of those that then may.
AGAIN = "again"


class Guide(Protocol):
    """Tokens by their ids; masks (V - 1,) are of all but <unk>, which is never drawn."""

    def allowed(self, left: int) -> Allowed | None:
        """Which tokens may be drawn, where `left` more may come; None: any. With none that may,
        the text ends."""
        ...

    def take(self, token: int, left: int) -> str | None:
        """A token that was drawn; why the text ends before it, where it does, or AGAIN."""
        ...

    def fork(self) -> "Guide":
        """One for another text that begins as this one does."""
        ...


Run = tuple[int, ...]  # tokens


class NoRepeat:
    """No run of so many tokens twice. known: the tokens before the text."""

    def __init__(self, length: int, size: int, known: Sequence[int] = ()) -> None:
        self._before, self._size = length - 1, size
        self._last: Run = ()
        # What came after each run of all but one: in what was known, however long, which all forks
        # share, and in the text.
        self._known: dict[Run, list[int]] = {}
        self._followers: dict[Run, Run] = {}
        for token in known:
            if len(self._last) == self._before:
                self._known.setdefault(self._last, []).append(token)
            self._go_on(token)

    def allowed(self, left: int) -> Allowed | None:
        if len(self._last) < self._before:
            return None
        found = [*self._known.get(self._last, ()), *self._followers.get(self._last, ())]
        # What is unknown in a prefix (<unk>) is never drawn.
        if not (places := [token - 1 for token in found if token != UNK_ID]):
            return None
        mask = np.ones(self._size, dtype=bool)
        mask[places] = False
        return mask

    def take(self, token: int, left: int) -> str | None:
        if len(self._last) == self._before:
            self._followers[self._last] = (*self._followers.get(self._last, ()), token)
        self._go_on(token)
        return None

    def _go_on(self, token: int) -> None:
        full = len(self._last) == self._before
        self._last = (*self._last, token)[1:] if full else (*self._last, token)

    def fork(self) -> "NoRepeat":
        other = NoRepeat(self._before + 1, self._size)
        other._last, other._known = self._last, self._known
        other._followers = self._followers.copy()
        return other


class Match:
    """The text is a match of an expression.

    Where it could end, it does as soon as the model would write what cannot follow, so that `\\w+`
    is a word as the model would end it. Where it cannot yet, and the model would write what must
    not come, it goes to where it can by the shortest way: else it would wander about for as long as
    the length allows, where the model is done and the expression is not. Once there is but one way,
    the model is free again.

    ender: a token by which alone a text ends, and that must not be in it. Then the model writes
    what it likes, and a text that does not match is given up ("mismatch").
    """

    def __init__(self, matcher: Matcher, ender: int | None = None) -> None:
        self._matcher, self._state, self._ender = matcher, matcher.first, ender
        self._closing = False

    def allowed(self, left: int) -> Allowed | None:
        if not self._closing:
            return None
        nearest: Allowed = self._state.needs == self._state.needs.min()
        self._closing = bool((nearest != self._matcher.allowed(self._state, left)).any())
        return nearest

    def take(self, token: int, left: int) -> str | None:
        place = token - 1
        if not self._matcher.allowed(self._state, left)[place]:
            if self._state.ends and self._ender in (None, token):
                return "match"
            self._closing = self._ender is None
            return AGAIN if self._closing else "mismatch"
        self._state = self._matcher.step(self._state, place)
        self._closing = self._closing and not self._state.ends
        return None

    def fork(self) -> "Match":
        other = Match(self._matcher, self._ender)
        other._state, other._closing = self._state, self._closing
        return other


# What makes a guide for a text after a prefix.
Guiding = Callable[[Sequence[int]], Guide]


def guides_of(
    settings: GenerationConfig, vocab: Vocab, without: str = "", ender: int | None = None
) -> Guiding | None:
    """What makes a guide for a text after a prefix, where the settings ask for one.

    without: characters that a match must not have. ender: as `Match` has it.
    Raises UsageError for an expression that cannot be used, or that no text of the length and of
    the characters that the model knows can match; ModelError for a model that writes words.
    """
    if settings.match is not None:
        if vocab.level != "char":
            raise ModelError("--match goes with a model of characters; this one writes words")
        characters = ["" if token in without else token for token in vocab.tokens[UNK_ID + 1 :]]
        matcher = Matcher(settings.match, characters, settings.length)
        if matcher.least(matcher.first) > settings.length:
            raise UsageError(
                f"--match: no text of {settings.length} characters or fewer, of those that the "
                f"model knows, matches {settings.match!r}"
            )
        return lambda prefix: Match(matcher, ender)
    if settings.no_repeat:
        return lambda prefix: NoRepeat(settings.no_repeat, len(vocab) - 1, prefix)
    return None
