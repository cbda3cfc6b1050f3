"""charlm play"""

import dataclasses
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from charlm.cli.completion import complete_runs
from charlm.cli.inputs import load_run
from charlm.cli.options import changes_of, setting_options
from charlm.cli.output import note
from charlm.config import TextConfig
from charlm.data.stream import lines_of, read_once
from charlm.data.text import for_terminal
from charlm.errors import CharlmError
from charlm.settings import configured
from charlm.training.signals import importing

if TYPE_CHECKING:
    from charlm.cli.player import Player

PLAYED = (
    "length", "temperature", "top_k", "top_p", "min_p", "typical", "no_repeat", "stop", "seed",
    "on_unknown",
)  # fmt: skip


@click.command()
@click.argument("run", required=False, shell_complete=complete_runs)
@setting_options(*(f"generation.{key}" for key in PLAYED))
def play(run: str | None, **options: Any) -> None:
    """Write a text in turns with a model: a line is continued, the next line goes on from there.

    At the prompt, :help tells what there is beside: settings, :again, :back, :next and more; Tab
    shows the next characters with their probabilities. Ctrl-C stops a text, Ctrl-D leaves. With a
    model that fills gaps, each _ of a line is filled. Lines may be piped in, too: then the first
    mistake ends it.

    Without RUN: $CHARLM_MODEL, or the newest run below ./runs."""
    from charlm.cli.player import Filling, Player, Writing

    opened = load_run(run)
    opened = dataclasses.replace(opened, config=configured(opened.config, changes_of(options)))
    seed = opened.config.generation.seed
    interrupts = Interrupts()
    player: Player = (
        Filling(opened)
        if opened.config.model.bidirectional
        else Writing(opened, secrets.randbelow(2**32) if seed is None else seed, interrupts.noted)
    )
    if sys.stdin.isatty():
        note(
            f"{opened.path}: type a beginning; :help tells what there is, Ctrl-C stops a text, "
            "Ctrl-D leaves"
        )
        with interrupts:
            _at_a_terminal(player)
    else:
        _script(player, opened.config.text.encoding)


def _at_a_terminal(player: "Player") -> None:
    """Line after line; what makes no sense is told, and the next may be better."""
    from charlm.cli.player import answer
    from charlm.cli.prompt import open_asker

    asker = open_asker(player.offers)
    while True:
        try:
            answer(player, asker.ask())
        except EOFError:
            return
        except KeyboardInterrupt:
            continue
        except CharlmError as error:
            note(for_terminal(str(error)))


def _script(player: "Player", encoding: str) -> None:
    """Lines from a pipe or a file. Raises CharlmError for the first that makes no sense: what comes
    after it would not be what was meant."""
    from charlm.cli.player import answer

    for number, line in enumerate(lines_of(read_once("-", encoding), TextConfig()), 1):
        try:
            answer(player, line.removesuffix("\n"))
        except EOFError:
            return
        except CharlmError as error:
            raise type(error)(f"line {number}: {error}") from None
        sys.stdout.flush()


class Interrupts:
    """In the block Ctrl-C is a KeyboardInterrupt; in a block of `noted` in it, it is only noted.

    Where we were started not to hear it, and in another thread than the main one, it does nothing.
    """

    def __init__(self) -> None:
        self._before: Any = None
        self._noting = self._pressed = False

    def __enter__(self) -> None:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._press)

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @contextmanager
    def noted(self) -> Iterator[Callable[[], bool]]:
        """Yields what tells whether Ctrl-C was pressed in the block."""
        self._noting, self._pressed = True, False
        try:
            yield lambda: self._pressed
        finally:
            self._noting = False

    def _press(self, number: int, frame: FrameType | None) -> None:
        if self._noting or importing(frame):
            self._pressed = True
        else:
            raise KeyboardInterrupt
