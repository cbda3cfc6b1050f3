"""A page as a browser reads it, as far as tests need it."""

import json
from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """tags: names of all elements. lines: what each line of the text shows. data: what the scripts
    find. attributes: of all elements, (element, name, value). texts: of the elements named."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.lines: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self._line_depth = 0
        self.feed(html)
        self.close()
        [embedded] = [text for text in self.texts["script"] if text.startswith("{")]
        self.data: dict[str, Any] = json.loads(embedded)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag in ("meta", "rect", "link", "input"):
            return
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")
        if ("class", "line") in attrs:
            self._line_depth = len(self._open)
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "rect":
            return
        assert self._open.pop() == tag, tag
        if len(self._open) < self._line_depth:
            self._line_depth = 0

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data
        if self._line_depth:
            self.lines[-1] += data

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]
