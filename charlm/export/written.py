"""What became of an export: a line for people, figures for scripts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Written:
    """told: what was checked or measured of what was written, in one line. facts: as JSON values,
    by the names under which a script finds them."""

    told: str
    facts: Mapping[str, Any]
