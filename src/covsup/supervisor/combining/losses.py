"""Sentences about what was not measured, and what could not be stored.

Must never know: who prints them.
"""

from __future__ import annotations

import errno
import os

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.short_commands import describe_process

if TYPE_CHECKING:
    from typing import Final

    from covsup.datafile.fold.result import Lost
    from covsup.datafile.provenance.model import Provenance

_CAUSES: Final = {
    errno.EFBIG: "a file size limit, `ulimit -f`, leaves no room",
    errno.ENOMEM: "an address space limit, `ulimit -v`, leaves no room",
    errno.EMFILE: "no descriptor was left, `ulimit -n`",
}

_SHOWN: int = 3

_FIRES: Final = "C code fires events of its own: "
"""The begin of a note from tracer_c/monitoring/fired_events.c, before the path of the source."""


def unmeasured_sentences(provenance: Provenance) -> list[str]:
    """One sentence about all Python processes that were not measured, or none."""
    found = provenance.unmeasured
    if not found:
        return []
    by_reason: dict[str, list[str]] = {}
    for each in found:
        by_reason.setdefault(each.reason, []).append(describe_process(each.pid, each.argv))
    groups = [
        f"{', '.join(processes[:_SHOWN])}{_and_more(len(processes) - _SHOWN)}: {reason}"
        for reason, processes in list(by_reason.items())[:_SHOWN]
    ]
    were = "Python process was" if len(found) == 1 else "Python processes were"
    others = _and_more(len(by_reason) - _SHOWN, " reasons")
    return [f"{len(found)} {were} not measured: {'; '.join(groups)}{others} (see `covsup tree`)"]


def _and_more(count: int, noun: str = "") -> str:
    return f" and {count} more{noun}" if count > 0 else ""


def lost_sentences(provenance: Provenance) -> list[str]:
    """One sentence for each process that could not store something, and for each reason of a note."""
    sentences = [
        f"process {describe_process(each.pid, each.argv)} could not keep {_lost(each.lost)}"
        for each in provenance.losses
        if each.lost
    ]
    sentences += [
        f"processes forked below {describe_process(each.pid, each.argv)} could make no journal and"
        f" lost {_lost(each.forks_lost)}"
        for each in provenance.losses
        if each.forks_lost
    ]
    by_reason: dict[str, list[str]] = {}
    for _, note in provenance.notes:
        if note.kind in {"lost", "refused"}:
            by_reason.setdefault(note.why, []).append(describe_process(note.pid, note.argv))
    sentences += [
        f"process {processes[0]}{_and_more(len(processes) - 1)}: {why}"
        for why, processes in by_reason.items()
    ]
    return sentences + _fired_sentences(provenance)


def _fired_sentences(provenance: Provenance) -> list[str]:
    """One sentence about all compiled code that could not be measured, or none."""
    found = sorted(
        {
            note.removeprefix(_FIRES)
            for each in provenance.processes
            for note in each.notes
            if note.startswith(_FIRES)
        }
    )
    if not found:
        return []
    sources = f"{', '.join(found[:_SHOWN])}{_and_more(len(found) - _SHOWN)}"
    return [
        (
            f"not measured: compiled code that fires events of sys.monitoring, of {sources}: build"
            " it with the C macro CYTHON_USE_SYS_MONITORING=0, and name the plugin Cython.Coverage"
        )
    ]


def _lost(lost: Lost) -> str:
    what = [
        f"{count} {noun if count == 1 else noun + 's'}"
        for count, noun in ((lost.facts, "fact"), (lost.events, "event"))
        if count
    ]
    return f"{' and '.join(what)}: {_why_lost(lost)}"


def _why_lost(lost: Lost) -> str:
    """Why something could not be stored, and what to do."""
    # MADV_POPULATE_WRITE has one answer for whatever a file system refuses: EFAULT.
    from covsup.datafile import _fold  # not before the target starts

    allocating = {_fold.JOURNAL_STAGE_FILL, _fold.JOURNAL_STAGE_GROW}
    refused = lost.errno == errno.EFAULT and lost.stage in allocating
    if refused or lost.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            "the file system of its session directory is full, or its quota is used up: free some"
            " space and run it again, or have sessions elsewhere (COVSUP_SESSIONS)"
        )
    words = os.strerror(lost.errno)
    cause = _CAUSES.get(lost.errno)
    return f"{words} ({cause})" if cause else words
