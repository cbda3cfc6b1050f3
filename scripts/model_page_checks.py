"""What scripts/check_pages checks of a model's page: that it writes as charlm does, by keyboard
alone, asks for nothing, and says what it does not know.

Without runs, of models of this script's own, which have learned nothing: how they write is what
counts.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from browser import Browser
from page_probes import TEXTS

from charlm.config import Config, GenerationConfig
from charlm.data.vocab import UNK, Vocab
from charlm.export.page import page_of
from charlm.export.weights import packed
from charlm.generation.filler import Filler
from charlm.generation.gaps import read_gaps
from charlm.generation.sampler import Sampler
from charlm.generation.stepper import Stepper
from charlm.model.network import CharLM, open_model, weights_of
from charlm.run import Run, open_run
from charlm.settings import configured
from charlm.views.heatmap_page import STEPS

STATUS = 'document.getElementById("status").textContent'
OUT = 'document.getElementById("out").textContent'
UNKNOWN = 'document.getElementById("unknown").textContent'
NEXT = '[...document.querySelectorAll("#next li")].map((row) => row.textContent)'
FILLINGS = """[...document.querySelectorAll("#fillings li")].map((row) =>
  [...row.childNodes].slice(0, -1).map((node) => node.textContent).join(""))"""
TINTS = """document.querySelectorAll("#read .line [class^=t], #read .line [class*=' t']").length +
  (typeof Highlight === "function" ? CSS.highlights.size : 0)"""
NAMELESS = """[...document.querySelectorAll("input, textarea, button")].filter((element) =>
  element.checkVisibility() && !element.labels?.length && !element.textContent.trim()).length"""
# What a page has other ways to do without.
WITHOUT = {
    "": "",
    "without workers": "delete window.Worker;",
    "without WebAssembly": "window.Worker = undefined; delete window.WebAssembly;",
    "without highlights": "delete window.Highlight; delete Intl.Segmenter;",
}
SNOWMAN = "\u2603"
LENGTH = 300
SHAPES = {"LSTM 1×256": {}, "LSTM 2×512": {"hidden_size": 512, "num_layers": 2}}
SPEED_LENGTH = 4000


def model_runs(folder: Path) -> dict[str, Run]:
    """Runs of random weights with the symbols of the texts, and one that fills gaps."""
    runs = {
        name: random_run(folder / name, "".join(lines)) for name, lines in TEXTS.items()
    }  # fmt: skip
    english = "".join(TEXTS["english"])
    return runs | {"fills": random_run(folder / "fills", english, bidirectional=True)}


def random_run(path: Path, text: str, **model: object) -> Run:
    tokens = sorted(set(text))
    vocab = Vocab("char", (UNK, *tokens), (0, *(text.count(token) for token in tokens)))
    config = configured(Config(), {"model": {"hidden_size": 32, "embedding_size": 16, **model}})
    torch.manual_seed(1)
    network = CharLM(config.model, len(vocab))
    with torch.no_grad():
        network.head.weight *= 4
    return unsaved_run(path, config, vocab, network)


def unsaved_run(path: Path, config: Config, vocab: Vocab, network: CharLM) -> Run:
    name = "train_masked_perplexity" if config.model.bidirectional else "train_perplexity"
    facts = {"step": 0, "epochs": 0.0, "seconds": 0.0, "valid": None, name: 1.0}
    splits = {"train": sum(vocab.counts)}
    record = {"path": "", "name": path.name, "sha256": "0" * 64, "splits": splits}
    run = Run(path, config, vocab, record)
    # What a run reads from its folder, of which there is none.
    run.__dict__["_model"] = (weights_of(network), facts)
    return run


def check_model_pages(
    browser: Browser, check: Callable[..., None], folder: Path, given: list[Path],
    check_contrast: Callable[..., None],
) -> list[Path]:  # fmt: skip
    """The pages, of the runs given or of random ones. check: called with what, and whether."""
    runs = {path.resolve().name: open_run(path) for path in given} or model_runs(folder)
    pages = []
    for name, run in runs.items():
        path = folder / f"model-{name}.html"
        path.write_bytes(page_of(run, packed(run.weights, "float32"), "float32", None).encode())
        check_contrast(browser, check, path, STEPS)
        for how, first in WITHOUT.items():
            check_model(browser, check, path, run, f"{path.stem} {how}".strip(), first)
        pages.append(path)
    return pages


def check_model(
    browser: Browser, check: Callable[..., None], path: Path, run: Run, how: str, first: str
) -> None:
    browser.open(path, first)
    check(f"{how}: ready", browser.wait(f"{STATUS} === 'Ready.'"), browser.run(STATUS))
    check(f"{how}: every field and button has a name", browser.run(NAMELESS) == 0)
    browser.press("Tab")
    check(f"{how}: first is the text", browser.run("document.activeElement === typed"))
    (check_filling if run.config.model.bidirectional else check_writing)(browser, check, run, how)
    asked = [url for url in browser.requests[1:] if not url.startswith("blob:")]
    check(f"{how}: no request leaves the page", asked == [], asked)
    check(f"{how}: no complaints", browser.messages == [], browser.messages)
    alerts = browser.run("document.scripts.length")
    check(f"{how}: no script but its own", alerts == 3, alerts)  # the weights' is taken away


def check_writing(browser: Browser, check: Callable[..., None], run: Run, how: str) -> None:
    prefix = "".join(run.vocab.tokens[1:8])
    browser.type(prefix)
    check(f"{how}: what may come next", browser.wait(f"{NEXT}.length >= 4"), browser.run(NEXT))
    check(f"{how}: tints", browser.wait(f"({TINTS}) > 0"), browser.run(TINTS))
    for id_, value in {"length": LENGTH, "seed": 7, "temperature": 0.9, "top_p": 0.95}.items():
        browser.run(f"byId({id_!r}).value = {str(value)!r}")
    browser.press("Enter", control=True)
    browser.wait(f"/with seed/.test({STATUS})")
    written, expected = browser.run("written"), text_of(run, prefix)
    same = next(
        (k for k, (a, b) in enumerate(zip(written, expected, strict=False)) if a != b), None
    )
    check(f"{how}: writes as charlm does", written == expected, (same, written, expected))
    browser.run("byId('length').value = '1000000'")
    browser.press("Enter", control=True)
    browser.wait(f"{OUT}.length > 50")
    browser.press("Escape")
    check(f"{how}: Escape stops", browser.wait(f"{STATUS} === 'Stopped.'"), browser.run(STATUS))
    browser.run("byId('copy').focus()")
    browser.press("Enter")
    check(f"{how}: copies", browser.wait(f"{STATUS} === 'Copied.'", 5), browser.run(STATUS))
    browser.run("typed.select(); typed.focus()")
    browser.paste()
    browser.settle()
    # A clipboard has no halves of surrogate pairs, and a field no line break but one.
    same = browser.run("typed.value === written.replace(/\\r\\n?/g, '\\n').toWellFormed()")
    check(f"{how}: what was written is what is copied", same)
    browser.run("typed.select()")
    browser.type(prefix[:2] + SNOWMAN + prefix[2:4])
    told = f"{UNKNOWN}.includes('U+2603')"
    check(f"{how}: says what it does not know", browser.wait(told, 10), browser.run(UNKNOWN))
    browser.run("typed.select()")
    browser.type(prefix)
    check(f"{how}: and no more", browser.wait(f"{UNKNOWN} === ''", 10), browser.run(UNKNOWN))


def text_of(run: Run, prefix: str) -> str:
    """Prefix and text as `charlm generate --seed 7` has them."""
    settings = GenerationConfig(length=LENGTH, temperature=0.9, top_p=0.95)
    settings = replace(settings, stop=run.config.generation.stop)
    sampler = Sampler(Stepper(run.config.model, run.weights), run.vocab, settings)
    ids = run.vocab.encode(prefix).tolist()
    samples = sampler.start(ids)
    for _ in sampler.stream(ids, samples, seed=7):
        pass
    return prefix + samples[0].text


def check_filling(browser: Browser, check: Callable[..., None], run: Run, how: str) -> None:
    letters = "".join(token for token in run.vocab.tokens[1:9] if token != "_")
    text = f"{letters[:3]}_{letters[3:6]}__"
    browser.type(text)
    browser.press("Enter", control=True)
    check(f"{how}: fills", browser.wait(f"{STATUS} === 'Filled.'"), browser.run(STATUS))
    fillings = Filler(open_of(run), run.vocab).fill(read_gaps(text, "_", run), 5)
    shown, expected = browser.run(FILLINGS), [run.vocab.decode(one.ids) for one in fillings]
    check(f"{how}: fills as charlm does", shown == expected, (shown, expected))
    browser.run("typed.select()")
    browser.type(f"{letters[0]}_{SNOWMAN}")
    told = f"{UNKNOWN}.includes('U+2603')"
    check(f"{how}: says what it does not know", browser.wait(told, 10), browser.run(UNKNOWN))


def open_of(run: Run) -> CharLM:
    return open_model(run, "cpu")


def check_speed(browser: Browser, folder: Path) -> None:
    """Prints how fast pages write, in a worker, with WebAssembly and without."""
    letters = "".join(map(chr, np.arange(40, 105)))
    for name, shape in SHAPES.items():
        model = {"hidden_size": 256, "embedding_size": 64, **shape}
        run = random_run(folder / "speed", letters, **model)
        path = folder / "speed.html"
        path.write_bytes(page_of(run, packed(run.weights, "float32"), "float32", None).encode())
        for how, first in (
            ("WebAssembly", ""),
            ("plain JavaScript", WITHOUT["without WebAssembly"]),
        ):
            browser.open(path, first)
            browser.wait(f"{STATUS} === 'Ready.'")
            length = SPEED_LENGTH if how == "WebAssembly" else SPEED_LENGTH // 4
            browser.run(f"byId('length').value = '{length}'; go()")
            browser.wait(f"/with seed/.test({STATUS})", 120)
            print(f"{name}, {how}: {browser.run(STATUS)}, a page of {path.stat().st_size:,} bytes")
        path.unlink()


def take_model_pictures(browser: Browser, pages: list[Path], folder: Path) -> None:
    """Each page with something read and written, in light, in dark and narrow."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in pages:
        for dark, width in ((False, 1200), (True, 1200), (False, 360)):
            browser.look(dark=dark, width=width, height=1000 if width > 400 else 1600)
            browser.open(path)
            browser.wait(f"{STATUS} === 'Ready.'")
            begin = BEGINNINGS.get(path.stem.removeprefix("model-"))
            begin = begin or browser.run("about.tokens.slice(1, 9).join('')")
            browser.run("typed.focus()")
            browser.type(begin)
            browser.run("byId('seed').value = '7'; byId('length').value = '400'")
            browser.press("Enter", control=True)
            browser.wait(f"/with seed|Filled/.test({STATUS})")
            browser.wait(f"{NEXT}.length > 0 || fills", 5)
            browser.settle()
            browser.picture(folder / f"{path.stem}-{'dark' if dark else 'light'}-{width}.png")
    browser.look()


# What pictures of runs by these names begin with; of others, symbols as the vocabulary has them.
BEGINNINGS = {
    "tinyshakespeare": "ROMEO:\nHow now, good friend",
    "sanguo": "却说曹操",
    "hafez": "الا یا ایها الساقی",
    "fills": "How _ft wh_n men are",
}
