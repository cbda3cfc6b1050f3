"""An import that takes seconds, made while something else is done."""

import threading
from contextlib import suppress
from importlib import import_module

_NAME = "import ahead"


def import_ahead(module: str) -> None:
    """Begin to import it beside what comes next; whoever needs it then waits for the rest."""
    threading.Thread(target=_import, args=(module,), name=_NAME).start()


def _import(module: str) -> None:
    with suppress(Exception):  # whoever needs it will be told, at a place that can say so
        import_module(module)


def still_importing() -> bool:
    """Whether an import that was begun ahead goes on."""
    return any(thread.name == _NAME for thread in threading.enumerate())
