"""What a model writes, or fills, while it learns."""

import dataclasses

from charlm.data.text import clean_text, detokenize
from charlm.generation.filler import Filler
from charlm.generation.sampler import Sampler
from charlm.generation.stepper import Stepper
from charlm.model.network import weights_of
from charlm.training.trainer import Trainer

SAMPLE_LENGTH = 200
# A sample of a model that fills gaps: so many tokens, every so many-th of them to be filled.
FILL_LENGTH, GAP_EVERY = 100, 12


def sample(trainer: Trainer) -> str:
    """A text from the weights of the moment."""
    return filled(trainer) if trainer.config.model.bidirectional else written(trainer)


def written(trainer: Trainer) -> str:
    """`sample_prefix`, as the model reads it, and its continuation; the seed is the step."""
    config, vocab = trainer.config, trainer.corpus.vocab
    prefix = clean_text(config.training.sample_prefix, config.text)
    ids = [int(i) for i in vocab.encode(prefix)]
    # Plain text, whatever the run is to write: a half-trained model may have no match to show.
    settings = dataclasses.replace(
        config.generation, length=SAMPLE_LENGTH, num_samples=1, stop=(), match=None, beam=0
    )
    stepper = Stepper(config.model, weights_of(trainer.model))
    sampler = Sampler(stepper, vocab, settings, scored=False)
    samples = sampler.start(ids)
    for _ in sampler.stream(ids, samples, trainer.done):
        pass
    return vocab.as_read(prefix) + samples[0].text


def filled(trainer: Trainer) -> str:
    """The beginning of the held-out text (or of the text, where none is) with gaps, and filled."""
    corpus = trainer.corpus
    part = "valid" if corpus.splits["valid"] else "train"
    ids = [int(i) for i in corpus.split(part)[:FILL_LENGTH]]
    gaps: list[int | None] = [None if k % GAP_EVERY == GAP_EVERY - 1 else i
                              for k, i in enumerate(ids)]  # fmt: skip
    [filling] = Filler(trainer.model, corpus.vocab).fill(gaps)
    tokens = ("_" if i is None else corpus.vocab.tokens[i] for i in gaps)
    return f"{detokenize(tokens, corpus.vocab.level)}\n{corpus.vocab.decode(filling.ids)}"
