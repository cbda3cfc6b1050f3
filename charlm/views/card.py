"""The card of a model, for a terminal and as Markdown to be shared with it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from math import log
from typing import Any

from wcwidth import wrap

from charlm.card import Beside, Card, Validation
from charlm.config import Config
from charlm.data.words import unit_of
from charlm.evaluation.baselines import context_of
from charlm.evaluation.metrics import perplexity_of
from charlm.run import CORPUS, train_perplexity_name
from charlm.views.cells import figure
from charlm.views.markdown import literal, shell, table
from charlm.views.plan import limit_in_words, training_in_words
from charlm.views.shown_text import in_sight

UNKNOWN = "not recorded"
# Scripts with less of the letters than this are counted, not named.
LEAST_SHARE = 0.0005
# What names take, and what is too little for lines to be broken in.
NAME_CELLS, LEAST_ROOM = 12, 20

Row = tuple[str, str]


def as_text(card: Card, use: Sequence[str], width: int | None = None) -> str:
    """For a terminal. use: commands that show what the model can do. width: cells in a line, where
    there is a limit; commands, which are copied, are not broken."""
    lines = [f"{in_sight(str(card.path))}\n"]
    for name, value in rows_of(card):
        lines += _lines(name, _broken(in_sight(value), width))
    return "".join((*lines, *_lines("use", map(in_sight, use))))


def rows_of(card: Card) -> list[Row]:
    """All that there is to say, in order: names and values."""
    rows = [*_model(card), *_text(card), *_training(card), ("validation", _validation(card))]
    return [*rows, ("baselines", _beside(card)), *_made(card), ("holds", _held(card))]


def rows_to_share(card: Card) -> list[Row]:
    """Names and values, to be shared: they name no folder of the machine that it was made on."""
    rows = [*_model(card), *_text(card, folder=False), *_training(card)]
    return [*rows, ("validation", _validation(card)), ("baselines", _beside(card)), *_made(card)]


def _lines(name: str, parts: Iterable[str]) -> Iterator[str]:
    """The name of a fact before its first line."""
    for i, part in enumerate(parts):
        yield f"  {name if i == 0 else '':<{NAME_CELLS}}{part}\n"


def _broken(value: str, width: int | None) -> list[str]:
    room = (width or 0) - NAME_CELLS - 2
    return wrap(value, room, break_on_hyphens=False) if room >= LEAST_ROOM else [value]


def as_markdown(card: Card, use: Sequence[str]) -> str:
    """To be shared: it names no folder of the machine that it was made on."""
    unit = unit_of(card.config.text.level)
    what = "fills gaps in" if card.config.model.bidirectional else "writes, continues and scores"
    parts = [
        f"# {literal(card.name)}\n",
        f"A recurrent language model that {what} text, {unit} by {unit}; trained with charlm.\n",
        _facts([*_model(card), *_training(card), *_made(card)]),
        "## Scores\n",
        _scores(card),
        "## Text\n",
        _facts([*_text(card, folder=False), ("in the folder", _held(card))]),
        "## Use\n",
        shell(use),
    ]
    return "\n".join(parts)


def _facts(rows: Sequence[Row]) -> str:
    return table(("", ""), ((literal(name), literal(value)) for name, value in rows))


def _model(card: Card) -> Iterator[Row]:
    model = card.config.model
    inputs = f"embedding {model.embedding_size}" if model.embedding_size else "one-hot input"
    layers = f"{model.num_layers} layer{'s' * (model.num_layers > 1)} of {model.hidden_size} units"
    layers += " each way" if model.bidirectional else ""
    tied = " (tied to the head)" * model.tied
    size = f"{card.parameters:,} parameters"
    yield "model", f"{model.rnn_type.upper()}, {layers}, {inputs}{tied}, {size}"


def _text(card: Card, *, folder: bool = True) -> Iterator[Row]:
    corpus = card.corpus
    splits = {part: size for part, size in corpus["splits"].items() if size}
    parts = ", ".join(f"{part} {size:,}" for part, size in splits.items())
    name = corpus.get("name", f"(its name was {UNKNOWN})")
    where = f", in {corpus['path']}" if folder else ""
    if folder and corpus["path"] == CORPUS and not card.holds:
        where = ", which is not there"
    yield (
        "corpus",
        f"{name}: {sum(splits.values()):,} {unit_of(card.config.text.level)}s ({parts}){where}",
    )
    yield "SHA-256", f"{corpus['sha256']} (of the cleaned text)"
    yield "scripts", _scripts(card.scripts)
    yield "text", ", ".join(f"{key} {value}" for key, value in _preparation(card.config))
    yield "vocabulary", f"{card.vocab_size:,} tokens"


def _scripts(shares: Mapping[str, float]) -> str:
    if not shares:
        return "none: the text has no letters"
    named = [f"{name} {share:.1%}" for name, share in shares.items() if share >= LEAST_SHARE]
    rest = len(shares) - len(named)
    several = rest > 1
    others = f"; {rest} other script{'s' * several}, less than {LEAST_SHARE:.2%}{' each' * several}"
    return f"{', '.join(named)} of its letters{others * (rest > 0)}"


def _preparation(config: Config) -> Iterator[tuple[str, Any]]:
    """How the text was cleaned, and what else was done to it that is not always done."""
    for key, value in vars(config.text).items():
        if value not in (False, None):
            yield key, value
    usual = Config().data
    for key, value in vars(config.data).items():
        if key not in ("input", "text") and value != getattr(usual, key):
            yield key, " ".join(value) if isinstance(value, tuple) else value


def _training(card: Card) -> Iterator[Row]:
    config, facts = card.config, card.trained
    limit = limit_in_words(config.training) or "as long as the text was worth"
    yield "plan", training_in_words(
        config.training, config.model.dropout, card.vocab_size,
        limit=limit, masked=config.model.bidirectional,
    )  # fmt: skip
    steps = f"{facts['step']:,} step{'s' * (facts['step'] != 1)}"
    epochs = f"{facts['epochs']:g} epoch{'s' * (facts['epochs'] != 1)}"
    done = f"{steps}, {epochs}, {facts['seconds']:g} s"
    precision = facts.get("precision", config.training.precision)
    name = train_perplexity_name(config.model)
    about = "about " * config.training.is_sampled(card.vocab_size)
    figure = f"{name.replace('_', ' ')} {about}{facts[name]:.3f}"
    yield "trained", f"{done} in {precision}, {figure}"


def _made(card: Card) -> Iterator[Row]:
    found = card.conditions
    version = f"charlm {card.charlm}" if card.charlm else f"charlm (version {UNKNOWN})"
    torch = f"torch {found['torch']}" if "torch" in found else f"torch (version {UNKNOWN})"
    when = f", on {_day(card.saved)}" if card.saved else ""
    yield "made with", f"{version}, {torch}{when}"
    yield "processor", _processor(found)


def _processor(found: Mapping[str, str | int]) -> str:
    if "processor" not in found:
        return UNKNOWN
    device = found.get("device", "cpu")
    beside = f"{device}, with " if device != "cpu" else ""
    threads = found.get("threads")
    several = f", {threads} thread{'s' * (threads != 1)}" if threads else ""
    return f"{beside}{found['processor']}{several}"


def _day(saved: str) -> str:
    try:
        return datetime.fromisoformat(saved).date().isoformat()
    except ValueError:
        return saved


def _validation(card: Card) -> str:
    seen = card.validation
    if seen is None:
        return "none: the weights are those of the last step"
    masked = "masked " * seen.masked
    return (
        f"{masked}perplexity {figure(seen.perplexity)} per {seen.unit} "
        f"({figure(seen.bits, 4)} bits, {figure(seen.nats, 4)} nats) over {_scored(seen)}"
    )


def _scored(seen: Validation) -> str:
    part = "" if seen.whole else ", the beginning of the part"
    return f"{seen.tokens:,} {'masked ' * seen.masked}{seen.unit}s{part}"


def _names(unit: str) -> dict[str, str]:
    return {
        "order_5": f"counting {context_of(unit)}",
        "xz": "xz",
        "unigram": f"counting single {unit}s",
    }


def _beside(card: Card) -> str:
    """In a line: perplexities of others that know the same training text."""
    if card.validation is None or card.validation.masked:
        return "none that can be compared"
    if card.beside is None:
        return f"{UNKNOWN}; charlm evaluate shows them where the text is at hand"
    named = _names(card.validation.unit)
    nats = card.beside.nats
    figures = [f"{name} {figure(perplexity_of(nats[key]))}" for key, name in named.items()
               if key in nats]  # fmt: skip
    about = "about: " if card.beside.tokens is None else ""
    return f"{about}{', '.join(figures)}"


def _scores(card: Card) -> str:
    """A table: the model, and beside it what others make of the same text."""
    seen = card.validation
    if seen is None:
        return "Not validated: the weights are those of the last step.\n"
    masked = "masked " * seen.masked
    rows = [("this model", figure(seen.bits), figure(seen.perplexity))]
    if card.beside and not seen.masked:
        rows += [
            (name, figure(card.beside.nats[key] / log(2)),
             figure(perplexity_of(card.beside.nats[key])))
            for key, name in _names(seen.unit).items() if key in card.beside.nats
        ]  # fmt: skip
    figures = table(("", f"{masked}bits per {seen.unit}", f"{masked}perplexity"), rows, True)
    return (
        f"On text held out of training, {_scored(seen)}; lower is better."
        f"{_how_compared(card, seen)}\n\n{figures}"
    )


def _how_compared(card: Card, seen: Validation) -> str:
    if seen.masked:
        return " Each was guessed from both sides: no perplexity of a text."
    beside: Beside | None = card.beside
    if beside is None:
        return f" What simple models make of it was {UNKNOWN}."
    same = " The others were fitted on the same training part"
    if beside.tokens is None:
        return f"{same}'s end, and scored on a beginning of that text: about."
    first = "" if beside.tokens == seen.tokens else f", and scored on the first {beside.tokens:,}"
    return f"{same}{first}."


def _held(card: Card) -> str:
    """What whoever is given the run is given with it."""
    if not card.holds:
        return "no training text"
    held = " and ".join(card.holds)
    return f"its whole training text, in {held}: leave that out to share the model alone"
