"""A model as one page, which runs it in a browser and asks for nothing from anywhere.

page.html, page.css   what it looks like, beside views/page.css
page.js, shown.js     what a reader does, and how texts are shown
packed.js             the weights, as weights.py writes them
engine.js, simd.js    the cells, step by step; products by WebAssembly, where it can be had
words.js, reading.js  texts and symbols
draw.js               random numbers, rules, and the draw
filler.js             gaps
work.js               what the page asks of these, in a worker if one can be had
"""

import re
from dataclasses import asdict
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from charlm.card import card_of
from charlm.config import Config, GenerationConfig
from charlm.data.code_points import CODE_POINTS
from charlm.data.text import others
from charlm.data.vocab import Vocab
from charlm.data.words import PUNCTUATION, is_sign, runs_of, unit_of, usually_joined
from charlm.errors import DataError, UsageError
from charlm.export.loss import Loss, loss_of
from charlm.export.weights import PRECISIONS, Packed, packed
from charlm.export.written import Written
from charlm.run import Run
from charlm.storage.files import write_bytes
from charlm.views.card import rows_to_share
from charlm.views.heatmap_page import legend, tints
from charlm.views.page import digest, embedded, head, stylesheet, tint_rules
from charlm.views.shown_text import UNSEEN, label, marked_up

_ENGINE = (
    "packed.js", "simd.js", "engine.js", "words.js", "reading.js", "draw.js", "filler.js",
    "work.js",
)  # fmt: skip
_PAGE = ("shown.js", "page.js")
# What a policy lets a page do: run its own scripts, by their digests, a worker made of them, and
# WebAssembly.
_POLICY = Template(
    "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "script-src '$engine' '$script' 'wasm-unsafe-eval'; style-src '$style'; worker-src blob:"
)
_SETTINGS = ("length", "temperature", "top_k", "top_p", "min_p", "seed")
# What a run can ask for and a page cannot do.
_UNMET = ("typical", "no_repeat", "match", "beam")

# Code points, first and last of each run.
Pairs = list[tuple[int, int]]


