"""Several processes give what one gives: the same sums, the same score."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy, deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributed import TCPStore

from charlm.cli.explain import exit_code
from charlm.config import Config, ModelConfig
from charlm.data.batches import Batch, Streams, Windows
from charlm.data.masks import MaskShape
from charlm.data.vocab import UNK, Vocab
from charlm.errors import CharlmError, DataError, LostRankError, Stopped, UsageError
from charlm.evaluation import single_pass
from charlm.evaluation.evaluator import evaluate, evaluate_masked
from charlm.model.network import CharLM
from charlm.settings import configured
from charlm.training import following, process_group
from charlm.training.checkpoint import Checkpoint, restore_trainer, state_arrays
from charlm.training.distributed import (
    RENDEZVOUS,
    Alone,
    check_gpus,
    check_streams,
    join,
    leading,
)
from charlm.training.following import _Bystander
from charlm.training.gradient import Gradient
from charlm.training.limits import StepLimit
from charlm.training.together import together
from charlm.training.trainer import Trainer

VOCAB = Vocab("char", (UNK, *"abcdefgh"), (0,) * 9)
IDS = np.random.default_rng(0).integers(0, 9, 7_000).astype(np.uint8)


class Killed(BaseException):
    """What no process lives to tell."""


class Threads(Alone):
    """Ranks that are threads of this process: `of` of them, each calling the same."""

    def __init__(self, of: int, patience: float = 60.0) -> None:
        self.size, self._met = of, threading.Barrier(of, timeout=patience)
        self._asked = 0
        self._local = threading.local()
        self._found: list[Any] = [None] * of

    @property
    def rank(self) -> int:  # type: ignore[override]
        return self._local.rank

    def run(self, work: Callable[[], Any]) -> list[Any]:
        """What `work` gives in each rank, or what it raises."""
        results: list[Any] = [None] * self.size

        def at(rank: int) -> None:
            self._local.rank = rank
            try:
                results[rank] = work()
            except BaseException as error:
                results[rank] = error
                time.sleep(0.3)  # what it said last comes to the others
                self._met.abort()

        threads = [threading.Thread(target=at, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def _all(self, value: Any) -> list[Any]:
        try:
            self._met.wait()
            self._found[self.rank] = value
            self._met.wait()
            found = [*self._found]
            self._met.wait()
        except threading.BrokenBarrierError:
            raise LostRankError("another is gone") from None
        return found

    def share(self, streams: int) -> slice:
        return slice(streams * self.rank // self.size, streams * (self.rank + 1) // self.size)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        found = self._all([tensor.clone() for tensor in tensors])
        for tensor, parts in zip(tensors, zip(*found, strict=True), strict=True):
            tensor.copy_(torch.stack(parts).sum(0))

    def total(self, figures: Sequence[float]) -> list[float]:
        return [sum(parts) for parts in zip(*self._all(figures), strict=True)]

    def first(self, figures: Sequence[float]) -> list[float]:
        return self._all([*figures])[0]

    def from_the_first(self, value: Any) -> Any:
        return self._all(value)[0]

    def is_any(self, flag: bool) -> bool:
        return any(self._all(flag))

    def least(self, figure: float) -> float:
        return min(self._all(figure))

    def first_to_tell(self) -> bool:
        if self.rank:
            time.sleep(0.2)
        self._asked += 1
        return self._asked == 1

    def of_the_one_before(self, tensors: Sequence[Tensor]) -> Sequence[Tensor] | None:
        found = self._all([tensor.clone() for tensor in tensors])
        return found[self.rank - 1] if self.rank else None


def model_of(config: Config) -> CharLM:
    torch.manual_seed(0)
    return CharLM(config.model, 9)


CELLS = [
    {"rnn_type": "lstm"}, {"rnn_type": "gru", "num_layers": 2},
    {"rnn_type": "lstm", "proj_size": 6}, {"rnn_type": "rnn", "implementation": "scratch"},
]  # fmt: skip


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("sampling", [Streams, Windows])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(map(str, cell.values())))
def test_ranks_give_the_gradient_and_the_state_of_the_whole_batch(
    cell: dict[str, Any], sampling: Any, ranks: int
) -> None:
    config = configured(Config(), {
        "model": {"hidden_size": 12, "embedding_size": 6, **cell},
        "training": {"batch_size": 5, "seq_len": 9, "precision": "float32"},
    })  # fmt: skip
    # Of the last windows there is one alone, and ranks that have none of it.
    batches = sampling(IDS[:600], 5, 9, seed=1, reset=0.2)
    steps = [0, 1, 2, batches.per_epoch - 1]
    counts = np.bincount(IDS, minlength=9)

    begun = model_of(config)

    def course(world: Any) -> list[tuple[float, list[Tensor], list[Tensor]]]:
        model, own = deepcopy(begun), copy(batches)
        own.share = world.share
        gradient, carried, found = Gradient(model, config, counts, world), None, []
        for step in steps:
            nats, carried = gradient(own[step], carried, step + 1)
            state = together(model, carried, world, step)
            assert state is not None
            states = [*state] if isinstance(state, tuple) else [state]
            found.append((nats, [p.grad.clone() for p in model.parameters()], states))  # type: ignore[union-attr]
        return found

    alone, world = course(Alone()), Threads(ranks)
    for shared in world.run(lambda: course(world)):
        for one, other in zip(alone, shared, strict=True):
            assert one[0] == pytest.approx(other[0], abs=1e-6)
            for a, b in zip([*one[1], *one[2]], [*other[1], *other[2]], strict=True):
                torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("gain", [1.0, 6.0, 40.0])
@pytest.mark.parametrize("ranks", [2, 3, 5])
@pytest.mark.parametrize("count", [30, 600, 6_999])
def test_a_shared_evaluation_is_the_score_of_one_pass(
    monkeypatch: pytest.MonkeyPatch, gain: float, ranks: int, count: int
) -> None:
    monkeypatch.setattr("charlm.evaluation.evaluator.SHORTEST_STREAM", 100)
    torch.manual_seed(0)
    model = CharLM(ModelConfig(hidden_size=16, embedding_size=8), 9)
    for name, weight in model.rnn.named_parameters():
        if name.startswith("weight_hh"):
            weight.data *= gain
    ids, world = IDS[: count + 1], Threads(ranks)
    alone = evaluate(model, ids, VOCAB, streams=1)
    with torch.inference_mode():
        scores = world.run(lambda: evaluate(model, ids, VOCAB, streams=8, together=world))
    for score in scores:
        assert score.tokens == alone.tokens
        assert score.nats == pytest.approx(alone.nats, rel=1e-6)
        assert score.unknown == alone.unknown


def test_sections_in_a_few_long_streams_are_mended_over_their_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Streams so short that most change to their end, over all sections."""
    monkeypatch.setattr(single_pass, "MENDING_SHARE", 100.0)
    torch.manual_seed(0)
    model = CharLM(ModelConfig(hidden_size=16, embedding_size=8), 9)
    world, ids = Threads(3), IDS[:121]
    reading = single_pass.SinglePass(model, ids, lambda streams, tokens: None)

    def read() -> Any:
        with torch.inference_mode():
            return reading.side_by_side(8, world)

    with torch.inference_mode():
        alone = reading.in_one_stream(120)
    for sums in world.run(read):
        np.testing.assert_allclose(sums, alone, rtol=1e-6)


