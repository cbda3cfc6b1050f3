"""A bidirectional model never sees what it must predict; the plain loss would let it."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from charlm.config import ModelConfig
from charlm.data.batches import IGNORED, MaskedWindows
from charlm.data.corpus import Corpus
from charlm.data.masks import MaskShape, draw_mask
from charlm.evaluation.evaluator import evaluate_masked
from charlm.model.network import IMPLEMENTATIONS, CharLM, weights_of
from charlm.model.shapes import expected_shapes
from charlm.training.trainer import Trainer

V, H, T, B = 7, 8, 12, 3


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("width", [0, 4])
@pytest.mark.parametrize("cell", IMPLEMENTATIONS["torch"])
def test_a_masked_place_cannot_see_its_own_answer(cell: str, layers: int, width: int) -> None:
    """Not through any path: the logits there do not change with the symbol under the mask."""
    config = ModelConfig(
        rnn_type=cell, num_layers=layers, embedding_size=width, hidden_size=H, bidirectional=True
    )
    torch.manual_seed(0)
    model = CharLM(config, V).eval()
    text = np.random.default_rng(0).integers(V, size=(T, B))
    mask = draw_mask(np.random.default_rng(1), (T, B), MaskShape(0.3, 3, 0.7))
    other = np.where(mask, (text + 1) % V, text)
    masked = [torch.from_numpy(np.where(mask, V, t)) for t in (text, other)]
    assert torch.equal(model(masked[0])[0], model(masked[1])[0])
    # Where nothing is masked the model sees the symbol itself, and all around a gap.
    open_logits = [model(torch.from_numpy(t))[0][torch.from_numpy(mask)] for t in (text, other)]
    assert not torch.allclose(*open_logits)
    for t in (0, T - 1):
        changed = masked[0].clone()
        changed[t] = (changed[t] + 1) % V
        middle = T // 2
        assert not torch.allclose(model(changed)[0][middle], model(masked[0])[0][middle])
    assert {n: a.shape for n, a in weights_of(model).items()} == expected_shapes(config, V)


def test_a_plain_next_character_loss_would_leak() -> None:
    """On noise, which nobody can predict, it falls below what is possible; the masked one never."""
    generator = np.random.default_rng(0)
    noise = generator.integers(V, size=(600, T + 1, 32))
    config = ModelConfig(embedding_size=8, hidden_size=32, bidirectional=True, init="torch")

    def trained_loss(masked: bool) -> float:
        torch.manual_seed(0)
        model = CharLM(config, V)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        losses = []
        for text in noise:
            inputs, targets = text[:-1], text[1:]
            if masked:
                mask = draw_mask(generator, inputs.shape, MaskShape(0.15, 3, 0.7))
                inputs = np.where(mask, V, text[:-1])
                targets = np.where(mask, text[:-1], IGNORED)
            logits, _ = model(torch.from_numpy(inputs))
            loss = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).ravel())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses[-50:]))

    possible = math.log(V)
    assert trained_loss(masked=False) < 0.5 * possible
    assert trained_loss(masked=True) > 0.98 * possible


@given(st.integers(1, 60), st.integers(1, 5), st.floats(0.01, 0.6), st.integers(1, 10))
def test_a_mask_has_a_place_and_is_of_its_shape(
    steps: int, streams: int, share: float, longest: int
) -> None:
    mask = draw_mask(np.random.default_rng(0), (steps, streams), MaskShape(share, longest, 0.7))
    assert mask.shape == (steps, streams)
    assert mask.any()


def test_masks_are_of_the_share_and_the_lengths_asked_for() -> None:
    mask = draw_mask(np.random.default_rng(0), (4000, 20), MaskShape(0.15, 10, 0.7))
    assert 0.12 < mask.mean() < 0.17
    edges = np.diff(np.pad(mask.astype(int), ((1, 1), (0, 0))), axis=0)
    runs = np.concatenate(
        [np.flatnonzero(e == -1) - np.flatnonzero(e == 1) for e in edges.T]
    )  # fmt: skip
    assert (runs == 1).mean() > 0.5
    assert {2, 5, 10} <= set(runs.tolist())


def test_batches_hide_what_they_ask_for() -> None:
    ids = np.arange(1000) % 50
    batches = MaskedWindows(ids, 4, 20, seed=0, mask_id=99, mask=MaskShape(0.15, 10, 0.7))
    for step in range(2 * batches.per_epoch):
        batch = batches[step]
        masked = batch.inputs == 99
        assert masked.any()
        assert (batch.targets[~masked] == IGNORED).all()
        whole = np.where(masked, batch.targets, batch.inputs)
        assert (np.diff(whole, axis=0) % 50 == 1).all()
        np.testing.assert_array_equal(batch.inputs, batches[step].inputs)


def test_it_learns_to_fill(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any
) -> None:
    corpus = make_corpus("the quick brown fox jumps over the lazy dog. " * 40)
    config = tiny_config(
        model={"bidirectional": True, "hidden_size": 32},
        training={"seq_len": 20, "max_steps": 300, "lr": 0.02, "mask_span": 2},
    )
    trainer = Trainer(config, corpus)
    trainer.model.train()
    while trainer.done < 300:
        trainer.step(trainer.batches[trainer.done])
    arguments, valid = {"window": 20, "mask": MaskShape(0.15, 2, 0.7)}, corpus.split("valid")
    score = evaluate_masked(trainer.model, valid, corpus.vocab, **arguments)
    assert score.perplexity < 1.5
    assert score == evaluate_masked(trainer.model, valid, corpus.vocab, **arguments)
    assert trainer.model.training
    figures = score.to_dict()
    assert {"masked_perplexity", "masked_nats_per_char", "masked_characters"} <= set(figures)
    assert "perplexity" not in figures
    assert str(score).startswith("masked perplexity ")
