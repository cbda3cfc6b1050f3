"""Whatever fails, and wherever a process dies: what was saved before is there, or what was to come.

A fault is put into the N-th operation that changes the disk, for every N until the work succeeds.
"""

import errno
import hashlib
import itertools
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charlm.config import DataConfig, TextConfig
from charlm.data.corpus import build_corpus, open_corpus
from charlm.data.source import text_source
from charlm.errors import FileSystemError
from charlm.run import open_run
from charlm.storage import files, folders
from charlm.storage import names as names_module
from charlm.storage.files import make_folder, write_bytes
from charlm.storage.folders import locked, new_folder, sweep
from charlm.storage.names import temporary_name
from charlm.storage.tensors import read_tensors, write_tensors
from charlm.training.checkpoint import LAST, PREVIOUS, save_checkpoint
from charlm.training.trainer import Trainer

Charlm = Callable[..., Any]


def state_of(folder: Path) -> dict[str, str]:
    """Every file below a folder, locks aside, by the hash of what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (folders.LOCK, folders.HOLDER)
    }


def without_temporaries(state: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in state.items() if ".tmp" not in name}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def save_one(folder: Path) -> None:
    write_tensors(folder / "model", {"a": np.arange(9.0)}, {"step": 2})


def save_link(folder: Path) -> None:
    write_bytes(folder / "link", b"new", follow=True)


def save_folder(folder: Path) -> None:
    with new_folder(folder / "run", replace=True, marks=("config.json",)) as staging:
        write_bytes(staging / "config.json", b"new")
        write_bytes(staging / "more", b"more")


def save_held_folder(folder: Path) -> None:
    with ExitStack() as lock:
        with new_folder(folder / "run", replace=True, marks=("config.json",), hold=lock) as staging:
            make_folder(staging / "corpus")
            write_bytes(staging / "corpus" / "ids", b"new")
        assert (folder / "run" / folders.LOCK).exists()


def save_corpus(folder: Path) -> None:
    source = text_source("text", "a text that is long enough to be split" * 2)
    with new_folder(folder / "corpus") as staging:
        build_corpus(source, TextConfig(), DataConfig(), staging)


SAVES = {
    "a file": save_one, "a file behind a link": save_link, "a folder": save_folder,
    "a folder that stays locked": save_held_folder, "a corpus": save_corpus,
}  # fmt: skip


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[[], Path]:
    """`prepared()`: a new folder with something old in it for each of SAVES."""
    numbers = itertools.count()

    def make() -> Path:
        folder = tmp_path / f"case-{next(numbers)}"
        folder.mkdir()
        write_tensors(folder / "model", {"a": np.zeros(3)}, {"step": 1})
        write_bytes(folder / "target", b"old")
        (folder / "link").symlink_to("target")
        (folder / "run").mkdir()
        write_bytes(folder / "run" / "config.json", b"old")
        return folder

    return make


@pytest.fixture(autouse=True)
def no_fault_is_left() -> Iterator[None]:
    before = files.before_operation
    yield
    files.before_operation = before


def fail_at(number: int, code: int, *, from_then_on: bool) -> Callable[[str, Path], None]:
    count = itertools.count(1)

    def operation(name: str, path: Path) -> None:
        now = next(count)
        if now == number or (from_then_on and now > number):
            raise OSError(code, os.strerror(code))

    return operation


@pytest.mark.parametrize("from_then_on", [False, True])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("save", SAVES)
def test_row_03_a_failing_operation_leaves_what_was_or_what_was_to_be(
    prepared: Any, save: str, code: int, from_then_on: bool
) -> None:
    folder = prepared()
    before = state_of(folder)
    SAVES[save](folder)
    after = state_of(folder)
    assert before != after
    for number in itertools.count(1):
        folder = prepared()
        files.before_operation = fail_at(number, code, from_then_on=from_then_on)
        try:
            SAVES[save](folder)
        except FileSystemError as error:
            files.before_operation = lambda operation, path: None
            assert os.strerror(code) in str(error)
            assert str(folder) in str(error)
            assert "\n" not in str(error)
            # No temporary file is left, and nothing is half done.
            assert state_of(folder) in (before, after), f"operation {number}"
            continue
        break
    assert number > 3
    files.before_operation = lambda operation, path: None
    assert state_of(folder) == after


def die_at(number: int, save: Callable[[Path], None], folder: Path) -> bool:
    """Save in a child that is gone at operation `number`; whether it came so far."""
    with warnings.catch_warnings():
        # The child does nothing but this, and needs none of the other threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        count = itertools.count(1)

        def operation(name: str, path: Path) -> None:
            if next(count) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        files.before_operation = operation
        try:
            save(folder)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("save", SAVES)
def test_row_02_a_death_at_any_operation_leaves_what_was_or_what_was_to_be(
    prepared: Any, save: str
) -> None:
    folder = prepared()
    before = state_of(folder)
    SAVES[save](folder)
    after = state_of(folder)
    for number in itertools.count(1):
        folder = prepared()
        died = die_at(number, SAVES[save], folder)
        # What a killed process leaves under a temporary name is not what anybody reads …
        assert without_temporaries(state_of(folder)) in (before, after), f"operation {number}"
        # … and is gone after the next one has been there.
        sweep(folder)
        with locked(folder / "run"):
            pass
        assert state_of(folder) in (before, after), f"operation {number}"
        if not died:
            break
    assert number > 3
    assert state_of(folder) == after


@pytest.fixture
def trainer(make_corpus: Any, tiny_config: Any, nonsense: Any) -> Trainer:
    return Trainer(tiny_config(), make_corpus(nonsense(500)))


@pytest.mark.parametrize("fails", [False, True])
def test_row_10_a_good_checkpoint_at_every_moment(
    trainer: Trainer, tmp_path: Path, fails: bool
) -> None:
    def save(run: Path) -> None:
        save_checkpoint(run, trainer, trainer.resume_point())

    for number in itertools.count(1):
        run = tmp_path / f"run-{number}"
        run.mkdir()
        trainer.done = 1
        save(run)
        trainer.done = 2
        save(run)
        trainer.done = 3
        if fails:
            files.before_operation = fail_at(number, errno.ENOSPC, from_then_on=True)
            try:
                save(run)
                ended = True
            except FileSystemError:
                ended = False
            files.before_operation = lambda operation, path: None
        else:
            ended = not die_at(number, save, run)
        steps = [read_tensors(run / "checkpoints" / name)[1]["step"] for name in (LAST, PREVIOUS)]
        assert steps in ([2, 1], [2, 2], [3, 2])
        if ended:
            break
        # The next save finds its way, and leaves nothing behind.
        trainer.done = 4
        save(run)
        sweep(run / "checkpoints")
        assert names(run / "checkpoints") == [LAST, PREVIOUS]
    assert steps == [3, 2]
    assert number > 5


def test_row_03_a_folder_for_resume_points_that_cannot_be_made(
    trainer: Trainer, tmp_path: Path
) -> None:
    files.before_operation = fail_at(1, errno.ENOSPC, from_then_on=True)
    with pytest.raises(FileSystemError, match=r"/checkpoints: No space left on device \("):
        save_checkpoint(tmp_path, trainer, {})


def test_stale_files_of_the_living_and_of_other_machines_are_not_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = temporary_name(tmp_path / "a")
    mine.write_bytes(b"")
    monkeypatch.setattr(names_module, "host", lambda: "0123abcd")
    monkeypatch.setattr(os, "getpid", lambda: 2**22 + 1)  # more than the system gives
    of_another = temporary_name(tmp_path / "a")
    of_another.write_bytes(b"")
    monkeypatch.undo()
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, of_another.name}


def test_without_a_call_that_swaps_two_names_a_folder_is_replaced_all_the_same(
    prepared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_exchanged", lambda one, other: False)
    folder = prepared()
    for number in itertools.count(1):
        files.before_operation = fail_at(number, errno.EIO, from_then_on=False)
        try:
            save_folder(folder)
            break
        except FileSystemError:
            files.before_operation = lambda operation, path: None
            assert (folder / "run" / "config.json").exists()
    assert (folder / "run" / "config.json").read_bytes() == b"new"
    assert not list(folder.glob("*.before-*"))


def test_row_04_a_full_disk_says_what_is_needed_and_what_there_is(tmp_path: Path) -> None:
    files.before_operation = fail_at(2, errno.ENOSPC, from_then_on=True)
    with pytest.raises(FileSystemError, match=r"No space left on device \(2\.000 MB needed, .* MB"):
        write_bytes(tmp_path / "a", bytes(2_000_000))


def limited(size: int) -> Callable[[], None]:
    """What a child does first, so that no file of it grows beyond `size`: a disk that is full."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def run_charlm(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "charlm", *map(str, arguments)]
    options = {"capture_output": True, "text": True, "timeout": 60, "check": False} | options
    return subprocess.run(command, encoding="utf-8", **options)


