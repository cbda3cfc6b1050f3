"""The mean over the last epoch, exact where it is short, in blocks where it is long."""

import math

import numpy as np
import pytest

from charlm.training import last_epoch
from charlm.training.last_epoch import LastEpoch


def filled(steps: int, losses: list[float]) -> LastEpoch:
    found = LastEpoch(steps)
    for loss in losses:
        found.add(loss, 3)
    return found


def test_it_is_the_mean_of_the_last_steps() -> None:
    losses = [float(k) for k in range(20)]
    assert math.isnan(filled(7, []).mean)
    assert filled(7, losses[:5]).mean == pytest.approx(np.mean(losses[:5]))
    assert filled(7, losses).mean == pytest.approx(np.mean(losses[-7:]))


def test_of_a_long_epoch_blocks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_epoch, "BLOCKS", 10)
    losses = [math.sin(k) for k in range(3333)]
    found = filled(1000, losses)
    assert len(found.to_array()) == 10
    assert found.mean == pytest.approx(np.mean(losses[-1000:]), abs=0.1 * 2 / 10)


@pytest.mark.parametrize("steps", [7, 95])
def test_it_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    monkeypatch.setattr(last_epoch, "BLOCKS", 10)
    losses = [math.sin(k) for k in range(133)]
    first, second = filled(steps, losses[:77]), LastEpoch(steps)
    second.from_array(first.to_array())
    for loss in losses[77:]:
        second.add(loss, 3)
    assert second.mean == filled(steps, losses).mean


def test_what_was_kept_step_by_step_is_taken_over() -> None:
    found = LastEpoch(4)
    found.from_array(np.array([[1.0, 3.0], [2.0, 3.0]]))
    assert found.mean == 1.5
