"""Write what input directories and data files hold into one data file."""

from __future__ import annotations

from covsup.datafile.database.data_files import DataFile
from covsup.datafile.database.database import (
    is_data_file,
    kind_of,
    kind_with_sent_code,
    read_covsup_tables,
    session_starts,
    write_database,
)
from covsup.datafile.errors import DataFileUnusable
from covsup.datafile.fold.fold import ResultFold, remapped
from covsup.datafile.fold.result import Kind, has_content
from covsup.datafile.journal.by_value_names import sent_code_in
from covsup.datafile.provenance.derive import provenance_of
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.combining.session_sources import files_of_sources
from covsup.supervisor.combining.source_versions import SourceVersions
from covsup.supervisor.combining.unexecuted import storable, unseen_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from covsup.datafile.fold.result import Result
    from covsup.datafile.provenance.model import Provenance
    from covsup.datafile.session.settings import Settings
    from covsup.supervisor.combining.input_directory import InputDirectory
    from covsup.supervisor.combining.input_reader import InputReader
    from covsup.supervisor.settings.combine_settings import CombineSettings


class WrittenFile(NamedTuple):
    """What became of a data file."""

    provenance: Provenance  # of everything in it
    has_no_data: bool  # nothing new was stored
    warnings: tuple[str, ...]
    data_files: tuple[Path, ...]  # the input data files that are stored in it


class DataFileWriter:
    """Writes data files for one combination."""

    def __init__(
        self,
        combine_settings: CombineSettings,
        map_path: Callable[[str], str],
        reader: InputReader,
    ) -> None:
        """`map_path` gives a source file's name in the result; `reader` reports unusable files."""
        self._combine_settings = combine_settings
        self._map_path = map_path
        self._reader = reader

    def write(
        self,
        target: Path,
        directories: Sequence[InputDirectory],
        data_files: Iterable[Path] = (),
        *,
        extend: bool,
        is_input: bool = False,
    ) -> WrittenFile:
        """Write the directories and the data files to `target`, and unite them with what it holds
        if `extend`. `is_input`: the user named `target` as an input, too.

        Without new data, the data in `target` stay as they are. Raises DataFileUnusable and
        DataFileUnwritable.
        """
        contents = _Contents()
        for directory in directories:
            contents.add(directory.ended_result(), self._map_path)
            contents.add(directory.live.result(), self._map_path)
            if directory.session is not None and directory.has_partial_fold:
                contents.add_file(directory.session.folded, self._map_path)
            for path in directory.nested_results:
                contents.add_file(path, self._map_path)
        used = [path for path in data_files if self._add_data_file(path, contents)]
        result, kind_of_inputs = contents.folding.result(), contents.kind
        has_images, is_empty = bool(result.images), not has_content(result)
        is_there = is_data_file(target)
        if is_there and extend:
            contents.add_file(target, None)
            if is_input:
                kind_of_inputs = contents.kind
        result, warnings = self._resolved(contents)
        touched: dict[str, str] = {}
        sessions = [directory.session for directory in directories if directory.session is not None]
        for session in sessions:
            self._find_unexecuted(session.settings, result, touched, warnings)
        touched, unstorable = storable(touched)
        warnings += [each for each in unstorable if each not in self._reader.unreadable]
        # Unexecuted files alone make a result, of 0 %, if at least a process was measured.
        has_no_data = kind_of_inputs is None and not (touched and has_images)
        if kind_of_inputs is None:
            known = session_starts(target) if is_there else {}
            if used or any(session.id not in known for session in sessions):
                keeps_older = has_no_data and is_there and kind_with_sent_code(target) is not None
                warnings += self._no_data_warning(target if keeps_older else None)
        if has_no_data:
            touched, used = {}, []
            if is_empty:
                return WrittenFile(provenance_of(result), True, tuple(warnings), ())
            if is_there and not extend:
                contents.add_file(target, None)
                result, _ = self._resolved(contents)
        kind = contents.kind or next(
            (Kind.ARCS if each.settings.branch else Kind.LINES for each in sessions), None
        )
        provenance = write_database(
            result,
            target,
            kind=kind,
            others=contents.files,
            touched={self._map_path(path): name for path, name in touched.items()},
        )
        return WrittenFile(provenance, has_no_data, tuple(warnings), tuple(used))

    def write_result(self, target: Path, result: Result) -> None:
        """Write a result that was read already, with the files of its sources that never ran.

        Raises DataFileUnwritable.
        """
        contents = _Contents()
        contents.add(result, self._map_path)
        resolved, warnings = self._resolved(contents)
        touched: dict[str, str] = {}
        for settings in result.sessions.values():
            self._find_unexecuted(settings, resolved, touched, warnings)
        by_settings = [
            Kind.ARCS if each.branch else Kind.LINES for each in result.sessions.values()
        ]
        write_database(
            resolved,
            target,
            kind=contents.kind or next(iter(by_settings), None),
            touched={self._map_path(path): name for path, name in storable(touched)[0].items()},
        )

    def _no_data_warning(self, keeping: Path | None) -> list[str]:
        if "no-data-collected" in self._combine_settings.disable_warnings:
            return []
        older = "" if keeping is None else f": {keeping} has the result that it had before"
        return [f"no data was collected{older} (no-data-collected)"]

    def _add_data_file(self, path: Path, contents: _Contents) -> bool:
        """Add an input data file; False where it cannot be read."""
        try:
            contents.add_file(path, self._map_path)
        except DataFileUnusable as error:
            self._reader.report_left(error)
            return False
        return True

    def _find_unexecuted(
        self, settings: Settings, result: Result, touched: dict[str, str], warnings: list[str]
    ) -> None:
        """Add the files of a session's sources to `touched`, executed or not, each with the name of
        the plugin that reports it; and warn about sources of which nothing was executed.
        """
        files, problems = files_of_sources(
            settings,
            result.modules,
            namespace_packages=self._combine_settings.namespace_packages,
        )
        touched |= files
        warnings += problems
        warnings += [
            f"{sentence} ({slug})"
            for slug, sentence in unseen_packages(settings, result.modules)
            if slug not in self._combine_settings.disable_warnings
        ]

    def _resolved(self, contents: _Contents) -> tuple[Result, list[str]]:
        """The result, with the lines of functions that were sent by value in their source files,
        and warnings about sources.
        """
        result = contents.folding.result()
        warnings = contents.versions.sentences(result)
        sent = sent_code_in(result)
        if sent:
            from covsup.supervisor.combining.by_value_sources import (  # rarely used
                SourceFinder,
            )

            finder = SourceFinder(result, sent, self._map_path, contents.versions)
            result = finder.resolve()
            warnings += finder.sentences
        return result, warnings


class _Contents:
    """Everything that goes into a data file: lines or branches, not both."""

    def __init__(self) -> None:
        self.folding = ResultFold()
        self.files: list[DataFile] = []
        self.versions = SourceVersions()
        self.kind: Kind | None = None  # None until something was executed

    def add(self, result: Result, map_path: Callable[[str], str]) -> None:
        """Add a result."""
        self.folding.add(remapped(self.versions.identified(result), map_path))
        self.kind = self.kind or result.kind

    def add_file(self, path: Path, map_path: Callable[[str], str] | None) -> None:
        """Add a data file; `map_path` is None where its names stay. Raises DataFileUnusable, and
        then nothing was added.
        """
        kind, result = kind_of(path), read_covsup_tables(path)
        if kind is not None:
            self.files.append(DataFile(path=path, map_path=map_path))
        self.versions.know(result)
        self.folding.add(result if map_path is None else remapped(result, map_path))
        self.kind = self.kind or kind or result.kind
