"""A model and a step of its training, told to somebody who learns how they work: plain lines of 80
cells."""

from collections.abc import Iterator, Sequence
from textwrap import fill

from charlm.config import Config, ModelConfig
from charlm.model.arithmetic import (
    BYTES,
    Product,
    Tensor,
    activations_of,
    parameters_of,
    products_of,
    sizes_of,
)
from charlm.model.shapes import frozen_by

WIDTH = 80
LETTERS = {
    "B": "streams of text, read side by side",
    "T": "time steps in a window",
    "V": "symbols of the vocabulary, <unk> among them",
    "E": "numbers that stand for a symbol (its embedding)",
    "H": "hidden units of a layer",
    "P": "numbers that a layer's output is projected to",
    "S": "symbols that a step is scored against, and its own",
    "L": "layers, one on top of the other",
}
# h', c': after a step; x: what a layer gets; *: number by number; one bias, b, for the sum of two.
EQUATIONS = {
    "rnn": ("h' = {nonlinearity}(W x + U h + b)",),
    "gru": (
        "r, z = sigmoid(W x + U h + b)            what to forget, what to keep",
        "n = tanh(W x + b + r * (U h + c))        the candidate",
        "h' = (1 - z) * n + z * h",
    ),
    "lstm": (
        "i, f, o = sigmoid(W x + U h + b)         gates: write, keep, show",
        "g = tanh(W x + U h + b)                  the candidate",
        "c' = f * c + i * g                       the cell, which is remembered",
        "h' = o * tanh(c')                        what is shown of it",
    ),
}
GATE_ORDER = {"gru": "r, z, n", "lstm": "i, f, g, o"}
UPDATES = {
    "sgd": "each weight less the rate times its gradient",
    "adamw": "each weight less the rate times its gradient over the usual size of that",
    "soap": "as adamw, in the directions that a matrix's gradients usually take",
}


def explained(config: Config, vocab_size: int, optimizer_numbers: int) -> str:
    """The text. optimizer_numbers: how many an optimiser keeps of such a model."""
    sizes = sizes_of(config, vocab_size)
    parameters = parameters_of(config.model, sizes)
    parts = [
        ["The letters", *_table([(k, f"{sizes[k]:,}", LETTERS[k]) for k in LETTERS if k in sizes])],
        _what_happens(config.model),
        ["What a window becomes", *_tensors(activations_of(config.model, sizes))],
        ["The weights", *_tensors(parameters, counted=True), *_about_weights(config.model)],
        _arithmetic(list(products_of(config, sizes)), sizes["T"] * sizes["B"]),
        _memory(config, parameters, optimizer_numbers),
    ]
    return "\n\n".join("\n".join(line.rstrip() for line in part) for part in parts) + "\n"


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Numbers to the right, all else to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if cell[:1].isdigit() and cell.replace(",", "").isdigit()
            else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        )  # fmt: skip
        yield "  " + "  ".join(cells)


def _tensors(tensors: Sequence[Tensor], *, counted: bool = False) -> Iterator[str]:
    rows = [
        (t.name, " × ".join(t.axes), " × ".join(map(str, t.shape)), *([f"{t.numbers:,}"] * counted))
        for t in tensors
    ]
    yield from _table(rows)
    if counted:
        total = sum(t.numbers for t in tensors)
        yield f"  {total:,} in all: what is counted as the model's parameters"


def _what_happens(model: ModelConfig) -> list[str]:
    if model.embedding_size:
        inputs = "Each id picks a row of E numbers from the embedding: x."
    else:
        inputs = "Each id becomes a row of zeros with a one in its place (one-hot): x."
    if model.bidirectional:
        inputs += " Some ids are replaced by the mask, an id more, and only those are predicted."
        ways = "Each layer reads the window twice, forwards and backwards, with weights of its own "
        ways += "for each way, and gives 2 outputs for a step side by side."
    else:
        ways = "A layer goes from left to right: what it knows of the text so far is its state, h"
        ways += ", c." if model.rnn_type == "lstm" else "."
    told = f"{inputs} {ways} At each time step:"
    equations = [line.format(nonlinearity=model.nonlinearity) for line in EQUATIONS[model.rnn_type]]
    if model.proj_size:
        equations.append("h' = R h'                                projected")
    head = "The head gives each symbol a number, its logit: W h + b. The softmax of these is how "
    head += "likely each symbol is to be the next; the loss is -log of that of the one that came, "
    head += "in nats, on average."
    if model.bidirectional:
        head = head.replace("to be the next", "in that place")
    return [
        "What happens", _filled(told), *(f"    {line}" for line in equations),
        _filled("and so on with the next layer. " * (model.num_layers > 1) + head),
    ]  # fmt: skip


def _filled(text: str) -> str:
    return fill(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _about_weights(model: ModelConfig) -> Iterator[str]:
    parts = [
        "weight_ih is W, by which a layer's input is multiplied; weight_hh is U, for its state"
    ]
    if model.proj_size:
        parts.append("weight_hr is R")
    if not model.bias:
        parts.append("there are no biases: b is 0")
    elif model.rnn_type == "gru":
        parts.append("b is bias_ih, with bias_hh added for r and z; c is bias_hh for n")
    else:
        parts.append("b is the sum of bias_ih and bias_hh")
    if order := GATE_ORDER.get(model.rnn_type):
        parts.append(f"the gates stand one below the other, {order}")
    if model.tied:
        parts.append("the embedding is the head's matrix too (tied), and counts once")
    yield _filled("; ".join(parts) + ".")


def _arithmetic(products: Sequence[Product], tokens: int) -> list[str]:
    rows = [
        (
            p.name + f", {p.times} ways" * (p.times > 1),
            f"({', '.join(p.inputs)}) by ({', '.join(p.matrix)})",
            f"{p.multiply_adds:,}",
        )
        for p in products
    ]
    forward, back = (sum(getattr(p, name) for p in products) for name in ("multiply_adds", "back"))
    rows += [("forward", "", f"{forward:,}"), ("back", "the gradients", f"{back:,}"),
             ("a step", "", f"{forward + back:,}")]  # fmt: skip
    about = (
        f"That is {(forward + back) / tokens:,.0f} for each of the {tokens:,} symbols that a step "
        "reads. Back, each product is made once more for the gradient of its weights and once for "
        "that of its inputs, where those were made by weights. U h is T products, one after the "
        "other, as each needs the state of the step before; all else is one product over the "
        "window. Sigmoids and their like are few beside that, and not counted."
    )
    return ["The arithmetic of a step, in multiply-adds", *_table(rows), _filled(about)]


def _memory(config: Config, parameters: Sequence[Tensor], optimizer_numbers: int) -> list[str]:
    frozen = frozen_by(config.model, config.training.freeze)
    weights = sum(p.numbers for p in parameters)
    learning = sum(p.numbers for p in parameters if p.name not in frozen)
    name = config.training.optimizer
    which = "one for each weight that is not frozen" if frozen else "one for each weight"
    rows = [
        ("weights", f"{BYTES * weights:,}", "bytes, in float32"),
        ("gradients", f"{BYTES * learning:,}", which),
        (name, f"{BYTES * optimizer_numbers:,}", "what it keeps from step to step"),
    ]
    return ["The update, after each step", *_table(rows), _filled(f"{name}: {UPDATES[name]}.")]
