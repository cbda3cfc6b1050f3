"""The graph of a model in ONNX, node by node, from its weights.

Two forms. A step of a model that writes: ids (B,), states (L, B, H) -> logits (B, V), states. All
of a text of a model that fills gaps: ids (T, B) -> logits (T, B, V). B and T are free.

Where torch and ONNX differ: the gates of a matrix stand in another order (`ORDER`), a GRU's reset
gate comes after the recurrent product (`linear_before_reset`), an LSTM's projection is unknown to
ONNX, so that such a layer is written out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from charlm.config import ModelConfig
from charlm.model.shapes import GATES, input_symbols

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]

# Which of torch's gates stand in ONNX's places: z, r, n of r, z, n; i, o, f, g of i, f, g, o.
ORDER = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}
# Of which the state is made, as torch has them: an LSTM's cells beside its outputs.
STATES = {"rnn": ("h",), "gru": ("h",), "lstm": ("h", "c")}


class GraphWriter:
    """Nodes and constants in the making; a value goes by its name."""

    def __init__(self, prefix: str = "v") -> None:
        """prefix: of the names of values that nobody names; each graph of a model has its own."""
        self._prefix = prefix
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}

    def constant(self, name: str, array: Array) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def add(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        """A node with one output, called `to`."""
        return self.add_many(
            kind, inputs, [to or f"{self._prefix}{len(self.nodes)}"], **attributes
        )[0]

    def add_many(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> list[str]:
        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return list(outputs)

    def graph(self, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]) -> GraphProto:
        constants = list(self.constants.values())
        return helper.make_graph(self.nodes, "charlm", inputs, outputs, constants)


def step_graph(config: ModelConfig, weights: Weights, vocab_size: int) -> GraphProto:
    """One step of a model that writes."""
    writer, layers, names = GraphWriter(), config.num_layers, STATES[config.rnn_type]
    before = {name: _split(writer, name, layers) for name in names}
    after: dict[str, list[str]] = {name: [] for name in names}
    # To the operators, which read texts, a step is a text of one symbol: (1, B).
    first = writer.constant("first_axis", np.array([0]))
    x = _inputs(writer, config, weights, writer.add("Unsqueeze", "ids", first), vocab_size)
    for k in range(layers):
        states = [before[name][k] for name in names]
        step = _projected_step if config.proj_size else _operator_step
        ended = step(writer, config, weights, k, x, states)
        for name, value in zip(names, ended, strict=True):
            after[name].append(value)
        x = ended[0]
    head = "embedding.weight" if config.tied else "head.weight"
    writer.constant(head, weights[head])
    bias = writer.constant("head.bias", weights["head.bias"])
    writer.add("Gemm", writer.add("Squeeze", x, first), head, bias, to="logits", transB=1)
    for name in names:
        writer.add("Concat", *after[name], to=f"{name}_next", axis=0)
    sizes = {"h": config.output_size, "c": config.hidden_size}
    inputs = [_declared(name, (layers, "batch", sizes[name])) for name in names]
    outputs = [_declared(f"{name}_next", (layers, "batch", sizes[name])) for name in names]
    return writer.graph(
        [_declared("ids", ("batch",), TensorProto.INT64), *inputs],
        [_declared("logits", ("batch", vocab_size)), *outputs],
    )


def text_graph(config: ModelConfig, weights: Weights, vocab_size: int) -> GraphProto:
    """All of a text, of a model that fills gaps."""
    writer = GraphWriter()
    x = _inputs(writer, config, weights, "ids", vocab_size)
    for k in range(config.num_layers):
        read = _projected_both_ways if config.proj_size else _operator_both_ways
        x = read(writer, config, weights, k, x)
    head = writer.constant("head.weight.T", weights["head.weight"].T)
    bias = writer.constant("head.bias", weights["head.bias"])
    writer.add("Add", writer.add("MatMul", x, head), bias, to="logits")
    return writer.graph(
        [_declared("ids", ("time", "batch"), TensorProto.INT64)],
        [_declared("logits", ("time", "batch", vocab_size))],
    )


def _declared(
    name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT
) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _split(writer: GraphWriter, name: str, layers: int) -> list[str]:
    """A state (L, B, H) by layers, (1, B, H) each."""
    if layers == 1:
        return [name]
    return writer.add_many("Split", [name], [f"{name}_l{k}" for k in range(layers)], axis=0)


def _inputs(
    writer: GraphWriter, config: ModelConfig, weights: Weights, ids: str, vocab_size: int
) -> str:
    """ids (T, B) -> (T, B, E)"""
    if config.embedding_size:
        table = writer.constant("embedding.weight", weights["embedding.weight"])
        return writer.add("Gather", table, ids)
    size = writer.constant("symbols", np.array(input_symbols(config, vocab_size)))
    off_on = writer.constant("off_on", np.array([0, 1], np.float32))
    return writer.add("OneHot", ids, size, off_on)


def _operator_step(
    writer: GraphWriter, config: ModelConfig, weights: Weights, k: int, x: str, states: list[str]
) -> list[str]:
    """x (1, B, X) and a layer's states (1, B, H) -> its states after that."""
    names = [f"{name}_next_l{k}" for name in STATES[config.rnn_type]]
    _operator(writer, config, weights, [f"l{k}"], x, states, ["", *names])
    return names


def _operator_both_ways(
    writer: GraphWriter, config: ModelConfig, weights: Weights, k: int, x: str
) -> str:
    """x (T, B, X) -> (T, B, 2*H)"""
    ways = f"outputs_l{k}"  # (T, 2, B, H)
    _operator(writer, config, weights, [f"l{k}", f"l{k}_reverse"], x, [], [ways])
    beside = writer.add("Transpose", ways, perm=[0, 2, 1, 3])
    shape = writer.constant("joined", np.array([0, 0, -1]))
    return writer.add("Reshape", beside, shape)


