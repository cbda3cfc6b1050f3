import itertools
from pathlib import Path

import pytest
import torch

from charlm.generation.filler import Filler
from charlm.model.network import open_model
from charlm.run import Run, open_run


@pytest.fixture
def run(fill_run: Path) -> Run:
    return open_run(fill_run)


def filler_of(run: Run) -> Filler:
    return Filler(open_model(run, "cpu"), run.vocab)


def with_gaps(run: Run, text: str) -> list[int | None]:
    return [None if c == "_" else run.vocab[c] for c in text]


def test_a_single_gap_is_the_models_own_distribution(run: Run) -> None:
    ids = with_gaps(run, "abcd_f ab")
    fillings = filler_of(run).fill(ids, 100)
    assert len(fillings) == len(run.vocab) - 1  # all but <unk>
    assert sum(f.probability for f in fillings) == pytest.approx(1)
    assert [f.probability for f in fillings] == sorted(
        (f.probability for f in fillings), reverse=True
    )
    model = open_model(run, "cpu")
    masked = torch.tensor([len(run.vocab) if i is None else i for i in ids])[:, None]
    with torch.no_grad():
        logits = model(masked)[0][4, 0].double()
    logits[0] = -torch.inf
    expected = logits.softmax(-1)
    for filling in fillings:
        assert filling.probability == pytest.approx(expected[filling.ids[4]].item(), rel=1e-5)


def test_what_was_read_stays_and_every_gap_is_filled(run: Run) -> None:
    ids = with_gaps(run, "a__de_ ab")
    for filling in filler_of(run).fill(ids, 5):
        assert 0 not in filling.ids
        assert all(a == b for a, b in zip(ids, filling.ids, strict=True) if a is not None)
        assert max(filling.ids) < len(run.vocab)


def test_a_wide_beam_finds_the_best_of_all(run: Run) -> None:
    """Two gaps: against every pair, scored in the order in which the filler takes them."""
    filler = filler_of(run)
    [best] = filler.fill(with_gaps(run, "abc_efa_c"))
    pairs = itertools.product(range(1, len(run.vocab)), repeat=2)
    found = filler.fill(with_gaps(run, "abc_efa_c"), len(list(pairs)))
    assert best == max(found, key=lambda f: f.probability)
    assert len({f.ids for f in found}) == len(found) == (len(run.vocab) - 1) ** 2


def test_filling_is_always_the_same(run: Run) -> None:
    ids = with_gaps(run, "_b__ef_bc")
    assert filler_of(run).fill(ids, 4) == filler_of(run).fill(ids, 4)
