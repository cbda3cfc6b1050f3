"""One sentence on what would make a model better, where its figures tell."""

from collections.abc import Sequence

# The training's loss is a mean over the last epoch, under dropout: it lags behind the model. Where
# it is below the validation's by this share all the same, the model itself is much further apart.
APART = 0.2
# And within this share they are together: one part of a text is as much harder than another.
TOGETHER = 0.05
# So few bits, and there is nothing left to learn.
LEARNED = 0.01
# Validations one after the other differ by less than this share where nothing changes.
RISEN = 0.02


def advice(
    training: float, validations: Sequence[float], epochs: float, *, estimated: bool = False
) -> str | None:
    """What to try next, or None where the figures do not tell.

    training: bits per token over the last epoch; validations: those of each validation, in order;
    epochs: how often the training part was read; estimated: the training's bits are against a
    sample of the symbols, and so not to be put beside them.
    """
    if not validations:
        return None
    best, last = min(validations), validations[-1]
    if last > best * (1 + RISEN) and (estimated or training < best):
        return (
            "Validation was better before: the model now learns its text by heart; more text, or "
            "more dropout (--dropout), would help."
        )
    if last == best and epochs < 1 and last > LEARNED:
        return "The training part was not yet read once: a longer training would learn more."
    if estimated:
        return None
    if training < last * (1 - APART):
        return (
            "Training and validation have come far apart: more text, or more dropout (--dropout), "
            "would help."
        )
    if training > last * (1 - TOGETHER) and last == best and last > LEARNED:
        return (
            "The training part is hardly known better than the validation part: a larger model "
            "(--hidden-size) or a longer training would learn more."
        )
    return None