def test_row_04_a_disk_that_fills_while_training(
    tmp_path: Path, text_file: Path, tiny_options: list[str]
) -> None:
    run = tmp_path / "run"
    done = run_charlm("train", text_file, *tiny_options, "-o", run)
    assert done.returncode == 0, done.stderr
    before = state_of(run)
    full = run_charlm("train", "--resume", run, "--max-steps", 40, preexec_fn=limited(8_000))
    assert full.returncode == 5, full.stderr
    errors = [line for line in full.stderr.splitlines() if line.startswith("Error")]
    assert len(errors) == 1
    assert "MB needed" in errors[0]
    assert "Traceback" not in full.stderr
    kept = ("model.safetensors", "checkpoints/last.safetensors")
    assert {name: state_of(run)[name] for name in kept} == {name: before[name] for name in kept}


def test_row_04_a_disk_that_fills_while_preprocessing(tmp_path: Path, text_file: Path) -> None:
    full = run_charlm("preprocess", text_file, "-o", tmp_path / "corpus", preexec_fn=limited(2_000))
    assert full.returncode == 5, full.stderr
    assert full.stderr.startswith("Error: ")
    assert full.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_row_04_a_log_that_cannot_grow_is_a_warning(
    charlm: Charlm, text_file: Path, tiny_options: list[str]
) -> None:
    def operation(name: str, path: Path) -> None:
        if name == "append":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    files.before_operation = operation
    done = charlm("train", text_file, *tiny_options, "-o", "run")
    assert done.code == 0
    assert done.err.count("Warning") == 1


