"""Of models of every kind, what scripts/check_pages holds a page to: 500 characters, the likeliest
ones and drawn ones, as charlm generate has them, and the logits of 200 steps.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from browser import Browser
from engine_models import MODELS, model_called, some_logits
from model_page_checks import STATUS, unsaved_run

from charlm.config import GenerationConfig
from charlm.data.vocab import UNK_ID
from charlm.export.page import page_of
from charlm.export.weights import packed
from charlm.generation.drawing import Dice
from charlm.generation.sampler import Sampler
from charlm.generation.stepper import Stepper
from charlm.run import Run

EXACT, LENGTH, SEED = 1e-4, 500, 7
# A text of fewer different tokens would prove little.
LEAST_KINDS = 3
TEMPERATURES = (0.0, 0.8)
# The page's own engine, asked on the page: the logits after each id, one list.
LOGITS = """(() => {
  const stepper = new Stepper(about.model, withSimd(tensorsOf(about, letters)));
  const state = stepper.start();
  return ids.flatMap((id) => [...stepper.step(id, state)]);
})()"""


def check_engine_pages(browser: Browser, check: Callable[..., None], folder: Path) -> None:
    """check: called with what, and whether."""
    for name in MODELS:
        config, vocab, network = model_called(name)
        if config.model.bidirectional:
            continue
        run = unsaved_run(folder / name, config, vocab, network)
        path = folder / "engine.html"
        pack = packed(run.weights, "float32")
        path.write_bytes(page_of(run, pack, "float32", None).encode())
        browser.open(path)
        check(f"{name}: ready", browser.wait(f"{STATUS} === 'Ready.'"), browser.run(STATUS))
        for temperature in TEMPERATURES:
            check_text(browser, check, run, name, temperature)
        check_logits(browser, check, run, name, pack.letters)
        path.unlink()


def check_text(
    browser: Browser, check: Callable[..., None], run: Run, name: str, temperature: float
) -> None:
    """A text of the page and charlm's; where they part, rounding alone may have parted them."""
    beginning = run.vocab.decode(range(1, 6))
    read = run.vocab.encode(beginning).tolist()
    settings = GenerationConfig(length=LENGTH, temperature=temperature)
    stepper = Stepper(run.config.model, run.weights)
    sampler = Sampler(stepper, run.vocab, settings)
    (sample,) = samples = sampler.start(read)
    for _ in sampler.stream(read, samples, SEED):
        pass
    browser.run(f"typed.value = {json.dumps(beginning)}")
    fields = {"length": LENGTH, "seed": SEED, "temperature": temperature, "top_p": 1}
    for id_, value in fields.items():
        browser.run(f"byId({id_!r}).value = {str(value)!r}")
    browser.run("go()")
    browser.wait(f"/with seed/.test({STATUS})")
    written, expected = browser.run("written"), beginning + sample.text
    how = f"{name}, temperature {temperature}: {LENGTH} tokens"
    kinds = len(set(sample.ids))
    check(f"{how} that are not all the same", kinds >= LEAST_KINDS, kinds)
    if written == expected:
        check(f"{how} as charlm", True)
        print(f"{how} as charlm's, of {kinds} kinds")
        return
    step, gap = parting(stepper, read, sample.ids, run.vocab.encode(written).tolist(), temperature)
    print(f"{how}: the page differs first at step {step}, by a gap of {gap:.1e}")
    check(f"{how} as charlm", gap <= EXACT, (written, expected))


def parting(
    stepper: Stepper, read: Sequence[int], ids: Sequence[int], others: Sequence[int],
    temperature: float,
) -> tuple[int, float]:  # fmt: skip
    """The first step at which another id was chosen, and how near the two were to each other: of
    the likeliest, by their logits; of drawn ones, by how far the number that was drawn is from
    those by which the other would have been. Infinitely far, where one text is only longer."""
    others = others[len(read) :]
    steps = [k for k, (a, b) in enumerate(zip(ids, others, strict=False)) if a != b]
    if not steps:
        return min(len(ids), len(others)), np.inf
    step = steps[0]
    state = stepper.start()
    for id_ in [*read, *ids[:step]]:
        logits = stepper.step([id_], state)[0].astype(np.float64)
    if not temperature:
        return step, float(abs(logits[ids[step]] - logits[others[step]]))
    dice = Dice(SEED, 0)
    number = [dice.roll() for _ in range(step + 1)][-1]
    shares = np.exp((logits - logits.max()) / temperature)
    shares[UNK_ID] = 0
    last = np.cumsum(shares) / shares.sum()
    other = others[step]
    return step, float(max(last[other - 1] - number, number - last[other], 0.0))


def check_logits(
    browser: Browser, check: Callable[..., None], run: Run, name: str, letters: str
) -> None:
    ids, expected = some_logits(Stepper(run.config.model, run.weights), len(run.vocab))
    browser.run(f"globalThis.letters = {json.dumps(letters)}, globalThis.ids = {ids}, 0")
    found = np.array(browser.run(LOGITS), dtype=np.float64).reshape(expected.shape)
    furthest = float(np.abs(found - expected).max())
    check(f"{name}: {len(ids)} logits", furthest <= EXACT, furthest)
    print(f"{name}: logits of {len(ids)} steps within {furthest:.1e}")
