"""A page that needs nothing but itself: one file, which asks for nothing from anywhere."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from string import Template
from typing import Any

from charlm.data.words import unit_of
from charlm.views.colours import RGB, foreground
from charlm.views.shown_text import in_sight, marked_up

# What every page with a text has, in order.
_SCRIPTS = ("text.js", "tints.js", "reader.js")
_HEAD = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>$style</style>""")
_PAGE = Template("""\
$head
<link rel="expect" href="#tinted" blocking="render">
</head>
<body>
<header>
<h1 dir="auto">$heading</h1>
<dl>
$facts
</dl>
</header>
$body
<script type="application/json" id="data">$data</script>
<script>$script</script>
<span id="tinted"></span>
</body>
</html>
""")
# Where `text.js` and `reader.js` find the text and a place to tell of it.
_READER = """\
<h2>The text</h2>
<p class="hint">Point at a {kind}, or click on it and go on by the arrow keys, Home and End.</p>
<div id="text" lang="">
{lines}
</div>
<section id="panel" tabindex="0" role="application" aria-label="Reader: step through the text by \
the arrow keys, Home and End"><div id="status" role="status"></div></section>"""


def page(
    title: str,
    facts: Mapping[str, str],
    body: str,
    *,
    script: str,
    tints: Sequence[tuple[RGB, str]],
    data: Mapping[str, Any],
) -> str:
    """A page as one text, which UTF-8 can hold.

    title, facts (name and value): plain texts, of any characters. body: HTML, with a `reader`.
    script: the file beside this one with what is the page's own. tints: the colours of the text,
    and by which line each is told apart without its colour ("underline", "overline" or "none"); the
    classes t0, t1 ... data: what the scripts find as JSON.
    """
    code = "\n" + "\n".join(map(_file, (*_SCRIPTS, script)))
    style = "\n" + stylesheet() + tint_rules(tints)
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"script-src '{digest(code)}'; style-src '{digest(style)}'"
    )
    return _PAGE.substitute(
        head=head(title, policy, style),
        heading=marked_up(title),
        facts="\n".join(
            f'<div><dt>{marked_up(name)}</dt><dd dir="auto">{marked_up(value)}</dd></div>'
            for name, value in facts.items()
        ),
        body=body,
        data=embedded(data),
        script=code,
    )


def head(title: str, policy: str, style: str) -> str:
    """What every page begins with, up to more of its head. title: a plain text, of any characters.
    policy: what the page may do, as a Content-Security-Policy. style: its rules."""
    return _HEAD.substitute(
        policy=policy,
        title=in_sight(title).replace("&", "&amp;").replace("<", "&lt;"),
        style=style,
    )


def reader(level: str, lines: Sequence[str]) -> str:
    """The text that a reader steps through, where the scripts look for it. level: what tokens are,
    "char" or "word". lines: HTML, as `ShownText` has it."""
    return _READER.format(kind=unit_of(level), lines="\n".join(lines))


def embedded(data: Mapping[str, Any]) -> str:
    """JSON that no element of HTML ends, and that holds any text."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def hexadecimal(rgb: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def tint_rules(tints: Sequence[tuple[RGB, str]]) -> str:
    """Each for a part of the text that the browser highlights, and for an element."""
    rules = []
    for number, (rgb, line) in enumerate(tints):
        declared = (
            f"background-color: {hexadecimal(rgb)}; color: {hexadecimal(foreground(rgb))}; "
            f"text-decoration: {line}"
        )
        # A browser that does not know the first selector drops a rule that has both.
        rules.append(
            f"::highlight(t{number}) {{ {declared} }}\n.t{number} {{ {declared} }}\n"
            f".f{number} {{ fill: {hexadecimal(rgb)} }}\n"
        )
    return "".join(rules)


def stylesheet() -> str:
    """What all pages look like."""
    return _file("page.css")


def _file(name: str) -> str:
    return (files("charlm.views") / name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """What a policy names a script or a style by."""
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
