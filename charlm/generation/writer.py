"""A model that continues a prefix: the prefix as it reads it, the engine, the threads."""

import secrets
from collections.abc import Iterator

from charlm.config import GenerationConfig
from charlm.data.splits import SPLITS
from charlm.data.text import clean_text
from charlm.data.vocab import UNK_ID
from charlm.errors import ModelError
from charlm.generation.engine import Engine
from charlm.generation.known_lines import KnownLines
from charlm.generation.lines import BREAK, Line, Lines, Wanted
from charlm.generation.sampler import Sample, Sampler
from charlm.generation.stepper import Stepper
from charlm.run import Run, check_known

# A shorter one would be over before it is known how many threads pay.
LONG_TEXT = 10_000


class Writer:
    """Texts from the model of a run.

    seed: of the draw, that of the settings or, where they have none, one by chance.
    """

    def __init__(
        self, run: Run, settings: GenerationConfig, engine: Engine, *, scored: bool = False
    ) -> None:
        """scored: whether the nats of what is written are added up."""
        self._run, self._settings, self._engine = run, settings, engine
        self.seed = secrets.randbelow(2**32) if settings.seed is None else settings.seed
        self._scored = scored

    def first_id(self) -> int:
        """What the model reads where there is no prefix."""
        return Sampler(self._engine, self._run.vocab, self._settings).first_id()

    def write(self, ids: list[int]) -> tuple[list[Sample], Iterator[tuple[int, str]]]:
        """The texts that continue a prefix, empty as yet, and their pieces as they come: the number
        of the text, and what comes next in it. Raises ModelError for a prefix that the model cannot
        go on from; and as `guides_of` does."""
        sampler = Sampler(self._engine, self._run.vocab, self._settings, scored=self._scored)
        samples = sampler.start(ids)
        stream = sampler.stream(ids, samples, self.seed)
        return samples, self._threaded(stream)

    def lines(self, ids: list[int], wanted: Wanted) -> Iterator[Line]:
        """Lines as they are found. Raises what `Lines` does."""
        from charlm.generation.blas import one_thread

        vocab, scored = self._run.vocab, self._scored
        lines = Lines(self._engine, vocab, self._settings, wanted, scored=scored)
        # A list is soon made; beside another process, threads would take several times as long.
        with one_thread():
            yield from lines.stream(ids, self.seed)

    def _threaded(self, stream: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """A long text by as many of NumPy's threads as pay."""
        settings, engine = self._settings, self._engine
        if settings.length * settings.num_samples < LONG_TEXT or not isinstance(engine, Stepper):
            return stream
        from charlm.generation.blas import in_fitting_threads

        return in_fitting_threads(engine, settings.num_samples, stream)

    def check_finished(self, samples: list[Sample]) -> None:
        """Raises ModelError where the model could not go on."""
        ended = [len(sample.text) for sample in samples if sample.stop_reason == "overflow"]
        if ended:
            raise ModelError(
                f"{self._run.path}: the state of this model grows beyond all bounds as it reads on "
                f"(here, {min(ended)} characters after the prefix): it has not learned to write "
                "longer texts"
            )


def lines_known_to(run: Run) -> KnownLines:
    """The lines of the text that a run was made from, what was held out of it included.

    Raises DataError if the corpus is gone, ModelError if it is another.
    """
    corpus = run.open_corpus()
    parts = [corpus.split(part) for part in SPLITS if corpus.splits[part]]
    return KnownLines(parts, len(run.vocab), run.vocab[BREAK])


def engine_of(run: Run, device: str | None = None) -> Engine:
    """NumPy on a CPU, without waiting for torch; else torch on the device."""
    if device in (None, "cpu"):
        return Stepper(run.config.model, run.weights)
    from charlm.generation.torch_stepper import TorchStepper
    from charlm.model.network import open_model

    return TorchStepper(open_model(run, device))


def read_prefix(
    prefix: str, run: Run, on_unknown: str, what: str = "the prefix",
    instead: str = "add --on-unknown skip or replace",
) -> tuple[str, list[int]]:  # fmt: skip
    """The prefix as the model reads it, and its ids.

    on_unknown: what to do with what it does not know (`GenerationConfig`). Raises DataError, which
    calls it `what` and tells what can be done `instead` of leaving that out.
    """
    text = run.vocab.as_read(clean_text(prefix, run.config.text))
    if on_unknown == "error":
        check_known(text, run, what, f", or {instead}")
    ids = [int(i) for i in run.vocab.encode(text)]
    if on_unknown == "skip":
        ids = [i for i in ids if i != UNK_ID]
        text = run.vocab.decode(ids)
    return text, ids
