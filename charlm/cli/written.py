"""How the texts that a model writes are printed."""

import sys
import time
from collections.abc import Iterable, Iterator
from math import log
from typing import TYPE_CHECKING, Any

from charlm.cli.output import print_json, show

if TYPE_CHECKING:
    from charlm.generation.lines import Line
    from charlm.generation.novelty import Novelty
    from charlm.generation.sampler import Sample

# On a pipe, text is passed on at least this often; on a terminal, at once.
FLUSH_SECONDS = 0.05
# Between two texts, for people alone.
RULER = "-" * 8


def print_as_it_comes(prefix: str, stream: Iterable[tuple[int, str]], end: str | None) -> None:
    """A text, its pieces as they come, and what ends it: a line break where it has none."""
    show(prefix)
    sys.stdout.flush()
    last = prefix[-1:]
    for text in _passed_on(text for _, text in stream):
        show(text)
        last = text[-1:] or last
    _end(last, end)
    sys.stdout.flush()


def print_whole(text: str, end: str | None, *, first: bool) -> None:
    """A text beside others; on a terminal, where nothing else parts them, below a ruler."""
    if not first and end is None and sys.stdout.isatty():
        show(f"{RULER}\n")
    show(text)
    _end(text[-1:], end)


def _end(last: str, end: str | None) -> None:
    if end is not None:
        show(end)
    elif last != "\n":
        show("\n")


def print_heading(temperature: float, *, first: bool) -> None:
    show(f"{'' if first else chr(10)}== temperature {temperature:g} ==\n")


def print_lines(lines: "Iterable[Line]", end: str, *, bits: bool) -> list[str]:
    """Lines, each with what ends it and, where asked for, its bits before it; and what they are."""
    shown = []
    for line in _passed_on(lines):
        text = line.prefix + line.text
        show(f"{line.nats / log(2):.2f}\t{text}{end}" if bits else text + end)
        shown.append(text)
    sys.stdout.flush()
    return shown


def print_lines_as_json(lines: "Iterable[Line]", seed: int) -> list[str]:
    shown = []
    for line in _passed_on(lines):
        print_json(
            {"prefix": line.prefix, "text": line.text, "nats": line.nats, "stop_reason": "line",
             "seed": seed}
        )  # fmt: skip
        shown.append(line.prefix + line.text)
    sys.stdout.flush()
    return shown


def print_as_json(
    prefix: str, sample: "Sample", seed: int | None, novel: "Novelty | None", **more: Any
) -> None:
    print_json(
        {
            "prefix": prefix,
            "text": sample.text,
            "nats": sample.nats,
            "stop_reason": sample.stop_reason,
            "seed": seed,
            **more,
            **_figures(novel),
        }
    )


def _figures(novel: "Novelty | None") -> dict[str, Any]:
    if novel is None:
        return {}
    figures = {
        "longest_copy": novel.longest, "copied_share": novel.share,
        "lines": novel.lines, "copied_lines": novel.copied,
    }  # fmt: skip
    return {**figures, "held_out": _figures(novel.usual)} if novel.usual else figures


def _passed_on(items: Iterable[Any]) -> Iterator[Any]:
    """The items, what was shown of those before passed on: at once to a terminal, else in time."""
    flushed, terminal = time.perf_counter(), sys.stdout.isatty()
    for item in items:
        yield item
        if terminal or time.perf_counter() - flushed > FLUSH_SECONDS:
            sys.stdout.flush()
            flushed = time.perf_counter()
