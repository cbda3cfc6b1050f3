"""What the bench scripts share: the machine's name, timing in turn, and the README's tables."""

import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def machine() -> str:
    """Processor, to what it is held, cores, and the versions that matter."""
    import numpy
    import torch

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"model name\s*: (.*)", cpuinfo.read_text())):
        name = found[1]
    if held := os.environ.get("ONEDNN_MAX_CPU_ISA"):
        name += f" held to {held}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores; torch {torch.__version__}, NumPy {numpy.__version__}"


def in_turn(works: Sequence[Callable[[], object]], rounds: int = 5) -> list[list[float]]:
    """Seconds of each work in each round, A B A B …: a machine that drifts drifts for all.

    One round before is not counted.
    """
    times: list[list[float]] = [[] for _ in works]
    for round_number in range(rounds + 1):
        for work, taken in zip(works, times, strict=True):
            started = time.perf_counter()
            work()
            if round_number:
                taken.append(time.perf_counter() - started)
    return times


def median_ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """How many times as fast, pair by pair."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def publish(name: str, text: str, *, readme: bool) -> None:
    """Print a result, and with `readme` put it between the README's marks of that name."""
    print(text)
    if not readme:
        return
    old = README.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = old.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"README.md has no marks {begin.strip()} … {end}")
    README.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")
