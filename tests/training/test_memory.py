"""What does not fit into memory is refused before any is taken; where that could not be foreseen,
streams are trained in parts, to the same end."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from charlm.config import Config
from charlm.data.corpus import Corpus
from charlm.errors import OutOfMemoryError
from charlm.model.network import CharLM
from charlm.settings import configured
from charlm.training import memory
from charlm.training.distributed import Alone
from charlm.training.gradient import Gradient
from charlm.training.memory import GIB, check_memory, fits, free_memory, needed
from charlm.training.speed import Speed
from charlm.training.trainer import Trainer

ERROR = "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"
Limit = Callable[[int], None]


@pytest.fixture
def memory_for(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """`memory_for(n)`: a model can be trained with n streams at most."""
    read = CharLM.read

    def limit(streams: int) -> None:
        def read_within(self: CharLM, ids: torch.Tensor, *others: Any) -> Any:
            if self.training and ids.shape[1] > streams:
                raise RuntimeError(ERROR)
            return read(self, ids, *others)

        monkeypatch.setattr(CharLM, "read", read_within)

    return limit


@pytest.mark.parametrize("kind", ["lstm", "gru", "fill"])
def test_row_33_trained_in_parts_it_is_the_same_training(
    make_corpus: Callable[..., Corpus],
    tiny_config: Any,
    nonsense: Any,
    memory_for: Limit,
    kind: str,
) -> None:
    model = {"bidirectional": True} if kind == "fill" else {"rnn_type": kind}
    corpus, config = make_corpus(nonsense(2000)), tiny_config(model=model, training={"reset": 0.3})

    def weights_after(steps: int) -> list[torch.Tensor]:
        trainer = Trainer(config, corpus)
        losses = [trainer.step(trainer.batches[trainer.done]) for _ in range(steps)]
        return [torch.tensor(losses), *(p.detach().clone() for p in trainer.model.parameters())]

    whole = weights_after(12)
    memory_for(1)
    parts = weights_after(12)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_row_33_a_training_says_so_and_goes_on(
    charlm: Any, text_file: Any, tiny_options: list[str], memory_for: Limit
) -> None:
    memory_for(2)
    done = charlm("train", text_file, *tiny_options, "-o", "run")
    assert done.code == 0
    warnings = [line for line in done.err.splitlines() if "Warning" in line]
    assert warnings == [
        "Warning: out of memory at step 1; the streams of a batch are trained in 2 parts from here "
        "on, which is slower"
    ]


def test_row_33_where_nothing_helps_it_is_one_line(
    charlm: Any, text_file: Any, tiny_options: list[str], memory_for: Limit
) -> None:
    memory_for(0)
    failed = charlm("train", text_file, *tiny_options, "-o", "run")
    assert failed.code == 6
    assert failed.err.splitlines()[-1].startswith("Error: out of memory at step 1, with one stream")


def test_row_33_another_error_is_no_lack_of_memory(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any, monkeypatch: Any
) -> None:
    def broken(*of_the_call: Any) -> Any:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(CharLM, "read", broken)
    trainer = Trainer(tiny_config(), make_corpus(nonsense(500)))
    with pytest.raises(RuntimeError, match="shape mismatch") as error:
        trainer.step(trainer.batches[0])
    assert not isinstance(error.value, OutOfMemoryError)


CPU = torch.device("cpu")


def of_sizes(**sizes: Any) -> Config:
    model = {key: value for key, value in sizes.items() if key not in ("batch_size", "optimizer")}
    training = {key: value for key, value in sizes.items() if key not in model}
    return configured(Config(), {"model": model, "training": training})


@pytest.mark.parametrize("optimizer", ["adamw", "soap", "sgd"])
def test_what_a_training_keeps_is_counted(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any, optimizer: str
) -> None:
    """The weights, their gradients and the optimiser's numbers, as they are after some steps."""
    config = tiny_config(training={"optimizer": optimizer})
    trainer = Trainer(config, make_corpus(nonsense(500)))
    for _ in range(3):
        trainer.step(trainer.batches[trainer.done])
    parameters = list(trainer.model.parameters())
    kept = [*parameters, *(p.grad for p in parameters if p.grad is not None)]
    kept += [value for entries in trainer.optimizer.state.values() for value in entries.values()]
    held = sum(tensor.numel() * tensor.element_size() for tensor in kept)
    assert held < needed(config, trainer.model.vocab_size) < 6 * held + 4 * 32 * 1000


@pytest.mark.parametrize(
    ("config", "vocab_size", "words"),
    [
        (of_sizes(hidden_size=1_000_000), 65, "--hidden-size "),
        (of_sizes(hidden_size=1_000_000, embedding_size=1_000_000, tied=True), 65,
         "--hidden-size "),
        (of_sizes(batch_size=1_000_000), 65, "--batch-size "),
        (of_sizes(embedding_size=1_000_000), 10_000, "--embedding-size "),
        (of_sizes(hidden_size=20_000, num_layers=100), 65, "--hidden-size "),
    ],
)  # fmt: skip
def test_sizes_beyond_the_memory_are_refused_and_what_would_fit_is_named(
    config: Config, vocab_size: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 8 * GIB)
    with pytest.raises(OutOfMemoryError) as error:
        check_memory(config, vocab_size, 10**9, CPU)
    message = str(error.value)
    assert "8 GiB are free; " in message
    assert "\n" not in message
    option, _, size = message.partition("; ")[2].removesuffix(" would fit").partition(" ")
    assert option + " " == words
    name = option.removeprefix("--").replace("-", "_")
    section = "training" if name == "batch_size" else "model"
    tied = {"embedding_size": int(size)} if config.model.tied else {}
    smaller = configured(config, {section: {name: int(size), **tied}})
    check_memory(smaller, vocab_size, 10**9, CPU)
    larger = configured(
        config, {section: {name: int(size) * 2, **{k: v * 2 for k, v in tied.items()}}}
    )
    assert needed(larger, vocab_size) > 8 * GIB


