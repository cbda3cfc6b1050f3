"""charlm vocab"""

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charlm.cli.completion import complete_files, complete_runs_or_files
from charlm.cli.inputs import find_run
from charlm.cli.options import (
    TEXT_SETTINGS,
    as_typed,
    changes_of,
    force_option,
    json_option,
    setting_options,
)
from charlm.cli.output import print_json, show
from charlm.cli.pages import check_folder
from charlm.cli.told import Told
from charlm.config import Config, TextConfig
from charlm.data.inputs import corpus_among, load_vocab, source_of, texts_of
from charlm.errors import DataError, ModelError, UsageError
from charlm.settings import resolved
from charlm.storage.files import write_json

if TYPE_CHECKING:
    from charlm.data.counter import TokenCounter
    from charlm.data.source import Source
    from charlm.data.vocab import Vocab


@click.command()
@click.argument("path", required=False, shell_complete=complete_runs_or_files)
@click.option(
    "--save", metavar="FILE", type=click.Path(path_type=Path), help="Write it as a vocab.json."
)
@click.option("--tsv", is_flag=True, help="Print tab-separated values.")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Show the first N tokens.")
@click.option(
    "--coverage", metavar="TEXT", shell_complete=complete_files,
    help="Show what the file TEXT has that it lacks.",
)  # fmt: skip
@click.option(
    "--diff", metavar="OTHER", shell_complete=complete_runs_or_files,
    help="Show what it and OTHER do not share.",
)  # fmt: skip
@setting_options(*TEXT_SETTINGS)
@force_option
@json_option
def vocab(
    path: str | None, save: Path | None, tsv: bool, top: int | None, coverage: str | None,
    diff: str | None, force: bool, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Show the vocabulary of PATH: a text, a folder, a corpus, a run or a vocab.json.

    A row a token: id, token, code point, Unicode name, count, share. Without PATH: the model that
    the other commands would use.
    """
    if coverage and diff:
        raise UsageError("--coverage and --diff: one at a time")
    if save:
        _check_place(save, force)
    given = changes_of(options)
    with as_typed(options):
        config = resolved(given)
    opened, text = _open(path, config, bool(given))
    if save:
        write_json(save, opened.to_dict(), follow=True)
    if coverage:
        _show_coverage(opened, coverage, config if given else Config(text=text), as_json)
    elif diff:
        _show_difference(opened, _open(diff, config, bool(given))[0], as_json)
    elif as_json:
        facts = opened.to_dict()
        print_json(facts | {key: facts[key][:top] for key in ("tokens", "counts")})
    else:
        _show(opened, top, "\t" if tsv else None)


def _check_place(save: Path, force: bool) -> None:
    """Refuse to write a vocabulary over anything else, or over one that weights and ids depend
    on. Raises UsageError; FileSystemError where there is no folder for it.
    """
    from charlm.data.corpus import is_corpus
    from charlm.run import is_run

    if str(save) == "-":
        raise UsageError("--save -: name a file; --json prints a vocabulary")
    check_folder("--save", save)
    if not save.exists():
        return
    owner = save.resolve().parent
    if is_run(owner) or is_corpus(owner):
        raise UsageError(f"--save {save}: it belongs to {owner}; give another name")
    if not save.is_file():
        raise UsageError(f"--save {save}: there is something else than a file; give another name")
    if not force:
        try:
            load_vocab(save)
        except ModelError:
            raise UsageError(
                f"--save {save}: there is a file that is no vocabulary; give another name, or add "
                "--force"
            ) from None


def _open(path: str | None, config: Config, given: bool) -> tuple["Vocab", TextConfig]:
    """The vocabulary of `path`, and how its texts are cleaned."""
    from charlm.run import is_run, open_run

    where = find_run(None) if path is None else Path(path)
    stored = path != "-" and (
        where.suffix == ".json" or is_run(where) or corpus_among((str(where),))
    )
    if not stored:
        if path is None:
            raise ModelError(f"{where} is not a charlm run (it has no config.json)")
        return _count(path, config), config.text
    if given:
        raise UsageError(f"{where} has its vocabulary already: text options go with a text")
    if is_run(where):
        run = open_run(where)
        return run.vocab, run.config.text
    if corpus_among((str(where),)):
        from charlm.data.corpus import open_corpus

        corpus = open_corpus(where)
        return corpus.vocab, corpus.text
    from charlm.data.words import cut_as

    loaded = load_vocab(where)
    level, apart = cut_as(loaded.level)
    return loaded, TextConfig(level=level, split_punctuation=apart)


def _count(path: str, config: Config) -> "Vocab":
    from charlm.data.extension import extended
    from charlm.data.measure import check_level
    from charlm.data.vocab import build_vocab, recounted

    data = config.data
    known = load_vocab(Path(data.vocab)) if data.vocab else None
    if known is not None:
        check_level(known, config.text)
    level = None if known is None else known.level
    counter = _counted(texts_of((path,), config), config.text, level)
    if not counter.total:
        raise DataError(f"{path}: the text is empty")
    if known is None:
        return build_vocab(counter, min_freq=data.min_freq, reserve=data.reserve)
    if data.extend_vocab:
        return extended(known, counter, min_freq=data.min_freq, reserve=data.reserve)
    return recounted(known, counter)


def _counted(source: "Source", config: TextConfig, level: str | None = None) -> "TokenCounter":
    """level: how a vocabulary that is there already cuts texts."""
    from charlm.data.measure import count_tokens

    with Told().reading(source.name) as reading:
        return count_tokens(source, config, *reading, level=level).counter


def _rows(vocab: "Vocab", top: int | None) -> Iterator[dict[str, Any]]:
    total = max(1, sum(vocab.counts))
    for i, token in enumerate(vocab.tokens[:top]):
        single = len(token) == 1
        yield {
            "id": i,
            "token": token,
            "code_point": f"U+{ord(token):04X}" if single else "",
            "name": unicodedata.name(token, "") if single else "",
            "count": vocab.counts[i],
            "share": vocab.counts[i] / total,
        }


def escaped(token: str) -> str:
    """A token on one line: what does not print, and spaces, as escapes."""
    return "".join(c if c.isprintable() and c != " " else _escape(c) for c in token)


def _escape(character: str) -> str:
    return "␠" if character == " " else character.encode("unicode_escape").decode()


def _show(vocab: "Vocab", top: int | None, separator: str | None) -> None:
    rows = [
        (str(r["id"]), escaped(r["token"]), r["code_point"], r["name"],
         str(r["count"]), f"{r['share']:.6f}")
        for r in _rows(vocab, top)
    ]  # fmt: skip
    if separator:
        show(separator.join(["id", "token", "code_point", "name", "count", "share"]) + "\n")
        for row in rows:
            show(separator.join(row) + "\n")
        return
    for i, token, code_point, name, count, share in rows:
        show(f"{i:>6}  {token:<8} {code_point:<8} {count:>9}  {float(share):7.3%}  {name}\n")


def _show_coverage(vocab: "Vocab", path: str, config: Config, as_json: bool) -> None:
    counter = _counted(source_of((path,), config), config.text, vocab.level)
    lacking = {t: n for t, n in counter.frequencies.items() if t not in vocab.ids}
    ordered = dict(sorted(lacking.items(), key=lambda item: -item[1]))
    covered = counter.total - sum(lacking.values())
    if as_json:
        print_json({"tokens": counter.total, "covered": covered, "lacking": ordered})
        return
    share = covered / counter.total if counter.total else 1.0
    show(f"{covered:,} of {counter.total:,} tokens known ({share:.3%})\n")
    _show_tokens("lacking", ordered)


def _show_difference(one: "Vocab", other: "Vocab", as_json: bool) -> None:
    only_one = {t: n for t, n in zip(one.tokens, one.counts, strict=True) if t not in other.ids}
    only_other = {t: n for t, n in zip(other.tokens, other.counts, strict=True) if t not in one.ids}
    moved = sum(other.ids.get(token, i) != i for i, token in enumerate(one.tokens))
    if as_json:
        print_json({"only_first": only_one, "only_second": only_other, "moved": moved})
        return
    _show_tokens("only in the first", only_one)
    _show_tokens("only in the second", only_other)
    show(f"{moved:,} shared tokens have another id\n")


def _show_tokens(title: str, counts: dict[str, int]) -> None:
    from charlm.data.vocab import describe_token

    show(f"{len(counts):,} {title}\n")
    for token, count in counts.items():
        show(f"  {count:>9}  {describe_token(token)}\n")
