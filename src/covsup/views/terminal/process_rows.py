"""The rows of the process list, from the tree of a provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile.provenance.model import End, signal_name
from covsup.views.terminal.cells import printable
from covsup.views.terminal.pictures import ProcessRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from covsup.datafile.provenance.model import Ending
    from covsup.views.terminal.pictures import ProcessNode


def process_rows(
    roots: Sequence[ProcessNode], first_counts: Mapping[str, int], cwd: str = ""
) -> Iterator[ProcessRow]:
    """Each process, after the one that started it. `cwd` is that of the session."""
    waiting = [(node, "", "") for node in reversed(roots)]
    while waiting:
        node, first, rest = waiting.pop()
        yield _row(node, first, first_counts, cwd)
        below = [(each, f"{rest}├─", f"{rest}│ ") for each in node.below]
        if below:
            below[-1] = (node.below[-1], f"{rest}└─", f"{rest}  ")
        waiting += reversed(below)


def _row(node: ProcessNode, guide: str, first_counts: Mapping[str, int], cwd: str) -> ProcessRow:
    image, ending = node.image, node.ending
    end = End.UNKNOWN if ending is None else ending.end
    image_id = "" if image is None else image.image_id
    return ProcessRow(
        key=image_id or f"{node.pid} {node.at_ns}",
        guide=guide,
        how=node.how,
        pid=node.pid,
        argv=node.argv,
        started_ns=node.at_ns,
        ended_ns=node.ended_ns,
        end="" if ending is None else _end(ending),
        is_running=end is End.RUNNING,
        was_killed=end is End.KILLED,
        is_program=image is None and not node.reason,
        reason=printable(node.reason),
        image_id=image_id,
        first=first_counts.get(image_id, 0),
        lines=0 if image is None else image.lines,
        python="" if image is None else image.python,
        details=_details(node, cwd),
    )


def _end(ending: Ending) -> str:
    match ending.end:
        case End.EXITED:
            return f"exit {ending.status}"
        case End.KILLED:
            return signal_name(ending.signal or 0)
        case End.EXECED:
            return "exec"
        case End.RUNNING:
            return "running"
        case End.DETACHED:
            return "detached"
        case End.UNKNOWN:
            return ""


def _details(node: ProcessNode, cwd: str) -> str:
    """What the row has no room for."""
    image = node.image
    if image is None:
        return ""
    parts = [f"Python {image.python}", f"in {image.cwd}" if image.cwd not in {"", cwd} else ""]
    if image.threads > 1:
        parts.append(f"{image.threads} threads")
    parts.append(", ".join(f"{name} {version}" for name, version in image.libraries))
    if image.lost or image.forks_lost:
        parts.append(f"LOST {image.lost.facts + image.forks_lost.facts} facts")
    return printable(", ".join(each for each in parts if each))
