"""Print a difference as JSON: everything, for other programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import lines_in
from covsup.views.answers.diff.words import notes, shown_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from covsup.datafile.fold.sets import LineSet
    from covsup.views.answers.diff.compare import Counts, Diff, FileDiff


def diff_as_json(diff: Diff) -> str:
    """The answer as one JSON object."""
    answer = {
        "old": {"name": diff.old_name, **_counts(diff.old)},
        "new": {"name": diff.new_name, **_counts(diff.new)},
        "has_branches": diff.has_branches,
        "has_lost": diff.has_lost,
        "notes": list(notes(diff)),
        "files": [_file(each) for each in diff.files],
        "compared_by_number": list(map(shown_path, diff.by_number)),
        "gone": list(map(shown_path, diff.gone)),
    }
    return json.dumps(answer)


def _file(file: FileDiff) -> dict[str, object]:
    return {
        "path": shown_path(file.path),
        "old": None if file.old is None else _counts(file.old),
        "new": None if file.new is None else _counts(file.new),
        "newly_covered": {
            "lines": lines_in(file.new_lines),
            "branches": list(map(list, file.new_branches)),
            "contexts": _by_label(file.new_contexts),
        },
        "no_longer_covered": {
            "lines": lines_in(file.lost_lines),
            "branches": list(map(list, file.lost_branches)),
            "contexts": _by_label(file.lost_contexts),
        },
        "changed_and_not_covered": lines_in(file.changed_missing),
    }


def _counts(counts: Counts) -> dict[str, object]:
    return {**counts._asdict(), "percent": counts.percent}


def _by_label(contexts: Mapping[str, LineSet]) -> dict[str, list[int]]:
    return {label: lines_in(bits) for label, bits in sorted(contexts.items())}
