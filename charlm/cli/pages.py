"""Pages that commands write, where they are asked to."""

from pathlib import Path

from charlm.errors import FileSystemError, UsageError, typed

# How a page begins.
PAGE = b"<!doctype html"


def check_page(page: Path) -> None:
    """Refuse to write a page over anything that is none, or where no folder is. Raises UsageError,
    FileSystemError."""
    from charlm.storage.files import exists, is_file, naming

    if str(page) == "-":
        raise UsageError("--html -: name a file")
    check_folder("--html", page)
    if not exists(page):
        return
    with naming(page):
        begin = page.read_bytes()[: len(PAGE)] if is_file(page) else b""
    if begin.lower() != PAGE:
        raise UsageError(f"--html {page}: what is there is no page; give another name")


def check_folder(option: str, file: Path) -> None:
    """Raises FileSystemError where there is no folder for a file that an option names."""
    from charlm.storage.files import is_folder

    if not is_folder(file.parent):
        raise FileSystemError(
            f"{option} {file}: there is no folder {file.parent}: make it (mkdir -p "
            f"{typed(file.parent)}), or name another"
        )


def write_page(page: Path, html: str) -> None:
    """Replace what is at `page`. Raises FileSystemError."""
    from charlm.storage.files import write_bytes

    write_bytes(page, html.encode("utf-8", "surrogatepass"), follow=True)
