"""The processes of a provenance as rows of the page: each with its parent and how it ended."""

from __future__ import annotations

from collections import defaultdict

from covsup.datafile.journal.header import StartKind
from covsup.datafile.provenance.model import End, signal_name
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.messages import printable
from covsup.supervisor.short_commands import short_command, without_directory
from covsup.supervisor.tree.process_tree import process_trees, with_parents
from covsup.views.web.data.rows import Process, ProcessEnd

if TYPE_CHECKING:
    from typing import Final

    from covsup.datafile.provenance.model import Ending, Provenance
    from covsup.supervisor.tree.process_tree import Node

_COMMAND_WIDTH: Final = 80


def process_rows(provenance: Provenance) -> list[Process]:
    """The row of each process, in the order of `covsup tree`."""
    ids: dict[int, str] = {}  # by id() of a node
    same_pid: dict[int, int] = defaultdict(int)
    rows = []
    for node, above in with_parents(process_trees(provenance)):
        if node.image is not None:
            ids[id(node)] = node.image.image_id
        else:
            ids[id(node)] = f"pid-{node.pid}-{same_pid[node.pid]}"
            same_pid[node.pid] += 1
        parent = None if above is None else ids[id(above)]
        rows.append(_row(node, ids[id(node)], parent))
    return rows


def _row(node: Node, row_id: str, parent: str | None) -> Process:
    image = node.image
    if image is not None and image.started is StartKind.EXECED and image.generation:
        parent = image.parent or parent
    return Process(
        id=row_id,
        parent=parent,
        how=node.how,
        pid=node.pid,
        command=short_command(without_directory(node.argv), _COMMAND_WIDTH),
        argv=[printable(word) for word in node.argv],
        cwd=printable(image.cwd) if image is not None else None,
        started=node.at_ns // 1_000_000,
        ended=node.ended_ns // 1_000_000 if node.ended_ns else None,
        end=_end(node.ending),
        measured=image is not None,
        reason=node.reason or None,
        lines=image.lines if image is not None else 0,
        first=0,
        threads=image.threads if image is not None else 0,
        python=image.python if image is not None else None,
        generation=image.generation if image is not None else 0,
    )


def _end(ending: Ending | None) -> ProcessEnd:
    if ending is None:
        return ProcessEnd(how=End.UNKNOWN.value, status=None, signal=None, words="unknown")
    return ProcessEnd(
        how=ending.end.value,
        status=ending.status,
        signal=signal_name(ending.signal) if ending.signal else None,
        words=printable(ending.words),
    )
