"""Continues a text with a model that `charlm export -o MODEL.onnx` wrote, without charlm.

    python scripts/onnx_generate.py MODEL.onnx [PREFIX [LENGTH [TEMPERATURE [SEED]]]]

It needs onnxruntime, which brings NumPy. The prefix is read as it is: how the texts of the
training were cleaned stands in the file, under "text_options".
"""

import json
import re
import sys

import numpy as np
import onnxruntime


def main(path, prefix="", length="200", temperature="0.8", seed="0"):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    if facts["kind"] != "step":
        sys.exit(f"{path} fills gaps: it reads all of a text at once, and writes none")
    if "punctuation" in facts["level"]:
        sys.exit(f"{path} has words with punctuation apart: charlm alone cuts texts so")
    tokens, between = json.loads(facts["vocabulary"]), "" if facts["level"] == "char" else " "
    breaks = "breaks" in facts["level"]  # each line break is a word, with no space around it
    known, dice = {token: i for i, token in enumerate(tokens)}, np.random.default_rng(int(seed))
    words = re.findall(r"\n|\S+" if breaks else r"\S+", prefix)
    read = words if between else list(prefix)
    if unknown := sorted({token for token in read if token not in known}):
        sys.exit(f"the model does not know {unknown}: leave that out of the prefix")
    states = session.get_inputs()[1:]  # after the ids; a batch of one, at zero
    state = {s.name: np.zeros((s.shape[0], 1, s.shape[2]), np.float32) for s in states}
    ids = [known[token] for token in read] or [int(facts["start"])]
    for _ in range(int(length)):
        for token in ids:
            logits, *after = session.run(None, {"ids": np.array([token]), **state})
            state = dict(zip(state, after, strict=True))
        logits = logits[0].astype(np.float64)
        logits[int(facts["unknown"])] = -np.inf
        if float(temperature):
            # The largest of logits with this noise is a draw from them (Gumbel).
            logits = logits / float(temperature) + dice.gumbel(size=len(logits))
        ids = [int(logits.argmax())]
        read = [*read[-1:], tokens[ids[0]]]
        joined = len(read) == 1 or "\n" in read
        print(("" if joined else between) + read[-1], end="", flush=True)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
