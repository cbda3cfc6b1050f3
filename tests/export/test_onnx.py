import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charlm.config import GenerationConfig
from charlm.data.vocab import Vocab
from charlm.errors import ModelError
from charlm.generation.sampler import Sampler
from charlm.generation.stepper import Stepper
from charlm.model.network import open_model
from charlm.run import Run

pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

MakeRun = Callable[..., Run]
LSTM = {"rnn_type": "lstm"}
GRU = {"rnn_type": "gru"}
RELU = {"rnn_type": "rnn", "nonlinearity": "relu"}
WORDS = Vocab("word", ("<unk>", "the", "cat", "sat", "on", "mat"), (0, 5, 4, 3, 2, 1))
MODELS = [
    {"rnn_type": kind, "num_layers": layers, "bias": bias}
    for kind in ("rnn", "gru", "lstm") for layers in (1, 3) for bias in (True, False)
] + [
    RELU, {**RELU, "num_layers": 3},
    {**LSTM, "proj_size": 5}, {**LSTM, "proj_size": 5, "num_layers": 3, "bias": False},
    {**LSTM, "proj_size": 8, "num_layers": 2, "tied": True},
    {**GRU, "embedding_size": 12, "tied": True}, {**GRU, "embedding_size": 0, "num_layers": 2},
    {**LSTM, "embedding_size": 0}, {**LSTM, "proj_size": 5, "embedding_size": 0},
]  # fmt: skip
FILLS = [
    {"rnn_type": "rnn"}, RELU, GRU, {**GRU, "num_layers": 3, "bias": False}, LSTM,
    {**LSTM, "num_layers": 3}, {**LSTM, "embedding_size": 0, "bias": False},
    {**LSTM, "proj_size": 5}, {**LSTM, "proj_size": 5, "num_layers": 2, "bias": False},
]  # fmt: skip


