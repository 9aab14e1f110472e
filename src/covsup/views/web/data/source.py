"""One source file, to be shown: its text, what ran, who ran it first, in which contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile.errors import CovsupError
from covsup.datafile.fold.sets import lines_in
from covsup.views.sources.highlight import highlighted_text
from covsup.views.web.data.rows import Source, SourceRegion
from covsup.views.web.data.shown_text import TextNotShown, shown_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from covsup.views.model.view import View
    from covsup.views.sources.source_library import SourceLibrary
from covsup.views.web.data.rows import File

_MOST_CONTEXTS: Final = 100
"""So many contexts are listed for a line. Their number is exact."""


def source_of(
    row: File,
    path: str,
    *,
    view: View,
    library: SourceLibrary,
    context_number: Callable[[str], int],
) -> Source:
    """The source of a file. Its `error` says why something is missing."""
    source = Source(
        id=row["id"],
        path=row["path"],
        lines=[],
        statements=[],
        executed=[],
        excluded=[],
        missing_branches={},
        first={
            str(line): image_id
            for (_, image_id), bits in view.result.first.get(path, {}).items()
            for line in lines_in(bits)
        },
        contexts={},
        context_counts={},
        regions=[],
        digest_differs=library.is_edited(path, view.result.versions.get(path, ())),
        error=None,
    )
    _add_contexts(source, path, view, context_number)
    try:
        plugin = min(view.result.plugins.get(path, ()), default="")
        text = shown_text(path, plugin)
        source["lines"] = highlighted_text(path, text, plugin).lines
        analysis = library.analysis_now(path)
    except (CovsupError, TextNotShown) as error:
        source["error"] = str(error)
        source["executed"] = lines_in(view.lines(path))
        return source
    coverage = analysis.coverage(view.lines(path), view.arcs(path))
    source["statements"] = lines_in(coverage.statements)
    source["executed"] = lines_in(coverage.executed)
    source["excluded"] = lines_in(analysis.excluded)
    source["missing_branches"] = {
        str(line): list(ends) for line, ends in coverage.missing_branches.items()
    }
    source["regions"] = [
        SourceRegion(
            kind=region.kind,
            name=region.name,
            start=region.start,
            end=region.end or None,
            statements=region.lines.bit_count(),
            executed=(region.lines & coverage.executed).bit_count(),
        )
        for region in analysis.regions
    ]
    return source


def _add_contexts(
    source: Source, path: str, view: View, context_number: Callable[[str], int]
) -> None:
    contexts, counts = source["contexts"], source["context_counts"]
    for label, bits in view.contexts_of(path).items():
        if not bits:
            continue  # a context without any line has no row
        number = context_number(label)
        for line in map(str, lines_in(bits)):
            counts[line] = count = counts.get(line, 0) + 1
            if count <= _MOST_CONTEXTS:
                contexts.setdefault(line, []).append(number)
