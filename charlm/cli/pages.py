"""Pages that commands write, where they are asked to."""

from pathlib import Path

from charlm.errors import UsageError

# How a page begins.
PAGE = b"<!doctype html"


def check_page(page: Path) -> None:
    """Refuse to write a page over anything that is none. Raises UsageError."""
    from charlm.storage.files import exists, is_file, naming

    if str(page) == "-":
        raise UsageError("--html -: name a file")
    if not exists(page):
        return
    with naming(page):
        begin = page.read_bytes()[: len(PAGE)] if is_file(page) else b""
    if begin.lower() != PAGE:
        raise UsageError(f"--html {page}: what is there is no page; give another name")


def write_page(page: Path, html: str) -> None:
    """Replace what is at `page`. Raises FileSystemError."""
    from charlm.storage.files import write_bytes

    write_bytes(page, html.encode("utf-8", "surrogatepass"), follow=True)
