"""Model: a trained model, and all that can be done with it from Python."""

import os
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from charlm.config import Config, GenerationConfig
from charlm.consistency import check_generation
from charlm.data.inputs import named_or_text, source_of
from charlm.data.vocab import UNK_ID
from charlm.errors import UsageError
from charlm.library.wording import in_python
from charlm.run import Run, need_direction, open_run
from charlm.settings import by_name, configured

# What takes time to import is imported when it is used: a model is loaded in a moment.
if TYPE_CHECKING:
    from charlm.evaluation.metrics import Score
    from charlm.generation.engine import Engine
    from charlm.generation.writer import Writer
    from charlm.library.card import ModelCard
    from charlm.library.score import TextScore
    from charlm.model.network import CharLM

# See `data.inputs.named_or_text`.
Text = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
SPLITS = ("train", "valid", "test")
ON_UNKNOWN = 'give on_unknown="skip" or "replace"'


class Next(NamedTuple):
    """What may come next. token: a character, or a word. probability: from 0 to 1."""

    token: str
    probability: float


class Filled(NamedTuple):
    """A text without gaps. probability: from 0 to 1, of all that was put into it."""

    text: str
    probability: float


class Model:
    """A trained model, as `charlm.load` and `charlm.train` give it.

    run: its run, with config, vocabulary and weights. Text is written and scored by NumPy alone,
    unless it is on another device than a CPU; evaluate and fill import torch.
    Whatever fails raises an error of charlm's own (`CharlmError`), in the words of Python.
    """

    def __init__(self, run: Run, *, device: str = "cpu") -> None:
        """device: where to compute: cpu, cuda, cuda:N or mps."""
        _ = run.weights  # whose damage, if any, is told now
        self.run, self.device = run, device

    @property
    def path(self) -> Path:
        """Of the run's folder."""
        return self.run.path

    def generate(self, prefix: str = "", **settings: Any) -> str:
        """A text that continues `prefix`: the continuation alone, as `charlm generate` writes it.

        settings: those of `GenerationConfig`: length (new characters, or words), temperature,
        top_k, top_p, min_p, stop (texts), seed, on_unknown and the others, as in `charlm generate
        --help`; what is not given is as the run has it. The same seed, the same text.
        Raises UsageError for settings, DataError for a prefix with characters that the model does
        not know, ModelError for a model that fills gaps.
        """
        return "".join(self.stream(prefix, **settings))

    @in_python()
    def samples(self, n: int, prefix: str = "", **settings: Any) -> list[str]:
        """`n` texts that continue `prefix`, made side by side; see `generate`."""
        _no_number(settings)
        writer, ids = self._writer(prefix, {**settings, "num_samples": n})
        samples, stream = writer.write(ids)
        for _ in stream:
            pass
        writer.check_finished(samples)
        return [sample.text for sample in samples]

    @in_python()
    def stream(self, prefix: str = "", **settings: Any) -> Iterator[str]:
        """`generate`, piece by piece as it is made; the settings are checked at once."""
        _no_number(settings)
        writer, ids = self._writer(prefix, {**settings, "num_samples": 1})
        return self._pieces(writer, ids)

    def _pieces(self, writer: "Writer", ids: list[int]) -> Iterator[str]:
        with in_python():
            samples, stream = writer.write(ids)
            for _, text in stream:
                if text:
                    yield text
            writer.check_finished(samples)

    def _writer(self, prefix: str, settings: dict[str, Any]) -> "tuple[Writer, list[int]]":
        from charlm.generation.writer import Writer, read_prefix

        need_direction(self.run, bidirectional=False)
        changes = by_name(settings, "generation")
        found: GenerationConfig = configured(self.run.config, changes).generation
        check_generation(found)
        _, ids = read_prefix(
            _text(prefix, "prefix"), self.run, found.on_unknown, instead=ON_UNKNOWN
        )
        return Writer(self.run, found, self._engine), ids

    @cached_property
    def _engine(self) -> "Engine":
        from charlm.generation.writer import engine_of

        return engine_of(self.run, self.device)

    @in_python()
    def next(self, prefix: str = "", k: int = 10) -> list[Next]:
        """The `k` likeliest next characters (or words) after `prefix`, the likeliest first, with
        their probabilities under the model itself, at temperature 1. What stands for unknown ones
        is not told of, so all of them may sum to less than 1. Raises ModelError as `evaluate`."""
        import numpy as np

        from charlm.evaluation.metrics import no_likelihood
        from charlm.generation.rules import relative

        need_direction(self.run, bidirectional=False)
        k = _count(k, "k")
        writer, ids = self._writer(prefix, {})
        state = self._engine.start()
        logits = self._engine.read(ids or [writer.first_id()], state)
        if not np.isfinite(logits).all():
            raise no_likelihood()
        shares = np.exp(relative(logits)[0][0])
        shares /= shares.sum()
        order = [i for i in np.argsort(-shares, kind="stable").tolist() if i != UNK_ID]
        return [Next(self.run.vocab.tokens[i], float(shares[i])) for i in order[:k]]

    @in_python()
    def score(self, text: str) -> "TextScore":
        """How surprised the model is at `text`, read in order from its beginning: nats (base e),
        bits (base 2), perplexity, and the bits of each character.

        The first character has no surprise, as nothing stands before it. Unknown ones are scored as
        <unk> where the model has met rare ones as that, else left out. text: the text itself, never
        a path. Raises DataError where there is nothing to score.
        """
        from charlm.evaluation.lines import reader_of
        from charlm.library.score import score_text

        need_direction(self.run, bidirectional=False)
        reader = reader_of(self.run, eol=True)
        return score_text([_text(text, "text")], self.run, reader)

    def surprise(self, text: str) -> list[float | None]:
        """The bits (base 2) of each character (or word) of `text`, as the model reads it; None
        where there is no surprise (see `score`)."""
        return [bits for line in self.score(text).lines for bits in line.bits]

    @in_python()
    def fill(self, text: str, n: int = 1, *, mask: str = "_") -> list[Filled]:
        """The `n` best ways to fill the gaps of `text`, the best first, by a model that was trained
        with `bidirectional=True`. Each `mask` is one character to find; at word level, a run of
        them is one word. Raises ModelError for a model that reads one way, DataError for a text
        without a gap or with what the model does not know."""
        from charlm.generation.gaps import check_mask, read_gaps

        need_direction(self.run, bidirectional=True)
        check_mask(_text(mask, "mask"))
        n = _count(n, "n")
        ids = read_gaps(_text(text, "text"), mask, self.run)
        from charlm.generation.filler import Filler

        found = Filler(self._network, self.run.vocab).fill(ids, n)
        return [Filled(self.run.vocab.decode(one.ids), one.probability) for one in found]

    @cached_property
    def _network(self) -> "CharLM":
        from charlm.model.network import open_model

        return open_model(self.run, self.device)

    @in_python()
    def evaluate(self, text_or_split: Text = "valid") -> "Score":
        """The score of a text in one pass, as `charlm evaluate` has it.

        text_or_split: "train", "valid" or "test", a part of the corpus that the model was trained
        on; else a path, a corpus's too, or a text, told apart as by `charlm.train`.
        Raises ModelError for a model that grows beyond all numbers as it reads.
        """
        from contextlib import nullcontext

        from charlm.evaluation.evaluator import evaluate
        from charlm.evaluation.texts import ids_of, ids_to_score

        need_direction(self.run, bidirectional=False)
        run, config = self.run, self.run.config
        split = text_or_split if text_or_split in SPLITS else None
        given = () if split else named_or_text(text_or_split, "the text")
        if isinstance(text_or_split, str) and not isinstance(given, tuple):
            _refuse_nearly_a_split(text_or_split)

        def unseen(name: str) -> Any:
            return nullcontext(lambda size: None)

        if isinstance(given, tuple) and len(given) < 2:
            ids, _ = ids_to_score(given[0] if given else None, split, run, config, unseen)
        else:
            source = source_of(given, config) if isinstance(given, tuple) else given
            ids = ids_of(source, source.name, run, config, unseen)
        return evaluate(self._network, ids, run.vocab).checked()

    @property
    @in_python()
    def card(self) -> "ModelCard":
        """What it is, what it was trained on, what it reached."""
        from charlm.card import card_of
        from charlm.library.card import ModelCard

        return ModelCard(**vars(card_of(self.run)))

    @property
    def config(self) -> Config:
        """Every setting that it was made with."""
        return self.run.config

    def __repr__(self) -> str:
        model, seen = self.run.config.model, self.card.validation
        kind = f"{model.rnn_type.upper()} {model.num_layers}×{model.hidden_size}"
        reached = ""
        if seen:
            masked = "masked " * seen.masked
            reached = f", {seen.bits:.3f} bits per {masked}{seen.unit} on held-out text"
        return f"<charlm model {self.path}: {kind}, {len(self.run.vocab):,} symbols{reached}>"

    def _repr_html_(self) -> str:
        return self.card._repr_html_()