def test_streams_that_a_text_does_not_fill_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: GIB)
    check_memory(of_sizes(batch_size=1_000_000), 65, 4000, CPU)


def test_where_nobody_tells_what_is_free_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    monkeypatch.setattr(memory, "CGROUPS", ())
    assert free_memory(CPU) is None
    check_memory(of_sizes(hidden_size=1_000_000), 65, 10**9, CPU)


@pytest.mark.parametrize(
    ("meminfo", "limit", "free"),
    [
        ("MemTotal: 9 kB\nMemAvailable:   4 kB\n", "max", 4096),
        ("MemAvailable: 4 kB\n", "3000", 2000),
        ("MemAvailable: 4 kB\n", "999", 0),
        ("MemAvailable: 4 kB\n", "90000", 4096),
        ("no such thing", "nonsense", None),
        ("MemAvailable: much\n", "", None),
    ],
)
def test_the_machine_and_the_container_tell_what_is_free(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, meminfo: str, limit: str, free: int | None
) -> None:
    files = {"meminfo": meminfo, "limit": limit, "used": "1000"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUPS", [(tmp_path / "limit", tmp_path / "used")])
    assert free_memory(CPU) == free


@pytest.mark.parametrize("option", ["--hidden-size", "--embedding-size"])
def test_an_absurd_size_is_one_line_and_leaves_nothing(
    charlm: Any, text_file: Any, tmp_path: Any, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: GIB)
    refused = charlm("train", text_file, option, "1000000", "--rnn-type", "rnn", "--set",
                     "model.num_layers=20")  # fmt: skip
    assert refused.code == 6
    assert len(refused.err.splitlines()) == 1
    assert refused.err.startswith("Error: out of memory: a training of 20 × ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB",
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    ],
)
def test_row_33_a_gpu_without_memory_is_given_fewer_streams_and_its_pieces_are_joined(
    make_corpus: Callable[..., Corpus], tiny_config: Any, nonsense: Any, monkeypatch: Any,
    words: str,
) -> None:  # fmt: skip
    """In whatever words it is told; a CPU stands in for it."""
    corpus, read, emptied = make_corpus(nonsense(500)), CharLM.read, []
    kind = torch.OutOfMemoryError if words.startswith("CUDA out of memory") else RuntimeError
    monkeypatch.setattr("charlm.training.gradient.sent", lambda a, device: torch.from_numpy(a))
    monkeypatch.setattr(Gradient, "_device", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))

    def short_of_memory(self: CharLM, ids: torch.Tensor, *others: Any) -> Any:
        if ids.shape[1] > 1:
            raise kind(words)
        return read(self, ids, *others)

    trainer = Trainer(tiny_config(), corpus)
    monkeypatch.setattr(CharLM, "read", short_of_memory)
    assert trainer.step(trainer.batches[0]) is None  # nor does it wait
    assert trainer.gradient.parts == 4
    assert len(emptied) == 2
    loss = trainer.outcomes.read()
    monkeypatch.setattr(CharLM, "read", read)
    monkeypatch.undo()
    whole = Trainer(tiny_config(), corpus)
    assert loss == pytest.approx(whole.step(whole.batches[0]), rel=1e-6)


def test_each_of_several_processes_takes_the_memory_of_its_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, world = of_sizes(batch_size=1024, hidden_size=512), Alone()
    world.size = 8
    free = needed(of_sizes(batch_size=128, hidden_size=512), 65)
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    check_memory(config, 65, 10**9, CPU, world)
    with pytest.raises(OutOfMemoryError, match=r"--batch-size 1000 would fit"):
        check_memory(of_sizes(batch_size=1100, hidden_size=512), 65, 10**9, CPU, world)
    # Those on one machine have one memory.
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(OutOfMemoryError):
        check_memory(config, 65, 10**9, CPU, world)
    free *= 2
    check_memory(config, 65, 10**9, CPU, world)
    with pytest.raises(OutOfMemoryError):
        check_memory(config, 65, 10**9, CPU)


def test_what_is_measured_is_what_all_processes_of_a_machine_have_memory_for(
    monkeypatch: pytest.MonkeyPatch, tiny_config: Any
) -> None:
    """So that what the planner chooses by its speed is not refused afterwards."""
    config, world = tiny_config(), Alone()
    world.size = 4
    free = 3 * needed(config, 10)
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    for here, holds in (("1", True), ("3", True), ("4", False)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", here)
        assert fits(config, 10, CPU, world) == holds
    assert fits(config, 10, CPU)
    assert Speed(10, 1.0, world=world)(config) is None
    # Each has its own GPU.
    assert fits(config, 10, torch.device("cuda"), world)


def test_beside_the_first_nobody_looks_at_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    config, world = of_sizes(batch_size=8), Alone()
    world.rank, world.size = 2, 4
    monkeypatch.setattr(memory, "free_memory", lambda device: 0)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "2")
    check_memory(config, 65, 10**9, CPU, world)
    # On another machine, and with a GPU, there is something of its own to look at.
    with pytest.raises(OutOfMemoryError):
        check_memory(config, 65, 10**9, torch.device("cuda"), world)
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(OutOfMemoryError):
        check_memory(config, 65, 10**9, CPU, world)
