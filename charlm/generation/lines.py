"""Lists: lines drawn one by one, each begun after a line break and ended by one. No torch.

Many are drawn side by side; where one has ended, the next begins in its place. Each has dice of its
own, and they are taken in the order in which they were begun, so that the first ten of a thousand
are the ten.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
import numpy.typing as npt

from charlm.config import LONGEST_LINE, SHORTEST_LINE, GenerationConfig
from charlm.data.vocab import Vocab
from charlm.errors import ModelError, UsageError
from charlm.generation.drawing import Dice, Drawer, Drawn, Hand, nats_of
from charlm.generation.engine import Engine
from charlm.generation.guides import Guiding, guides_of
from charlm.generation.known_lines import KnownLines

# Lines drawn side by side: whatever is asked for, so that it makes no difference to the lines.
WIDTH = 64
# So many draws in a row that give no line that is wanted are enough.
PATIENCE = 2_000

BREAK = "\n"


@dataclass(frozen=True)
class Wanted:
    """Which lines. shortest, longest: in characters (words, at word level), the prefix included.

    unique: none twice. known: none of these.
    """

    count: int
    shortest: int = SHORTEST_LINE
    longest: int = LONGEST_LINE
    unique: bool = False
    known: KnownLines | None = None

    @property
    def what(self) -> str:
        """What else is asked of a line, in words."""
        limits = f"{self.shortest} to {self.longest} long"
        if self.shortest == self.longest:
            limits = f"{self.longest} long"
        return "".join([
            "new, " if self.known is not None else "",
            "unlike those before, " if self.unique else "",
            limits,
        ])  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A line without its break, in two parts. nats: of all of it and of its break, under the model
    itself; NaN where nobody asks."""

    prefix: str
    text: str
    nats: float


@dataclass
class _Slot:
    """A line in the making: the number of its draw, and its tokens after the prefix."""

    number: int
    hand: Hand
    ids: list[int] = field(default_factory=list)
    nats: float = 0.0


@dataclass(frozen=True)
class _Beginning:
    """What all lines begin with: ids, their nats, and where the model then is."""

    ids: tuple[int, ...]
    nats: float
    state: object
    logits: npt.NDArray[np.float32]


