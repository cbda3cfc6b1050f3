"""An automaton that follows a text and knows what may come next, so that it still matches.

From the tree of an expression an automaton is made that may be in several places at once
(Thompson 1968). Of each place it is known how many characters a match takes from there at least;
which characters may follow is then told from the places alone, and of the deterministic automaton,
which can be exponentially large, nothing is made but the states that a text comes through.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from charlm.errors import UsageError
from charlm.generation.breadth import most_at_once
from charlm.generation.expression import (
    TOO_DEEP,
    Alternation,
    Anchor,
    Atom,
    Characters,
    Concatenation,
    Node,
    Repetition,
    read_expression,
)

# Places of the automaton, at most: (.{1,1000}){1,1000} would have a million.
LARGEST = 100_000
# Of them at once, at most: what a character costs. (.{0,100}){0,300} would have 30,000.
BROADEST = 2000
NEVER = 1 << 40

# What a place has behind it: nothing that matters, a `$` (the end, or a last line break, comes
# next), or a `\Z` (or a `$` and that line break: the end).
FREE, LAST, END = 0, 1, 2
_AFTER = {"last": LAST, "end": END}

Place = int  # 3 * a node's number + what it has behind it


@dataclass
class _Node:
    """free: where it leads to at once; with an anchor, past that alone. characters, target: where
    it leads to by which characters."""

    free: list[int] = field(default_factory=list)
    anchor: str | None = None
    characters: Characters | None = None
    target: int = -1


@dataclass(frozen=True)
class State:
    """A state of the deterministic automaton: all places where a text may be.

    ends: whether the text so far is a match. needs: (C,), of each character, how many more at least
    are needed after it.
    """

    places: tuple[Place, ...]
    ends: bool
    needs: npt.NDArray[np.int64] = field(repr=False, compare=False)


class Matcher:
    """Follows texts of some characters (C) through an expression, `longest` of them at most.

    Raises UsageError."""

    def __init__(self, expression: str, characters: Sequence[str], longest: int) -> None:
        self._size = len(characters)
        # Of more repetitions than a text has characters all but so many match nothing, in one
        # place, where one does as well as many.
        self._most = longest + 1
        self._line_break = np.array([c == "\n" for c in characters], dtype=bool)
        self._nodes: list[_Node] = []
        self._final = self._new()
        tree = read_expression(expression, characters)
        try:
            begin = self._built(tree, self._final)
            breadth = most_at_once(tree, longest)
        except RecursionError:
            raise UsageError(TOO_DEEP) from None
        if breadth > BROADEST:
            raise UsageError(
                f"--match: the expression can be read in too many ways: a text may be in "
                f"{breadth:,} places of it at once, and {BROADEST:,} can be followed; a shorter "
                "--length has fewer, and so has one repetition instead of one in another"
            )
        self._needs = self._distances()
        self._states: dict[tuple[Place, ...], State] = {}
        self._steps: dict[tuple[tuple[Place, ...], int], State] = {}
        self.first = self._state([3 * begin], at_start=True)

    def least(self, state: State) -> int:
        """How many characters at least it is from here to the end of a match; NEVER: there is
        none."""
        return 0 if state.ends else min(NEVER, int(state.needs.min(initial=NEVER)) + 1)

    def allowed(self, state: State, left: int) -> Characters:
        """(C,): after which of the characters a match is possible, of `left` of them at most."""
        allowed: Characters = state.needs < left
        return allowed

    def step(self, state: State, character: int) -> State:
        """The state after one that is allowed."""
        key = state.places, character
        if key not in self._steps:
            found = [place for place in state.places if self._characters(place)[character]]
            self._steps[key] = self._state([self._target(place) for place in found])
        return self._steps[key]

    # -- how it is made --

    def _new(self) -> int:
        if len(self._nodes) == LARGEST:
            raise UsageError(
                "--match: the expression is too large, with all its repetitions: its automaton has "
                f"more than {LARGEST:,} places"
            )
        self._nodes.append(_Node())
        return len(self._nodes) - 1

    def _built(self, tree: Node, end: int) -> int:
        """Nodes for a tree; the number of the first. end: where it leads to."""
        if isinstance(tree, Concatenation):
            for part in reversed(tree.parts):
                end = self._built(part, end)
            return end
        if isinstance(tree, Repetition):
            return self._repeated(tree, end)
        begin = self._new()
        node = self._nodes[begin]
        if isinstance(tree, Atom):
            node.characters, node.target = tree.characters, end
        elif isinstance(tree, Anchor):
            node.anchor, node.free = tree.kind, [end]
        elif isinstance(tree, Alternation):
            node.free = [self._built(part, end) for part in tree.parts]
        return begin

    def _repeated(self, tree: Repetition, end: int) -> int:
        """Back to front: first what may be left out, or repeated for ever, then what must be; no
        more of it where it has no nodes, as what matches nothing has none."""
        least = min(tree.least, self._most)
        if tree.most is None:
            begin = self._new()
            self._nodes[begin].free = [self._built(tree.part, begin), end]
            end = begin
        else:
            after = end
            for _ in range(min(tree.most, self._most) - least):
                part = self._built(tree.part, end)
                if part == end:
                    break
                end = self._new()
                self._nodes[end].free = [part, after]
        for _ in range(least):
            part = self._built(tree.part, end)
            if part == end:
                break
            end = part
        return end

    def _characters(self, place: Place) -> Characters:
        """By which characters a place leads on."""
        number, behind = divmod(place, 3)
        characters = self._nodes[number].characters
        if characters is None or behind == END:
            return np.zeros(self._size, dtype=bool)
        return characters & self._line_break if behind == LAST else characters

    def _target(self, place: Place) -> Place:
        number, behind = divmod(place, 3)
        return 3 * self._nodes[number].target + (END if behind == LAST else behind)

    def _free(self, place: Place, at_start: bool) -> Iterable[Place]:
        """Where a place leads to without a character."""
        number, behind = divmod(place, 3)
        node = self._nodes[number]
        if node.anchor == "start" and not at_start:
            return ()
        behind = max(behind, _AFTER.get(node.anchor or "", FREE))
        return (3 * target + behind for target in node.free)

    def _distances(self) -> list[int]:
        """Of each place, how many characters it is from there to the end of a match, at least:
        breadth first, from the end. Nothing leads past a start, which stands behind all of it."""
        entered: list[list[tuple[Place, int]]] = [[] for _ in range(3 * len(self._nodes))]
        for place in range(3 * len(self._nodes)):
            if self._nodes[place // 3].target >= 0 and self._characters(place).any():
                entered[self._target(place)].append((place, 1))
            for target in self._free(place, at_start=False):
                entered[target].append((place, 0))
        needs = [NEVER] * len(entered)
        queue = deque((3 * self._final + behind, 0) for behind in (FREE, LAST, END))
        while queue:
            place, need = queue.popleft()
            if need >= needs[place]:
                continue
            needs[place] = need
            for before, more in entered[place]:
                if more:
                    queue.append((before, need + 1))
                else:
                    queue.appendleft((before, need))
        return needs

    def _state(self, places: Iterable[Place], at_start: bool = False) -> State:
        """The state of these places and of all that they lead to without a character."""
        seen = set(places)
        open_ = list(seen)
        while open_:
            for place in self._free(open_.pop(), at_start):
                if place not in seen:
                    seen.add(place)
                    open_.append(place)
        leading = tuple(sorted(
            place for place in seen
            if self._nodes[place // 3].target >= 0 and self._needs[place] < NEVER
        ))  # fmt: skip
        ends = any(place // 3 == self._final for place in seen)
        key = (*leading, -1) if ends else leading
        if key not in self._states:
            self._states[key] = State(leading, ends, self._needs_after(leading))
        return self._states[key]

    def _needs_after(self, places: Sequence[Place]) -> npt.NDArray[np.int64]:
        needs = np.full(self._size, NEVER, dtype=np.int64)
        # Of places that lead on by the same characters, the one nearest to the end is enough.
        nearest: dict[tuple[int, int], Place] = {}
        for place in places:
            kind = id(self._nodes[place // 3].characters), place % 3
            best = nearest.get(kind, place)
            nearest[kind] = min(place, best, key=self._needs.__getitem__)
        for place in nearest.values():
            need = self._needs[self._target(place)]
            np.minimum(needs, np.where(self._characters(place), need, NEVER), out=needs)
        return needs
