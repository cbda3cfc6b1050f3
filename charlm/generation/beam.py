"""Beam search: the likeliest text of a length, or nearly.

At each step all continuations of the likeliest texts so far compete, and the likeliest of these are
kept. Always taking the likeliest token can be better than a narrow beam is, so the text made that
way goes along, whatever its rank: what is found is never worse than it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charlm.config import GenerationConfig
from charlm.data.vocab import UNK_ID, Vocab
from charlm.generation.drawing import OVERFLOW
from charlm.generation.engine import Engine
from charlm.generation.guides import Guide
from charlm.generation.rules import Numbers, relative, surprises

# The tokens of a text with the nats of each, and why it ends: "length", "stop", "repeat" or
# "overflow".
Found = tuple[list[tuple[int, float]], str]


@dataclass(frozen=True)
class Hypothesis:
    """A text so far: another one and a token more; or, before the first, the end of the prefix.

    nats: of all of it; own: of its last token. ending: as much of its end as matters to stop texts,
    stopped: whether it has one. greedy: whether each of its tokens was the likeliest.
    """

    token: int
    nats: float = 0.0
    before: "Hypothesis | None" = None
    own: float = 0.0
    ending: str = ""
    stopped: bool = False
    greedy: bool = True
    guide: Guide | None = None

    def found(self, why: str) -> Found:
        steps, text = [], self
        while text.before is not None:
            steps.append((text.token, text.own))
            text = text.before
        return steps[::-1], why


def search(
    engine: Engine,
    vocab: Vocab,
    settings: GenerationConfig,
    prefix: Sequence[int],
    guide: Guide | None = None,
    wanted: int = 1,
) -> list[Found]:
    """The likeliest texts after a prefix (of at least one id), the best first; `wanted` at most.

    A text that a stop text ends competes with its nats, those of the stop text among them. A
    guide's rules hold for each text, the greedy one too; one that cannot go on is given up, while
    there are others.
    """
    state = engine.start()
    logits = engine.read(prefix, state)
    if not np.isfinite(logits).all():
        return [([], "overflow")]
    live, done = [Hypothesis(token=prefix[-1], guide=guide)], list[Hypothesis]()
    for left in range(settings.length, 0, -1):
        nats, why = _surprises(logits, live, left)
        chosen = _chosen(nats, live, settings.beam)
        if not chosen:
            return [text.found("stop") for text in done] or [live[0].found(why)]
        grown = [_grown(live[row], place, nats, row, vocab, settings, left)
                 for row, place in chosen]  # fmt: skip
        going = [row for row, text in enumerate(grown) if not text.stopped]
        done = _best([*done, *(text for text in grown if text.stopped)], wanted)
        live = [grown[row] for row in going]
        # More of a text is never likelier than it is.
        if not live or (len(done) == wanted and done[-1].nats <= min(text.nats for text in live)):
            return [text.found("stop") for text in done]
        if left > 1:
            state = engine.take(state, [chosen[row][0] for row in going])
            logits = engine.step([text.token for text in live], state)
    return [
        text.found("stop" if text.stopped else "length") for text in _best([*done, *live], wanted)
    ]


def _best(texts: list[Hypothesis], wanted: int) -> list[Hypothesis]:
    return sorted(texts, key=lambda text: text.nats)[:wanted]


def _surprises(
    logits: npt.NDArray[np.float32], live: Sequence[Hypothesis], left: int
) -> tuple[Numbers, str]:
    """The nats of each token after each text, (B, V - 1), without end where it must not come; and
    what a text that has no other is stopped by."""
    model, largest = relative(logits[:, UNK_ID + 1 :])
    nats = surprises(logits, model, largest)
    overflown = ~(np.abs(largest) < OVERFLOW)
    nats[overflown] = np.inf
    for row, text in enumerate(live):
        mask = None if text.guide is None else text.guide.allowed(left)
        if mask is not None:
            nats[row, ~mask] = np.inf
    return nats, "overflow" if overflown.any() else "repeat"


def _chosen(nats: Numbers, live: Sequence[Hypothesis], beam: int) -> list[tuple[int, int]]:
    """The rows and places of the likeliest continuations, the greedy one among them or behind."""
    totals = (nats + np.array([[text.nats] for text in live])).ravel()
    best = np.argpartition(totals, beam)[:beam] if beam < len(totals) else np.arange(len(totals))
    best = best[np.lexsort((best, totals[best]))]
    chosen = [divmod(int(k), nats.shape[1]) for k in best if np.isfinite(totals[k])]
    for row, text in enumerate(live):
        if text.greedy and np.isfinite(nats[row]).any():
            likeliest = row, int(nats[row].argmin())
            if likeliest not in chosen:
                chosen.append(likeliest)
    return chosen


def _grown(
    text: Hypothesis, place: int, nats: Numbers, row: int, vocab: Vocab,
    settings: GenerationConfig, left: int,
) -> Hypothesis:  # fmt: skip
    """A text and one of the tokens after it."""
    token, own = UNK_ID + 1 + place, nats.item(row, place)
    ending = text.ending + vocab.piece(token, text.token)
    longest, guide = max(map(len, settings.stop), default=0), text.guide
    if guide is not None:
        guide = guide.fork()
        guide.take(token, left)
    return Hypothesis(
        nats=text.nats + own,
        before=text,
        token=token,
        own=own,
        ending=ending[-longest:] if longest else "",
        stopped=any(stop in ending for stop in settings.stop),
        greedy=text.greedy and place == int(nats[row].argmin()),
        guide=guide,
    )
