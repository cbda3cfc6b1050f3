"""What `charlm play` answers to a line: a text that goes on, gaps that are filled, a command."""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from charlm.cli.escapes import with_escapes
from charlm.cli.options import as_typed
from charlm.cli.output import show
from charlm.cli.prompt import Offer
from charlm.cli.written import print_as_it_comes
from charlm.config import Config, GenerationConfig
from charlm.consistency import check_generation
from charlm.errors import DataError, UsageError
from charlm.generation.dialogue import Dialogue, for_turns
from charlm.generation.gaps import read_gaps
from charlm.generation.writer import engine_of, read_prefix
from charlm.run import Run
from charlm.settings import configured, type_of
from charlm.views.shown_text import label

# What begins a command; twice, a text that begins with it.
MARK = ":"
# What can be set between two lines, beside the seed.
SETTINGS = (
    "length", "temperature", "top_k", "top_p", "min_p", "typical", "no_repeat", "stop",
    "on_unknown",
)  # fmt: skip
# How many of the next characters are shown.
SHOWN = 10
GAP = "_"
CtrlC = Callable[[], AbstractContextManager[Callable[[], bool]]]


@dataclass(frozen=True)
class Command:
    """takes: what stands behind its name, "" for nothing, in brackets if it may be left out."""

    takes: str
    told: str
    obey: Callable[[str], None]


class Player(Protocol):
    commands: dict[str, Command]

    def answer(self, line: str) -> None:
        """Answer a line that is no command. Raises CharlmError."""

    def offers(self, line: str) -> Sequence[Offer]:
        """What may come after a line typed so far."""


def answer(player: Player, line: str) -> None:
    """Answer a line, or obey it. Raises EOFError for the command that leaves, CharlmError for a
    line that makes no sense."""
    if not line.startswith(MARK) or line.startswith(MARK * 2):
        player.answer(_unmarked(line))
        return
    name, _, value = line.removeprefix(MARK).partition(" ")
    command = player.commands.get(name.replace("_", "-"))
    if command is None:
        there = ", ".join(f"{MARK}{name}" for name in player.commands)
        raise UsageError(
            f"{MARK}{name} is no command; there are {there} ({MARK * 2} begins a text with {MARK})"
        )
    if not command.takes and value.strip():
        raise UsageError(f"{MARK}{name} takes nothing behind it")
    command.obey(value)


def command_offers(commands: dict[str, Command], line: str) -> list[Offer]:
    """The commands that begin as a line does."""
    return [
        Offer(f"{MARK}{name}{' ' if command.takes else ''}".removeprefix(line), f"{MARK}{name}",
              command.told)
        for name, command in commands.items()
        if f"{MARK}{name}".startswith(line)
    ]  # fmt: skip


def _unmarked(line: str) -> str:
    return line.removeprefix(MARK) if line.startswith(MARK) else line


def _common(player: Player) -> dict[str, Command]:
    return {
        "help": Command("", "what there is to type", lambda _: _help(player)),
        "quit": Command("", "leave, as Ctrl-D does", _quit),
    }


def _help(player: Player) -> None:
    rows = [(f"{MARK}{name} {command.takes}".rstrip(), command.told)
            for name, command in player.commands.items()]  # fmt: skip
    rows.append((MARK * 2, f"a text that begins with {MARK}"))
    size = max(len(usage) for usage, _ in rows)
    show("".join(f"{usage:<{size}}  {told}\n" for usage, told in rows))


def _quit(value: str) -> None:
    raise EOFError


