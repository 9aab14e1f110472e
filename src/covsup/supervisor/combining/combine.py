"""Combine sessions, journals and data files into one data file, for `covsup run` and `combine`.

The order of the steps is a promise: find out which processes run, read, write the data file
durably, and only then delete. A combination that is killed at any moment can be repeated and gives
the same result. Two combinations of the same data take turns.

What cannot go into the data file is set aside in a data file of its own (`grouping`).

The directory of a session that still runs, or has an unreadable journal, is kept. What its deleted
journals held stays in it as a partial fold. So the directory alone always holds the whole session,
whatever happens to the data file.
"""

from __future__ import annotations

import contextlib
import os

from covsup.datafile.database.coverage_tables import reduce_to_lines
from covsup.datafile.database.data_files import DataFile
from covsup.datafile.database.database import (
    is_data_file,
    kind_of,
    read_covsup_tables,
    session_starts,
    write_database,
)
from covsup.datafile.errors import DataFileUnusable, DataFileUnwritable
from covsup.datafile.fold.fold import ResultFold
from covsup.datafile.fold.result import Kind
from covsup.datafile.provenance.command_lines import WITNESS_NAME
from covsup.datafile.provenance.derive import provenance_of
from covsup.datafile.session.directory import RUN_FINISHED
from covsup.datafile.session.places import tidy_sessions_directory
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.combine_result import CombineResult, SetAside, opened_on
from covsup.supervisor.combining.data_file_writer import DataFileWriter
from covsup.supervisor.combining.grouping import group_inputs, separate_file
from covsup.supervisor.combining.input_reader import InputReader
from covsup.supervisor.combining.inputs import Inputs, NothingToCombine
from covsup.supervisor.combining.locks import locked, version_of
from covsup.supervisor.combining.source_versions import SourceVersions
from covsup.supervisor.watching.process_table import this_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import Final

    from covsup.datafile.session.directory import Session
    from covsup.supervisor.combining.enclosing_run import EnclosingRun
    from covsup.supervisor.combining.grouping import SeparateReason
    from covsup.supervisor.combining.input_directory import InputDirectory
    from covsup.supervisor.settings.combine_settings import CombineSettings


_FOLD_ATTEMPTS: Final = 3


def combine(
    paths: Sequence[Path] = (),
    *,
    combine_settings: CombineSettings,
    keep: bool = False,
    append: bool = False,
    ends_run: bool = False,
    assume_ended: bool = False,
    enclosing: EnclosingRun | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_wait: Callable[[Path], None] | None = None,
) -> CombineResult:
    """Combine `paths`, or every session beside the data file, into the data file.

    `paths` are session directories, directories that hold sessions or data files, journals, and
    data files. What was combined is deleted, unless `keep`.

    An existing data file is replaced. It is united with the inputs if `append`, if `paths` names
    it, or if it holds a part of a session that is combined now (the session was combined before,
    while it still ran). If the inputs hold no data, the data file keeps its data. Inputs that
    cannot go into the data file are set aside (`grouping`).

    `ends_run`: this makes the result of a run that has ended. The result also goes into the
    `enclosing` session, if any. `assume_ended`: processes that cannot be seen from here, on other
    machines and in containers, have ended. `progress` is called with the number of journals read
    and the number of all. `on_wait` is called with a directory that another combination holds,
    before waiting for it.

    Raises NothingToCombine, InputUnusable, DataFileUnusable, DataFileUnwritable, SessionUnreadable,
    MixedMeasurement. Then nothing was deleted and the data file is as it was.
    """
    is_data_file(combine_settings.data_file)
    map_path = combine_settings.map_path()
    inputs = Inputs(paths, combine_settings.data_file)
    before = version_of(combine_settings.data_file)
    with contextlib.ExitStack() as stack:
        waited = stack.enter_context(locked(combine_settings.data_file.parent, on_wait))
        for path in sorted(inputs.session_directories()):
            stack.enter_context(locked(path, on_wait))
        # A combination that ran at the same time may have taken some of these inputs. Replacing its
        # result would lose them, so the two count as one combination.
        append = append or inputs.includes_data_file or (
            waited and before != version_of(combine_settings.data_file)
        )  # fmt: skip
        combination = _Combination(
            inputs,
            combine_settings,
            map_path,
            progress,
            ends_run=ends_run,
            assume_ended=assume_ended,
        )
        combination.read()
        result = combination.write(append=append)
        if enclosing is not None:
            result = combination.store_in_enclosing(enclosing, result)
        if keep:
            combination.shorten()
        else:
            combination.clean_up()
            result = result._replace(
                kept=tuple(combination.kept),
                programs=_with_commands(combination.programs),
                leftovers=tuple(combination.leftovers),
            )  # fmt: skip
        return result


