"""What the machine can do is found by trying it, and what it cannot is said or done without."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from charlm.errors import UsageError
from charlm.model import device
from charlm.model.device import (
    LAYERS,
    check_precision,
    computing,
    conditions,
    devices,
    failure,
    gpu_in_words,
    pick_device,
    rounding,
    training_products,
    trains_in,
    usable_cores,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """What was tried in a test is not remembered after it."""
    for tried in (trains_in, failure):
        tried.cache_clear()
    yield
    for tried in (trains_in, failure):
        tried.cache_clear()


def test_row_19_a_device_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError) as error:
        pick_device("cuda:99")
    assert str(error.value) == f"--device cuda:99: this machine has {', '.join(devices())}"
    assert pick_device("cpu") == CPU
    assert str(pick_device("auto")) in devices()


def test_a_gpu_is_preferred_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(device, "failure", lambda name: None)
    assert devices()[:2] == ["cuda:0", "cuda:1"]
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda:0")
    assert pick_device("cuda:1") == torch.device("cuda:1")


def test_a_gpu_that_cannot_compute_is_passed_over_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ones = torch.ones

    def too_old(*sizes: Any, device: str) -> torch.Tensor:
        if device.startswith("cuda"):
            raise RuntimeError("CUDA error: no kernel image is available\nmore lines")
        return ones(*sizes, device=device)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", too_old)
    assert pick_device("auto") == CPU
    with pytest.raises(
        UsageError, match=r"cannot compute there \(CUDA error: no kernel image is av"
    ):
        pick_device("cuda")


@pytest.mark.parametrize("cell", LAYERS)
def test_a_precision_is_tried_and_chance_left_as_it_was(cell: str) -> None:
    before = torch.get_rng_state()
    assert trains_in("float32", CPU, cell)
    trains_in("bfloat16", CPU, cell)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_precision_that_fails_or_turns_out_another_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Failing(nn.LSTM):
        def forward(self, *arguments: Any) -> Any:
            raise RuntimeError("could not create a primitive descriptor")

    class InFloat16(nn.LSTM):
        """As cuDNN's layers do, whatever was asked for."""

        def forward(self, x: torch.Tensor) -> Any:  # type: ignore[override]
            with torch.autocast("cpu", enabled=False):
                outputs, state = super().forward(x)
            return outputs.half(), state

    for kind in (Failing, InFloat16):
        trains_in.cache_clear()
        monkeypatch.setitem(LAYERS, "lstm", kind)
        assert not trains_in("bfloat16", CPU, "lstm")
    with pytest.raises(UsageError) as error:
        check_precision("bfloat16", CPU, "lstm")
    assert str(error.value) == (
        "training.precision bfloat16: torch cannot train an LSTM in it on this machine's cpu; "
        "leave it out, or take float32"
    )


def test_of_a_gpu_layers_with_weights_in_the_precision_are_tried_and_no_autocast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which would give them float16."""
    tried: list[Any] = []

    class OnGpu(nn.GRU):
        def to(self, *where: Any) -> Any:
            tried.extend(where)
            return self if where == (CUDA,) else super().to(*where)

        def forward(self, x: torch.Tensor) -> Any:  # type: ignore[override]
            assert not torch.is_autocast_enabled("cpu")
            tried.append(x.dtype)
            return super().forward(x)

    zeros = torch.zeros
    monkeypatch.setitem(LAYERS, "gru", OnGpu)
    monkeypatch.setattr(torch, "zeros", lambda *size, device, **kind: zeros(*size, **kind))
    assert trains_in("bfloat16", CUDA, "gru")
    assert tried == [CUDA, torch.bfloat16, torch.bfloat16]


def test_how_a_gpu_rounds_is_said_of_all_products_and_is_as_before_after_the_block() -> None:
    def found() -> tuple[str, str]:
        return torch.backends.cudnn.rnn.fp32_precision, torch.backends.cuda.matmul.fp32_precision

    before = found()
    for products in ("ieee", "tf32"):
        with rounding(products, CPU):
            assert found() == before
        with rounding(products, CUDA):
            assert found() == (products, products)
            # As evaluating within training is; and an older way to ask has no complaint after it.
            with rounding("ieee", CUDA):
                assert found() == ("ieee", "ieee")
            assert found() == (products, products)
        with pytest.raises(ZeroDivisionError), rounding(products, CUDA):
            _ = 1 / 0
        assert found() == before
    assert isinstance(torch.backends.cudnn.allow_tf32, bool)


@pytest.mark.parametrize(("capability", "products"), [((7, 5), "float32"), ((9, 0), "TF32")])
def test_what_a_gpu_multiplies_in_is_a_condition_of_a_training(
    capability: tuple[int, int], products: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A GPU")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91300)
    assert training_products("float32", CUDA) == products
    assert training_products("bfloat16", CUDA) == "bfloat16"
    assert gpu_in_words(CUDA, "float32") == f"A GPU, cuDNN 9.13.0: products in {products}"
    found = conditions(CUDA)
    assert found.items() - conditions(CPU).items() == {
        ("device", "A GPU"), ("cuDNN", 91300), ("products of float32 in", products)
    }  # fmt: skip


def test_threads_and_denormals_are_as_before_after_the_block() -> None:
    tiny = torch.tensor([1e-30])
    before = torch.get_num_threads()
    with computing(threads=before + 1):
        assert torch.get_num_threads() == before + 1
        assert (tiny * 1e-10).item() == 0
        assert conditions(CPU)["threads"] == before + 1
        # A block within the block leaves it as it was.
        trains_in("bfloat16", CPU, "lstm")
        assert torch.get_num_threads() == before + 1
        assert (tiny * 1e-10).item() == 0
    assert torch.get_num_threads() == before
    assert (tiny * 1e-10).item() != 0


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "nonsense"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({}, None),
    ],
)
def test_the_quota_of_a_container_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int | None
) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    assert device._quota(tmp_path) == cores
    monkeypatch.setattr(device, "_quota", lambda cgroup: cores)
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert usable_cores() == (cores or 64)


@pytest.mark.parametrize(
    ("environment", "value"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "None")],
)
def test_waiting_threads_are_bounded_before_torch_is_there(
    environment: dict[str, str], value: str
) -> None:
    code = (
        "import sys, os, charlm; assert 'torch' not in sys.modules; "
        "print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    outside = {"PATH": "", "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], env=outside, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == value
