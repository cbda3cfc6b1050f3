"""What a training is told beside, and what is told at its end."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.cli.inputs import how_to_use
from charlm.config import Config
from charlm.errors import typed

if TYPE_CHECKING:
    from charlm.data.corpus import Corpus
    from charlm.training.session import Result


@dataclass(frozen=True)
class Yardstick:
    """What counting alone makes of the text that a model is validated on: perplexities, about."""

    unigram: float
    order_5: float
    unit: str

    def __str__(self) -> str:
        return f"to beat: {self._context()}, a validation perplexity of about {self.order_5:.2f}"

    def beside(self) -> str:
        """To be read below a model's perplexity."""
        return f"  others, about: unigram {self.unigram:.2f}, {self._context()} {self.order_5:.2f}"

    def _context(self) -> str:
        from charlm.evaluation.baselines import ORDER

        return f"{ORDER} {self.unit}s of context"


def yardstick(corpus: "Corpus") -> Yardstick | None:
    """None where there is nothing to validate on."""
    from charlm.data.splits import LEAST_TOKENS
    from charlm.evaluation.baselines import at_a_glance
    from charlm.evaluation.metrics import perplexity_of

    train, valid = corpus.split("train"), corpus.split("valid")
    if len(valid) < LEAST_TOKENS:
        return None
    unigram, order_5 = map(perplexity_of, at_a_glance(train, valid, len(corpus.vocab)))
    return Yardstick(unigram, order_5, "character" if corpus.vocab.level == "char" else "word")


def summary(result: "Result", config: Config, to_beat: Yardstick | None) -> str:
    """Of a training that is done."""
    lines = str(result).split("\n")
    if to_beat:
        lines.insert(1, to_beat.beside())
    if result.advice:
        lines.append(result.advice)
    lines += [f"run: {result.run}", "try next:"]
    lines += [f"  {command}" for command in what_to_try(result.run, config)]
    return "".join(f"{line}\n" for line in lines)


def what_to_try(path: Path, config: Config) -> list[str]:
    """Three commands for whoever has just trained a model."""
    name = typed(path)
    if config.model.bidirectional:
        more = [f'charlm fill -m {name} -n 3 "a text with g_ps"', f"charlm info {name}"]
    elif config.text.level == "word":
        more = [f"charlm evaluate -m {name}", f"charlm info {name}"]
    else:
        more = [f"charlm evaluate -m {name}", f"charlm neurons {name}"]
    return [how_to_use(path, config.model), *more]
