"""How a model is trained, in words."""

from charlm.config import TrainingConfig


def limit_in_words(training: TrainingConfig) -> str | None:
    """What ends the training; None where nothing was given to."""
    if training.max_steps:
        return f"{training.max_steps:,} step{'s' * (training.max_steps > 1)}"
    if training.epochs:
        return f"{training.epochs:g} epoch{'s' * (training.epochs != 1)}"
    return f"{training.time:g} s in all" if training.time else None


def training_in_words(
    training: TrainingConfig,
    dropout: float,
    vocab_size: int,
    *,
    limit: str,
    masked: bool,
    epochs: float | None = None,
) -> str:
    """The plan of a training in a line.

    limit: what ends it. masked: it predicts what is masked. epochs: how many the time is likely to
    allow.
    """
    sampling = "windows with gaps" if masked else training.sampling
    return (
        f"{training.batch_size}×{training.seq_len} ({sampling}), "
        f"{training.optimizer} {training.lr:g}, dropout {dropout:g}, {limit}"
        + (f", about {epochs:.3g} epochs" if epochs else "")
        + f", {training.precision}" * (training.precision != "float32")
        + (f", {training.threads} thread{'s' * (training.threads > 1)}" if training.threads else "")
        + (f", {training.parts} parts side by side" if training.parts > 1 else "")
        + (
            f", each step against {training.sampled:,} symbols"
            if training.is_sampled(vocab_size)
            else ""
        )
    )
