"""A text in turns: it stands where what was written stands, whatever was taken back."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.config import Config, GenerationConfig, ModelConfig
from charlm.data.vocab import Vocab
from charlm.errors import ModelError, UsageError
from charlm.generation.dialogue import Dialogue
from charlm.generation.sampler import Sampler
from charlm.generation.stepper import Stepper
from charlm.model.network import CharLM, weights_of
from charlm.run import open_run
from tests.vocabularies import vocab_of

GREEDY = GenerationConfig(length=12, temperature=0.0)


@pytest.fixture(scope="module")
def model(trained: Path) -> tuple[Stepper, Vocab]:
    run = open_run(trained)
    return Stepper(run.config.model, run.weights), run.vocab


def continued(model: tuple[Stepper, Vocab], prefix: str, settings: GenerationConfig) -> str:
    sampler, ids = Sampler(*model, settings), model[1].encode(prefix).tolist()
    samples = sampler.start(ids)
    return "".join(text for _, text in sampler.stream(ids, samples, seed=0))


def test_whoever_stops_reading_ends_the_text_there(model: tuple[Stepper, Vocab]) -> None:
    dialogue = Dialogue(*model, GREEDY, seed=0)
    stream = dialogue.say(model[1].encode("abc").tolist())
    begun = "".join(islice(stream, 5))
    stream.close()  # type: ignore[attr-defined]
    rest = "".join(dialogue.say([]))
    assert (begun + rest)[:12] == continued(model, "abc", GREEDY)


def test_it_goes_on_from_the_words_and_marks_themselves() -> None:
    text = 'to be, or "not" to be. or (to) be\nor, "to" be, not'
    vocab = vocab_of(text, "word+breaks+punctuation")
    for seed in range(9):
        torch.manual_seed(seed)
        config = ModelConfig(hidden_size=12, embedding_size=6)
        weights = weights_of(CharLM(config, len(vocab)))
        weights["head.weight"] *= 8
        model = Stepper(config, weights), vocab
        dialogue = Dialogue(*model, GREEDY, seed=0)
        halves = [*dialogue.say(vocab.encode("to be").tolist()), *dialogue.say([])]
        assert "".join(halves) == continued(model, "to be", replace(GREEDY, length=24))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["a", "bc\n", "", "back", "again"]), max_size=6))
def test_it_goes_on_from_what_is_left(model: tuple[Stepper, Vocab], turns: list[str]) -> None:
    dialogue = Dialogue(*model, GREEDY, seed=0)
    texts = [""]  # the whole, after each turn
    for turn in turns:
        if turn in ("back", "again"):
            if len(texts) == 1:
                with pytest.raises(UsageError, match="nothing has been written yet"):
                    getattr(dialogue, turn)()
                continue
            before = texts.pop()
            if turn == "again":
                assert before.endswith("".join(dialogue.again()[1]))
                texts.append(before)
            else:
                dialogue.back()
            continue
        read = texts[-1] + ("\n" if turn and texts[-1] and texts[-1][-1] != "\n" else "") + turn
        written = "".join(dialogue.say(model[1].encode(turn).tolist()))
        # A text of nothing begins after a line break, which then is a part of it.
        texts.append((read or "\n") + written)
        assert written == continued(model, read, GREEDY)
    likeliest = dialogue.expect([], 1)[0].token
    assert likeliest == continued(model, texts[-1], GenerationConfig(length=1, temperature=0.0))


def test_probabilities_are_those_of_the_model_and_of_the_draw(
    model: tuple[Stepper, Vocab],
) -> None:
    dialogue = Dialogue(*model, GenerationConfig(top_k=2, temperature=1.0), seed=0)
    rows = dialogue.expect(model[1].encode("ab").tolist(), 100)
    assert len(rows) == len(model[1]) - 1
    assert sum(row.model for row in rows) == pytest.approx(1)
    first, second, *others = rows
    assert first.drawn + second.drawn == pytest.approx(1)
    assert first.drawn / second.drawn == pytest.approx(first.model / second.model)
    assert not any(row.drawn for row in others)


def test_a_model_that_cannot_go_on_says_so_and_the_text_stays(
    tiny_config: Callable[..., Config], model: tuple[Stepper, Vocab]
) -> None:
    config = tiny_config(model={"rnn_type": "rnn", "nonlinearity": "relu"}).model
    weights = {
        k: 50 * abs(v.numpy()) for k, v in CharLM(config, len(model[1])).state_dict().items()
    }
    dialogue = Dialogue(Stepper(config, weights), model[1], GREEDY, seed=0)
    with pytest.raises(ModelError, match="grows beyond all bounds"):
        list(dialogue.say([1, 2]))
    with pytest.raises(UsageError):
        dialogue.back()