def write_page(run: Run, path: Path, precision: str) -> Written:
    """Write the page of a run's model, whole or not at all.

    precision: float32, float16 or int8; what it costs is measured and shown.
    Raises UsageError for another precision, ModelError for weights that cannot be used,
    FileSystemError.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision is {precision!r}; it can be {', '.join(PRECISIONS)}")
    weights = packed(run.weights, precision)
    try:
        loss, why = loss_of(run, weights.weights), ""
    except DataError as error:
        loss, why = None, f"; its cost was not measured: {error}"
    html = page_of(run, weights, precision, loss)
    data = html.encode("utf-8", "surrogatepass")
    write_bytes(path, data, follow=True)
    facts = {"precision": precision, "bytes": len(data), **(asdict(loss) if loss else {})}
    told = f"{len(data):,} bytes, {_precision(precision, loss)}{why}"
    if unmet := _unmet(run.config):
        told += f"; the page writes without {unmet}"
    return Written(told, {**facts, "cost": loss.cost} if loss else facts)


def page_of(run: Run, weights: Packed, precision: str, loss: Loss | None) -> str:
    """The page as one text. loss: None where it was not measured."""
    engine, script = (_joined(names) for names in (_ENGINE, _PAGE))
    style = "\n" + stylesheet() + tint_rules(tints()) + _file("page.css")
    fills = run.config.model.bidirectional
    unit = unit_of(run.vocab.level)
    card = card_of(run)
    rows = [("precision", _precision(precision, loss)), *rows_to_share(card)]
    if unmet := _unmet(run.config):
        rows.insert(0, ("writes", f"without {unmet}, which charlm generate knows"))
    policy = _POLICY.substitute(engine=digest(engine), script=digest(script), style=digest(style))
    settings = vars(run.config.generation)
    shown = {name: _number(settings[name]) for name in _SETTINGS}
    shown |= {f"about_{name}": escape(_help_of(name)) for name in _SETTINGS}
    return Template(_file("page.html")).substitute(
        **shown,
        head=head(card.name, policy, style),
        heading=marked_up(card.name),
        what=f"A recurrent language model that {'fills gaps in' if fills else 'writes'} text, "
        f"{unit} by {unit}",
        entry="A text with gaps" if fills else "How the text begins",
        hint=_HINTS[fills, unit],
        go="Fill" if fills else "Generate",
        unit=unit,
        writes="hidden" if fills else "",
        fills="" if fills else "hidden",
        legend=legend(tints(), ("0 bits", "12 bits and more"), ""),
        card="\n".join(
            f'<div><dt>{marked_up(name)}</dt><dd dir="auto">{marked_up(value)}</dd></div>'
            for name, value in rows
        ),
        about=embedded(about_model(run.config, run.vocab, weights, precision)),
        weights=weights.letters,
        engine=engine,
        script=script,
    )  # fmt: skip


_HINTS = {
    (False, "character"): "Ctrl+Enter writes on, Escape stops. Empty: it begins as after a line "
    "break.",
    (False, "word"): "Words with spaces between. Ctrl+Enter writes on, Escape stops.",
    (True, "character"): "Each _ is one character to find. Ctrl+Enter fills, Escape stops.",
    (True, "word"): "Each _, or run of them, is one word to find. Ctrl+Enter fills, Escape stops.",
}


def _precision(precision: str, loss: Loss | None) -> str:
    if loss is None:
        # Why, would name folders of the machine that it was made on.
        return f"weights in {precision}"
    of = "masked tokens of the validation part" if loss.masked else "the validation part"
    first = "" if loss.whole else f" (its first {loss.tokens:,} tokens)"
    cost = f", {loss.cost:+.4f} beside float32" if precision != "float32" else ""
    return f"weights in {precision}: {loss.nats:.4f} nats on {of}{first}{cost}"


def about_model(config: Config, vocab: Vocab, weights: Packed, precision: str) -> dict[str, Any]:
    """What the scripts are told."""
    text = config.text
    cleaning = {key: getattr(text, key) for key in ("newlines", "normalize", "lowercase")}
    labels = {i: name for i, token in enumerate(vocab.tokens) if (name := label(token)) != token}
    return {
        "level": vocab.level,
        "marks": _marks(vocab.level),
        "unit": unit_of(vocab.level),
        "tokens": vocab.tokens,
        "labels": labels,
        "first": vocab.opening,
        "text": {**cleaning, "strip_lines": text.strip_lines, "keep": _kept(text.keep)},
        "stop": config.generation.stop,
        "model": asdict(config.model),
        "precision": precision,
        "tensors": weights.tensors,
        "bytes": weights.size,
        "unseen": _runs(UNSEEN),
    }


def _unmet(config: Config) -> str:
    """What of the run's way to write the page cannot do."""
    usual, asked = GenerationConfig(), config.generation
    unmet = [name for name in _UNMET if getattr(asked, name) != getattr(usual, name)]
    return "" if config.model.bidirectional else ", ".join(unmet)


def _kept(keep: str | None) -> Pairs | None:
    """The characters of a class as pairs, first and last: what Python's `\\w` is, JavaScript's
    is not."""
    if keep is None:
        return None
    kept, begin = Pairs(), 0
    for first, last in [*_runs(others(keep)), (CODE_POINTS, CODE_POINTS)]:
        if first > begin:
            kept.append((begin, first - 1))
        begin = last + 1
    return kept


def _marks(level: str) -> dict[str, Pairs] | None:
    """The characters that are cut from the words, and those of them that are usually joined to what
    is before them or after them."""
    if PUNCTUATION not in level:
        return None
    signs = [code for code in range(CODE_POINTS) if is_sign(chr(code))]
    usual = {code: usually_joined(chr(code)) for code in signs}
    return {
        "all": runs_of(signs),
        "closing": runs_of(code for code in signs if usual[code] == (True, False)),
        "opening": runs_of(code for code in signs if usual[code] == (False, True)),
    }


@cache
def _runs(pattern: re.Pattern[str]) -> Pairs:
    """The code points that a pattern matches, as pairs, first and last."""
    runs: list[tuple[int, int]] = []
    for found in pattern.finditer("".join(map(chr, range(CODE_POINTS)))):
        follows = runs and runs[-1][1] + 1 == found.start()
        runs.append((runs.pop()[0] if follows else found.start(), found.end() - 1))
    return runs


def _help_of(setting: str) -> str:
    text: str = GenerationConfig.__dataclass_fields__[setting].metadata["help"]
    return text


def _number(value: float | None) -> str:
    """As a field has it: 1, not 1.0."""
    return "" if value is None else str(value).removesuffix(".0")


def _joined(names: tuple[str, ...]) -> str:
    return "\n" + "\n".join(map(_file, names))


def _file(name: str) -> str:
    return (files("charlm.export") / name).read_text(encoding="utf-8")
