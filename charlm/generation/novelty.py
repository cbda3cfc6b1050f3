"""How much of generated texts is copied from the training text.

The texts are short, the training text may be larger than the memory. So it is the texts of which
an automaton is made, and the training text, in pieces of ids, runs through it once: the time taken
is in proportion to both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice, pairwise

import numpy as np

from charlm.data.text import tokenize
from charlm.data.vocab import UNK_ID, Ids, Vocab
from charlm.generation.known_lines import KnownLines

# A run of so many characters that stands in the training text is a copy: shorter ones come of
# themselves in any language.
SHORTEST_COPY = 20
PIECE = 1 << 16


@dataclass(frozen=True)
class Novelty:
    """longest: characters of the longest run that the training text has too.

    share: of the characters, how many lie in such runs of SHORTEST_COPY or more.
    lines, copied: how many whole lines a text has that are not empty (begun after a line break and
    ended by one), and how many of them are lines of the training text.
    usual: the same of as much text that was held out, where there is any: a text repeats itself,
    the one more than the other, and so much comes of that.
    """

    longest: int
    share: float
    lines: int = 0
    copied: int = 0
    usual: "Novelty | None" = None

    def __str__(self) -> str:
        usual = self.usual
        longest, share, lines = (
            ("", "", "") if usual is None else
            (f" ({usual.longest} in as much held-out text)", f" ({usual.share:.0%})",
             f" ({usual.copied:,} of {usual.lines:,})")
        )  # fmt: skip
        told = (
            f"longest run copied from the training text: {self.longest} characters{longest}; "
            f"{self.share:.0%} in copies of {SHORTEST_COPY} or more{share}"
        )
        if not self.lines:
            return told
        return f"{told}; {self.copied:,} of {self.lines:,} whole lines are lines of it{lines}"


def novelty(
    texts: Sequence[str], vocab: Vocab, training: Ids, held_out: Ids | None = None
) -> list[Novelty]:
    """Compare texts with the one that their model was trained on, token by token; and with it, if
    there is any, as much held-out text for each."""
    encoded = [vocab.encode(text) for text in texts]
    tokens = [tokenize(text, vocab.level) for text in texts]
    stretches = _stretches(held_out, [len(ids) for ids in encoded])
    tokens += [vocab.to_tokens(ids) for ids in stretches]
    found = _compared([*encoded, *stretches], tokens, vocab, training)
    usual: Sequence[Novelty | None] = found[len(texts) :] or [None] * len(texts)
    return [replace(figures, usual=its) for figures, its in zip(found, usual, strict=False)]


def _stretches(text: Ids | None, sizes: Sequence[int]) -> list[Ids]:
    """Parts of a text of these sizes, one behind the other, and again from its beginning."""
    if text is None or not len(text):
        return []
    parts, begin = [], 0
    for size in sizes:
        if begin + size > len(text):
            begin = 0
        parts.append(np.asarray(text[begin : begin + size]))
        begin += size
    return parts


def _compared(
    encoded: Sequence[Ids], tokens: Sequence[Sequence[str]], vocab: Vocab, training: Ids
) -> list[Novelty]:
    """encoded, tokens: of each text."""
    # An unknown token is like nothing; nor is what stands between two texts.
    symbols = [token or -1 for ids in encoded for token in [*ids.tolist(), UNK_ID]]
    automaton = Automaton(symbols)
    for begin in range(0, len(training), PIECE):
        automaton.read(np.asarray(training[begin : begin + PIECE]).tolist())
    lengths = iter(automaton.longest_ending(symbols))
    lines = [_whole_lines(ids.tolist(), vocab["\n"]) for ids in encoded]
    known = KnownLines([training], len(vocab), vocab["\n"]) if any(lines) else ()
    found = []
    for its, whole in zip(tokens, lines, strict=True):
        figures = _measured(its, list(islice(lengths, len(its))), vocab.level)
        copied = sum(UNK_ID not in line and line in known for line in whole)
        found.append(replace(figures, lines=len(whole), copied=copied))
        next(lengths)  # that of what stands between
    return found


def _whole_lines(ids: Sequence[int], line_break: int) -> list[tuple[int, ...]]:
    """The lines between two line breaks that are not empty; none where the model knows no break."""
    breaks = [place for place, token in enumerate(ids) if line_break and token == line_break]
    lines = [tuple(ids[a + 1 : b]) for a, b in pairwise(breaks)]
    return [line for line in lines if line]


def _measured(tokens: Sequence[str], lengths: Sequence[int], level: str) -> Novelty:
    """lengths: for each token of a text, how many up to it stand in the training text as here."""
    space = 0 if level == "char" else 1
    # Where each token begins, the space after the one before it left out.
    begins = list(accumulate((len(token) + space for token in tokens), initial=0))
    characters = max(0, begins[-1] - space)
    copied, longest = np.zeros(characters, dtype=bool), 0
    for end, length in enumerate(lengths, start=1):
        if length:
            first, last = begins[end - length], begins[end] - space
            longest = max(longest, last - first)
            if last - first >= SHORTEST_COPY:
                copied[first:last] = True
    return Novelty(longest, int(copied.sum()) / max(1, characters))


class Automaton:
    """The suffix automaton of a sequence (Blumer et al. 1985), through which another one is read.

    Each state stands for some parts of the sequence that end at the same places: the longest of
    them has `_lengths` symbols, the others are its ends, down to those of the state `_links`.
    """

    def __init__(self, symbols: Sequence[int]) -> None:
        self._steps: list[dict[int, int]] = [{}]
        self._links, self._lengths = [-1], [0]
        last = 0
        for symbol in symbols:
            last = self._extend(last, symbol)
        # Of each state's parts, the length of the longest that was read.
        self._found = [0] * len(self._steps)
        self._state = self._matched = 0

    def _new(self, steps: dict[int, int], link: int, length: int) -> int:
        self._steps.append(steps)
        self._links.append(link)
        self._lengths.append(length)
        return len(self._steps) - 1

    def _extend(self, last: int, symbol: int) -> int:
        """Append a symbol. last: the state of all so far; returns that of all with this one."""
        whole = self._new({}, 0, self._lengths[last] + 1)
        state = last
        while state >= 0 and symbol not in self._steps[state]:
            self._steps[state][symbol] = whole
            state = self._links[state]
        if state < 0:
            return whole
        target = self._steps[state][symbol]
        if self._lengths[target] != self._lengths[state] + 1:
            # Its shorter parts now end at one place more than its longer ones: they part.
            longer = target
            target = self._new(
                dict(self._steps[longer]), self._links[longer], self._lengths[state] + 1
            )
            while state >= 0 and self._steps[state].get(symbol) == longer:
                self._steps[state][symbol] = target
                state = self._links[state]
            self._links[longer] = target
        self._links[whole] = target
        return whole

    def read(self, symbols: Iterable[int]) -> None:
        """Go on reading the other sequence; its pieces count as one."""
        steps, links, lengths, found = self._steps, self._links, self._lengths, self._found
        state, matched = self._state, self._matched
        for symbol in symbols:
            while symbol not in steps[state]:
                if not state:
                    break
                state = links[state]
                matched = lengths[state]
            else:
                state = steps[state][symbol]
                matched += 1
                if matched > found[state]:
                    found[state] = matched
        self._state, self._matched = state, matched

    def longest_ending(self, symbols: Sequence[int]) -> list[int]:
        """For each place of the automaton's sequence, how many symbols up to it were read so."""
        found = list(self._found)
        by_length = sorted(range(1, len(found)), key=self._lengths.__getitem__)
        for state in reversed(by_length):
            # With a part all its ends have been read.
            link = self._links[state]
            if found[state]:
                found[link] = max(found[link], self._lengths[link])
        for state in by_length:
            found[state] = found[state] or found[self._links[state]]
        longest, state = [], 0
        for symbol in symbols:
            state = self._steps[state][symbol]
            longest.append(found[state])
        return longest
