"""How the shells ask for completion, where click's own ways fall short.

In fish, its script cuts a name, or a description, at the first comma. In bash, what is typed behind
a quotation mark stands in it: little of it is escaped. And a file's name need not be Unicode.
"""

import os
import string

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

_FISH = """\
function %(complete_func)s
    set -l asked (commandline -cp)
    set -l word (commandline -t)
    for line in (env %(complete_var)s=fish_complete COMP_WORDS="$asked" COMP_CWORD="$word" \
%(prog_name)s)
        set -l kind (string split -m 1 , -- $line)
        switch $kind[1]
            case dir
                __fish_complete_directories $kind[2]
            case file
                __fish_complete_path $kind[2]
            case plain
                echo $kind[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""
# What of ASCII a shell does not take for its own.
_PLAIN = frozenset("_./+@%=:,-" + string.ascii_letters + string.digits)
# What stands for itself behind a quotation mark, and what does not.
_IN_DOUBLE_QUOTES = str.maketrans({character: f"\\{character}" for character in '"\\$`'})


class _Answer(str):
    """Click makes bytes of it; those of a name that is no text are to be as they came."""

    def encode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> bytes:
        return super().encode(encoding, errors)


class _AnyName(ShellComplete):
    def complete(self) -> str:
        return _Answer(super().complete())


class Fish(_AnyName, FishComplete):
    source_template = _FISH


class Zsh(_AnyName, ZshComplete):
    pass


class Bash(_AnyName, BashComplete):
    def format_completion(self, item: CompletionItem) -> str:
        if item.type != "plain":
            return super().format_completion(item)
        # `read` in click's script takes one backslash of two.
        return f"plain,{_in_bash(item.value, _quote()).replace(chr(92), chr(92) * 2)}"


def _quote() -> str:
    """The quotation mark behind which the word is that is being typed; "" where there is none."""
    words, place = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    word = words[int(place)] if place.isdigit() and int(place) < len(words) else ""
    return word[0] if word[:1] in ("'", '"') else ""


def _in_bash(value: str, quote: str) -> str:
    """A value as it is typed."""
    if quote == "'":
        return value.replace("'", "'\\''")
    if quote == '"':
        return value.translate(_IN_DOUBLE_QUOTES)
    return "".join(c if c in _PLAIN or ord(c) > 127 else f"\\{c}" for c in value)


def register_shells() -> None:
    """Have click ask and answer in these ways."""
    for shell in (Bash, Zsh, Fish):
        add_completion_class(shell)
