"""What scores a training's weights: always on the same tokens, so that figures can be compared."""

import math
import time
from dataclasses import dataclass, replace

from charlm.config import Config
from charlm.data.corpus import Corpus
from charlm.data.masks import mask_shape
from charlm.data.splits import LEAST_TOKENS
from charlm.data.vocab import Ids, Vocab
from charlm.evaluation.duration import scoring_time
from charlm.evaluation.evaluator import evaluate, evaluate_masked
from charlm.evaluation.metrics import Score
from charlm.model.network import CharLM
from charlm.training.distributed import World
from charlm.training.limits import is_planned, seconds_left
from charlm.training.looks import Extent, LookCosts, affordable, look_steps
from charlm.training.resume_point import ResumePoint

# A validation of a model whose state does not settle has no streams to be quick with: it, and those
# after it, read no more than so many tokens, a second or so of work, and their figures say so.
UNSETTLED_TOKENS = 20_000


@dataclass
class Best:
    """The best validation so far, and how many have failed to better it since."""

    nats_per_token: float = math.inf
    step: int = 0
    failures: int = 0

    def take(self, score: Score, step: int) -> bool:
        """Whether `score` is a new best."""
        if score.nats_per_token < self.nats_per_token:
            self.nats_per_token, self.step, self.failures = score.nats_per_token, step, 0
            return True
        self.failures += 1
        return False


def validation_score(
    model: CharLM, ids: Ids, vocab: Vocab, config: Config, world: World | None = None
) -> Score:
    """The score of ids (N,) as validations have it: masked, of a model that reads both ways.

    world: who shares the work.
    """
    training = config.training
    together = world if world and world.size > 1 else None
    if config.model.bidirectional:
        return evaluate_masked(
            model, ids, vocab, window=training.seq_len, mask=mask_shape(training),
            together=together,
        )  # fmt: skip
    return evaluate(model, ids, vocab, unsettled_tokens=UNSETTLED_TOKENS, together=together)


class Validator:
    """extent: what of the validation part a look reads, and the last figure; see `narrow`."""

    def __init__(self, config: Config, corpus: Corpus) -> None:
        self._config, self._vocab = config, corpus.vocab
        self._ids = corpus.split("valid")[: config.training.eval_tokens or None]
        self._on_all = len(self._ids) == corpus.splits["valid"]
        self.extent = Extent(len(self._ids), len(self._ids))

    @property
    def works(self) -> bool:
        """Whether there is a part to validate on."""
        return len(self._ids) >= LEAST_TOKENS

    @property
    def provisional(self) -> bool:
        """Whether a look reads less than the last figure is over."""
        return self.extent.look < self.extent.last

    def narrow(self, extent: Extent) -> None:
        """Read no more than that from here on."""
        last = min(extent.last, len(self._ids))
        self.extent = Extent(min(extent.look, last), last)

    def look_costs(
        self, model: CharLM, tokens_per_step: int, started: float, before: ResumePoint | None
    ) -> LookCosts:
        """What looking at a model costs; by a clock, as much is read as the time allows.

        started: when the command began (`time.perf_counter`). before: where an earlier one was.
        """
        settings = self._config.training
        if before and before.valid_tokens is not None:
            self.narrow(Extent(before.valid_tokens, before.last_tokens or before.valid_tokens))
        if not self.works or is_planned(settings, before):
            return LookCosts(look_steps(self.extent.look, tokens_per_step))
        seconds = scoring_time(model)
        if before is None:
            left = seconds_left(settings, before) - (time.perf_counter() - started)
            self.narrow(affordable(self.extent.last, left, seconds))
        return LookCosts(
            look_steps(self.extent.look, tokens_per_step), seconds(self.extent.look),
            seconds(self.extent.last) if self.provisional else 0.0,
        )  # fmt: skip

    def look(self, model: CharLM, world: World) -> Score:
        """The score of the weights of the moment. world: who shares the work."""
        score = self._score(model, self.extent.look, world)
        if not score.masked and score.tokens + 1 < self.extent.look:
            # From here on as much for every validation, so that they can be compared.
            self.extent = Extent(score.tokens + 1, score.tokens + 1)
        return score

    def last(self, model: CharLM, world: World) -> Score:
        """The score of the weights that were kept."""
        return self._score(model, self.extent.last, world)

    def _score(self, model: CharLM, tokens: int, world: World) -> Score:
        score = validation_score(model, self._ids[:tokens], self._vocab, self._config, world)
        # A part too short to be shared, or read in one stream, each has read, and rounded its way:
        # one figure must be all's, by which they go on, or give up.
        world.meet()
        nats, known_nats = world.first([score.nats, score.known_nats or 0.0])
        known = None if score.known_nats is None else known_nats
        return replace(score, nats=nats, known_nats=known)

    def is_of_all(self, score: Score) -> bool:
        """Whether a score is of the whole validation part."""
        return self._on_all and self._is_of(score, len(self._ids))

    def is_provisional(self, score: Score) -> bool:
        """Whether a score is of less than the last figure will be."""
        return self.provisional and not self._is_of(score, self.extent.last)

    def _is_of(self, score: Score, tokens: int) -> bool:
        if score.masked:  # an older charlm's does not tell of how much it is, and was of all
            return score.read in (None, tokens)
        return score.tokens == tokens - 1
