"""Train, evaluate and sample character-level recurrent language models.

Data flows down this list, and each module imports only from those above it:

    storage                  files that are written whole or not at all
    data.source, data.text   a text, read and cleaned in pieces
    data.vocab               its tokens <-> ids
    data.corpus              ids on disk, split in train, valid and test
    data.batches             windows of ids: step number -> batch
    run                      a finished run opened for use: config, vocabulary, weights
    model.network            CharLM: ids, state -> logits, state
    evaluation               logits -> nats, bits per character, perplexity
    generation               weights -> text, on NumPy alone
    views                    what people look at
    export                   weights -> a model for elsewhere
    training                 batches -> weights, checkpoints, metrics, samples: a run
    library                  load, train and Model: all of it in three lines of Python
    cli                      one file a command, which parses, calls and prints

`charlm train INPUT`, from the command to the gradient: cli.train parses; training.job measures the
text, chooses what was left open and makes the run; training.session trains it from its folder to
its result; training.trainer is the loop and the step, training.gradient what a step is made of.
`charlm.train` enters at training.job.

Importing charlm imports neither torch nor numpy: the public names load when they are used.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # who checks types knows them, although they load when they are used
    from charlm.config import Config as Config
    from charlm.data.corpus import Corpus as Corpus
    from charlm.data.corpus import build_corpus as build_corpus
    from charlm.data.corpus import open_corpus as open_corpus
    from charlm.data.vocab import Vocab as Vocab
    from charlm.errors import CharlmError as CharlmError
    from charlm.evaluation.evaluator import evaluate as evaluate
    from charlm.evaluation.metrics import Score as Score
    from charlm.generation.sampler import Sampler as Sampler
    from charlm.generation.stepper import Stepper as Stepper
    from charlm.library.model import Model as Model
    from charlm.library.model import load as load
    from charlm.library.train import train as train
    from charlm.model.network import CharLM as CharLM
    from charlm.run import Run as Run
    from charlm.run import open_run as open_run
    from charlm.training.trainer import Trainer as Trainer

# A thread of torch's that has nothing to do waits in a loop, by default for so long that a second
# process on the same cores is all but stopped. To be set before torch is imported; whoever has set
# one of these knows better.
if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
    os.environ["GOMP_SPINCOUNT"] = "1000"

__version__ = "0.1.0"

_PUBLIC = {
    "load": "charlm.library.model",
    "train": "charlm.library.train",
    "Model": "charlm.library.model",
    "Config": "charlm.config",
    "CharlmError": "charlm.errors",
    "Vocab": "charlm.data.vocab",
    "Corpus": "charlm.data.corpus",
    "build_corpus": "charlm.data.corpus",
    "open_corpus": "charlm.data.corpus",
    "Run": "charlm.run",
    "open_run": "charlm.run",
    "CharLM": "charlm.model.network",
    "Score": "charlm.evaluation.metrics",
    "evaluate": "charlm.evaluation.evaluator",
    "Trainer": "charlm.training.trainer",
    "Stepper": "charlm.generation.stepper",
    "Sampler": "charlm.generation.sampler",
}

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'charlm' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
