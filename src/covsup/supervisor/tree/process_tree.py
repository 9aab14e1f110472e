"""The tree of a session's processes: who is below whom, from what is known of each.

Pure: a view of a provenance, without a terminal. An image is below the process that started it;
an exec's next generation comes after the one before it, on the same level.
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
"""A creation time is as coarse as the kernel's boot time: so far off the wall clock at most."""

_SAME_PROCESS_NS: Final = 20_000_000_000
"""An unmeasured process and what was seen of it name one time or another of its life."""


@dataclass(slots=True)
class Node:
    """One process image, or one process without a journal."""

    how: str  # "fork", "spawn", "exec 3", "start"; "" = not known
    pid: int
    argv: tuple[str, ...]
    at_ns: int
    ending: Ending | None
    ended_ns: int = 0  # 0 = unknown
    image: ProcessRecord | None = None  # None: not measured
    reason: str = ""  # of a Python that ought to be measured
    below: list[Node] = field(default_factory=list)

    @property
    def is_program(self) -> bool:
        """Whether it is no Python that matters: `sh`, `ls`."""
        return self.image is None and not self.reason


def with_parents(roots: Sequence[Node]) -> Iterator[tuple[Node, Node | None]]:
    """Every process with the one that it is below, in the order in which they are shown."""
    waiting: list[tuple[Node, Node | None]] = [(node, None) for node in reversed(roots)]
    while waiting:
        node, above = waiting.pop()
        yield node, above
        waiting += [(each, node) for each in reversed(node.below)]


def process_trees(provenance: Provenance) -> list[Node]:
    """The processes that nobody of the session started, with everything below them."""
    return _TreeBuilder(provenance).build()


class _TreeBuilder:
    def __init__(self, provenance: Provenance) -> None:
        self._images = {each.image_id: each for each in provenance.processes}
        self._nodes: dict[str, Node] = {}
        self._by_pid: dict[int, list[Node]] = defaultdict(list)
        self._ppid: dict[int, int] = {}  # by id() of a node
        self._named: dict[int, str | None] = {}  # by id() of a node: the parent that was named
        self._others: list[Node] = []
        for each in provenance.processes:
            self._add_image(each)
        unmeasured = list(provenance.unmeasured)
        self._clock_offset_ns = self._clock_offset(provenance)
        for seen in provenance.observed:
            # A snapshot that the program asked for is made beside the session, not in it.
            if not seen.images and not is_covsup_command(seen.argv):
                self._add_seen(seen, unmeasured)
            self._add_outer_parent(seen)
        for each_unmeasured in unmeasured:
            self._add_unmeasured(each_unmeasured)

    def build(self) -> list[Node]:
        """Put everything in its place."""
        roots: list[Node] = []
        with_parents: dict[int, Node] = {}  # by id() of a node: what it is below
        for node in sorted((*self._nodes.values(), *self._others), key=_order):
            parent = self._parent(node)
            above = parent
            while above is not None and above is not node:
                above = with_parents.get(id(above))
            if parent is None or above is node:
                # A pid that came again may make a process seem to descend from itself.
                roots.append(node)
            else:
                with_parents[id(node)] = parent
                parent.below.append(node)
        return roots

    def _clock_offset(self, provenance: Provenance) -> int:
        """How far the kernel's creation times, from a boot time in whole seconds, are off.

        Told by the processes of which both clocks are known, less what an interpreter needs until
        it is measured; it only serves to sort.
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
        """The first process of a pid namespace knows no parent; from outside it has one."""
        for image_id in seen.images[:1]:
            node = self._nodes.get(image_id)
            if node is not None and self._ppid[id(node)] == 0:
                self._ppid[id(node)] = seen.ppid

    def _add_unmeasured(self, unmeasured: Unmeasured) -> None:
        # What a measured image became by an exec comes after that, whenever it was seen.
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
            # The first generation of this process was started by somebody.
            while before is not None and id(before) not in seen:
                seen.add(id(before))
                if before.image is None or before.image.started is not StartKind.EXECED:
                    return self._parent(before)
                before = self._nodes.get(before.image.parent or "")
            return None
        named = self._nodes.get(self._named[id(node)] or "")
        if image is None and named is not None and named.pid == node.pid:
            # It became what it is by an exec.
            return self._parent(named)
        by_pid = self._alive_before(self._ppid[id(node)], node)
        if by_pid is not None and (named is None or by_pid.image is None):
            return by_pid
        return named if named is not node else None

    def _alive_before(self, pid: int, node: Node) -> Node | None:
        """The last process of this pid that may have started `node`."""
        older = [
            each
            for each in self._by_pid.get(pid, ())
            if each is not node and each.at_ns <= node.at_ns + _SLACK_NS
        ]
        return max(older, key=lambda each: each.at_ns, default=None)


def _order(node: Node) -> tuple[int, int]:
    return (node.at_ns, node.image.generation if node.image is not None else 0)