@in_python()
def load(
    path: str | os.PathLike[str],
    *,
    corpus: str | os.PathLike[str] | None = None,
    device: str = "cpu",
) -> Model:
    """The model of the run at `path`, a folder that `charlm train` or `charlm.train` has made.

    corpus: where its corpus is now, if it was moved. device: see `Model`. Takes a fraction of a
    second, and imports no torch. Raises ModelError for what is no run, or is damaged.
    """
    return Model(open_run(path_of(path, "path"), optional_path(corpus, "corpus")), device=device)


def path_of(given: object, name: str) -> Path:
    """Raises UsageError for what is no path."""
    if isinstance(given, str | os.PathLike) and "\0" not in os.fsdecode(given):
        return Path(os.fsdecode(given))
    raise UsageError(f"{name} is {given!r:.60}; it must be a path")


def optional_path(given: object, name: str) -> Path | None:
    return None if given is None else path_of(given, name)


def _text(given: object, name: str) -> str:
    if isinstance(given, str):
        return given
    raise UsageError(f"{name} is {given!r:.60}; it must be a text")


def _count(given: object, name: str) -> int:
    """NumPy's whole numbers are some too."""
    if isinstance(given, Integral) and not isinstance(given, bool) and int(given) >= 1:
        return int(given)
    raise UsageError(f"{name} is {given!r:.60}; it must be a whole number of at least 1")


def _no_number(settings: dict[str, Any]) -> None:
    if "num_samples" in settings:
        raise UsageError("num_samples: use samples(n) for several texts")


def _refuse_nearly_a_split(text: str) -> None:
    """So short a text has no score worth having, and would be a mistyped name of a part."""
    if "\n" not in text and (meant := get_close_matches(text, SPLITS, 1)):
        raise UsageError(f"{text!r} is no part of a corpus; is {meant[0]!r} meant?")