class _Combination:
    """One combination, step by step. The caller holds the locks."""

    def __init__(
        self,
        inputs: Inputs,
        combine_settings: CombineSettings,
        map_path: Callable[[str], str],
        progress: Callable[[int, int], None] | None,
        *,
        ends_run: bool,
        assume_ended: bool,
    ) -> None:
        self._ends_run = ends_run
        self.kept: list[Path] = []
        self.leftovers: list[str] = []
        self.programs: list[int] = []
        self._inputs = inputs
        self._combine_settings = combine_settings
        self._reader = InputReader(progress, assume_ended=assume_ended)
        self._writer = DataFileWriter(combine_settings, map_path, self._reader)
        self._directories = self._reader.directories
        self._data_files: list[Path] = []

    def read(self) -> None:
        """Find out which processes run, and read everything. Nothing is changed."""
        self._inputs.forget_vanished()
        self._reader.read(self._inputs)

    def write(self, *, append: bool) -> CombineResult:
        """Write the data file, and a separate one for each session that is set aside."""
        target = self._combine_settings.data_file
        known = session_starts(target) if is_data_file(target) else {}
        for path in self._inputs.data_files:
            self._check_data_file(path)
        if not (self._directories or self._data_files or self._inputs.includes_data_file):
            raise NothingToCombine("; ".join(self._reader.unreadable))
        grouping = group_inputs(
            self._directories,
            self._data_files,
            target,
            append=append or any(_appends(directory) for directory in self._directories),
            by_default=self._inputs.by_default,
        )
        for why in grouping.unusable.values():
            self._reader.report_left(why)
        self._data_files = list(grouping.data_files)
        self._directories[:] = [*grouping.directories, *grouping.aside]
        if grouping.unusable and not (self._directories or self._data_files):
            raise NothingToCombine("; ".join(self._reader.unreadable))
        written = self._writer.write(
            target,
            grouping.directories,
            self._data_files,
            extend=grouping.extends,
            is_input=self._inputs.includes_data_file,
        )
        self._data_files = list(written.data_files)
        aside = tuple(self._set_aside(directory, why) for directory, why in grouping.aside.items())
        sessions = [
            directory.session.id
            for directory in grouping.directories
            if directory.session is not None
        ]
        return CombineResult(
            data_file=target,
            sessions=tuple(sorted(sessions)),
            images=self._reader.images,
            processes=self._reader.processes,
            data_files=len(self._data_files),
            running=tuple(self._reader.running),
            unreadable=tuple(self._reader.unreadable),
            warnings=(*written.warnings, *self._unfinished_run_sentences()),
            kept=tuple(
                directory.path for directory in self._directories if directory.session is not None
            ),
            provenance=written.provenance,
            aside=aside,
            may_be_supervised=tuple(
                (directory.session.id, opened_on(directory.session))
                for directory in self._directories
                if directory.session is not None and directory.may_be_supervised
            ),
            has_no_data=written.has_no_data and known.keys().isdisjoint(sessions) and not aside,
        )

    def _unfinished_run_sentences(self) -> Iterator[str]:
        """A warning for each run inside of a session that has no result yet."""
        for directory in self._directories:
            for session in directory.unfinished_runs:
                yield (
                    f"the result lacks session {session}, a run inside of {directory.name} that has"
                    " not ended or was not combined yet: `covsup combine` adds it"
                )

    def _set_aside(self, directory: InputDirectory, why: SeparateReason) -> SetAside:
        """Store a session in a separate data file."""
        assert directory.session is not None
        path = separate_file(self._combine_settings.data_file, directory.session.id)
        is_known = is_data_file(path)
        has_data = directory.kind is not None
        if has_data:
            provenance = self._writer.write(path, [directory], extend=is_known).provenance
        else:
            provenance = provenance_of(directory.ended_result())
        return SetAside(
            session=directory.session.id,
            data_file=path,
            why=why.text,
            is_mixed=why.is_mixed,
            is_new=has_data and not (is_known and self._inputs.by_default),
            provenance=provenance,
        )

    def store_in_enclosing(self, enclosing: EnclosingRun, result: CombineResult) -> CombineResult:
        """Also store the result of a run in the session around it."""
        if not enclosing.result_path.exists():
            return result  # the enclosing session has ended, and has reported this run as missing
        (directory,) = self._directories
        assert directory.session is not None
        unfinished = enclosing.result_path.with_name(f"new-{enclosing.result_path.name}")
        is_united = directory.kind is not Kind.LINES or not enclosing.measures_branches
        if is_united and self._writer.write(unfinished, [directory], extend=False).has_no_data:
            enclosing.result_path.unlink()
            unfinished.unlink(missing_ok=True)
            return result
        if is_united and directory.kind is Kind.ARCS and not enclosing.measures_branches:
            is_united = reduce_to_lines(unfinished)
        if is_united:
            unfinished.replace(enclosing.result_path)
            return result
        unfinished.unlink(missing_ok=True)
        path = separate_file(self._combine_settings.data_file, directory.session.id)
        if not is_data_file(path):
            self._writer.write(path, [directory], extend=False)
        enclosing.result_path.unlink()
        warning = (
            f"this run measured lines only, and session {enclosing.session} around it measures"
            f" branches: the result of that session lacks this run, whose own result is in {path}"
        )
        return result._replace(warnings=(*result.warnings, warning))

    def shorten(self) -> None:
        """Cut the unused space from the journals of ended images."""
        for directory in self._directories:
            directory.shorten()

    def clean_up(self) -> None:
        """Delete the inputs that are stored; report the ones that cannot be deleted."""
        for directory in self._directories:
            try:
                self._clean_up(directory)
            except (OSError, DataFileUnwritable) as error:
                self._could_not_delete(directory.path, error)
        for path in self._data_files:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                self._could_not_delete(path, error)
        for parent in {
            directory.path.parent
            for directory in self._directories
            if directory.session is not None
        }:
            try:
                tidy_sessions_directory(parent)
            except OSError as error:
                self._could_not_delete(parent, error)

    def _clean_up(self, directory: InputDirectory) -> None:
        if directory.session is None:
            _delete(directory.deletable())
        elif directory.is_finished():
            directory.session.delete()
        else:
            self.kept.append(directory.path)
            if self._ends_run:
                directory.session.set_flag(RUN_FINISHED)
            is_expected_to_run = (
                directory.supervised
                or directory.may_be_supervised
                or directory.session.settings.open
            )
            if not is_expected_to_run and not directory.live.images:
                self.programs += directory.members
            if (
                directory.deletable()
                and not directory.fold_is_unreadable
                and self._write_partial_fold(directory, directory.session)
            ):
                _delete(directory.deletable())

    def _could_not_delete(self, path: Path, error: Exception) -> None:
        why = error.strerror if isinstance(error, OSError) else None
        self.leftovers.append(
            f"{path} is combined but cannot be deleted: {why or error}; delete it"
        )

    def _write_partial_fold(self, directory: InputDirectory, session: Session) -> bool:
        """Keep in the session directory what the journals held that are about to be deleted.

        A mark that is set meanwhile needs the journals as well, so it must be in the fold before
        they are deleted (`covsup.mark_files` is the other side). False: marks come faster than the
        fold is written. The journals then stay for the next combination.
        """
        for _ in range(_FOLD_ATTEMPTS):
            self._write_partial_fold_once(directory, session)
            if not directory.add_later_marks(session):
                return True
        return False

    def _write_partial_fold_once(self, directory: InputDirectory, session: Session) -> None:
        folding = ResultFold().add(SourceVersions().identified(directory.ended_result()))
        others = []
        if directory.has_partial_fold:
            others.append(DataFile(path=session.folded))
            folding.add(read_covsup_tables(session.folded))
        write_database(folding.result(), session.folded, others=others)

    def _check_data_file(self, path: Path) -> None:
        """Take a data file as input, or report why it cannot be one."""
        try:
            if is_data_file(path):
                kind_of(path)
                self._data_files.append(path)
            else:
                self._reader.report_left(f"{path} is empty")
        except DataFileUnusable as error:
            self._reader.report_left(error)


def _appends(directory: InputDirectory) -> bool:
    return directory.session is not None and directory.session.settings.append


def _with_commands(pids: Iterable[int]) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Processes with their command lines (() = unknown), but for the signal witnesses of runs."""
    table = this_table()
    programs = [(pid, table.program(pid)) for pid in pids]
    commands = [(pid, () if program is None else program.argv) for pid, program in programs]
    return tuple((pid, argv) for pid, argv in commands if argv[:1] != (WITNESS_NAME,))


def _delete(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # there may be thousands
