import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from charlm.views.markdown import literal, shell, table
from charlm.views.shown_text import in_sight


def read_back(markdown: str) -> str:
    """By the rules of CommonMark: a backslash before a mark, and entities, are the mark itself."""
    return unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown))


@given(st.text())
def test_a_value_reads_as_it_is(text: str) -> None:
    # An entity in the text itself has its & escaped, and so is read back as it was.
    assert read_back(literal(text)) == in_sight(text)


@given(st.text(alphabet="ab|<>&*_`[](){}#~$@:\\/.w\n\u202e"))
def test_nothing_in_a_value_is_markup(text: str) -> None:
    written = literal(text)
    assert not re.search(r"[<>\n\u202e]", written)
    bare = re.sub(r"\\[!-/:-@\[-`{-~]|&(?:amp|lt|gt);", "·", written)
    assert not re.search(r"[\\`*_{}\[\]#|~$@^=&<>]|:\S|www\.", bare)


def test_values_that_would_be_markup() -> None:
    assert literal("a|b<script>") == r"a\|b&lt;script&gt;"
    assert literal("[x](https://e.vil) www.e.vil") == r"\[x\](https\://e.vil) www\.e.vil"
    assert literal("&amp; *a* _b_ `c` # d") == r"&amp;amp; \*a\* \_b\_ \`c\` \# d"
    assert literal("one\ntwo") == "one↵two"


def test_a_table() -> None:
    assert table(("", "bits"), [("a", "1.5")], numbers=True) == (
        "|  | bits |\n| --- | ---: |\n| a | 1.5 |\n"
    )


@given(st.lists(st.text(alphabet="a`\n ", max_size=20), max_size=3))
def test_no_command_ends_its_block(commands: list[str]) -> None:
    first, *inside, last = shell(commands).rstrip("\n").split("\n")
    assert first == f"{last}sh"
    assert set(last) == {"`"}
    assert len(inside) == len(commands)
    assert all(last not in line for line in inside)
