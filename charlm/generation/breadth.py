"""In how many places at once an automaton may be, told from the tree of its expression.

A place is entered after so many characters at least and so many at most; where the spans of many
places overlap, a text may be in all of them, and each of its characters is worked out for each.
"""

from collections import Counter
from itertools import accumulate

from charlm.generation.expression import Alternation, Anchor, Atom, Concatenation, Node, Repetition

# The least and the most characters before a place.
Span = tuple[int, int]


def most_at_once(tree: Node, longest: int) -> int:
    """The most atoms that one character can be held against, at most, in texts of `longest`."""
    breadth = _Breadth(longest)
    breadth.follow(tree, (0, 0))
    return max(accumulate(change for _, change in sorted(breadth.changes.items())), default=0)


class _Breadth:
    """changes: after how many characters how many atoms more can be next, or fewer."""

    def __init__(self, longest: int) -> None:
        self._longest, self._atoms = longest, 0
        self.changes: Counter[int] = Counter()

    def follow(self, tree: Node, before: Span) -> Span:
        """Count the atoms of a tree; the span after it."""
        least, most = before
        if least >= self._longest or isinstance(tree, Anchor):
            return before
        if isinstance(tree, Atom):
            self._atoms += 1
            self.changes[least] += 1
            self.changes[most + 1] -= 1
            return least + 1, min(most + 1, self._longest)
        if isinstance(tree, Concatenation):
            for part in tree.parts:
                before = self.follow(part, before)
            return before
        if isinstance(tree, Alternation):
            spans = [self.follow(part, before) for part in tree.parts]
            return min(least for least, _ in spans), max(most for _, most in spans)
        return self._repeated(tree, before)

    def _repeated(self, tree: Repetition, before: Span) -> Span:
        """Each repetition has atoms of its own; those without an end share theirs."""
        own = tree.least if tree.most is None else tree.most
        least = before[0]
        for number in range(min(own, self._longest + 1)):
            atoms = self._atoms
            before = self.follow(tree.part, before)
            if self._atoms == atoms:  # it has none, or a text has no room for more
                break
            if number < tree.least:
                least = before[0]
        if tree.most is None:
            before = least, self._longest
            self.follow(tree.part, before)
        return least, before[1]
