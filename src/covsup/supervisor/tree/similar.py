"""Processes that look alike: started, ended and followed in the same way, with equal commands.

A pool of hundreds of workers has hundreds of them. One then stands for all.
"""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.tree.process_tree import with_parents

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from covsup.supervisor.tree.process_tree import Node


class Similarity:
    """Which processes of a tree look alike, with all processes below them."""

    def __init__(self, roots: Sequence[Node]) -> None:
        """Compare the processes of these trees."""
        numbers: dict[Hashable, int] = {}
        self._kinds: dict[int, int] = {}  # by id() of a node
        # Without recursion: a tree may be thousands of levels deep.
        for node, _ in reversed(list(with_parents(roots))):
            below = tuple(self._kinds[id(each)] for each in node.below)
            key = (node.how, node.argv, _end(node), node.reason, _is_lossy(node), below)
            self._kinds[id(node)] = numbers.setdefault(key, len(numbers))

    def groups(self, siblings: Iterable[Node]) -> list[list[Node]]:
        """Siblings that look alike, together; in the order of the first of each."""
        found: dict[int, list[Node]] = {}
        for node in siblings:
            found.setdefault(self._kinds[id(node)], []).append(node)
        return list(found.values())


def _end(node: Node) -> Hashable:
    if node.ending is None:
        return (node.image is None, None)
    return (node.image is None, node.ending.end, node.ending.status, node.ending.signal)


def _is_lossy(node: Node) -> bool:
    return node.image is not None and bool(node.image.lost or node.image.forks_lost)
