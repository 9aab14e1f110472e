"""An analysis as text: between processes and in the cache on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from covsup.views.sources.analysis import SourceAnalysis
from covsup.views.sources.regions import Region

if TYPE_CHECKING:
    from typing import Final

FORMAT: Final = 1
"""Raise it when the text or what an analysis means changes: old entries of the cache are not used."""

_KINDS: Final = {"f": "function", "c": "class"}
_LETTERS: Final = {kind: letter for letter, kind in _KINDS.items()}
_PAIR: Final = 8  # bytes


def to_text(analysis: SourceAnalysis) -> str:
    """The text of an analysis."""
    value = [
        f"{analysis.statements:x}",
        f"{analysis.excluded:x}",
        analysis.inner_lines.hex(),
        analysis.arcs.hex(),
        analysis.branches.hex(),
        analysis.branch_exits.hex(),
        analysis.jump_fixes.hex(),
        [
            [_LETTERS.get(each.kind, each.kind), each.name, each.start, each.end,
             f"{each.lines:x}", int(each.is_declaration)]
            for each in analysis.regions
        ],
    ]  # fmt: skip
    return json.dumps(value, separators=(",", ":"))


def from_text(text: str | bytes) -> SourceAnalysis:
    """The analysis of a text. Raises ValueError where it is not one."""
    try:
        statements, excluded, *packed, regions = json.loads(text)
        inner_lines, arcs, branches, branch_exits, jump_fixes = map(_packed, packed)
        return SourceAnalysis(
            int(statements, 16),
            int(excluded, 16),
            inner_lines,
            arcs,
            branches,
            branch_exits,
            jump_fixes,
            tuple(
                Region(
                    _KINDS.get(kind, kind),
                    str(name),
                    int(start),
                    int(end),
                    int(lines, 16),
                    bool(flag),
                )
                for kind, name, start, end, lines, flag in regions
            ),
        )
    except (TypeError, RecursionError) as error:
        raise ValueError(f"not an analysis: {error}") from error


def _packed(text: str) -> bytes:
    found = bytes.fromhex(text)
    if len(found) % _PAIR:
        raise ValueError("half a pair of numbers")
    return found
