import itertools
from pathlib import Path

import pytest
import torch

from charlm.config import ModelConfig
from charlm.data.counter import TokenCounter
from charlm.data.vocab import UNK_ID, build_vocab
from charlm.generation import filler as module
from charlm.generation.filler import BEAM, Filler, Filling
from charlm.generation.shared_reader import SharedReader
from charlm.model.cells import State
from charlm.model.network import CharLM, open_model
from charlm.run import Run, open_run

COUNTER = TokenCounter("char")
COUNTER.add("abcdef")
VOCAB = build_vocab(COUNTER)


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


def model_of(cell: str, layers: int, **settings: object) -> CharLM:
    torch.manual_seed(1)
    sizes = {"hidden_size": 24, "embedding_size": 8, "bidirectional": True, **settings}
    config = ModelConfig(rnn_type=cell, num_layers=layers, **sizes)
    model = CharLM(config, len(VOCAB)).eval()
    with torch.no_grad():
        model.head.weight *= 8  # far from all places alike
    return model


def plainly_filled(model: CharLM, ids: list[int | None], count: int) -> list[Filling]:
    """Each text read whole at each step, and each way of going on held against all others."""
    mask, width = model.vocab_size, max(BEAM, count)
    beam = {tuple(mask if i is None else i for i in ids): 0.0}
    for _ in range(sum(i is None for i in ids)):
        found: dict[tuple[int, ...], float] = {}
        for text, total in beam.items():
            with torch.no_grad():
                logits = model(torch.tensor(text)[:, None])[0][:, 0].double()
            logits[:, UNK_ID] = -torch.inf
            scores = logits.log_softmax(-1)
            gaps = [k for k, i in enumerate(text) if i == mask]
            place = max(gaps, key=lambda k: scores[k].max().item())
            for token in range(1, len(VOCAB)):
                key = (*text[:place], token, *text[place + 1 :])
                found[key] = max(found.get(key, -torch.inf), total + scores[place, token].item())
        beam = dict(sorted(found.items(), key=lambda item: -item[1])[:width])
    return [Filling(text, total) for text, total in list(beam.items())[:count]]


@pytest.mark.parametrize(
    "model",
    [model_of("lstm", 1), model_of("gru", 1), model_of("rnn", 1), model_of("lstm", 2),
     model_of("lstm", 1, proj_size=5), model_of("lstm", 1, embedding_size=0)],
    ids=["lstm", "gru", "rnn", "two layers", "projected", "one-hot"],
)  # fmt: skip
@pytest.mark.parametrize("text", ["a__de_ab", "____", "abc_", "_bcabcabcabc_", "ab_cd__fab_"])
@pytest.mark.parametrize(("count", "at_once"), [(1, 1 << 15), (20, 1 << 15), (20, 1)])
def test_it_fills_as_the_plain_way_does(
    model: CharLM, text: str, count: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", at_once)
    monkeypatch.setattr(module, "READ_AT_ONCE", 3 if at_once == 1 else 1024)
    ids = [None if c == "_" else VOCAB[c] for c in text]
    found = Filler(model, VOCAB).fill(ids, count)
    expected = plainly_filled(model, ids, count)
    assert [filling.ids for filling in found] == [filling.ids for filling in expected]
    for ours, plain in zip(found, expected, strict=True):
        assert ours.log_probability == pytest.approx(plain.log_probability, abs=1e-4)


def test_what_stands_around_the_gaps_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    plain = CharLM.read

    def counted(self: CharLM, ids: torch.Tensor, state: State | None = None) -> object:
        read.append(ids.numel())
        return plain(self, ids, state)

    monkeypatch.setattr(CharLM, "read", counted)
    ids = [*[VOCAB["a"]] * 5_000, None, VOCAB["b"], None, *[VOCAB["c"]] * 5_000]
    Filler(model_of("lstm", 1), VOCAB).fill(ids, 20)
    assert sum(read) < 10_000 + 200


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_what_texts_share_is_read_once(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And gives what reading each of them whole gives."""
    model, rows = model_of(cell, 1), []
    texts = torch.tensor([[1, 2, 3, 4, 5, 6] * 4]).repeat(40, 1)
    texts[:20, 9], texts[::3, 20] = 2, 5
    with torch.no_grad():
        expected = model.read(texts.T)[0]
        reader = SharedReader(model)
        plain = reader._ways[0].forward
        monkeypatch.setattr(
            reader._ways[0], "forward", lambda x, h: rows.append(x.shape[1]) or plain(x, h)
        )
        found = reader.read(texts, 0, 24, None)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert rows == [1, 2, 2, 4]


def test_double_precision_is_for_the_cpu_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apple's GPUs have none."""
    moved: list[torch.Tensor] = []
    cpu, double = torch.Tensor.cpu, torch.Tensor.double

    def to_cpu(self: torch.Tensor) -> torch.Tensor:
        moved.append(cpu(self))
        return moved[-1]

    def to_double(self: torch.Tensor) -> torch.Tensor:
        assert any(self is tensor for tensor in moved)
        return double(self)

    filler = filler_of(run)
    monkeypatch.setattr(torch.Tensor, "cpu", to_cpu)
    monkeypatch.setattr(torch.Tensor, "double", to_double)
    assert filler.fill(with_gaps(run, "ab_def_"))


def test_filling_is_always_the_same(run: Run) -> None:
    ids = with_gaps(run, "_b__ef_bc")
    assert filler_of(run).fill(ids, 4) == filler_of(run).fill(ids, 4)
