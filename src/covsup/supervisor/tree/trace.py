"""`covsup tree --format=trace`: Chrome's trace event format, which ui.perfetto.dev opens.

Each process is a track. The programs that it executed are slices, one after the other. An arrow leads
from the parent to the start of each child, and a mark shows a signal that killed the process. Times
are microseconds since the first session began.

The format: "Trace Event Format" of the Chromium project. Perfetto drops slices that overlap on one
track, and arrows that begin or end outside of a slice, so both are kept from happening.
"""

from __future__ import annotations

from covsup.datafile.provenance.model import End, signal_name
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.messages import printable
from covsup.supervisor.short_commands import short_command, without_directory
from covsup.supervisor.tree.process_tree import process_trees, with_parents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Final

    from covsup.datafile.provenance.model import Provenance
    from covsup.datafile.session.settings import Settings
    from covsup.supervisor.tree.process_tree import Node

_SHORTEST_NS: Final = 1000
"""A slice without length could not be seen or clicked."""

_COMMAND: Final = 80  # characters
_FIRST_OTHER_PID: Final = 1 << 23
"""Numbers of tracks for processes whose pid another process has had: no Linux gives such a pid."""


class _Slice(NamedTuple):
    """The time of one program in one process."""

    node: Node
    track: int
    start_ns: int
    end_ns: int


class Trace:
    """The trace of any number of sessions."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._sessions: list[tuple[Settings, list[tuple[Node, Node | None]]]] = []

    def add(self, settings: Settings, provenance: Provenance) -> None:
        """Add a session."""
        self._sessions.append((settings, list(with_parents(process_trees(provenance)))))

    def value(self) -> dict[str, Any]:
        """The trace as a value for `json.dumps`."""
        pairs = [pair for _, of_session in self._sessions for pair in of_session]
        starts = [
            *(node.at_ns for node, _ in pairs),
            *(settings.started_ns for settings, _ in self._sessions),
        ]
        began_ns = min((each for each in starts if each), default=0)
        slices = _slices([node for node, _ in pairs], began_ns)
        events = [*_metadata(slices), *_slice_events(slices, began_ns)]
        events += _arrows(pairs, {id(each.node): each for each in slices}, began_ns)
        return {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {
                settings.session: printable(" ".join(settings.command))
                for settings, _ in self._sessions
            },
        }


def _slices(nodes: Sequence[Node], began_ns: int) -> list[_Slice]:
    """A slice for each node. No two of one track overlap."""
    last_ns = max((max(node.at_ns, node.ended_ns) for node in nodes), default=began_ns)
    last_ns += _SHORTEST_NS
    slices: list[_Slice] = []
    for track, images in _tracks(nodes):
        after_ns = began_ns
        for index, node in enumerate(images):
            start_ns = max(node.at_ns, after_ns)
            end_ns = node.ended_ns or last_ns
            if index + 1 < len(images):
                end_ns = min(end_ns, images[index + 1].at_ns)
            after_ns = max(end_ns, start_ns + _SHORTEST_NS)
            slices.append(_Slice(node, track, start_ns, after_ns))
    return slices


def _tracks(nodes: Sequence[Node]) -> Iterator[tuple[int, list[Node]]]:
    """The nodes of each process, in the order of their starts, with a number of its own."""
    of_pid: dict[int, list[Node]] = {}
    for node in sorted(nodes, key=lambda each: each.at_ns):
        of_pid.setdefault(node.pid, []).append(node)
    other = _FIRST_OTHER_PID
    for pid, images in of_pid.items():
        track, process = pid, images[:1]
        for node in images[1:]:
            if node.how.startswith("exec") or _is_replaced(process[-1]):
                process.append(node)
                continue
            yield track, process
            track, process = other, [node]
            other += 1
        yield track, process


def _is_replaced(node: Node) -> bool:
    return node.ending is not None and node.ending.end is End.EXECED


def _metadata(slices: Sequence[_Slice]) -> Iterator[dict[str, Any]]:
    """The name of each track, and its place: tracks are in the order of their starts."""
    seen: set[int] = set()
    for each in sorted(slices, key=lambda each: each.start_ns):
        if each.track in seen:
            continue
        seen.add(each.track)
        not_measured = "NOT MEASURED " if each.node.reason else ""
        arguments: dict[str, dict[str, Any]] = {
            "process_name": {"name": not_measured + _command(each.node)},
            "process_sort_index": {"sort_index": len(seen)},
            "thread_name": {"name": "programs"},
        }
        if each.node.image is None:
            arguments["process_labels"] = {"labels": "not measured"}
        for name, values in arguments.items():
            yield {
                "ph": "M",
                "name": name,
                "pid": each.track,
                "tid": each.track,
                "ts": 0,
                "args": values,
            }


def _slice_events(slices: Sequence[_Slice], began_ns: int) -> Iterator[dict[str, Any]]:
    for each in slices:
        node = each.node
        place = {"pid": each.track, "tid": each.track}
        event = {
            "ph": "X",
            "name": ("NOT MEASURED " if node.reason else "") + _command(node),
            "cat": _category(node),
            "ts": _microseconds(each.start_ns - began_ns),
            "dur": _microseconds(each.end_ns - each.start_ns),
            **place,
            "args": _arguments(node),
        }
        if node.reason:
            event["cname"] = "terrible"
        elif node.image is None:
            event["cname"] = "grey"
        yield event
        if node.ending is not None and node.ending.end is End.KILLED:
            yield {
                "ph": "i",
                "name": signal_name(node.ending.signal or 0),
                "cat": "killed",
                "s": "p",
                "ts": _microseconds(each.end_ns - began_ns),
                **place,
                "args": {"end": printable(node.ending.words)},
            }


def _arrows(
    pairs: Sequence[tuple[Node, Node | None]], slices: dict[int, _Slice], began_ns: int
) -> Iterator[dict[str, Any]]:
    """An arrow from each parent to its child."""
    for number, (node, above) in enumerate(pairs, start=1):
        child = slices[id(node)]
        if above is None or node.how.startswith("exec") or slices[id(above)].track == child.track:
            continue
        parent = slices[id(above)]
        # The clocks of two images differ a little, and the arrow has to begin inside the slice.
        at_ns = min(max(child.start_ns, parent.start_ns), parent.end_ns - 1)
        common = {"name": node.how or "start", "cat": "start", "id": number}
        for kind, place, ts in (("s", parent, at_ns), ("f", child, max(child.start_ns, at_ns))):
            event = {
                "ph": kind,
                **common,
                "pid": place.track,
                "tid": place.track,
                "ts": _microseconds(ts - began_ns),
            }
            yield event | ({"bp": "e"} if kind == "f" else {})


def _category(node: Node) -> str:
    if node.reason:
        return "not measured"
    return "program" if node.image is None else "python"


def _arguments(node: Node) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "pid": node.pid,
        "command": printable(" ".join(node.argv)),
        "started as": node.how or "unknown",
        "end": "unknown" if node.ending is None else printable(node.ending.words),
    }
    if node.reason:
        arguments["not measured because"] = printable(node.reason)
    if node.image is not None:
        arguments |= {
            "lines": node.image.lines,
            "lines only here": node.image.unique_lines,
            "python": node.image.python,
            "cwd": printable(node.image.cwd),
        }
        if node.image.lost:
            arguments["facts lost"] = node.image.lost.facts
    return arguments


def _command(node: Node) -> str:
    return short_command(without_directory(node.argv), _COMMAND) or "?"


def _microseconds(nanoseconds: int) -> float:
    return nanoseconds / 1000
