"""`covsup tree --format=mermaid`: a flowchart that GitHub and GitLab draw in Markdown.

They refuse texts of more than 50,000 characters and charts of more than 500 arrows. So processes that
look alike share a box, and a chart that is still too large ends with the number of those left out.
"""

from __future__ import annotations

import re
from collections import deque

from covsup.datafile.journal.header import StartKind
from covsup.datafile.provenance.model import End
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.messages import printable
from covsup.supervisor.short_commands import short_command, without_directory
from covsup.supervisor.tree.process_tree import process_trees
from covsup.supervisor.tree.similar import Similarity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from covsup.datafile.provenance.model import Provenance
    from covsup.datafile.session.settings import Settings
    from covsup.supervisor.tree.process_tree import Node

_MOST_TEXT: Final = 45_000  # characters; the rest is for the last lines
_MOST_BOXES: Final = 400
_MOST_ALIKE: Final = 3
"""More processes that look alike share a box."""

_COMMAND: Final = 40  # characters

_SPECIAL: Final = re.compile(r"[^\w ./,=+()…-]")
"""Whatever may mean something to Mermaid, to Markdown, to HTML or to KaTeX."""

_STYLES: Final = {
    "killed": "fill:#fff3cd,stroke:#b58900,color:#3b2f00",
    "unmeasured": "fill:#f8d7da,stroke:#b02a37,color:#58151c,stroke-width:2px",
    "program": "fill:#eeeeee,stroke:#999999,color:#333333,stroke-dasharray:4 3",
}


class _Box(NamedTuple):
    """One process, or several that look alike."""

    node: Node
    alike: int
    above: str  # the name of the box of its parent; "" = it has none


class Chart:
    """One flowchart of any number of sessions."""

    def __init__(self, *, everything: bool) -> None:
        """`everything`: a box for each process."""
        self._everything = everything
        self._lines = ["flowchart LR"]
        self._size = 0
        self._boxes = 0
        self._left_out = 0
        self._last_of_pid: dict[int, str] = {}  # the box of its last program
        self._styled: dict[str, list[str]] = {style: [] for style in _STYLES}

    def add(self, settings: Settings, provenance: Provenance) -> None:
        """Add a session."""
        roots = process_trees(provenance)
        similarity = Similarity(roots)
        title = _label(f"session {settings.session}", [settings.command])
        self._line(f'  subgraph session{len(self._lines)}["{title}"]')
        waiting = deque(self._placed(roots, "", similarity))
        while waiting:
            box = waiting.popleft()
            if self._size > _MOST_TEXT or self._boxes >= _MOST_BOXES:
                self._left_out += box.alike * _size(box.node)
                continue
            name = self._draw(box)
            waiting += self._placed(box.node.below, name, similarity)
        self._line("  end")

    def text(self) -> str:
        """The whole chart."""
        lines = list(self._lines)
        if self._left_out:
            lines.append(f'  more["and {self._left_out} more processes"]')
        for style, names in self._styled.items():
            if names:
                lines.append(f"  classDef {style} {_STYLES[style]}")
                lines.append(f"  class {','.join(names)} {style}")
        return "\n".join(lines) + "\n"

    def _placed(
        self, siblings: Sequence[Node], above: str, similarity: Similarity
    ) -> Iterator[_Box]:
        shared: dict[int, int] = {}  # by id() of a node: how many it stands for; 0 = it has no box
        for group in () if self._everything else similarity.groups(siblings):
            if len(group) > _MOST_ALIKE:
                shared |= {id(node): 0 for node in group} | {id(group[0]): len(group)}
        for node in siblings:
            if alike := shared.get(id(node), 1):
                yield _Box(node, alike, above)

    def _draw(self, box: _Box) -> str:
        self._boxes += 1
        name = f"p{self._boxes}"
        self._line(f'    {name}["{_box_label(box)}"]')
        node, arrow, above = box.node, "-->", box.above
        if node.image is not None and node.image.started is StartKind.EXECED:
            arrow, above = "==>", self._last_of_pid.get(node.pid, above)
        self._last_of_pid[node.pid] = name
        if above:
            how = f'|"{_escaped(node.how)}"|' if node.how else ""
            self._line(f"    {above} {arrow}{how} {name}")
        if style := _style(box.node):
            self._styled[style].append(name)
        return name

    def _line(self, text: str) -> None:
        self._lines.append(text)
        self._size += len(text) + 1


def _box_label(box: _Box) -> str:
    node = box.node
    who = f"{box.alike} x " if box.alike > 1 else f"{node.pid} "
    facts = []
    if node.ending is not None:
        is_exec = node.ending.end is End.EXECED  # an arrow leads to the program
        facts.append("exec" if is_exec else node.ending.words)
    if node.image is not None and box.alike == 1:
        facts.append(f"{node.image.lines} line{'' if node.image.lines == 1 else 's'}")
    if node.reason:
        facts = ["NOT MEASURED"]
    return _label(who, [node.argv], ", ".join(facts))


def _label(head: str, commands: Sequence[Sequence[str]], tail: str = "") -> str:
    words = [short_command(without_directory(each), _COMMAND) or "?" for each in commands]
    parts = [head + words[0]] if head.endswith(" ") else [head, *words]
    return "<br/>".join(map(_escaped, [*parts, tail] if tail else parts))


def _escaped(text: str) -> str:
    """A text as Mermaid's numeric entities, where it is not plain."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", printable(text))


def _style(node: Node) -> str:
    if node.reason:
        return "unmeasured"
    if node.image is None:
        return "program"
    if node.ending is not None and node.ending.end is End.KILLED:
        return "killed"
    return ""


def _size(root: Node) -> int:
    """The number of processes from here down."""
    count, waiting = 0, [root]
    while waiting:
        node = waiting.pop()
        count += 1
        waiting += node.below
    return count
