"""Fill gaps with a bidirectional model: the surest place first, several fillings at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from charlm.data.vocab import UNK_ID, Vocab
from charlm.model.network import CharLM

# Fillings followed side by side, at least; more are kept where more are asked for.
BEAM = 8


@dataclass(frozen=True)
class Filling:
    """A text without gaps, and the probability of what was put into them."""

    ids: tuple[int, ...]
    log_probability: float

    @property
    def probability(self) -> float:
        return math.exp(self.log_probability)


class Filler:
    """Fills one place after another, each time the one that the model is surest of.

    What has been filled is read when the next place is, so the probability of a filling is a
    product of conditional ones, in the order in which its places were filled.
    """

    def __init__(self, model: CharLM, vocab: Vocab) -> None:
        self._model, self._vocab = model, vocab
        self._mask = model.vocab_size

    @torch.inference_mode()
    def fill(self, ids: Sequence[int | None], count: int = 1) -> list[Filling]:
        """The `count` best fillings of a text in which None is a place to fill, best first."""
        was_training = self._model.training
        self._model.eval()
        try:
            start = Filling(tuple(self._mask if i is None else i for i in ids), 0.0)
            beam, width = [start], max(BEAM, count)
            for _ in range(sum(i is None for i in ids)):
                beam = self._extended(beam, width)
        finally:
            self._model.train(was_training)
        return beam[:count]

    def _extended(self, beam: list[Filling], width: int) -> list[Filling]:
        """The best texts with one place more filled, of all that the texts of `beam` lead to."""
        texts = torch.tensor([filling.ids for filling in beam])
        device = self._model.head.weight.device
        logits, _ = self._model(texts.T.to(device))
        logits[..., UNK_ID] = -torch.inf
        scores = logits.transpose(0, 1).double().cpu().log_softmax(-1)
        # By text: of two ways to the same one, the likelier stays.
        found: dict[tuple[int, ...], float] = {}
        for filling, text, score in zip(beam, texts, scores, strict=True):
            sureness = score.amax(-1).masked_fill(text != self._mask, -torch.inf)
            place = int(sureness.argmax())
            best = score[place].topk(min(width, score.shape[-1]))
            for value, token in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                ids = (*filling.ids[:place], token, *filling.ids[place + 1 :])
                found[ids] = max(found.get(ids, -math.inf), filling.log_probability + value)
        ranked = sorted(found.items(), key=lambda item: -item[1])[:width]
        return [Filling(ids, value) for ids, value in ranked if value > -math.inf]