class Writing:
    """A model that goes on with what is typed.

    ctrl_c: a block in which Ctrl-C is only noted, and what tells whether it was.
    """

    def __init__(self, run: Run, seed: int, ctrl_c: CtrlC) -> None:
        self._run, self._config, self._ctrl_c = run, run.config, ctrl_c
        check_generation(for_turns(run.config.generation))
        self._dialogue = Dialogue(engine_of(run), run.vocab, run.config.generation, seed)
        self.commands = {
            "again": Command("", "the last answer anew, with the next seed", self._again),
            "back": Command("", "take the last line and its answer back", self._back),
            "new": Command("", "begin a new text", lambda _: self._dialogue.begin()),
            "next": Command("[TEXT]", "what may come next, or after TEXT", self._next),
            "seed": Command("[N]", "of the next answer; each takes the next", self._seed),
            **{name.replace("_", "-"): self._setting(name) for name in SETTINGS},
            **_common(self),
        }

    def answer(self, line: str) -> None:
        shown, ids = self._as_read(line)
        self._show(shown, self._dialogue.say(ids))

    def offers(self, line: str) -> list[Offer]:
        if line.startswith(MARK) and not line.startswith(MARK * 2):
            return command_offers(self.commands, line)
        # What the model does not know cannot be read, and no line may break while it is typed.
        _, ids = read_prefix(_unmarked(line), self._run, "skip")
        apart = " " if self._run.vocab.level == "word" and line[-1:].strip() else ""
        return [
            Offer(apart + its.token if its.token.isprintable() else "", label(its.token),
                  _percent(its.model))
            for its in self._dialogue.expect(ids, SHOWN)
        ]  # fmt: skip

    def _as_read(self, text: str) -> tuple[str, list[int]]:
        how = self._config.generation.on_unknown
        instead = f"type {MARK}on-unknown skip or replace"
        return read_prefix(text, self._run, how, "the line", instead)

    def _show(self, shown: str, stream: Iterator[str]) -> None:
        with self._ctrl_c() as pressed:
            print_as_it_comes(shown, _until(pressed, stream), None)

    def _again(self, value: str) -> None:
        typed, stream = self._dialogue.again()
        self._show(self._run.vocab.decode(typed), stream)

    def _back(self, value: str) -> None:
        self._dialogue.back()

    def _next(self, text: str) -> None:
        expected = self._dialogue.expect(self._as_read(text)[1], SHOWN)
        drawn = any(its.drawn != its.model for its in expected)
        show("the model   as drawn\n" if drawn else "")
        for its in expected:
            by_rules = f"    {_percent(its.drawn)} " if drawn else ""
            show(f"{_percent(its.model)}{by_rules}  {label(its.token)}\n")

    def _seed(self, value: str) -> None:
        if value.strip():
            config = _with_setting(self._config, "seed", value)
            assert config.generation.seed is not None
            self._dialogue.seed = config.generation.seed
        else:
            show(f"{self._dialogue.seed}\n")

    def _setting(self, name: str) -> Command:
        field = GenerationConfig.__dataclass_fields__[name]

        def obey(value: str) -> None:
            if value.strip():
                self._config = _with_setting(self._config, name, value)
                self._dialogue.settings = self._config.generation
            else:
                show(f"{_as_typed(getattr(self._config.generation, name))}\n")

        choices = "|".join(field.metadata["choices"])
        takes = {int: "N", float: "X", tuple: "TEXT", str: choices}[type_of("generation", name)[0]]
        return Command(f"[{takes}]", field.metadata["help"].removesuffix(" (repeatable)"), obey)


def _until(pressed: Callable[[], bool], stream: Iterator[str]) -> Iterator[tuple[int, str]]:
    for text in stream:
        yield 0, text
        if pressed():
            return


def _percent(share: float) -> str:
    return f"{100 * share:5.1f} %"


def _with_setting(config: Config, name: str, typed: str) -> Config:
    """Raises UsageError for a value that it cannot have."""
    typed = typed.strip() if name != "stop" else typed
    value: Any = typed
    if name == "stop":
        # In quotes, where it begins or ends with spaces; "" for none.
        quoted = len(typed.strip()) > 1 and typed.strip()[0] == typed.strip()[-1] == '"'
        value = with_escapes(typed.strip()[1:-1] if quoted else typed, f"{MARK}stop")
        value = [value] if value else []
    elif type_of("generation", name)[0] is not str:
        with suppress(tomllib.TOMLDecodeError):  # a text, then, which is refused
            value = tomllib.loads(f"value = {typed}")["value"]
    with as_typed({f"generation__{name}": value}, MARK):
        return configured(config, {"generation": {name: value}})


def _as_typed(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(f'"{text}"'.encode("unicode_escape").decode() for text in value) or '""'
    return f"{value:g}" if isinstance(value, float) else str(value)


class Filling:
    """A bidirectional model, which fills the gaps of what is typed."""

    def __init__(self, run: Run) -> None:
        from charlm.generation.filler import Filler  # which needs torch
        from charlm.model.network import open_model

        self._run = run
        self._filler = Filler(open_model(run, "cpu"), run.vocab)
        self._ids: list[int | None] = []
        self._filled = 0
        self.commands = {
            "again": Command("", "the next likeliest filling of the last line", self._again),
            **_common(self),
        }

    def offers(self, line: str) -> list[Offer]:
        return command_offers(self.commands, line) if line.startswith(MARK) else []

    def answer(self, line: str) -> None:
        if GAP not in line:
            raise DataError(f"the line has no gap: mark what is to be filled with {GAP}")
        self._ids, self._filled = read_gaps(line, GAP, self._run), 0
        self._again("")

    def _again(self, value: str) -> None:
        if not self._ids:
            raise UsageError("no line has been filled yet")
        fillings = self._filler.fill(self._ids, self._filled + 1)
        if len(fillings) <= self._filled:
            raise UsageError("there is no other filling of this line")
        show(self._run.vocab.decode(fillings[self._filled].ids) + "\n")
        self._filled += 1
