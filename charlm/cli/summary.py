"""What a training is told beside, and what is told at its end."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from charlm.cli.inputs import how_to_use
from charlm.config import Config
from charlm.data.words import unit_of
from charlm.errors import typed

if TYPE_CHECKING:
    from charlm.run import Run
    from charlm.training.result import Result


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
        from charlm.evaluation.baselines import context_of

        return context_of(self.unit)


def yardstick(run: "Run") -> Yardstick | None:
    """As the run has recorded it; None where there is nothing to validate on, of a model that sees
    both sides, and of a run of an older charlm."""
    from charlm.evaluation.metrics import perplexity_of

    found = run.corpus_record.get("baselines", {})
    if not found.keys() >= {"unigram", "order_5"}:
        return None
    unigram, order_5 = (perplexity_of(found[name]) for name in ("unigram", "order_5"))
    return Yardstick(unigram, order_5, unit_of(run.vocab.level))


def summary(result: "Result", run: "Run") -> str:
    """Of a training that is done."""
    from charlm.views.shown_text import in_sight

    lines = str(result).split("\n")
    if to_beat := yardstick(run):
        lines.insert(1, to_beat.beside())
    if result.advice:
        lines.append(result.advice)
    lines += [f"run: {in_sight(str(result.run))}", "try next:"]
    lines += [f"  {command}" for command in what_to_try(result.run, run.config)]
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
