"""Which tokens of a text are trained on, and which are held out to validate and to test."""

from decimal import Decimal
from math import floor

from charlm.config import DataConfig
from charlm.errors import DataError

SPLITS = ("train", "valid", "test")
# A part that is scored needs one token to read and one to predict.
LEAST_TOKENS = 2


def split_sizes(tokens: int, val_frac: float, test_frac: float) -> dict[str, int]:
    """Contiguous parts in the order train, valid, test; train has floor(n * (1 - val - test)).

    Reckoned in decimal: as binary fractions, 0.1 and 0.2 would now and then cost a token.
    """
    val, test = Decimal(str(val_frac)), Decimal(str(test_frac))
    train = floor(tokens * (1 - val - test))
    train_and_valid = floor(tokens * (1 - test)) if val else train
    return {"train": train, "valid": train_and_valid - train, "test": tokens - train_and_valid}


def check_sizes(sizes: dict[str, int], config: DataConfig, source: str) -> None:
    """Refuse a text too short to train on and to score. Raises DataError."""
    wanted = {"train": True, "valid": config.val_frac > 0, "test": config.test_frac > 0}
    short = [part for part in SPLITS if wanted[part] and sizes[part] < LEAST_TOKENS]
    if not short:
        return
    tokens, needed = sum(sizes.values()), LEAST_TOKENS
    while any(
        wanted[part] and size < LEAST_TOKENS
        for part, size in split_sizes(needed, config.val_frac, config.test_frac).items()
    ):
        needed += 1
    raise DataError(
        f"{source}: the text has {tokens} tokens, need at least {needed} for a {short[0]} part of "
        f"{LEAST_TOKENS} (see --val-frac)"
    )
