"""A model as an .onnx file, held to charlm's own logits before it is written.

Its inputs and outputs are in onnx_graph.py. In its metadata, each a string:

    kind          step: one step of a model that writes; text: all of a text with gaps to fill
    level         what a token is: char, or word, word+breaks, ... (charlm/data/words.py)
    vocabulary    the tokens in the order of their ids, as JSON
    text_options  how a text is cleaned before it is read, as JSON (charlm/config.py, TextConfig)
    unknown       the id of what the model does not know; never to be written
    start         of a step: the id to read before a text that has no prefix
    mask          of a text: the id to read where a gap is
    charlm        the version that wrote it
"""

import json
from dataclasses import asdict
from pathlib import Path

import onnx
import onnxruntime
from onnx import helper

import charlm
from charlm.data.vocab import UNK_ID
from charlm.errors import ModelError
from charlm.export.onnx_check import Agreement, check
from charlm.export.onnx_graph import step_graph, text_graph
from charlm.export.written import Written
from charlm.generation.sampler import Sampler
from charlm.generation.stepper import Stepper
from charlm.run import Run
from charlm.settings import to_dict
from charlm.storage.files import write_bytes

# Old enough for the runtimes of some years, and new enough for all that is used.
OPSET, IR_VERSION = 17, 8
# What protobuf can put into one message, less some room for all but the weights.
LARGEST_BYTES = (1 << 31) - (1 << 24)


def write_onnx(run: Run, path: Path) -> Written:
    """Replace what is at `path`. Raises ModelError for a model too large, and where onnxruntime
    makes other logits of what was to be written; FileSystemError.
    """
    size = sum(array.nbytes for array in run.weights.values())
    if size > LARGEST_BYTES:
        raise ModelError(
            f"{run.path} has {size / 1e9:.1f} GB of weights, and an .onnx file holds 2.1 at most: "
            "export a folder instead"
        )
    model = model_of(run)
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()
    found = check(run, data)
    write_bytes(path, data, follow=True)
    facts = {
        "bytes": len(data), "opset": OPSET, "ir_version": IR_VERSION,
        "onnxruntime": onnxruntime.__version__, **asdict(found),
    }  # fmt: skip
    return Written(f"{len(data) / 1e6:,.2f} MB; {_told(found)}", facts)


def _told(found: Agreement) -> str:
    told = (
        f"held to charlm with onnxruntime {onnxruntime.__version__}: {found.compared:,} symbols, "
        f"each step to {found.apart:.0e}"
    )
    if found.same is None:
        return told
    told += f"; the greedy text is the same for {found.same} symbols, logits to {found.drift:.0e}"
    if found.gap is None:
        return told
    return f"{told}, and then chooses otherwise between two that are {found.gap:.0e} apart"


def model_of(run: Run) -> onnx.ModelProto:
    """The model and its metadata. Raises ModelError where its weights cannot be used."""
    make = text_graph if run.config.model.bidirectional else step_graph
    graph = make(run.config.model, run.weights, len(run.vocab))
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
        producer_name="charlm", producer_version=charlm.__version__,
    )  # fmt: skip
    helper.set_model_props(model, _metadata(run))
    return model


def _metadata(run: Run) -> dict[str, str]:
    facts = {
        "level": run.vocab.level,
        # ASCII: a token can be half of a surrogate pair, which protobuf does not take.
        "vocabulary": json.dumps(run.vocab.tokens),
        "text_options": json.dumps(to_dict(run.config.text)),
        "unknown": str(UNK_ID),
        "charlm": charlm.__version__,
    }
    if run.config.model.bidirectional:
        return {"kind": "text", **facts, "mask": str(len(run.vocab))}
    return {"kind": "step", **facts, "start": str(_start(run))}


def _start(run: Run) -> int:
    stepper = Stepper(run.config.model, run.weights)
    return Sampler(stepper, run.vocab, run.config.generation).first_id()
