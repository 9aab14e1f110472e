"""The code that never ran, of all files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.views.sources.source_library import Priority
from covsup.views.sources.unused import unused_in
from covsup.views.web.data.rows import Unused, UnusedItem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from covsup.views.model.view import View
    from covsup.views.sources.source_library import SourceLibrary
    from covsup.views.web.data.files import FileRows


def unused_code(files: FileRows, view: View, library: SourceLibrary) -> Unused:
    """Modules, classes and functions that never ran, and the parts of others that did not."""
    items = [
        item
        for number, path in enumerate(files.paths())
        for item in _of_file(number, path, view, library)
    ]
    items.sort(
        key=lambda each: (-each["statements"], -each["branches"], each["file"], each["start"])
    )
    return Unused(complete=files.all_analysed, items=items)


def _of_file(number: int, path: str, view: View, library: SourceLibrary) -> Iterator[UnusedItem]:
    analysis = library.analysis(path, Priority.REST)
    if analysis is None:
        return
    lines = view.lines(path)
    executed = analysis.first_lines(lines) & analysis.statements
    regions = {(region.name, region.start): region.lines for region in analysis.regions}
    for unused in unused_in(analysis, lines, view.arcs(path)):
        of_region = regions.get((unused.name, unused.line), 0)
        yield UnusedItem(
            file=number,
            kind=unused.kind,
            name=unused.name,
            start=unused.line,
            statements=unused.statements,
            branches=unused.branch_count,
            executed=(of_region & executed & ~unused.missing).bit_count(),
            why=unused.state.value,
        )
