"""Makes the picture of one source file, and the story of one line. Used by the reading thread alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import arcs_in, line_set_of, lines_in
from covsup.views.model.marks import new_since
from covsup.views.terminal.cells import printable
from covsup.views.terminal.pictures import LineStory, SourcePicture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Final

    from covsup.datafile.fold.sets import LineSet
    from covsup.datafile.session.marks import Mark
    from covsup.views.model.view import Change, View
    from covsup.views.sources.analysis import SourceAnalysis
    from covsup.views.sources.source_library import SourceLibrary
    from covsup.views.terminal.file_rows import FileRows
    from covsup.views.terminal.pictures import Describing, Scope, Wanted

FRESH_NS: Final = 4_000_000_000
"""So long a line is shown as one that has just run."""

_MOST_CONTEXTS: Final = 200
"""So many contexts of a line are listed."""

_COMMAND_ROOM: Final = 30


class SourceMaker:
    """Knows which lines ran lately."""

    def __init__(
        self, view: View, library: SourceLibrary, files: FileRows, describing: Describing
    ) -> None:
        """Nothing ran lately."""
        self._view = view
        self._library = library
        self._files = files
        self._describing = describing
        self._fresh: dict[str, dict[int, int]] = {}
        self._is_first = True
        self._changed: set[str] = set()
        self._shown: SourcePicture | None = None
        self._waits = False

    def note_change(self, change: Change) -> None:
        """Remember which lines ran for the first time now. The first change is everything."""
        self._changed |= change.files
        if change.marks:
            self._changed.update(self._view.paths())
        if not self._is_first:
            for path, lines in change.lines.items():
                of_path = self._fresh.setdefault(path, {})
                of_path.update(dict.fromkeys(lines_in(lines), change.at_ns))
        self._is_first = False

    def pictures(self, before: Wanted, wanted: Wanted) -> Iterator[SourcePicture | LineStory]:
        """The source and the story of the line, where they differ from what was shown."""
        path = wanted.path
        changed, self._changed = self._changed, set()
        if not path:
            return
        asked = (before.path, before.since, before.scope) != (path, wanted.since, wanted.scope)
        fades = self._forget(path)
        has_changed = path in changed
        if asked or has_changed or fades or self._waits:
            picture = self._picture(wanted)
            if asked or picture != self._shown:
                self._shown = picture
                yield picture
        if wanted.line and (has_changed or (before.path, before.line) != (path, wanted.line)):
            yield self._story(path, wanted.line)

    def _forget(self, path: str) -> bool:
        """Drop lines that did not run lately. Whether there were any in this file."""
        oldest = time.time_ns() - FRESH_NS
        for each in list(self._fresh):
            if each != path and max(self._fresh[each].values()) < oldest:
                del self._fresh[each]
        of_path = self._fresh.get(path, {})
        kept = {line: at_ns for line, at_ns in of_path.items() if at_ns >= oldest}
        if kept:
            self._fresh[path] = kept
        else:
            self._fresh.pop(path, None)
        return len(kept) != len(of_path)

    def _picture(self, wanted: Wanted) -> SourcePicture:
        view, library, path = self._view, self._library, wanted.path
        analysis, highlighted = library.analysis(path), library.highlighted(path)
        problem = library.problem(path)
        self._waits = highlighted is None or (analysis is None and problem is None)
        lines = view.lines(path)
        executed, missing, excluded = lines, 0, 0
        branches: Mapping[int, tuple[int, ...]] = {}
        if analysis is not None:
            covered = analysis.coverage(lines, view.arcs(path))
            executed = _with_inner_lines(covered.executed, analysis)
            missing = _with_inner_lines(covered.missing, analysis)
            excluded, branches = analysis.excluded, covered.missing_branches
        return SourcePicture(
            path=path,
            name=self._files.name(path),
            pieces=highlighted.lines if highlighted is not None else (),
            executed=executed,
            missing=missing,
            excluded=excluded,
            missing_branches=branches,
            fresh=frozenset(self._fresh.get(path, {})),
            only=self._only(wanted, lines),
            row=self._files.row(path),
            problem=self._files.problem_of(path),
        )

    def _only(self, wanted: Wanted, lines: LineSet) -> LineSet | None:
        """The lines that a choice of the user leaves. None: there is no choice."""
        left = None
        if wanted.since is not None and wanted.since in self._view.result.marks:
            left = lines & new_lines(self._view, wanted.since, [wanted.path]).get(wanted.path, 0)
        if wanted.scope is not None:
            of_scope = scope_lines(self._view, wanted.path, wanted.scope)
            left = of_scope if left is None else left & of_scope
        return left

    def _story(self, path: str, line: int) -> LineStory:
        view, bit = self._view, 1 << line
        owners = view.result.first.get(path, {})
        image_id = next((key[1] for key, lines in owners.items() if lines & bit), None)
        labels = sorted(
            label for label, lines in view.contexts_of(path).items() if label and lines & bit
        )
        return LineStory(
            path=path,
            line=line,
            first="" if image_id is None else self._process(image_id),
            others=bool(view.result.shared.get(path, 0) & bit),
            contexts=[printable(label) for label in labels[:_MOST_CONTEXTS]],
            more_contexts=max(0, len(labels) - _MOST_CONTEXTS),
        )

    def _process(self, image_id: str) -> str:
        """A process in words."""
        for each in self._view.provenance.processes:
            if each.image_id == image_id:
                command = self._describing.short_command(each.argv, _COMMAND_ROOM)
                return f"{each.pid} {command}"
        return ""


def new_lines(view: View, mark: Mark, paths: Iterable[str] | None = None) -> dict[str, LineSet]:
    """By path: the lines that are new since a mark. Of all paths, or of some."""
    result = view.result
    if len(result.sessions) > 1:
        # In a data file, lines of another session are not new, though no mark knows them.
        return dict(new_since(result, mark).lines)
    before = result.marks[mark].lines
    return {
        path: new
        for path in (view.paths() if paths is None else paths)
        if (new := view.lines(path) & ~before.get(path, 0))
    }


def scope_lines(view: View, path: str, scope: Scope) -> LineSet:
    """The lines of a file that the chosen process was first to execute, or that ran in the chosen
    context.
    """
    if not scope.image_id:
        return view.contexts_of(path).get(scope.label, 0)
    owners = view.result.first.get(path, {})
    return next((lines for (_, each), lines in owners.items() if each == scope.image_id), 0)


def _with_inner_lines(statements: LineSet, analysis: SourceAnalysis) -> LineSet:
    """Statements by their first lines, with all of their lines."""
    inner = [line for line, first in arcs_in(analysis.inner_lines) if statements >> first & 1]
    return statements | line_set_of(inner)
