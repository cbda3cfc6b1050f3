"""How much memory a training takes, told before any is taken.

Linux gives out more than it has, and ends whoever then uses it: what will not fit has to be refused
before. The estimate counts numbers, of four bytes each, and leaves the libraries' own aside.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from math import prod
from pathlib import Path

import torch
from torch import nn

from charlm.config import Config
from charlm.errors import OutOfMemoryError
from charlm.model.shapes import GATES, expected_shapes
from charlm.training.distributed import Alone, World, is_beside_the_first, ranks_here
from charlm.training.optim import OPTIMIZERS

BYTES, GIB = 4, 1 << 30
# What Linux says of the machine, and of the container that a process is in (cgroups 2 and 1).
MEMINFO = Path("/proc/meminfo")
CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
     Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)  # fmt: skip


def check_memory(
    config: Config, vocab_size: int, train_tokens: int, device: torch.device,
    world: World | None = None,
) -> None:  # fmt: skip
    """Refuse a training that the memory does not hold. Raises OutOfMemoryError, naming what would
    fit.

    world: who trains with this process: each has its share of the streams, and those on one machine
    have one memory, unless each has a GPU. It is the first who looks at that of its machine, for
    all there: once another does, some of it is taken.
    """
    world, free = world or Alone(), free_memory(device)
    if world.rank and device.type == "cpu" and is_beside_the_first(world):
        return
    config = _as_it_trains(config, train_tokens, device)
    beside = _sharing(world, device)

    def takes(config: Config) -> int:
        streams = -(-config.training.batch_size // world.size)
        training = replace(config.training, batch_size=streams)
        return beside * needed(replace(config, training=training), vocab_size)

    if free is None or takes(config) <= free:
        return
    raise OutOfMemoryError(
        f"out of memory: a training of {config.model.num_layers} × {config.model.hidden_size:,} "
        f"units in {config.training.batch_size:,} streams of {config.training.seq_len:,} would "
        f"take about {_gib(takes(config))}, and {_gib(free)} are free; "
        f"{_what_fits(config, takes, free)}"
    )


def fits(config: Config, vocab_size: int, device: torch.device, world: World | None = None) -> bool:
    """Whether the memory holds a training of these very sizes, as far as can be told; where several
    train together (`world`), one in each process of this machine."""
    free = free_memory(device)
    beside = _sharing(world or Alone(), device)
    return free is None or beside * needed(config, vocab_size) <= free


def _sharing(world: World, device: torch.device) -> int:
    """How many processes have one memory."""
    return ranks_here(world) if device.type == "cpu" else 1


def needed(config: Config, vocab_size: int) -> int:
    """Bytes that a training takes at its peak, about."""
    shapes = list(expected_shapes(config.model, vocab_size).values())
    weights = sum(map(prod, shapes))
    state = _numbers_of_the_optimizer(config, shapes)
    # The gradient of each part, and their sum; what is saved is copied first.
    gradients = (1 + config.training.parts) * weights
    return BYTES * (2 * (weights + state) + gradients + _activations(config, vocab_size))


def _numbers_of_the_optimizer(config: Config, shapes: list[tuple[int, ...]]) -> int:
    tensors = (nn.Parameter(torch.empty(shape, device="meta")) for shape in shapes)
    optimizer = OPTIMIZERS[config.training.optimizer](nn.ParameterList(tensors), config.training)
    places = range(len(shapes))
    return sum(prod(shape) for i in places for shape in optimizer.state_shapes(i).values())


def _activations(config: Config, vocab_size: int) -> int:
    """Numbers that a step keeps for its backward pass: of each layer its gates and state, and their
    gradients; and what each symbol is given, as logits, likelihoods and gradient."""
    model, training = config.model, config.training
    tokens = training.batch_size * training.seq_len
    width = model.embedding_size or vocab_size
    layer = (GATES[model.rnn_type] + 2) * model.hidden_size * model.directions
    symbols = vocab_size
    if training.is_sampled(vocab_size):
        symbols = min(symbols, training.sampled + tokens)
    return tokens * (width + 2 * model.num_layers * layer + 3 * symbols)


def _as_it_trains(config: Config, train_tokens: int, device: torch.device) -> Config:
    """With no more streams than the text fills; on a device that says when it is full, where they
    are then trained in parts, with one."""
    streams = max(1, min(config.training.batch_size, (train_tokens - 1) // config.training.seq_len))
    if device.type != "cpu":
        streams = 1
    return replace(config, training=replace(config.training, batch_size=streams))


def _what_fits(config: Config, takes: Callable[[Config], int], free: int) -> str:
    for option, size, resized in _smaller(config):

        def holds(n: int, resized: Callable[[int], Config] = resized) -> bool:
            return takes(resized(n)) <= free

        if largest := _largest(size, holds):
            return f"{option} {largest} would fit"
    return "lower --hidden-size, --embedding-size and --batch-size"


def _smaller(config: Config) -> Iterator[tuple[str, int, Callable[[int], Config]]]:
    """What can be made smaller: the option, its size, and the config of any size."""
    model, training = config.model, config.training
    yield (
        "--batch-size", training.batch_size,
        lambda n: replace(config, training=replace(training, batch_size=n)),
    )  # fmt: skip
    yield (
        "--hidden-size", model.hidden_size,
        lambda n: replace(config, model=replace(
            model, hidden_size=n, embedding_size=n if model.tied else model.embedding_size,
            proj_size=min(model.proj_size, n - 1),
        )),
    )  # fmt: skip
    yield (
        "--embedding-size", model.embedding_size,
        lambda n: replace(config, model=replace(model, embedding_size=n)),
    )  # fmt: skip
    yield (
        "--num-layers", model.num_layers,
        lambda n: replace(config, model=replace(model, num_layers=n)),
    )  # fmt: skip


def _largest(below: int, holds: Callable[[int], bool]) -> int:
    """The largest number below one that does not hold, to two digits; 0 where none holds."""
    low, high = 0, below
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    unit: int = 10 ** max(0, len(str(low)) - 2)
    return int(low // unit * unit)


def free_memory(device: torch.device) -> int | None:
    """Bytes that a training may take on a device; None where nobody tells."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    found = [_of_the_machine(), *(_of_the_container(*files) for files in CGROUPS)]
    return min((free for free in found if free is not None), default=None)


def _of_the_machine() -> int | None:
    with suppress(OSError, ValueError):
        for line in MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return None


def _of_the_container(limit: Path, used: Path) -> int | None:
    with suppress(OSError, ValueError):  # there is none, or "max"
        return max(0, int(limit.read_text()) - int(used.read_text()))
    return None


def _gib(size: int) -> str:
    return f"{size / GIB:,.0f} GiB" if size >= 10 * GIB else f"{size / GIB:.2g} GiB"
