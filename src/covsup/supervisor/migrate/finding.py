"""What `covsup debug migrate` finds: a place in a project, and what to do about it."""

from __future__ import annotations

from enum import Enum

from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.settings.compatibility import Support

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final


class Action(Enum):
    """What to do about a finding."""

    CHANGE = "write"  # otherwise something fails or is not measured
    DROP = "no longer needed"  # it has no effect, and may stay
    UNSUPPORTED = "not supported"
    STAYS = "stays as it is"  # reported, because a user may wonder


ACTIONS: Final = {Support.UNNEEDED: Action.DROP, Support.UNSUPPORTED: Action.UNSUPPORTED}
"""What to do about a word of coverage.py's that covsup does not honour."""


class Finding(NamedTuple):
    """One place in a project."""

    path: str  # relative to the project's directory
    line: int  # 0 = the file as a whole
    found: str
    action: Action
    instead: str = ""  # a line to write
    why: str = ""


def text_or_empty(path: Path) -> str:
    """A file's text, or "" if it cannot be read. Bytes that are not UTF-8 are replaced."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
