"""What a training is about to be: for people, and for scripts."""

from charlm.model.shapes import parameters
from charlm.settings import to_dict
from charlm.training.limits import most_seconds
from charlm.training.reports import Prospect
from charlm.views.explained import explained
from charlm.views.plan import limit_in_words, training_in_words
from charlm.views.shown_text import in_sight


def describe(prospect: Prospect) -> str:
    """The plan in three lines."""
    config, symbols = prospect.config, prospect.symbols
    model = config.model
    parts = ", ".join(f"{part} {size:,}" for part, size in prospect.sizes.items() if size)
    both = ", bidirectional" * model.bidirectional
    limit = limit_in_words(config.training) or f"at most {most_seconds(config.training):g} s"
    plan = training_in_words(
        config.training, model.dropout, symbols,
        limit=limit, masked=model.bidirectional, epochs=prospect.epochs,
    )  # fmt: skip
    return (
        f"text: {in_sight(prospect.name)}, vocabulary of {symbols:,}; {parts}\n"
        f"model: {model.rnn_type.upper()} {model.num_layers}×{model.hidden_size}, embedding "
        f"{model.embedding_size or 'one-hot'}{' (tied)' * model.tied}, "
        f"{parameters(model, symbols):,} parameters{both}\n"
        f"training: {plan}"
    )


def explanation(prospect: Prospect) -> str:
    """The model and the arithmetic of a step, told to a learner."""
    import torch

    from charlm.model.network import CharLM, freeze
    from charlm.training.optim import OPTIMIZERS, numbers_kept

    config = prospect.config
    with torch.device("meta"):  # of which there are only the shapes
        model = CharLM(config.model, prospect.symbols, to_be_loaded=True)
    freeze(model, config.training.freeze)
    optimizer = OPTIMIZERS[config.training.optimizer](model, config.training)
    return explained(config, prospect.symbols, numbers_kept(optimizer))


def plan_figures(prospect: Prospect) -> dict[str, object]:
    """The plan for scripts."""
    config = prospect.config
    return {
        "text": prospect.name,
        "vocab_size": prospect.symbols,
        "splits": prospect.sizes,
        "parameters": parameters(config.model, prospect.symbols),
        "epochs": prospect.epochs,
        "model": to_dict(config.model),
        "training": to_dict(config.training),
    }
