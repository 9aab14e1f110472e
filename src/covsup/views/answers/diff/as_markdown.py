"""Print a difference as markdown for a comment on a pull request."""

from __future__ import annotations

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
from covsup.views.answers.markdown import as_code, as_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Final

    from covsup.datafile.fold.sets import LineSet
    from covsup.views.answers.diff.compare import Diff, FileDiff

_LARGEST: Final = 60_000  # characters; a comment on GitHub has at most 65,536
_LONGEST_CELL: Final = 300
_SHOWN_CONTEXTS: Final = 3


def diff_as_markdown(diff: Diff) -> str:
    """The whole comment. It is cut after a file if it would become too long."""
    title = f"{percent(diff.old)} → {percent(diff.new)} ({change(diff.old, diff.new)})"
    parts = [f"### Coverage: {title if diff.counted else 'difference'}\n"]
    parts.append(f"\n{as_plain(diff.old_name)} → {as_plain(diff.new_name)}\n")
    parts += [f"\n> {as_plain(note)}\n" for note in notes(diff)]
    if not diff.files:
        return "".join([*parts, "\nNothing differs.\n"])
    parts += _summary(diff)
    left = _LARGEST - sum(map(len, parts))
    for title, rows in (
        ("No longer covered", [row for each in diff.files for row in _lost_row(each)]),
        ("Changed and not covered", [row for each in diff.files for row in _changed_row(each)]),
        ("Newly covered", [row for each in diff.files for row in _new_row(each)]),
    ):
        section = _section(title, rows, left)
        left -= len(section)
        parts.append(section)
    return "".join(parts)


def _summary(diff: Diff) -> Iterator[str]:
    files = diff.files
    yield "\n| | lines | branches | files |\n| --- | ---: | ---: | ---: |\n"
    yield _summary_row(
        "newly covered",
        [each.new_lines for each in files],
        [each.new_branches for each in files],
    )
    yield _summary_row(
        "no longer covered",
        [each.lost_lines for each in files],
        [each.lost_branches for each in files],
    )
    if any(each.changed_missing for each in files):
        yield _summary_row(
            "changed and not covered", [each.changed_missing for each in files], [()] * len(files)
        )


def _summary_row(name: str, lines: Sequence[LineSet], arcs: Sequence[Sequence[object]]) -> str:
    files = sum(bool(bits or pairs) for bits, pairs in zip(lines, arcs, strict=True))
    number = sum(bits.bit_count() for bits in lines)
    return f"| {name} | {number} | {sum(map(len, arcs))} | {files} |\n"


def _new_row(file: FileDiff) -> Iterator[str]:
    if file.new_lines or file.new_branches:
        yield _row(
            file,
            ranges(file.new_lines, file.statements),
            branches(file.new_branches),
            file.new_contexts,
        )


def _lost_row(file: FileDiff) -> Iterator[str]:
    if file.has_lost:
        yield _row(
            file,
            ranges(file.lost_lines, file.statements),
            branches(file.lost_branches),
            file.lost_contexts,
        )


def _changed_row(file: FileDiff) -> Iterator[str]:
    if file.changed_missing:
        yield _row(file, ranges(file.changed_missing, file.statements), [], {})


def _row(
    file: FileDiff, lines: Sequence[str], arcs: Sequence[str], contexts: Mapping[str, LineSet]
) -> str:
    order = sorted(filter(None, contexts), key=lambda label: (-contexts[label].bit_count(), label))
    labels = [_code(label) for label in order[:_SHOWN_CONTEXTS]]
    if len(order) > _SHOWN_CONTEXTS:
        labels.append(f"{len(order) - _SHOWN_CONTEXTS} more")
    share = "" if file.old is None else f"{percent(file.old)} → {percent(file.new)}"
    cells = (_code(shown_path(file.path)), share, _listed(lines), _listed(arcs), ", ".join(labels))
    return f"| {' | '.join(cells)} |\n"


def _section(title: str, rows: Sequence[str], room: int) -> str:
    """A part that opens with a click; it names how many rows there was no room for."""
    if not rows:
        return ""
    head = (
        f"\n<details><summary>{title}: {counted(len(rows), 'file')}</summary>\n\n"
        "| file | coverage | lines | branches | contexts |\n| --- | --- | --- | --- | --- |\n"
    )
    end = "\n</details>\n"
    used = len(head) + len(end) + len("\nand 1000000 more files\n")
    shown = 0
    while shown < len(rows) and used + len(rows[shown]) <= room:
        used += len(rows[shown])
        shown += 1
    rest = len(rows) - shown
    more = f"\nand {counted(rest, 'more file')}\n" if rest else ""
    return "".join([head, *rows[:shown], more, end]) if shown else more


def _listed(items: Sequence[str]) -> str:
    """Numbers, cut where the cell would become too long."""
    text = ""
    for at, item in enumerate(items):
        following = f"{text}, {item}" if text else item
        if len(following) > _LONGEST_CELL:
            return f"{text} and {len(items) - at} more".replace(">", "&gt;")
        text = following
    return text.replace(">", "&gt;")


def _code(text: str) -> str:
    """A name in the font of code. Inside a table, a bar would end the cell."""
    shown = text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"
    return as_code(shown)