HOLD = """
import sys, time
from pathlib import Path
from charlm.storage.folders import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_row_06_a_second_training_in_a_run_is_refused_until_the_first_is_gone(
    charlm: Charlm, text_file: Path, tiny_options: list[str]
) -> None:
    assert charlm("train", text_file, *tiny_options, "-o", "run").code == 0
    holder = subprocess.Popen([sys.executable, "-c", HOLD, "run"], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    for command in (["--resume", "run"], [text_file, *tiny_options, "-o", "run", "--force"]):
        refused = charlm("train", *command)
        assert refused.code == 5
        assert f"run is in use by process {holder.pid}" in refused.err.splitlines()[-1]
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert charlm("train", "--resume", "run", "--max-steps", 25).code == 0


def test_row_06_a_lock_keeps_nobody_out_once_it_is_let_go(tmp_path: Path) -> None:
    for _ in range(2):
        with (
            locked(tmp_path),
            pytest.raises(FileSystemError, match=f"in use by process {os.getpid()}"),
            locked(tmp_path),
        ):
            pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_row_05_a_real_signal_ends_a_real_training(
    tmp_path: Path, text_file: Path, tiny_options: list[str], number: signal.Signals
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "charlm", "train", str(text_file), *tiny_options]
    command += ["--max-steps", "1000000", "--eval-every", "50"]
    command += ["--set", "training.patience=0", "-o", str(run)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen(command, **pipes, text=True)
    until = time.monotonic() + 30
    while not (run / "metrics.jsonl").exists() and time.monotonic() < until:
        time.sleep(0.02)
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (128 + number, ""), err
    assert "Traceback" not in err
    assert err.splitlines()[-1].endswith(f"go on with charlm train --resume {run}")
    assert read_tensors(run / "checkpoints" / LAST)[1]["step"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_row_05_a_real_signal_ends_sampling(trained: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "charlm", "generate", "-m", str(trained), "-l", "1000000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.read(10)
        child.send_signal(number)
        child.stdout.read()
        err = child.stderr.read().decode()
    assert child.returncode == 128 + number
    assert err.count("\n") == 1
    assert err.startswith("Error: stopped by ")


def test_row_07_an_output_that_is_taken_is_not_touched(
    charlm: Charlm, text_file: Path, tiny_options: list[str]
) -> None:
    assert charlm("train", text_file, *tiny_options, "-o", "run").code == 0
    assert charlm("preprocess", text_file, "-o", "corpus").code == 0
    before = state_of(Path())
    for command in (["train", text_file, *tiny_options, "-o", "run"],
                    ["preprocess", text_file, "-o", "corpus"]):  # fmt: skip
        refused = charlm(*command)
        assert refused.code == 2
        assert len(refused.err.splitlines()) == 1
        assert "--force" in refused.err
        assert ("--resume" in refused.err) == (command[0] == "train")
    assert state_of(Path()) == before


def test_row_08_an_open_corpus_stays_what_it_was(
    charlm: Charlm, text_file: Path, nonsense: Any
) -> None:
    assert charlm("preprocess", text_file, "-o", "corpus").code == 0
    ids = open_corpus(Path("corpus")).split("train")
    before = ids.tobytes()
    Path("other.txt").write_text(nonsense(9000, seed=3), encoding="utf-8")
    assert charlm("preprocess", "other.txt", "-o", "corpus", "--force").code == 0
    assert ids.tobytes() == before
    assert open_corpus(Path("corpus")).split("train").tobytes() != before


def test_row_09_outputs_that_cannot_be(
    charlm: Charlm, text_file: Path, tiny_options: list[str], tmp_path: Path
) -> None:
    Path("file").write_text("x")
    for output, code in (("file", 2), ("file/run", 5), ("x" * 300, 5), ("/proc/run", 5)):
        refused = charlm("train", text_file, *tiny_options, "-o", output)
        assert refused.code == code, refused
        assert len(refused.err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    # A link that the user names is kept, and what it leads to is updated.
    Path("disk").mkdir()
    Path("run").symlink_to("disk/run")
    for _ in range(2):
        assert charlm("train", text_file, *tiny_options, "-o", "run", "--force").code == 0
    assert charlm("train", "--resume", "run", "--max-steps", 60).code == 0
    assert Path("run").is_symlink()
    assert open_run(Path("disk/run")).facts["step"] > 20
    Path("vocab").symlink_to("disk/vocab.json")
    assert charlm("vocab", text_file, "--save", "vocab").code == 0
    assert Path("vocab").is_symlink()
    assert Path("disk/vocab.json").read_bytes() == Path("run/vocab.json").read_bytes()


def test_row_11_a_folder_that_is_only_half_a_run(charlm: Charlm, trained: Path) -> None:
    for name in ("config.json", "vocab.json", "model.safetensors"):
        Path("half").mkdir()
        for path in trained.iterdir():
            if path.is_file() and path.name != name:
                (Path("half") / path.name).write_bytes(path.read_bytes())
        refused = charlm("generate", "-m", "half")
        assert refused.code == 4
        assert name in refused.err
        for path in Path("half").iterdir():
            path.unlink()
        Path("half").rmdir()
