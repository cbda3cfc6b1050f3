"""Which tokens of a text are trained on, and which are held out to validate and to test."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import accumulate, pairwise
from math import ceil, floor

from charlm.config import DataConfig
from charlm.errors import DataError

SPLITS = ("train", "valid", "test")
# A part that is scored needs one token to read and one to predict.
LEAST_TOKENS = 2
# Of `val_split = "blocks"`: so many in the whole text or fewer, for a block has some tokens. Where
# two blocks meet, the text breaks off, and a model has to find its way again.
MOST_BLOCKS, LEAST_BLOCK = 20, 1000

# A run of tokens, as they come in the text, and the part that it goes to.
Segment = tuple[str, int]


def split_sizes(tokens: int, val_frac: float, test_frac: float) -> dict[str, int]:
    """Contiguous parts in the order train, valid, test; train has floor(n * (1 - val - test)).

    Reckoned in decimal: as binary fractions, 0.1 and 0.2 would now and then cost a token.
    """
    val, test = Decimal(str(val_frac)), Decimal(str(test_frac))
    train = floor(tokens * (1 - val - test))
    train_and_valid = floor(tokens * (1 - test)) if val else train
    return {"train": train, "valid": train_and_valid - train, "test": tokens - train_and_valid}


def lay_out(texts: Sequence[int], config: DataConfig) -> list[Segment]:
    """Where the tokens of the texts, so many in each, go; what lies beyond `max_tokens` nowhere.

    By "blocks", each period of the texts ends in its held-out share, and a text of some length has
    a period of its own. The parts are of the same sizes as by "tail".
    """
    limit = config.max_tokens or sum(texts)
    ends = [min(end, limit) for end in accumulate(texts)]
    if config.val_split == "blocks":
        ends = _periods(ends, config)
    segments, before = [], split_sizes(0, config.val_frac, config.test_frac)
    for end in ends[:-1] * (config.val_split == "blocks") + ends[-1:]:
        sizes = split_sizes(end, config.val_frac, config.test_frac)
        segments += [(part, sizes[part] - before[part]) for part in SPLITS]
        before = sizes
    return segments


def _periods(ends: Sequence[int], config: DataConfig) -> list[int]:
    """Where periods end: each with its blocks, none over the ends of two long texts."""
    shares = [share for share in (config.val_frac, config.test_frac) if share]
    least = ceil(LEAST_BLOCK / min(shares, default=1.0))
    joined = [0]
    for end in ends:
        if end - joined[-1] >= least:
            joined.append(end)
    # What is left over is too short for a block of its own.
    joined = [*joined[:-1], ends[-1]] if len(joined) > 1 else [0, ends[-1]]
    periods: list[int] = []
    for start, end in pairwise(joined):
        wanted = round(MOST_BLOCKS * (end - start) / max(1, ends[-1]))
        count = max(1, min(wanted, (end - start) // least))
        periods += [start + (end - start) * number // count for number in range(1, count + 1)]
    return periods


def too_short(tokens: int, needed: str) -> str:
    """What is said of a text that has too few tokens."""
    if not tokens:
        return "the text is empty"
    return f"the text has {tokens} token{'s' * (tokens > 1)}, need at least {needed}"


def check_own(tokens: int, part: str, source: str) -> None:
    """Refuse a text that is too short to be a held-out part. Raises DataError."""
    if tokens < LEAST_TOKENS:
        raise DataError(f"{source}: {too_short(tokens, f'{LEAST_TOKENS} for the {part} part')}")


def check_sizes(sizes: Mapping[str, int], config: DataConfig, source: str) -> None:
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
    wants = f"{needed} for a {short[0]} part of {LEAST_TOKENS} (see --val-frac)"
    raise DataError(f"{source}: {too_short(tokens, wants)}")