@pytest.fixture(autouse=True)
def _few_steps_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held to charlm here is read anew; and the check itself, by tests of its own."""
    monkeypatch.setattr("charlm.export.onnx_check.CHECKED", 20)


def exported(run: Run) -> Any:
    from charlm.export.onnx import write_onnx

    path = run.path / "model.onnx"
    write_onnx(run, path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path.read_bytes(), options)


def named(model: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in model.items())


def zeros(session: Any, streams: int) -> dict[str, Any]:
    """All that goes in beside the ids, at zero."""
    states = session.get_inputs()[1:]
    return {s.name: np.zeros((s.shape[0], streams, s.shape[2]), np.float32) for s in states}


@pytest.mark.parametrize("model", MODELS, ids=named)
def test_the_same_greedy_text_and_logits(make_run: MakeRun, model: dict[str, Any]) -> None:
    run = make_run(**model)
    session = exported(run)
    sampler = Sampler(
        Stepper(run.config.model, run.weights), run.vocab, GenerationConfig(temperature=0),
        scored=False,
    )  # fmt: skip
    [sample] = samples = sampler.start([])
    for _ in sampler.stream([], samples, seed=0):
        pass
    ids, rows, state = [sampler.first_id()], [], zeros(session, 1)
    for _ in range(500):
        logits, *after = session.run(None, {"ids": np.array(ids[-1:]), **state})
        state = dict(zip(state, after, strict=True))
        rows.append(logits[0])
        ids.append(1 + int(logits[0, 1:].argmax()))
    assert run.vocab.decode(ids[1:]) == sample.text
    with torch.inference_mode():
        expected, _ = open_model(run, "cpu")(torch.tensor(ids[:-1])[:, None])
    assert len(set(ids)) > 1
    assert np.abs(np.stack(rows) - expected[:, 0].numpy()).max() < 1e-4


@pytest.mark.parametrize("model", FILLS, ids=named)
def test_a_model_that_fills_gaps_reads_a_whole_text(
    make_run: MakeRun, model: dict[str, Any]
) -> None:
    run = make_run(**model, bidirectional=True)
    session = exported(run)
    network = open_model(run, "cpu")
    for steps, streams in ((1, 1), (40, 3), (7, 2)):
        ids = np.random.default_rng(steps).integers(0, len(run.vocab) + 1, (steps, streams))
        [logits] = session.run(None, {"ids": ids})
        with torch.inference_mode():
            expected, _ = network(torch.from_numpy(ids))
        assert logits.shape == (steps, streams, len(run.vocab))
        assert np.abs(logits - expected.numpy()).max() < 1e-4


def test_streams_stand_beside_each_other(make_run: MakeRun) -> None:
    run = make_run(**LSTM, num_layers=2)
    session = exported(run)
    streams = 5
    state, alone = zeros(session, streams), [zeros(session, 1) for _ in range(streams)]
    for step in range(3):
        ids = (np.arange(streams) * 3 + step) % len(run.vocab)
        logits, *after = session.run(None, {"ids": ids, **state})
        state = dict(zip(state, after, strict=True))
        for i in range(streams):
            found, *its = session.run(None, {"ids": ids[i : i + 1], **alone[i]})
            alone[i] = dict(zip(alone[i], its, strict=True))
            assert np.abs(found[0] - logits[i]).max() < 1e-5


def test_what_a_reader_finds_in_it(make_run: MakeRun) -> None:
    import onnx

    run = make_run(**GRU, num_layers=2)
    session = exported(run)
    file = onnx.load(str(run.path / "model.onnx"))
    assert file.ir_version == 8
    assert [(opset.domain, opset.version) for opset in file.opset_import] == [("", 17)]
    assert [(i.name, i.shape) for i in session.get_inputs()] == [
        ("ids", ["batch"]), ("h", [2, "batch", 12]),
    ]  # fmt: skip
    assert [(o.name, o.shape) for o in session.get_outputs()] == [
        ("logits", ["batch", 17]), ("h_next", [2, "batch", 12]),
    ]  # fmt: skip
    facts = session.get_modelmeta().custom_metadata_map
    assert tuple(json.loads(facts["vocabulary"])) == run.vocab.tokens
    assert json.loads(facts["text_options"])["newlines"] == "lf"
    assert (facts["kind"], facts["level"], facts["unknown"], facts["start"]) == (
        "step", "char", "0", "1",
    )  # fmt: skip


def test_a_model_of_words(make_run: MakeRun) -> None:
    run = make_run(WORDS, **LSTM)
    facts = exported(run).get_modelmeta().custom_metadata_map
    assert (facts["level"], facts["start"]) == ("word", "1")
    assert json.loads(facts["vocabulary"])[1:3] == ["the", "cat"]
    fill = make_run(WORDS, "fill", **LSTM, bidirectional=True)
    facts = exported(fill).get_modelmeta().custom_metadata_map
    assert (facts["kind"], facts["mask"]) == ("text", "6")


def test_a_file_that_says_otherwise_is_not_written(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(**GRU)
    monkeypatch.setattr("charlm.export.onnx_graph.ORDER", {"gru": (0, 1, 2)})
    with pytest.raises(ModelError, match=r"after 1 symbols, onnxruntime .* nothing is written"):
        exported(run)
    assert not (run.path / "model.onnx").exists()


def test_a_choice_between_equals_is_said(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from charlm.export.onnx import write_onnx

    class Unsteady(ort.InferenceSession):
        """From some step on, the third symbol is a little less likely to it."""

        steps = 0

        def run(self, *arguments: Any) -> Any:
            logits, *states = super().run(*arguments)
            self.steps += 1
            if self.steps > 8:
                logits[:, 3] -= 5e-5
            return [logits, *states]

    run = make_run(**GRU)
    run.weights["head.weight"][:] = 0
    run.weights["head.bias"][:] = 0
    run.weights["head.bias"][2:4] = 1, 1.00001
    monkeypatch.setattr(ort, "InferenceSession", Unsteady)
    written = write_onnx(run, tmp_path / "model.onnx")
    assert written.facts["same"] == 7  # the first call was about the vocabulary
    assert written.facts["gap"] == pytest.approx(1e-5, rel=0.1)
    assert written.told.endswith(
        "the greedy text is the same for 7 symbols, logits to 5e-05, and then chooses otherwise "
        "between two that are 1e-05 apart"
    )


def test_numbers_beyond_bounds_are_compared_as_far_as_they_are_not(
    make_run: MakeRun, tmp_path: Path
) -> None:
    from charlm.export.onnx import write_onnx

    run = make_run(**RELU)
    for name, array in run.weights.items():
        if "weight_hh" in name:
            array[:] = np.eye(len(array)) * 9
    written = write_onnx(run, tmp_path / "model.onnx")
    assert 5 < written.facts["compared"] - len(run.vocab) < 20


def test_a_model_larger_than_an_onnx_file(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from charlm.export.onnx import write_onnx

    monkeypatch.setattr("charlm.export.onnx.LARGEST_BYTES", 100)
    with pytest.raises(ModelError, match=r"an .onnx file holds 2\.1 at most: export a folder"):
        write_onnx(make_run(), tmp_path / "model.onnx")
