"""The tree of a session's processes: each process below the one that started it.

Pure: it needs nothing but a provenance. An exec's next generation is a sibling that follows the
generation before it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from covsup.datafile.journal.header import StartKind
from covsup.datafile.provenance.command_lines import is_covsup_command
from covsup.datafile.provenance.model import End
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from covsup.datafile.provenance.model import (
        Ending,
        ObservedRecord,
        ProcessRecord,
        Provenance,
        Unmeasured,
    )

_SLACK_NS: Final = 2_000_000_000
"""The largest error of a creation time, which is computed from the boot time in whole seconds."""

_SAME_PROCESS_NS: Final = 20_000_000_000
"""Two records of one process have times from its life that differ by at most this."""


@dataclass(slots=True)
class Node:
    """One process image, or one process without a journal."""

    how: str  # how it started: "fork", "spawn", "exec 3", "start"; "" = unknown
    pid: int
    argv: tuple[str, ...]
    at_ns: int  # when it started
    ending: Ending | None  # None = unknown
    ended_ns: int = 0  # 0 = unknown
    image: ProcessRecord | None = None  # None: not measured
    reason: str = ""  # why it is not measured, if it is a Python that should be
    below: list[Node] = field(default_factory=list)

    @property
    def is_program(self) -> bool:
        """Whether it needs no measurement: `sh`, `ls`."""
        return self.image is None and not self.reason


def with_parents(roots: Sequence[Node]) -> Iterator[tuple[Node, Node | None]]:
    """Each process, in display order, with the process above it."""
    waiting: list[tuple[Node, Node | None]] = [(node, None) for node in reversed(roots)]
    while waiting:
        node, above = waiting.pop()
        yield node, above
        waiting += [(each, node) for each in reversed(node.below)]


def process_trees(provenance: Provenance) -> list[Node]:
    """The processes that no process of the session started, each with all processes below it."""
    return _TreeBuilder(provenance).build()


class _TreeBuilder:
    """Finds the parent of each process."""

    def __init__(self, provenance: Provenance) -> None:
        self._images = {each.image_id: each for each in provenance.processes}
        self._nodes: dict[str, Node] = {}
        self._by_pid: dict[int, list[Node]] = defaultdict(list)
        self._ppid: dict[int, int] = {}  # by id() of a node
        self._named: dict[int, str | None] = {}  # likewise: the image id of its parent, if recorded
        self._others: list[Node] = []
        for each in provenance.processes:
            self._add_image(each)
        unmeasured = list(provenance.unmeasured)
        self._clock_offset_ns = self._clock_offset(provenance)
        for seen in provenance.observed:
            # covsup's own processes (a snapshot that the program asks for) are not shown.
            if not seen.images and not is_covsup_command(seen.argv):
                self._add_seen(seen, unmeasured)
            self._add_outer_parent(seen)
        for each_unmeasured in unmeasured:
            self._add_unmeasured(each_unmeasured)

    def build(self) -> list[Node]:
        """Put each node below its parent; gives the roots."""
        roots: list[Node] = []
        parents: dict[int, Node] = {}  # by id() of a node
        for node in sorted((*self._nodes.values(), *self._others), key=_order):
            parent = self._parent(node)
            above = parent
            while above is not None and above is not node:
                above = parents.get(id(above))
            if parent is None or above is node:
                # A pid that was used twice may make a process its own ancestor.
                roots.append(node)
            else:
                parents[id(node)] = parent
                parent.below.append(node)
        return roots

    def _clock_offset(self, provenance: Provenance) -> int:
        """How far the kernel's creation times differ from the wall clock, in ns; only for sorting.

        Measured by the processes with both times. It includes the time until an interpreter is
        measured.
        """
        return min(
            (
                self._images[seen.images[0]].started_ns - int(seen.create_time * 1e9)
                for seen in provenance.observed
                if seen.images and seen.images[0] in self._images
            ),
            default=0,
        )

    def _add_image(self, image: ProcessRecord) -> None:
        node = Node(
            how=image.how_started,
            pid=image.pid,
            argv=image.argv,
            at_ns=image.started_ns,
            ending=image.ending,
            ended_ns=image.ended_ns,
            image=image,
        )
        self._nodes[image.image_id] = node
        self._add(node, image.ppid, image.parent)

    def _add_seen(self, seen: ObservedRecord, unmeasured: list[Unmeasured]) -> None:
        at_ns = int(seen.create_time * 1e9)
        node = Node(
            how="",
            pid=seen.pid,
            argv=seen.argv,
            at_ns=at_ns + self._clock_offset_ns,
            ending=seen.ending,
            ended_ns=seen.ended_ns,
        )
        named = None
        for each in unmeasured:
            if each.pid == seen.pid and abs(each.at_ns - at_ns) < _SAME_PROCESS_NS:
                node.reason, named = each.reason, each.parent
                node.argv = each.argv or node.argv
                unmeasured.remove(each)
                break
        self._others.append(node)
        self._add(node, seen.ppid, named)

    def _add_outer_parent(self, seen: ObservedRecord) -> None:
        """Add the parent of the first process in a pid namespace, which only outsiders can see."""
        for image_id in seen.images[:1]:
            node = self._nodes.get(image_id)
            if node is not None and self._ppid[id(node)] == 0:
                self._ppid[id(node)] = seen.ppid

    def _add_unmeasured(self, unmeasured: Unmeasured) -> None:
        # If it is the exec of a measured image, it comes after that image, whenever it was seen.
        at_ns = max(
            unmeasured.at_ns,
            *(
                each.started_ns + 1
                for each in self._images.values()
                if each.pid == unmeasured.pid
                and each.ending.end is End.EXECED
                and abs(each.started_ns - unmeasured.at_ns) < _SAME_PROCESS_NS
            ),
            0,
        )
        node = Node(
            how="",
            pid=unmeasured.pid,
            argv=unmeasured.argv,
            at_ns=at_ns,
            ending=None,
            reason=unmeasured.reason,
        )
        self._others.append(node)
        self._add(node, unmeasured.ppid, unmeasured.parent)

    def _add(self, node: Node, ppid: int, named: str | None) -> None:
        self._by_pid[node.pid].append(node)
        self._ppid[id(node)] = ppid
        self._named[id(node)] = named

    def _parent(self, node: Node) -> Node | None:
        image = node.image
        if image is not None and image.started is StartKind.EXECED:
            before = self._nodes.get(image.parent or "")
            seen = set()
            # The parent is the one of the first generation.
            while before is not None and id(before) not in seen:
                seen.add(id(before))
                if before.image is None or before.image.started is not StartKind.EXECED:
                    return self._parent(before)
                before = self._nodes.get(before.image.parent or "")
            return None
        named = self._nodes.get(self._named[id(node)] or "")
        if image is None and named is not None and named.pid == node.pid:
            # It is an exec of the image that is recorded as its parent.
            return self._parent(named)
        by_pid = self._alive_before(self._ppid[id(node)], node)
        if by_pid is not None and (named is None or by_pid.image is None):
            return by_pid
        return named if named is not node else None

    def _alive_before(self, pid: int, node: Node) -> Node | None:
        """The last process with this pid that began before `node`."""
        older = [
            each
            for each in self._by_pid.get(pid, ())
            if each is not node and each.at_ns <= node.at_ns + _SLACK_NS
        ]
        return max(older, key=lambda each: each.at_ns, default=None)


def _order(node: Node) -> tuple[int, int]:
    return (node.at_ns, node.image.generation if node.image is not None else 0)
