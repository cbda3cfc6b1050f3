"""What charlm says in the words of its command line, as Python has it: settings, not options."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from charlm.config import SECTIONS
from charlm.errors import CharlmError
from charlm.settings import fields_of, type_of

# Arguments of the library that are no settings, by their options.
_ARGUMENTS = ("corpus", "init_from", "mask", "output", "config")
# In order: what is quoted, and commands of the shell, stay as they are. A value is one only where
# the option is to be given with it; elsewhere it may be a word of the sentence.
_OPTION = re.compile(
    r"""(?<!\w)'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|“[^”]*”"""
    r"|charlm [a-z]+ --[a-z][a-z0-9-]*"
    r"|(?P<known>--force; in Python, replace=True|\(-o\)|use charlm (?P<method>generate|fill))"
    r"|(?P<open>\()--(?P<alone>[a-z][a-z0-9-]*)(?=\))"
    r"|(?P<verb>\b(?:add|take|with) )--(?P<given>[a-z][a-z0-9-]*)"
    r"(?: (?P<value>'[^']*'|[\w./+@%=:,-]*[\w/+@%=]))?"
    r"|(?<![\w/-])--(?P<name>[a-z][a-z0-9-]*)"
)


def in_python_words(message: str) -> str:
    """A message with options named as settings and arguments; what is no option here stays."""
    return _OPTION.sub(_worded, message)


@contextmanager
def in_python() -> Iterator[None]:
    """Errors of charlm that leave the block, or the function that it decorates, are in the words
    of Python."""
    try:
        yield
    except CharlmError as error:
        error.args = (in_python_words(str(error)),)
        raise


def _worded(found: re.Match[str]) -> str:
    if found["known"]:
        method = found["method"]
        return f"use {method}()" if method else ("(output=…)" if "-o" in found[0] else _REPLACE)
    option = found["alone"] or found["given"] or found["name"]
    if option is None:
        return found[0]
    if option == "force":
        return found[0].replace("--force", _REPLACE)
    name, begin = option.replace("-", "_"), found["open"] or found["verb"] or ""
    if (switch := name.removeprefix("no_")) in _switches():
        more = f" {found['value']}" if found["value"] else ""
        return f"{begin}{switch}={switch == name}{more}"
    if name not in _settings() and name not in _ARGUMENTS:
        return found[0]
    if found["open"]:
        return f"({name}=…"
    if not found["verb"]:
        return name
    value = found["value"]
    return f"{begin}{name}{f'={_literal(value)}' if value else ''}"


_REPLACE = "replace=True"


def _literal(value: str) -> str:
    """A value that is typed, as Python has it; one of capitals stands for another."""
    return value if (value.isalpha() and value.isupper()) or value[0] == "'" else f'"{value}"'


@cache
def _settings() -> frozenset[str]:
    return frozenset(key for section in SECTIONS for key in fields_of(section))


@cache
def _switches() -> frozenset[str]:
    """The settings that are True or False."""
    return frozenset(
        key for section in SECTIONS for key in fields_of(section)
        if type_of(section, key)[0] is bool
    )  # fmt: skip
