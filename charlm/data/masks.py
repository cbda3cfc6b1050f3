"""Which tokens of a window are masked, for a bidirectional model to fill in."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charlm.config import TrainingConfig


@dataclass(frozen=True)
class MaskShape:
    """share: of the places that are masked, in runs of 1 to `longest`; single: of the runs that
    are one place. The others are of any length alike.
    """

    share: float
    longest: int
    single: float


def mask_shape(settings: TrainingConfig) -> MaskShape:
    return MaskShape(settings.mask_frac, settings.mask_span, settings.mask_single)


def draw_mask(
    generator: np.random.Generator, shape: tuple[int, ...], mask: MaskShape
) -> npt.NDArray[np.bool_]:
    """(T, B): True for about `mask.share` of the places, at least one."""
    longest = min(mask.longest, shape[0])
    weights = np.full(longest, (1 - mask.single) / max(1, longest - 1))
    weights[0] = mask.single if longest > 1 else 1.0
    sizes = generator.choice(np.arange(1, longest + 1), size=shape, p=weights)
    begins = generator.random(shape) < mask.share / (weights @ np.arange(1, longest + 1))
    masked = np.zeros(shape, dtype=np.bool_)
    for k in range(longest):
        masked[k:] |= (begins & (sizes > k))[: shape[0] - k]
    if not masked.any():
        masked[tuple(generator.integers(shape))] = True
    return masked
