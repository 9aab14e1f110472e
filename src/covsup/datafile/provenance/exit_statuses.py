"""How a process image ended, from a wait status or from the process's own record."""

from __future__ import annotations

import os
from functools import lru_cache

from covsup.datafile.journal.events import EndedHow
from covsup.datafile.provenance.model import End, Ending, KnownFrom


def ending_of_status(status: int, known_from: KnownFrom) -> Ending:
    """The ending that a raw wait status says."""
    if os.WIFSIGNALED(status):
        return Ending(
            end=End.KILLED,
            known_from=known_from,
            signal=os.WTERMSIG(status),
            core_dumped=os.WCOREDUMP(status),
        )
    return Ending(end=End.EXITED, known_from=known_from, status=os.WEXITSTATUS(status))


@lru_cache(maxsize=256)
def ending_of_record(how: EndedHow, status: int) -> Ending:
    """The ending that the process itself recorded. Cached: most processes end in the same way."""
    if how is EndedHow.DETACH:
        return Ending(end=End.DETACHED, known_from=KnownFrom.ITSELF)
    if how is EndedHow.SIGNAL:
        return Ending(end=End.KILLED, known_from=KnownFrom.ITSELF, signal=status)
    return Ending(end=End.EXITED, known_from=KnownFrom.ITSELF, status=status, detail=detail_of(how))


def detail_of(how: EndedHow) -> str:
    """The `detail` of an ending by exit."""
    return "os._exit" if how is EndedHow.UNDERSCORE_EXIT else ""
