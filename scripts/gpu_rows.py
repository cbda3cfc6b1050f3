"""What a GPU makes of charlm's training, beside a bare loop and the most it can multiply.

For each model and precision: tokens a second of `Trainer.step` by AdamW; which share of the GPU's
peak that is, measured in the same run by one large product in bfloat16; and the ratio to a bare
loop of embedding, cuDNN's layers, head, cross-entropy, clipping and torch's own fused AdamW, over
ids on the GPU, in the same precision, the two in turns. Without a GPU the rows say *unmeasured*.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from benchmark import median_ratio
from torch import nn
from torch.nn import functional as F

from charlm.config import Config
from charlm.data.corpus import Corpus, build_corpus
from charlm.data.source import text_source
from charlm.model.arithmetic import products_of, sizes_of
from charlm.model.device import gpu_in_words, rounding, trains_in, wait_for
from charlm.model.packed import PackedLayers
from charlm.settings import configured
from charlm.training.trainer import Trainer

UNMEASURED = "*unmeasured*"
HEAD = ["LSTM, streams × steps", "precision", "tokens/s", "TFLOP/s", "of the peak in bfloat16",
        "times the bare loop"]  # fmt: skip
ROUNDS, SECONDS = 5, 2.0
# Rows and columns of the product that the peak is measured by.
LARGE = 8192


@dataclass(frozen=True)
class Size:
    layers: int
    units: int
    streams: int
    steps: int

    def __str__(self) -> str:
        return f"{self.layers}×{self.units}, {self.streams}×{self.steps}"


SIZES = (Size(3, 1024, 256, 256), Size(1, 1536, 32, 32), Size(1, 512, 64, 64))


def rows(
    text: str, device: torch.device, sizes: Sequence[Size] = SIZES, seconds: float = SECONDS,
    large: int = LARGE,
) -> list[list[str]]:  # fmt: skip
    """On a device; `unmeasured` where there is none."""
    peak, found = _peak(device, seconds, large), list[list[str]]()
    with tempfile.TemporaryDirectory() as folder:
        corpus = build_corpus(text_source("text", text), Config().text, Config().data, Path(folder))
        for size in sizes:
            for precision in ("float32", "bfloat16"):
                row = [str(size), precision, UNMEASURED, UNMEASURED, UNMEASURED, UNMEASURED]
                if trains_in(precision, device, "lstm"):
                    row[2:] = _measured(size, precision, corpus, device, seconds, peak)
                found.append(row)
    return found


def unmeasured(sizes: Sequence[Size] = SIZES) -> list[list[str]]:
    return [[str(size), name, *[UNMEASURED] * 4]
            for size in sizes for name in ("float32", "bfloat16")]  # fmt: skip


def about(device: torch.device, large: int = LARGE) -> str:
    """The machine, and what it was found to multiply."""
    peak = _peak(device, SECONDS, large) / 1e12
    return f"{gpu_in_words(device, 'float32')} in float32; peak in bfloat16 {peak:,.0f} TFLOP/s"


def _measured(
    size: Size, precision: str, corpus: Corpus, device: torch.device, seconds: float, peak: float
) -> list[str]:
    config = configured(Config(), {
        "model": {"num_layers": size.layers, "hidden_size": size.units, "dropout": 0.0,
                  "embedding_size": 128},
        "training": {"batch_size": size.streams, "seq_len": size.steps, "precision": precision,
                     "device": str(device), "optimizer": "adamw", "max_steps": 1_000_000},
    })  # fmt: skip
    trainer = Trainer(config, corpus)
    trainer.model.train()
    bare = Bare(config, len(corpus.vocab), device, trainer)

    def step() -> None:
        trainer.step(trainer.batches[trainer.done])

    work = (step, bare.step)
    numbers = [_number(one, device, seconds / ROUNDS) for one in work]
    taken: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for one, number, its in zip(work, numbers, taken, strict=True):
            its.append(_seconds(one, number, device) / number)
    trainer.outcomes.read()  # or it has diverged, and the figures mean nothing
    tokens = trainer.tokens_per_step / median(taken[0])
    products = products_of(config, sizes_of(config, len(corpus.vocab)))
    made = 2 * sum(one.multiply_adds + one.back for one in products)
    flops = made / (size.streams * size.steps) * tokens
    ratio = median_ratio(taken[1], taken[0])
    return [f"{tokens:,.0f}", f"{flops / 1e12:.1f}", f"{flops / peak:.0%}", f"{ratio:.2f}"]


class Bare:
    """A loop that does no more than it must, on one batch, again and again."""

    def __init__(
        self, config: Config, symbols: int, device: torch.device, trainer: Trainer
    ) -> None:
        model, kind = config.model, getattr(torch, config.training.precision)
        self._embedding = nn.Embedding(symbols, model.embedding_size, device=device, dtype=kind)
        layers = nn.LSTM(
            model.embedding_size, model.hidden_size, model.num_layers, device=device
        )  # fmt: skip
        # Packed, and in this precision from the first to the last step: nothing is copied.
        packed = PackedLayers(layers, kind)
        packed.take()
        [self._layers] = packed._calls
        self._head = nn.Linear(model.hidden_size, symbols, device=device, dtype=kind)
        parts = nn.ModuleList([self._embedding, self._layers, self._head])
        self._parameters = list(parts.parameters())
        self._optimizer = torch.optim.AdamW(self._parameters, lr=1e-3, fused=True)
        batch, self._device = trainer.batches[0], device
        self._inputs, self._targets = (
            torch.as_tensor(ids).to(device) for ids in (batch.inputs, batch.targets)
        )

    def step(self) -> None:
        with rounding("tf32", self._device):
            outputs, _ = self._layers(self._embedding(self._inputs))
            logits = self._head(outputs).float().flatten(0, 1)
            loss = F.cross_entropy(logits, self._targets.flatten())
            self._optimizer.zero_grad()
            torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()


def _peak(device: torch.device, seconds: float, large: int) -> float:
    """FLOP a second of one large product in bfloat16."""
    a, b = (torch.randn(large, large, device=device).bfloat16() for _ in range(2))
    number = _number(lambda: a @ b, device, seconds)
    return 2 * large**3 * number / _seconds(lambda: a @ b, number, device)


def _number(work: Callable[[], object], device: torch.device, seconds: float) -> int:
    """How often it is done in so many seconds; it has been done a few times then."""
    _seconds(work, 3, device)
    return max(3, round(seconds * 3 / _seconds(work, 3, device)))


def _seconds(work: Callable[[], object], number: int, device: torch.device) -> float:
    wait_for(device)
    started = time.perf_counter()
    for _ in range(number):
        work()
    wait_for(device)
    return time.perf_counter() - started
