"""What Python is told speaks of settings and arguments, not of options."""

import pytest

from charlm.config import SECTIONS
from charlm.library.wording import in_python_words
from charlm.settings import fields_of


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("--match: 'a --lr b' is nothing", "match: 'a --lr b' is nothing"),
        ("lower --lr (0.002) or --grad-clip", "lower lr (0.002) or grad_clip"),
        ("more dropout (--dropout), would help", "more dropout (dropout=…), would help"),
        ("--device tpu: here is cpu", "device tpu: here is cpu"),
        ("text.x goes with words: add --level word", 'text.x goes with words: add level="word"'),
        ("prepare it with --vocab 'a b/v.json' --extend-vocab",
         "prepare it with vocab='a b/v.json' extend_vocab=True"),
        ("prepare it with --vocab runs/lr=0.1/V1/ --extend-vocab",
         'prepare it with vocab="runs/lr=0.1/V1/" extend_vocab=True'),
        ("take --vocab /A/V1, or none", 'take vocab="/A/V1", or none'),
        ('--match: "it\'s --lr b" is nothing', 'match: "it\'s --lr b" is nothing'),
        ("--encoding cp1252 (“pass --time 3”) would read it",
         "encoding cp1252 (“pass --time 3”) would read it"),
        ("it is that of --init-from's run", "it is that of init_from's run"),
        ("add --init-from RUN", "add init_from=RUN"),
        ("with --bidirectional, or use charlm generate",
         "with bidirectional=True, or use generate()"),
        ("with --no-strip-lines and more", "with strip_lines=False and more"),
        ("another name (-o), or replace it (--force; in Python, replace=True)",
         "another name (output=…), or replace it (replace=True)"),
        ("train it anew with --force", "train it anew with replace=True"),
        ("say where it is with --corpus", "say where it is with corpus"),
        ("go on (charlm train --resume a--lr/b)", "go on (charlm train --resume a--lr/b)"),
        ("fewer --jobs need less --", "fewer --jobs need less --"),
    ],
)  # fmt: skip
def test_options_are_named_as_python_has_them(typed: str, told: str) -> None:
    assert in_python_words(typed) == told
    assert in_python_words(told) == told


@pytest.mark.parametrize("key", [key for section in SECTIONS for key in fields_of(section)])
def test_every_setting_is_known(key: str) -> None:
    option = key.replace("_", "-")
    assert (
        in_python_words(f"see --{option}.").removesuffix("=True.").removesuffix(".") == f"see {key}"
    )