REAL = """
import sys
import torch
from charlm.training.process_group import Ranks
world = Ranks()
tensors = [torch.full((2, 3), float(world.rank)), torch.ones(4) * (world.rank + 1)]
world.add_up(tensors)
assert tensors[0].tolist() == [[1.0] * 3] * 2, tensors
assert tensors[1].tolist() == [3.0] * 4, tensors
assert world.total([1.0, world.rank]) == [2.0, 1.0]
assert world.is_any(world.rank == 1) and not world.is_any(False)
assert world.least(5.0 - world.rank) == 4.0
before = world.of_the_one_before([torch.tensor([7.0 + world.rank])])
assert (before is None) == (world.rank == 0) and (not before or before[0].item() == 7.0)
assert world.from_the_first({"rank": world.rank}) == {"rank": 0}
world.leave()
print("good", flush=True)
"""


def test_real_processes_exchange_what_they_have() -> None:
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    where = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", REAL], env={**os.environ, **where, "RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    for rank in ranks:
        out, err = rank.communicate(timeout=100)
        assert out == "good\n", err


OPTIONS = [
    "--max-steps", 30, "--optimizer", "adamw", "--dropout", 0, "--hidden-size", 16,
    "--batch-size", 5, "--seq-len", 16, "--eval-every", 10, "--threads", 1,
    "--set", "training.parts=1", "--precision", "float32", "--set", "training.eval_tokens=0",
]  # fmt: skip


