"""The answer of a process to `covsup attach` or `covsup detach`, as it wrote it into a file."""

from __future__ import annotations

import time
from pathlib import Path

from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.pairs import decode_pairs

if TYPE_CHECKING:
    from typing import Self


class AttachAnswer(NamedTuple):
    """What a process answered."""

    state: str  # attached, resumed, measured, detached, paused, unmeasured, failed
    session: Path | None
    time_ns: int  # wall clock
    has_startup_file: bool  # the Pythons of its environment start covsup by themselves
    why: str

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read the text of an answer. Values that are missing get defaults."""
        pairs = dict(decode_pairs(text))
        time_ns = pairs.get("time_ns", "")
        return cls(
            state=pairs.get("state", ""),
            session=Path(pairs["session"]) if pairs.get("session") else None,
            time_ns=int(time_ns) if time_ns.isascii() and time_ns.isdigit() else time.time_ns(),
            has_startup_file=pairs.get("startup_file") == "1",
            why=pairs.get("why", ""),
        )
