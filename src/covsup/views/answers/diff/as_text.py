"""Print a difference on a terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from covsup.views.answers.diff.words import (
    branches,
    change,
    counted,
    notes,
    percent,
    ranges,
    shown_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from covsup.datafile.fold.sets import LineSet
    from covsup.views.answers.diff.compare import Diff, FileDiff

_SHOWN_CONTEXTS = 5


def diff_as_text(diff: Diff, width: int) -> Iterator[str]:
    """The lines of the answer, at most `width` columns wide where words allow it."""
    yield f"old: {diff.old_name}"
    yield f"new: {diff.new_name}"
    yield ""
    if diff.counted:
        yield (
            f"{percent(diff.old)} -> {percent(diff.new)} ({change(diff.old, diff.new)})"
            f" of {counted(diff.counted, 'file')}"
        )
    yield from _summary(diff)
    for note in notes(diff):
        yield from textwrap.wrap(f"note: {note}", width, subsequent_indent="      ")
    for file in diff.files:
        yield ""
        yield _heading(file)
        yield from _of_file(file, width)


def _summary(diff: Diff) -> Iterator[str]:
    rows = (
        ("newly covered", [each.new_lines for each in diff.files],
         sum(len(each.new_branches) for each in diff.files)),
        ("no longer covered", [each.lost_lines for each in diff.files],
         sum(len(each.lost_branches) for each in diff.files)),
        ("changed and not covered", [each.changed_missing for each in diff.files], 0),
    )  # fmt: skip
    if not diff.files:
        yield "nothing differs"
        return
    for name, lines, number in rows:
        total = sum(bits.bit_count() for bits in lines)
        if not total and not number:
            continue
        both = f", {counted(number, 'branch', 'branches')}" if number else ""
        yield f"{name}: {counted(total, 'line')}{both}"


def _heading(file: FileDiff) -> str:
    path = shown_path(file.path)
    if file.old is None or file.new is None:
        return path
    if file.old == file.new:
        return f"{path}  {percent(file.new)}"
    return f"{path}  {percent(file.old)} -> {percent(file.new)}"


def _of_file(file: FileDiff, width: int) -> Iterator[str]:
    yield from _listed("  + ", ranges(file.new_lines, file.statements), width)
    yield from _listed("  + branches ", branches(file.new_branches), width)
    yield from _in_contexts(file.new_contexts, file.statements, width)
    yield from _listed("  - ", ranges(file.lost_lines, file.statements), width)
    yield from _listed("  - branches ", branches(file.lost_branches), width)
    yield from _in_contexts(file.lost_contexts, file.statements, width)
    yield from _listed("  ! not covered ", ranges(file.changed_missing, file.statements), width)


def _listed(prefix: str, items: Sequence[str], width: int) -> Iterator[str]:
    if items:
        yield from textwrap.wrap(
            prefix + ", ".join(items), width, subsequent_indent=" " * len(prefix),
            break_on_hyphens=False,
        )  # fmt: skip


def _in_contexts(contexts: Mapping[str, LineSet], statements: LineSet, width: int) -> Iterator[str]:
    """Which contexts run the lines, those with the most lines first."""
    if not any(contexts):
        return  # the only one has no name
    order = sorted(contexts, key=lambda label: (-contexts[label].bit_count(), label))
    for label in order[:_SHOWN_CONTEXTS]:
        lines = ", ".join(ranges(contexts[label], statements))
        yield from textwrap.wrap(
            f"      {label or '(no context)'}: {lines}", width, subsequent_indent=" " * 8,
            break_on_hyphens=False,
        )  # fmt: skip
    if len(order) > _SHOWN_CONTEXTS:
        yield f"      and {counted(len(order) - _SHOWN_CONTEXTS, 'more context')}"
