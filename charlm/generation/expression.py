"""Regular expressions of Python's, read for what they match: of their atoms a tree.

What an atom matches, be it a letter, `\\w`, `[^a-z]` or `(?i:ß)`, Python's own `re` is asked,
character by character of the vocabulary; whether an expression is one at all, too. So only the
structure is read here, and only what a finite automaton can follow: no look-around, word boundary,
back reference or possessive repetition.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import numpy.typing as npt

from charlm.errors import UsageError

Characters = npt.NDArray[np.bool_]  # (C,): which of the characters


@dataclass(frozen=True)
class Atom:
    """One character, any of these."""

    characters: Characters = field(repr=False)


@dataclass(frozen=True)
class Anchor:
    """A place: "start", "end" (`\\Z`), or "last" (`$`: the end, or before a last line break)."""

    kind: str


@dataclass(frozen=True)
class Concatenation:
    parts: "tuple[Node, ...]"


@dataclass(frozen=True)
class Alternation:
    parts: "tuple[Node, ...]"


@dataclass(frozen=True)
class Repetition:
    """At least `least` times, at most `most`; None: without an end."""

    part: "Node"
    least: int
    most: int | None


Node = Atom | Anchor | Concatenation | Alternation | Repetition

TOO_DEEP = "--match: the expression is nested too deeply"

_ESCAPE = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|0[0-7]{0,2}|[0-3][0-7]{2}|.)",
    re.DOTALL,
)
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_COUNT = re.compile(r"\{(?!\})([0-9]*)(,?)([0-9]*)\}")
_GROUP = re.compile(r"\((?:\?(?:P<\w+>|(?P<on>[aiLmsux]*)(?:-(?P<off>[imsx]+))?(?P<end>[:)])))?")
_SPACE = re.compile(r"(?:[ \t\n\r\v\f]|#[^\n]*)+")
_COMMENT = re.compile(r"\(\?#[^)]*\)")
_FLAGS = {"a": re.A, "i": re.I, "m": re.M, "s": re.S, "u": re.U, "x": re.X}
_ANCHORS = {"^": "start", r"\A": "start", "$": "last", r"\Z": "end", r"\z": "end"}
_SINGLE = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def read_expression(expression: str, characters: Sequence[str]) -> Node:
    """The tree of an expression over the characters (C) that a model has.

    Raises UsageError for one that `re` refuses, or that no finite automaton can follow.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            flags = re.compile(expression).flags
            reader = _Reader(expression, characters)
            return reader.alternation(re.RegexFlag(flags))
    except (re.error, OverflowError) as error:
        raise UsageError(f"--match: {expression!r} is no regular expression: {error}") from None
    except RecursionError:
        raise UsageError(TOO_DEEP) from None


class _Reader:
    """A descent through an expression that `re` has accepted."""

    def __init__(self, expression: str, characters: Sequence[str]) -> None:
        self._text, self._place, self._characters = expression, 0, characters
        self._known: dict[tuple[str, int], Atom] = {}

    def alternation(self, flags: re.RegexFlag) -> Node:
        """Up to the end of the group, or of the expression."""
        branches: list[Node] = []
        parts: list[Node] = []
        while self._place < len(self._text) and self._text[self._place] != ")":
            if self._skipped(flags):
                continue
            if self._text[self._place] == "|":
                self._place += 1
                branches.append(Concatenation(tuple(parts)))
                parts = []
            elif (changed := self._flags_of_the_rest(flags)) is not None:
                flags = changed
            else:
                parts.append(self._repeated(self._item(flags), flags))
        branches.append(Concatenation(tuple(parts)))
        return Alternation(tuple(branches)) if len(branches) > 1 else branches[0]

    def _skipped(self, flags: re.RegexFlag) -> bool:
        """Whether there was a comment, or what (?x) leaves aside."""
        found = _COMMENT.match(self._text, self._place)
        if found is None and flags & re.X:
            found = _SPACE.match(self._text, self._place)
        if found:
            self._place = found.end()
        return found is not None

    def _flags_of_the_rest(self, flags: re.RegexFlag) -> re.RegexFlag | None:
        """After (?i) and its like, which stand at the beginning."""
        found = _GROUP.match(self._text, self._place)
        if not found or found["end"] != ")":
            return None
        self._place = found.end()
        return _changed(flags, found["on"], "")

    def _item(self, flags: re.RegexFlag) -> Node:
        begin = self._text[self._place]
        if begin == "(":
            return self._group(flags)
        if begin in "^$":
            return self._anchor(begin, flags)
        if begin == "[":
            return self._atom(self._taken(_CLASS), flags)
        if begin == "\\":
            return self._escape(flags)
        self._place += 1
        return self._atom("." if begin == "." else re.escape(begin), flags)

    def _escape(self, flags: re.RegexFlag) -> Node:
        escape = self._taken(_ESCAPE)
        if escape in _ANCHORS:
            self._place -= len(escape)
            return self._anchor(escape, flags)
        if escape in (r"\b", r"\B"):
            raise self._refusal(f"{escape} (a word boundary)")
        if escape[1] in "123456789" and len(escape) == 2:
            raise self._refusal(f"{escape} (a reference to a group)")
        return self._atom(escape, flags)

    def _anchor(self, anchor: str, flags: re.RegexFlag) -> Node:
        if flags & re.M and anchor in "^$":
            raise self._refusal(f"{anchor} with (?m)")
        self._place += len(anchor)
        return Anchor(_ANCHORS[anchor])

    def _group(self, flags: re.RegexFlag) -> Node:
        found = _GROUP.match(self._text, self._place)
        assert found is not None
        if found.end() - self._place == 1 and self._text.startswith("(?", self._place):
            raise self._refusal(f"{self._text[self._place : self._place + 4]}…)")
        self._place = found.end()
        inner = self.alternation(_changed(flags, found["on"] or "", found["off"] or ""))
        self._place += 1
        return inner

    def _repeated(self, item: Node, flags: re.RegexFlag) -> Node:
        while self._skipped(flags):
            pass
        begin = self._text[self._place : self._place + 1]
        count = _COUNT.match(self._text, self._place)
        if begin in _SINGLE:
            self._place += 1
            least, most = _SINGLE[begin]
        elif count:
            self._place = count.end()
            least = int(count[1] or 0)
            most = (int(count[3]) if count[3] else None) if count[2] else least
        else:
            return item
        if self._text.startswith("+", self._place):
            raise self._refusal("a possessive repetition")
        self._place += self._text.startswith("?", self._place)
        return Repetition(item, least, most)

    def _taken(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._place)
        assert found is not None
        self._place = found.end()
        return found[0]

    def _atom(self, atom: str, flags: re.RegexFlag) -> Atom:
        flags &= ~re.X
        if (atom, int(flags)) not in self._known:
            matches = re.compile(atom, flags).fullmatch
            found = [len(c) == 1 and matches(c) is not None for c in self._characters]
            self._known[atom, int(flags)] = Atom(np.array(found, dtype=bool))
        return self._known[atom, int(flags)]

    def _refusal(self, what: str) -> UsageError:
        return UsageError(
            f"--match: {what} at character {self._place + 1} is nothing that can be told from the "
            "characters so far; write the expression without it"
        )


def _changed(flags: re.RegexFlag, on: str, off: str) -> re.RegexFlag:
    if set(on) & set("au"):
        flags &= ~(re.A | re.U)
    flags = reduce(lambda sum_, name: sum_ | _FLAGS[name], on, flags)
    return reduce(lambda sum_, name: sum_ & ~_FLAGS[name], off, flags)