def _operator(
    writer: GraphWriter,
    config: ModelConfig,
    weights: Weights,
    ends: list[str],
    x: str,
    states: list[str],
    outputs: list[str],
) -> None:
    """A layer by the operator of its kind; ends: of the names of its weights, one each way."""
    kind = config.rnn_type

    def stacked(name: str, *parts: str) -> str:
        arrays = [
            np.concatenate([_in_onnx_order(weights[f"rnn.{part}_{end}"], kind) for part in parts])
            for end in ends
        ]
        return writer.constant(f"{name}_{ends[0]}", np.stack(arrays))

    w, u = stacked("W", "weight_ih"), stacked("R", "weight_hh")
    b = stacked("B", "bias_ih", "bias_hh") if config.bias else ""
    attributes: dict[str, Any] = {"hidden_size": config.hidden_size}
    if len(ends) == 2:
        attributes["direction"] = "bidirectional"
    if kind == "gru":
        attributes["linear_before_reset"] = 1
    if kind == "rnn":
        attributes["activations"] = [config.nonlinearity.capitalize()] * len(ends)
    # Between the biases and the states come the lengths of the texts: all of them.
    inputs = [x, w, u, b, "", *states]
    while inputs[-1] == "":
        inputs.pop()
    writer.add_many(kind.upper(), inputs, outputs, **attributes)


def _in_onnx_order(array: Array, kind: str) -> Array:
    """Gates one below the other, out of torch's order."""
    gates = np.split(array, GATES[kind])
    return np.concatenate([gates[place] for place in ORDER[kind]])


def _projected_step(
    writer: GraphWriter, config: ModelConfig, weights: Weights, k: int, x: str, states: list[str]
) -> list[str]:
    """As `_operator_step`, of an LSTM whose outputs are projected: h (1, B, P)."""
    products = _input_products(writer, config, weights, f"l{k}", x)
    return _projected(writer, config, weights, f"l{k}", products, states)


def _input_products(
    writer: GraphWriter, config: ModelConfig, weights: Weights, end: str, x: str
) -> str:
    """x (T, B, X) -> W x + b, (T, B, 4*H)"""
    w = writer.constant(f"W_{end}", weights[f"rnn.weight_ih_{end}"].T)
    products = writer.add("MatMul", x, w)
    if not config.bias:
        return products
    bias = weights[f"rnn.bias_ih_{end}"] + weights[f"rnn.bias_hh_{end}"]
    return writer.add("Add", products, writer.constant(f"b_{end}", bias))


def _projected(
    writer: GraphWriter,
    config: ModelConfig,
    weights: Weights,
    end: str,
    products: str,
    states: list[str],
) -> list[str]:
    """W x + b (..., 4*H), h (..., P), c (..., H) -> h, c after that step."""
    h, c = states
    u = writer.constant(f"U_{end}", weights[f"rnn.weight_hh_{end}"].T)
    r = writer.constant(f"P_{end}", weights[f"rnn.weight_hr_{end}"].T)
    sums = writer.add("Add", products, writer.add("MatMul", h, u))
    names = [f"{gate}_{end}" for gate in ("i", "f", "g", "o")]
    i, f, g, o = writer.add_many("Split", [sums], names, axis=-1)
    new = writer.add("Mul", writer.add("Sigmoid", i), writer.add("Tanh", g))
    kept = writer.add("Mul", writer.add("Sigmoid", f), c)
    c = writer.add("Add", kept, new, to=f"c_next_{end}")
    full = writer.add("Mul", writer.add("Sigmoid", o), writer.add("Tanh", c))
    return [writer.add("MatMul", full, r, to=f"h_next_{end}"), c]


def _projected_both_ways(
    writer: GraphWriter, config: ModelConfig, weights: Weights, k: int, x: str
) -> str:
    """As `_operator_both_ways`: x (T, B, X) -> (T, B, 2*P)."""
    streams = writer.add("Shape", x, start=1, end=2)
    zeros = []
    for name, size in (("zero_h", config.output_size), ("zero_c", config.hidden_size)):
        width = writer.constant(f"{name}_width", np.array([size]))
        shape = writer.add("Concat", streams, width, axis=0)
        zeros.append(writer.add("ConstantOfShape", shape))  # float32 zeros
    ways = []
    for way, end in enumerate((f"l{k}", f"l{k}_reverse")):
        products = _input_products(writer, config, weights, end, x)
        ends = [f"h_end_{end}", f"c_end_{end}", f"outputs_{end}"]
        *_, outputs = writer.add_many(
            "Scan", [*zeros, products], ends, body=_loop_body(config, weights, end),
            num_scan_inputs=1, scan_input_directions=[way], scan_output_directions=[way],
        )  # fmt: skip
        ways.append(outputs)
    return writer.add("Concat", *ways, axis=-1)


def _loop_body(config: ModelConfig, weights: Weights, end: str) -> GraphProto:
    """h (B, P), c (B, H), W x + b (B, 4*H) -> h, c, and h as what is put out."""
    writer = GraphWriter(f"v_{end}_")
    h, c = _projected(writer, config, weights, end, f"x_{end}", [f"h_{end}", f"c_{end}"])
    writer.add("Identity", h, to=f"out_{end}")
    sizes = {h: config.output_size, c: config.hidden_size, f"out_{end}": config.output_size}
    given = {
        f"h_{end}": config.output_size, f"c_{end}": config.hidden_size,
        f"x_{end}": 4 * config.hidden_size,
    }  # fmt: skip
    inputs = [_declared(name, ("batch", size)) for name, size in given.items()]
    outputs = [_declared(name, ("batch", size)) for name, size in sizes.items()]
    return writer.graph(inputs, outputs)
