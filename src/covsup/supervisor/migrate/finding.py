"""What `covsup debug migrate` finds: a place in a project, and what to do about it."""

from __future__ import annotations

from enum import Enum

from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.settings.compatibility import Support

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final


class Action(Enum):
    """What is to be done about a finding."""

    CHANGE = "write"  # something fails or is not measured otherwise
    DROP = "no longer needed"  # it may stay, and has no effect
    UNSUPPORTED = "not supported"
    STAYS = "stays as it is"  # worth a word all the same


ACTIONS: Final = {Support.UNNEEDED: Action.DROP, Support.UNSUPPORTED: Action.UNSUPPORTED}
"""What is to be done about a word of coverage.py's that is not honoured."""


class Finding(NamedTuple):
    """One place in a project."""

    path: str  # as one would name it in the project's directory
    line: int  # 0 = the file as a whole
    found: str
    action: Action
    instead: str = ""  # a line to write
    why: str = ""


def text_or_empty(path: Path) -> str:
    """A file's text, as far as it is text; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
