"""Lines typed at a terminal, with what its user has for editing them; or piped in.

prompt_toolkit, where it is installed; else readline, which Python has on Linux and macOS; else as
the terminal itself edits a line.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from charlm.cli.output import show
from charlm.errors import DataError

PROMPT = "> "


@dataclass(frozen=True)
class Offer:
    """What may come after what has been typed. added: what it adds to that; name, told: for people,
    fit for a terminal."""

    added: str
    name: str
    told: str


Offers = Callable[[str], Sequence[Offer]]  # after a line typed so far


class Asker(Protocol):
    def ask(self) -> str:
        """The next line, without its end. Raises EOFError at the end of all lines, and
        KeyboardInterrupt where Ctrl-C gave a line up."""
        ...


def open_asker(offers: Offers) -> Asker:
    """For lines typed at a terminal."""
    # They write to standard output; where that leads elsewhere, a line is asked for beside it.
    if not sys.stdout.isatty():
        return Plain()
    for library, kind in (("prompt_toolkit", Toolkit), ("readline", Readline)):
        if find_spec(library):
            return kind(offers)
    return Plain()


class Plain:
    """As the terminal itself edits a line."""

    def ask(self) -> str:
        try:
            show(PROMPT, out=sys.stderr)
            sys.stderr.flush()
            line = _typed(sys.stdin.readline)
        except KeyboardInterrupt:
            show("\n", out=sys.stderr)
            raise
        if not line:
            show("\n", out=sys.stderr)
            raise EOFError
        return line.removesuffix("\n")


class Readline:
    """Tab shows what may come next, and completes commands; arrow keys bring lines back."""

    def __init__(self, offers: Offers) -> None:
        import readline

        self._readline, self._offers, self._found = readline, offers, list[Offer]()
        readline.set_completer(self._complete)
        readline.set_completer_delims("")
        if "libedit" in (readline.__doc__ or ""):
            readline.parse_and_bind("bind ^I rl_complete")
        else:
            readline.parse_and_bind("tab: complete")
            # At the first Tab, not the second.
            readline.parse_and_bind("set show-all-if-ambiguous on")
            readline.parse_and_bind("set completion-query-items 0")
            readline.set_completion_display_matches_hook(self._display)

    def ask(self) -> str:
        try:
            return _typed(lambda: input(PROMPT))
        except (EOFError, KeyboardInterrupt):
            show("\n")
            raise

    def _complete(self, line: str, number: int) -> str | None:
        if number == 0:
            self._found = list(self._offers(line))
        return line + self._found[number].added if number < len(self._found) else None

    def _display(self, line: str, matches: Sequence[str], longest: int) -> None:
        show("\n" + "".join(f"{offer.told}  {offer.name}\n" for offer in self._found))
        show(PROMPT + self._readline.get_line_buffer())
        sys.stdout.flush()
        self._readline.redisplay()


class Toolkit:
    """The same with prompt_toolkit: a menu, which the arrow keys go through."""

    def __init__(self, offers: Offers) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.completion import Completer, Completion
        from prompt_toolkit.renderer import CPR_Support

        class Menu(Completer):
            def get_completions(self, document: Any, complete_event: Any) -> Iterator[Completion]:
                for offer in offers(document.text_before_cursor):
                    yield Completion(offer.added, display=offer.name, display_meta=offer.told)

        self._session: PromptSession[str] = PromptSession(
            PROMPT, completer=Menu(), complete_while_typing=False
        )
        # Asked where its cursor is, a terminal may answer when nobody listens any more.
        self._session.app.renderer.cpr_support = CPR_Support.NOT_SUPPORTED

    def ask(self) -> str:
        return self._session.prompt()


def _typed(read: Callable[[], str]) -> str:
    try:
        return read()
    except UnicodeDecodeError as error:
        raise DataError(f"what was typed is not {error.encoding}") from None
