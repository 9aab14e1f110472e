"""`covsup tree --json`: the processes of a session for a program, with everything known of each.

A flat list. Each process has an `id`, and the `id` of its parent. Keys may be added later. An
unknown value is null.
"""

from __future__ import annotations

from covsup.datafile.provenance.model import End, signal_name
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.tree.process_tree import process_trees, with_parents

if TYPE_CHECKING:
    from typing import Any

    from covsup.datafile.fold.result import Lost
    from covsup.datafile.provenance.model import Ending, Provenance
    from covsup.datafile.session.settings import Settings
    from covsup.supervisor.tree.process_tree import Node


def session_as_json(settings: Settings, provenance: Provenance) -> dict[str, Any]:
    """A session as a value for `json.dumps`."""
    ids: dict[int, int] = {}  # by id() of a node
    processes = []
    for node, above in with_parents(process_trees(provenance)):
        ids[id(node)] = number = len(ids) + 1
        parent = None if above is None else ids[id(above)]
        processes.append({"id": number, "parent": parent, **_process(node)})
    return {
        "session": settings.session,
        "started": _seconds(settings.started_ns),
        "supervised": bool(settings.supervisor_pid),
        "command": list(settings.command),
        "cwd": settings.cwd,
        "host": settings.host,
        "branch": settings.branch,
        "processes": processes,
    }


def _process(node: Node) -> dict[str, Any]:
    time_ns = node.ended_ns - node.at_ns
    image = node.image
    record: dict[str, Any] = {
        "pid": node.pid,
        "command": list(node.argv),
        "how": node.how.split()[0] if node.how else None,
        "started": _seconds(node.at_ns),
        # Negative if the clock was set meanwhile.
        "seconds": time_ns / 1e9 if node.ended_ns and time_ns >= 0 else None,
        "end": None if node.ending is None else _end(node.ending),
        "measured": image is not None,
        "not_measured_because": node.reason or None,
    }
    if image is not None:
        record |= {
            "generation": image.generation,
            "executable": image.executable,
            "cwd": image.cwd,
            "python": image.python,
            "core": image.core,
            "lines": image.lines,
            "lines_only_here": image.unique_lines,
            "lost": _lost(image.lost),
            "lost_in_forks": _lost(image.forks_lost),
        }
    return record


def _end(ending: Ending) -> dict[str, Any]:
    return {
        "how": ending.end.value,
        "status": ending.status,
        "signal": signal_name(ending.signal) if ending.signal else None,
        "core_dumped": ending.core_dumped,
        "program": ending.detail or None if ending.end is End.EXECED else None,
        "known_from": ending.known_from.value or None,
    }


def _lost(lost: Lost) -> dict[str, int]:
    return {"facts": lost.facts, "events": lost.events}


def _seconds(nanoseconds: int) -> float | None:
    """Seconds since 1970."""
    return nanoseconds / 1e9 if nanoseconds else None