def curve(run: str) -> tuple[list[float], list[float]]:
    """The losses of a run's steps, and its validations, in nats."""
    lines = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
    return (
        [line["train_loss"] for line in lines if "train_loss" in line],
        [line["valid"]["nats_per_char"] for line in lines if "valid" in line],
    )


def test_two_processes_train_as_one_does_and_one_goes_on(
    charlm: Any, tmp_path: Path, text_file: Path
) -> None:
    begin = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "charlm"]
    ran = subprocess.run(
        [sys.executable, *begin, "train", text_file, "-o", "two", *map(str, OPTIONS)],
        cwd=tmp_path, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("2 processes, 1 thread each") == 1
    assert charlm("train", text_file, "-o", "one", *OPTIONS).code == 0
    for steps in (30, 40):
        (losses, scores), (own_losses, own_scores) = curve("two"), curve("one")
        assert len(own_losses) == steps
        assert len(own_scores) >= 3
        assert losses == pytest.approx(own_losses, abs=1e-5)
        assert scores == pytest.approx(own_scores, abs=1e-4)
        for name in ("one", "two"):
            assert charlm("train", "--resume", name, "--max-steps", 40).code == 0


@pytest.mark.parametrize("count", [5, 1_003, 7_000])
def test_a_shared_evaluation_of_gaps_is_the_score_of_one(count: int) -> None:
    torch.manual_seed(0)
    model = CharLM(ModelConfig(hidden_size=8, embedding_size=4, bidirectional=True), 9)
    settings: dict[str, Any] = {"window": 20, "mask": MaskShape(0.2, 3, 0.7)}
    alone, world = evaluate_masked(model, IDS[:count], VOCAB, **settings), Threads(3)
    scores = world.run(
        lambda: evaluate_masked(model, IDS[:count], VOCAB, together=world, **settings)
    )
    for score in scores:
        assert score == replace(alone, nats=score.nats, known_nats=score.known_nats)
        assert score.nats == pytest.approx(alone.nats, rel=1e-9)


class Remembering(_Bystander):
    """A watcher that knows when it was validated."""

    def __init__(self) -> None:
        self.validations: list[int] = []

    def validated(self, trainer: Trainer, score: Any, best: bool) -> None:
        self.validations.append(trainer.done)


class Late(StepLimit):
    """A clock by which a look was so slow that there are no more steps."""

    @contextmanager
    def elsewhere(self, *, looking: bool = False) -> Iterator[None]:
        yield
        if looking:
            self.total = 8


def test_all_end_where_a_look_took_the_first_the_rest_of_its_time(
    make_corpus: Any, tiny_config: Any, nonsense: Any
) -> None:
    # Threads have torch's chance in common.
    config = tiny_config(training={"eval_every": 8, "max_steps": 20}, model={"dropout": 0.0})
    corpus, world = make_corpus(nonsense(500)), Threads(2, patience=5)
    trainers = [Trainer(config, corpus) for _ in range(2)]
    trainers[0].limit = Late(20, 0)

    def fit() -> tuple[int, list[int]]:
        trainer, watcher = trainers[world.rank], Remembering()
        trainer.world = world
        trainer.fit(watcher)
        return trainer.done, watcher.validations

    assert world.run(fit) == [(8, [8])] * 2


def test_a_look_in_which_one_was_lost_comes_again(
    make_corpus: Any, tiny_config: Any, nonsense: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(training={"eval_every": 8, "max_steps": 20, "patience": 0})
    corpus = make_corpus(nonsense(500))
    whole, looks = Remembering(), [8, 16, 20]
    Trainer(config, corpus).fit(whole)
    assert whole.validations == looks
    for lost_in in looks:
        trainer, watcher = Trainer(config, corpus), Remembering()
        look = trainer.validator.look

        def lost(*given: Any, at: int = lost_in, its: Any = trainer, look: Any = look) -> Any:
            if its.done == at:
                raise LostRankError("gone")
            return look(*given)

        monkeypatch.setattr(trainer.validator, "look", lost)
        with pytest.raises(LostRankError):
            trainer.fit(watcher)
        assert not trainer.finished
        checkpoint = Checkpoint(Path(), state_arrays(trainer), trainer.resume_point())
        resumed = Trainer(config, corpus, before=checkpoint.point)
        restore_trainer(checkpoint, resumed)
        resumed.fit(watcher)
        assert watcher.validations == looks


class Half(Alone):
    """One of two ranks, without the other."""

    size = 2

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def share(self, streams: int) -> slice:
        return slice(streams * self.rank // 2, streams * (self.rank + 1) // 2)


def test_between_layers_each_drops_its_own_and_leaves_chance_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = configured(Config(), {
        "model": {"hidden_size": 12, "embedding_size": 6, "num_layers": 2, "dropout": 0.5},
        "training": {"batch_size": 5, "precision": "float32"},
    })  # fmt: skip
    model = model_of(config)
    model.train()
    monkeypatch.setattr(model, "draw_dropout", lambda streams: None)
    alike = np.repeat(IDS[:10, None].astype(np.int64), 4, axis=1)
    batch = Batch(alike[:-1], alike[1:], np.zeros(4, np.float32))
    counts, before = np.bincount(IDS, minlength=9), torch.get_rng_state()

    def nats(rank: int, step: int) -> float:
        return Gradient(model, config, counts, Half(rank))(batch, None, step)[0]

    found = [nats(0, 1), nats(1, 1), nats(0, 2)]
    assert len(set(found)) == 3
    assert nats(1, 1) == found[1]
    assert torch.equal(torch.get_rng_state(), before)


def test_where_a_scheduler_sets_a_part_of_it_a_process_is_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in RENDEZVOUS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert isinstance(join(), Alone)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    assert isinstance(join(), Alone)


@pytest.mark.parametrize(
    ("failing", "error", "outcomes"),
    [
        # It alone is told, by whom it befell, and all end with a code that says so.
        (0, UsageError("no such thing"), ["no such thing", 2, 2]),
        (0, PermissionError(13, "no way"), ["[Errno 13] no way", 5, 5]),
        (1, DataError("not here"), [1, "process 2 of 3, on HOST: not here", 1]),
        (2, ZeroDivisionError("oh"), [1, 1, "oh"]),
        # Where one was killed, the first tells of it; the first itself, one of the others.
        (1, Killed("killed"), ["another is gone", "killed", 1]),
        (0, Killed("killed"), ["killed", "another is gone, before the training began", 1]),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value),
)  # fmt: skip
def test_what_ends_one_process_is_told_once(
    failing: int, error: Exception, outcomes: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Threads(3, patience=5)

    def speed(config: Config) -> float:
        if world.rank == failing:
            raise error
        return 1.0

    monkeypatch.setattr(following, "Speed", lambda *_, **__: speed)

    def work() -> Any:
        if world.rank == failing and isinstance(error, Killed):
            raise error
        if world.rank:
            return following.follow(world, exit_code)[0]
        with leading(world, exit_code):
            if failing == 0:
                raise error
            return following.measuring(world, 9, 1.0)(Config())

    found = [
        one.code if isinstance(one, SystemExit)
        else str(one).replace(socket.gethostname(), "HOST") if isinstance(one, BaseException)
        else one
        for one in world.run(work)
    ]  # fmt: skip
    # Of two that the first has left, either may be the one.
    assert sorted(found[1:], key=str) == sorted(outcomes[1:], key=str)
    assert found[0] == outcomes[0]


def test_where_the_first_is_stopped_as_all_measure_the_others_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = Threads(3, patience=5)

    def speed(config: Config) -> float:
        if world.rank == 0:
            raise Stopped(2, "enough")
        return 1.0

    monkeypatch.setattr(following, "Speed", lambda *_, **__: speed)

    def work() -> Any:
        if world.rank:
            return following.follow(world)
        with leading(world):
            return following.measuring(world, 9, 1.0)(Config())

    first, *others = world.run(work)
    assert isinstance(first, Stopped)
    assert others == [(130, None)] * 2


def test_who_is_lost_when_all_is_done_is_not_missed() -> None:
    world = Threads(2, patience=5)

    def work() -> str:
        if world.rank:
            raise Killed
        with leading(world):
            pass
        return "done"

    assert world.run(work)[0] == "done"


@pytest.mark.parametrize("change", [1e-3, float("nan")])
def test_weights_that_have_come_apart_end_the_training(change: float) -> None:
    world, state = Threads(3), torch.zeros(1, 3, 4)
    config = configured(Config(), {"model": {"hidden_size": 4, "embedding_size": 4}})
    models = [model_of(config) for _ in range(3)]

    def check() -> Any:
        return together(models[world.rank], state, world, 7)

    assert all(isinstance(found, Tensor) for found in world.run(check))
    # Other processors round otherwise; that is no fault.
    models[1].head.weight.data *= 1 + 1e-6
    assert all(isinstance(found, Tensor) for found in world.run(check))
    models[2].head.weight.data += change
    for found in world.run(check):
        assert isinstance(found, CharlmError)
        assert str(found).startswith("at step 7 the processes no longer have the same weights")


@pytest.mark.parametrize("ranks", [2, 3])
def test_one_process_goes_on_from_what_several_have_saved(
    make_corpus: Any, tiny_config: Any, nonsense: Any, ranks: int
) -> None:
    config = tiny_config(
        model={"dropout": 0.0}, training={
            "max_steps": 20, "save_every": 7, "optimizer": "adamw", "batch_size": 5,
            "precision": "float32", "reset": 0.2,
        },
    )  # fmt: skip
    corpus, world, saved = make_corpus(nonsense(500)), Threads(ranks), list[Checkpoint]()
    trainers = [Trainer(config, corpus) for _ in range(ranks)]

    class Saving(_Bystander):
        def checkpoint_due(self, trainer: Trainer) -> None:
            if world.rank == 0:
                point = trainer.resume_point()
                saved.append(Checkpoint(Path(), state_arrays(trainer), point))

    def fit() -> None:
        trainers[world.rank].world = world
        trainers[world.rank].fit(Saving())

    assert world.run(fit) == [None] * ranks
    whole = Trainer(config, corpus)
    whole.fit(_Bystander())
    assert [checkpoint.point.step for checkpoint in saved][:1] == [7]
    resumed = Trainer(config, corpus, before=saved[0].point)
    restore_trainer(saved[0], resumed)
    resumed.fit(_Bystander())
    ends = [state_arrays(trainer) for trainer in (whole, resumed, trainers[0])]
    for name, array in ends[0].items():
        for other in ends[1:]:
            np.testing.assert_allclose(array, other[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_who_is_left_alone_is_not_waited_with(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    place = ("2", "0", "localhost", str(port))
    for name, value in zip(RENDEZVOUS, place, strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(process_group, "COMING", timedelta(seconds=1))
    with pytest.raises(LostRankError, match="not all processes have come"):
        join()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such timer here")
def test_who_waits_for_the_others_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise Stopped(signal.SIGALRM, "enough")

    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    place = ("2", "1", "localhost", str(store.port))
    for name, value in zip(RENDEZVOUS, place, strict=True):
        monkeypatch.setenv(name, value)
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(Stopped):
            join()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_all_stop_and_agree_where_one_is_abandoned(
    make_corpus: Any, tiny_config: Any, nonsense: Any
) -> None:
    config = tiny_config(model={"dropout": 0.0})
    corpus, worlds = make_corpus(nonsense(500)), Threads(2)
    trainers = [Trainer(config, corpus) for _ in range(2)]

    class Abandoning(_Bystander):
        def stepped(self, trainer: Trainer, loss: float) -> None:
            worlds.abandoned = trainer.done == 3

    def fit() -> tuple[int, bool]:
        trainer = trainers[worlds.rank]
        trainer.world = worlds
        trainer.fit(Abandoning())
        return trainer.done, trainer.was_stopped

    assert worlds.run(fit) == [(3, True)] * 2


@pytest.mark.parametrize(
    ("device", "gpus", "here", "refused"),
    [
        ("cuda:0", 4, 2, "--device cuda:0: 2 processes on this machine would share 1 GPU, and"),
        ("auto", 1, 2, "--device auto: 2 processes on this machine would share 1 GPU, and"),
        ("cuda", 3, 4, "--device cuda: 4 processes on this machine would share 3 GPUs, and"),
        ("auto", 2, 2, None), ("cuda:1", 2, 1, None), ("cpu", 1, 2, None), ("auto", 0, 2, None),
    ],
)  # fmt: skip
def test_several_processes_do_not_share_a_gpu(
    device: str, gpus: int, here: int, refused: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    kind = torch.device("cuda" if gpus and device != "cpu" else "cpu")
    monkeypatch.setattr("charlm.model.device.pick_device", lambda name: kind)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(here))
    world, config = Alone(), configured(Config(), {"training": {"device": device}})
    world.size = 4
    with pytest.raises(UsageError, match=refused) if refused else nullcontext():
        check_gpus(config, world)


@pytest.mark.parametrize(
    ("tokens", "batch_size", "why"),
    [
        (10_000, 3, r"3 streams \(--batch-size\)"),
        (3 * 8 + 1, 64, r"3 streams \(the text fills no more with windows of 8; --seq-len\)"),
        (8 + 1, 1, r"1 stream \("), (10_000, 4, None), (4 * 8 + 1, 64, None),
    ],
)  # fmt: skip
def test_no_process_is_without_a_stream(tokens: int, batch_size: int, why: str | None) -> None:
    config = configured(Config(), {"training": {"batch_size": batch_size, "seq_len": 8}})
    world = Alone()
    check_streams(config, tokens, world)
    world.size = 4
    with (
        pytest.raises(UsageError, match=f"^4 processes would share {why}") if why else nullcontext()
    ):
        check_streams(config, tokens, world)


def test_too_many_processes_are_refused_before_anything_is_made(
    charlm: Any, text_file: Path, tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Alone()
    world.size = 5
    monkeypatch.setattr("charlm.training.distributed.join", lambda: world)
    for what in ([text_file, "-o", "run", "--batch-size", 4], ["--resume", trained]):
        refused = charlm("train", *what)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert refused.err.startswith("Error: 5 processes would share 4 streams (")
        assert list(tmp_path.iterdir()) == []
