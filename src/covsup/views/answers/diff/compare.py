"""Compare two measurements, file by file."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import arcs_in
from covsup.hints import NamedTuple
from covsup.views.answers.diff.line_map import LineMap, map_of_texts
from covsup.views.answers.diff.texts import known_digests
from covsup.views.sources.reporters import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from covsup.datafile.fold.sets import Arc, LineSet
    from covsup.views.answers.diff.side import Side
    from covsup.views.answers.diff.texts import Texts
    from covsup.views.sources.analysis import SourceAnalysis
    from covsup.views.sources.source_library import SourceLibrary


_FEW: Final = 8
"""So many files are analysed before a process has started."""


class Counts(NamedTuple):
    """How much of one or more files ran, by coverage.py's rules."""

    statements: int = 0
    executed: int = 0
    branches: int = 0
    taken: int = 0

    @property
    def percent(self) -> float:
        """Statements and branches that ran, of 100."""
        total = self.statements + self.branches
        return 100.0 * (self.executed + self.taken) / total if total else 100.0

    def plus(self, other: Counts) -> Counts:
        """The sum."""
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class FileDiff(NamedTuple):
    """What differs in one file. Lines are those of the new text, and the first of statements."""

    path: str
    new_lines: LineSet  # covered now, and not before
    lost_lines: LineSet  # covered before, and not now
    changed_missing: LineSet  # changed or added since, and not covered
    new_branches: Sequence[Arc]
    lost_branches: Sequence[Arc]
    statements: LineSet  # of the new text, to write ranges; 0 = not known
    new_contexts: Mapping[str, LineSet]  # by label: the new lines that ran in it
    lost_contexts: Mapping[str, LineSet]  # by label: the lost lines that ran in it before
    old: Counts | None  # None: there is no source to count
    new: Counts | None
    is_gone: bool  # the file does not exist any more
    is_by_number: (
        bool  # the versions differ, and a text is missing: lines of one number are the same
    )

    @property
    def has_lost(self) -> bool:
        """Whether something is no longer covered."""
        return bool(self.lost_lines or self.lost_branches)

    @property
    def differs(self) -> bool:
        """Whether there is anything to show."""
        return bool(
            self.new_lines or self.new_branches or self.has_lost or self.changed_missing
        )  # fmt: skip


class Diff(NamedTuple):
    """The difference between two measurements."""

    old_name: str
    new_name: str
    has_branches: bool  # branches are compared as well
    is_mixed: bool  # one measured branches and the other lines: lines are compared
    files: Sequence[FileDiff]  # those that differ, by path
    old: Counts  # of all files of either whose sources are known
    new: Counts
    counted: int  # how many files these are
    uncounted: int  # files without a source
    by_number: Sequence[str]  # paths of files that were compared by line numbers
    gone: Sequence[str]  # files that do not exist any more
    edited: Sequence[str]  # files that differ and were edited while one side was measured

    @property
    def has_lost(self) -> bool:
        """Whether something is no longer covered."""
        return any(each.has_lost for each in self.files)


def compare(
    old: Side, new: Side, old_texts: Texts, new_texts: Texts, library: SourceLibrary
) -> Diff:
    """The difference between two measurements."""
    has_branches = old.has_arcs and new.has_arcs
    paths = [path for path in sorted(old.files | new.files) if library.is_reported(path)]
    with tempfile.TemporaryDirectory(prefix="covsup-diff-") as directory:
        comparison = _Comparison(old, new, (old_texts, new_texts), library, directory)
        if len(paths) > _FEW:
            comparison.analyse_in_parallel(paths)
        found = [comparison.file(path) for path in paths]
    counted = [each for each in found if each.old is not None or each.new is not None]
    return Diff(
        old_name=old.name,
        new_name=new.name,
        has_branches=has_branches,
        is_mixed=bool(old.lines and new.lines) and old.has_arcs != new.has_arcs,
        files=[each for each in found if each.differs],
        old=_sum([each.old for each in counted]),
        new=_sum([each.new for each in counted]),
        counted=len(counted),
        uncounted=len(found) - len(counted),
        by_number=[each.path for each in found if each.is_by_number],
        gone=[each.path for each in found if each.is_gone],
        edited=[each.path for each in found if each.differs and _was_edited(each.path, old, new)],
    )


def _was_edited(path: str, *sides: Side) -> bool:
    """Whether one side measured several versions of a file."""
    for side in sides:
        versions = side.versions.get(path, frozenset())
        known = {each.stamp for each in versions if each.digest}
        if len({each.digest or each.stamp for each in versions} - known) > 1:
            return True
    return False


def _sum(counts: Sequence[Counts | None]) -> Counts:
    total = Counts()
    for each in counts:
        total = total.plus(each or Counts())
    return total


class _Covered(NamedTuple):
    """What one side covers of a file, by statements where its source is known."""

    lines: LineSet
    branches: set[Arc]
    counts: Counts | None