class Lines:
    """Draws lines. found, drawn: how many so far."""

    def __init__(
        self, engine: Engine, vocab: Vocab, settings: GenerationConfig, wanted: Wanted,
        *, scored: bool = True,
    ) -> None:  # fmt: skip
        """Raises ModelError for a model that knows no line break."""
        if BREAK not in vocab.ids:
            raise ModelError("--lines: this model knows no line break, so it writes no lines")
        self._engine, self._vocab, self._wanted, self._scored = engine, vocab, wanted, scored
        self._settings = replace(settings, stop=())
        self._drawer = Drawer(settings, scored=scored)
        self._break: int = vocab[BREAK]
        self._matches = settings.match is not None
        self.found = self.drawn = 0

    def stream(self, prefix: Sequence[int], seed: int) -> Iterator[Line]:
        """The lines, in order, as they are found. prefix: what is read before each; what follows
        its last line break is the beginning of each line.

        Raises ModelError where no more are found; UsageError where the beginning is too long for a
        line; and as `guides_of` does.
        """
        beginning, seen = self._read(prefix), set[tuple[int, ...]]()
        left = self._wanted.longest - len(beginning.ids)
        if left < 0:
            raise UsageError(
                f"--lines: what each line begins with is {len(beginning.ids):,} long, and no line "
                f"may be longer than {self._wanted.longest:,}: give a larger --max-length"
            )
        settings = replace(self._settings, length=left)
        # Lines that match are first looked for among those that the model writes of itself.
        for ender in [self._break, None] if self._matches else [None]:
            guide = guides_of(settings, self._vocab, without=BREAK, ender=ender)
            yield from self._found(beginning, seed, guide, seen)
            if self.found == self._wanted.count:
                return
        # Of those that match, all that there are may have been drawn.
        wider = "give a wider --match" if self._matches else "draw with a higher --temperature"
        advice = f"ask for fewer, or {wider}" if self.found else wider
        raise ModelError(
            f"{self.found:,} of {self._wanted.count:,} lines, and the last {PATIENCE:,} draws gave "
            f"no more that are {self._wanted.what}: {advice}"
        )

    def _found(
        self, beginning: _Beginning, seed: int, guide: Guiding | None, seen: set[tuple[int, ...]]
    ) -> Iterator[Line]:
        """The lines, until there are enough or no more are found. seen: lines found before."""
        waiting: dict[int, tuple[_Slot, bool]] = {}
        in_vain = 0
        for slot, whole in self._ended(beginning, seed, guide):
            waiting[slot.number] = slot, whole
            while self.drawn in waiting:
                slot, whole = waiting.pop(self.drawn)
                self.drawn += 1
                in_vain += 1
                ids = (*beginning.ids, *slot.ids)
                if whole and self._is_wanted(ids, seen):
                    in_vain = 0
                    self.found += 1
                    yield self._line(beginning, slot)
                    if self.found == self._wanted.count:
                        return
                if in_vain == PATIENCE:
                    return

    def _is_wanted(self, ids: tuple[int, ...], seen: set[tuple[int, ...]]) -> bool:
        wanted = self._wanted
        if not wanted.shortest <= len(ids) <= wanted.longest:
            return False
        if wanted.known is not None and ids in wanted.known:
            return False
        if wanted.unique:
            if ids in seen:
                return False
            seen.add(ids)
        return True

    def _line(self, beginning: _Beginning, slot: _Slot) -> Line:
        prefix = self._vocab.decode(beginning.ids)
        whole = self._vocab.decode((*beginning.ids, *slot.ids))
        return Line(prefix, whole[len(prefix) :], beginning.nats + slot.nats)

    def _read(self, prefix: Sequence[int]) -> _Beginning:
        whole = list(prefix)
        if self._break not in whole:
            whole.insert(0, self._break)
        begin = len(whole) - whole[::-1].index(self._break)
        state = self._engine.start()
        logits = self._engine.read(whole[:begin], state)
        nats = 0.0
        for token in whole[begin:]:
            nats += nats_of(logits, token) if self._scored else 0
            logits = self._engine.step([token], state)
        if not np.isfinite(logits).all():
            raise ModelError(
                "--lines: the state of this model grows beyond all bounds as it reads the prefix"
            )
        return _Beginning(tuple(whole[begin:]), nats, state, logits.copy())

    def _ended(
        self, beginning: _Beginning, seed: int, guide: Guiding | None
    ) -> Iterator[tuple[_Slot, bool]]:
        """Each line when it has ended, and whether it is one."""
        left = self._wanted.longest - len(beginning.ids)

        def begun(number: int) -> _Slot:
            # The line break comes too; where a match ends is for its guide to say.
            more = left if self._matches else left + 1
            return _Slot(number, Hand(Dice(seed, number), guide and guide(beginning.ids), more))

        numbers = count(self.drawn)
        slots = [begun(next(numbers)) for _ in range(WIDTH)]
        state = self._engine.take(beginning.state, [0] * WIDTH)
        logits = np.repeat(beginning.logits, WIDTH, axis=0)
        while True:
            drawn = self._drawer.draw(logits, [slot.hand for slot in slots])
            ended = []
            for row in range(WIDTH):
                whole = self._added(slots[row], drawn[row], logits[row : row + 1])
                if whole is not None:
                    yield slots[row], whole
                    ended.append(row)
                    slots[row] = begun(next(numbers))
            logits = self._engine.step([token for token, *_ in drawn], state)
            if ended:
                self._engine.put(state, ended, beginning.state)
                logits[ended] = beginning.logits

    def _added(self, slot: _Slot, drawn: Drawn, logits: npt.NDArray[np.float32]) -> bool | None:
        """Go on with a line; whether it is one, where it has ended. logits: (1, V), its own."""
        if drawn.ends == "match":
            if self._scored:
                slot.nats += nats_of(logits, self._break)
            return True
        if drawn.ends is not None:
            return False
        slot.nats += drawn.nats
        if drawn.token == self._break:
            return True
        slot.ids.append(drawn.token)
        return None if slot.hand.left or self._matches else False
