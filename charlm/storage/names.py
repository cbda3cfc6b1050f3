"""Temporary names: beside what they are for, used by nobody else, and telling whose they are."""

import contextlib
import os
import platform
import secrets
import zlib
from dataclasses import dataclass
from pathlib import Path


def temporary_name(path: Path) -> Path:
    """A name beside `path` for what will take its place."""
    owner = f"{host()}-{os.getpid()}-{process_space()}-{secrets.token_hex(4)}"
    return path.with_name(f".{beginning(path.name)}.{owner}.tmp")


def beginning(name: str) -> str:
    """What of a name leaves room for an ending: systems count its bytes, and take 255 at most."""
    return name.encode("utf-8", "ignore")[:80].decode("utf-8", "ignore")


def host() -> str:
    """A short name of this machine."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def process_space() -> str:
    """Within which a process id of ours means something: each container counts its own."""
    with contextlib.suppress(OSError):
        return f"{Path('/proc/self/ns/pid').stat().st_ino:x}"
    return "0"


@dataclass(frozen=True)
class Owner:
    """The process that made a temporary name, as the name tells."""

    host: str
    process: int
    space: str

    @classmethod
    def of(cls, path: Path) -> "Owner | None":
        """None where the name is none of ours."""
        parts = path.name.removesuffix(".tmp").rpartition(".")[2].split("-")
        if len(parts) == 3:  # made before there was a space in it
            parts.insert(2, process_space())
        if len(parts) != 4 or not parts[1].isdecimal():
            return None
        return cls(parts[0], int(parts[1]), parts[2])

    @property
    def alive(self) -> bool | None:
        """None where one cannot tell from here."""
        # On Windows to ask would end it.
        if os.name == "nt" or (self.host, self.space) != (host(), process_space()):
            return None
        try:
            os.kill(self.process, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except OSError:
            pass
        return True