class _Comparison:
    """The comparison of two sides."""

    def __init__(
        self,
        old: Side,
        new: Side,
        texts: tuple[Texts, Texts],
        library: SourceLibrary,
        directory: str,
    ) -> None:
        """Sources that are in no file are written into the temporary `directory`."""
        self._old, self._new = old, new
        self._old_texts, self._new_texts = texts
        self._library = library
        self._analyse = library.analysis_now
        self._directory = directory
        self._has_branches = old.has_arcs and new.has_arcs
        self._written = 0
        self._plugins = {**old.plugins, **new.plugins}
        library.learn_plugins(self._plugins)

    def analyse_in_parallel(self, paths: Sequence[str]) -> None:
        """Have processes begin to analyse these files."""
        self._library.request(paths)
        self._analyse = self._library.analysis_soon

    def file(self, path: str) -> FileDiff:
        """Compare one file."""
        old_text = self._old_texts.text(path, self._old.versions.get(path, ()))
        new_text = self._new_texts.text(path, self._new.versions.get(path, ()))
        is_by_number = (old_text is None or new_text is None) and self._has_changed(path)
        is_added = self._old_texts.is_chosen and old_text is None and path not in self._old.lines
        if old_text is None and not self._old_texts.is_chosen:
            old_text = new_text
        new_analysis = self._analysis(path, new_text)
        old_analysis = new_analysis if old_text == new_text else self._analysis(path, old_text)
        before = self._covered(self._old, path, old_analysis)
        now = self._covered(self._new, path, new_analysis)
        line_map = LineMap({}) if is_added else LineMap()
        if old_text is not None and new_text is not None:
            line_map = map_of_texts(old_text, new_text)
        was, were = line_map.lines(before.lines), line_map.arcs(before.branches)
        if new_analysis is not None:
            was &= new_analysis.statements
            were &= set(arcs_in(new_analysis.branches))
        is_gone = self._is_gone(path, new_text)
        new_lines = now.lines & ~was
        lost_lines = 0 if is_gone else was & ~now.lines
        statements = 0 if new_analysis is None else new_analysis.statements
        kept = line_map.kept()
        added = 0 if kept is None else statements & ~kept
        return FileDiff(
            path=path,
            new_lines=new_lines,
            lost_lines=lost_lines,
            changed_missing=added & ~now.lines,
            new_branches=sorted(now.branches - were),
            lost_branches=[] if is_gone else sorted(were - now.branches),
            statements=statements,
            new_contexts=self._contexts(self._new, path, new_lines, new_analysis, LineMap()),
            lost_contexts=self._contexts(self._old, path, lost_lines, old_analysis, line_map),
            old=None if is_by_number else before.counts,
            new=None if is_by_number else now.counts,
            is_gone=is_gone,
            is_by_number=is_by_number,
        )

    def _is_gone(self, path: str, new_text: bytes | None) -> bool:
        """Whether a file that was measured before does not exist any more."""
        if new_text is not None or path in self._new.lines:
            return False
        if self._new_texts.is_chosen:
            return True
        # Where no source exists at all, the data come from another machine.
        return not os.path.exists(path) and any(map(os.path.exists, self._new.files))

    def _has_changed(self, path: str) -> bool:
        """Whether the two sides certainly measured different versions."""
        old, new = (
            known_digests(path, side.versions.get(path, ())) for side in (self._old, self._new)
        )
        return bool(old and new) and old.isdisjoint(new)

    def _analysis(self, path: str, text: bytes | None) -> SourceAnalysis | None:
        """The analysis of a text of a file. coverage.py analyses files, so it may need one."""
        if text is None:
            return None
        try:
            with open(path, "rb") as file:
                is_here = file.read() == text
        except OSError:
            is_here = False
        try:
            if is_here:
                return self._analyse(path)
            self._written += 1
            at = os.path.join(self._directory, str(self._written), os.path.basename(path))
            os.mkdir(os.path.dirname(at))
            with open(at, "wb") as file:
                file.write(text)
            if path in self._plugins:
                self._plugins[at] = self._plugins[path]
            return self._library.analysis_now(at)
        except SourceUnavailable:
            return None

    def _covered(self, side: Side, path: str, analysis: SourceAnalysis | None) -> _Covered:
        lines = side.lines.get(path, 0)
        arcs = side.arcs.get(path, b"") if self._has_branches else None
        if analysis is None:
            return _Covered(lines, set(), None)
        coverage = analysis.coverage(lines, arcs)
        branches = set()
        if arcs is not None:
            branches = analysis.taken(arcs) & set(arcs_in(analysis.branches))
        counts = Counts(
            coverage.statements.bit_count(),
            coverage.executed.bit_count(),
            coverage.branches,
            coverage.taken,
        )
        return _Covered(coverage.executed, branches, counts)

    def _contexts(
        self,
        side: Side,
        path: str,
        lines: LineSet,
        analysis: SourceAnalysis | None,
        line_map: LineMap,
    ) -> dict[str, LineSet]:
        """By label: those of these lines that a side covers in it."""
        if not lines:
            return {}
        found = {}
        for label in side.labels.get(path, ()):
            bits = side.contexts[path, label]
            bits = bits if analysis is None else analysis.first_lines(bits)
            if in_it := line_map.lines(bits) & lines:
                found[label] = in_it
        return found
