"""Combine: bring what sessions, journals and data files hold into one data file.

What `covsup run` does at its end and what `covsup combine` does. The order is the promise: look
who runs, read, write the data file durably, and only then delete. Killed at any moment, it may be
repeated and gives the same; two at a time take turns.

What cannot go into the data file goes into one of its own (`covsup.supervisor.combining.grouping`).

A session that goes on (one of its processes runs, a journal of it is unreadable) keeps its
directory. What was taken out of its deleted journals stays there as a partial fold, so that the
directory alone always gives everything of the session, whatever happens to the data file.
"""

from __future__ import annotations

import contextlib
import os

from covsup.datafile.database.coverage_tables import reduce_to_lines
from covsup.datafile.database.data_files import DataFile
from covsup.datafile.database.database import (
    is_data_file,
    kind_of,
    kind_with_sent_code,
    read_covsup_tables,
    session_starts,
    write_database,
)
from covsup.datafile.errors import DataFileUnusable, DataFileUnwritable
from covsup.datafile.fold.fold import ResultFold, remapped
from covsup.datafile.fold.result import Kind, has_content
from covsup.datafile.journal.by_value_names import sent_code_in
from covsup.datafile.provenance.derive import provenance_of
from covsup.datafile.session.directory import RUN_FINISHED
from covsup.datafile.session.places import tidy_sessions_directory
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.combining.gc_pause import gc_disabled
from covsup.supervisor.combining.grouping import group_inputs, separate_file
from covsup.supervisor.combining.inputs import Inputs, NothingToCombine
from covsup.supervisor.combining.locks import locked, version_of
from covsup.supervisor.combining.outcome import CombineResult, SetAside, opened_on
from covsup.supervisor.combining.reader import InputReader
from covsup.supervisor.combining.source_versions import SourceVersions
from covsup.supervisor.combining.unexecuted import storable, unexecuted_files, unseen_packages
from covsup.supervisor.watching.process_table import this_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from covsup.datafile.fold.result import Result
    from covsup.datafile.provenance.model import Provenance
    from covsup.datafile.session.directory import Session
    from covsup.supervisor.combining.grouping import Reason
    from covsup.supervisor.combining.reader import Part
    from covsup.supervisor.combining.unexecuted import FilesOfPlugins
    from covsup.supervisor.sessions.enclosing_run import EnclosingRun
    from covsup.supervisor.settings.combine_settings import CombineSettings


def combine(
    paths: Sequence[Path] = (),
    *,
    combine_settings: CombineSettings,
    keep: bool = False,
    append: bool = False,
    concludes: bool = False,
    assume_ended: bool = False,
    enclosing: EnclosingRun | None = None,
    progress: Callable[[int, int], None] | None = None,
    waiting: Callable[[Path], None] | None = None,
) -> CombineResult:
    """Combine `paths`, or every session beside the data file, into the data file.

    `paths` are session directories, directories that hold sessions or data files, journals and
    data files. What was combined is deleted, unless `keep`. An existing data file is replaced;
    it is united with the rest if `append`, if it is named in `paths`, and if it holds a part of
    a session that is combined now (a snapshot, or what had ended by an earlier time). Where there
    is no data to combine, its data stay as they are. What cannot go into the data file is set
    aside (`covsup.supervisor.combining.grouping`).

    `concludes`: a run has ended, and this is its result, which also goes into the session around
    it, if there is an `enclosing` one. `assume_ended`: processes that cannot be seen from here, on
    other machines and in containers, have ended. `progress` is called with the number of
    journals read and of all; `waiting` with a directory that another combination holds, before we
    wait for it.

    Raises NothingToCombine, InputUnusable, DataFileUnusable, DataFileUnwritable,
    SessionUnreadable, MixedMeasurement; then nothing was deleted and the data file is as it was.
    """
    is_data_file(combine_settings.data_file)
    map_path = combine_settings.map_path()
    inputs = Inputs(paths, combine_settings.data_file)
    before = version_of(combine_settings.data_file)
    with contextlib.ExitStack() as stack:
        stack.enter_context(gc_disabled())
        waited = stack.enter_context(locked(combine_settings.data_file.parent, waiting))
        for directory in sorted(inputs.session_directories()):
            stack.enter_context(locked(directory, waiting))
        # Whom we waited for combined at the same time: together they are one combination.
        append = append or inputs.includes_data_file or (
            waited and before != version_of(combine_settings.data_file)
        )  # fmt: skip
        work = _Work(
            inputs,
            combine_settings,
            map_path,
            progress,
            concludes=concludes,
            assume_ended=assume_ended,
        )
        work.read()
        outcome = work.write(append=append)
        if enclosing is not None:
            outcome = work.store_in_enclosing(enclosing, outcome)
        if keep:
            work.shorten()
        else:
            work.clean_up()
            outcome = outcome._replace(
                kept=tuple(work.kept),
                programs=tuple(map(_with_command, work.programs)),
                leftovers=tuple(work.leftovers),
            )  # fmt: skip
        return outcome


class _Work:
    """One combination, step by step. The caller holds the locks."""

    def __init__(
        self,
        inputs: Inputs,
        combine_settings: CombineSettings,
        map_path: Callable[[str], str],
        progress: Callable[[int, int], None] | None,
        *,
        concludes: bool,
        assume_ended: bool,
    ) -> None:
        self._concludes = concludes
        self.kept: list[Path] = []
        self.leftovers: list[str] = []
        self.programs: list[int] = []
        self._inputs = inputs
        self._combine_settings = combine_settings
        self._map_path = map_path
        self._reader = InputReader(progress, assume_ended=assume_ended)
        self._parts = self._reader.parts
        self._data_files: list[Path] = []

    def read(self) -> None:
        """Look who runs and read everything; nothing is changed."""
        self._inputs.forget_vanished()
        self._reader.read(self._inputs)

    def write(self, *, append: bool) -> CombineResult:
        """Write the data file, and one for each session that is set aside."""
        target = self._combine_settings.data_file
        known = session_starts(target) if is_data_file(target) else {}
        for path in self._inputs.data_files:
            self._take_input(path)
        if not (self._parts or self._data_files or self._inputs.includes_data_file):
            raise NothingToCombine("; ".join(self._reader.unreadable))
        grouping = group_inputs(
            self._parts,
            self._data_files,
            target,
            append=append or any(_appends(part) for part in self._parts),
            by_default=self._inputs.by_default,
        )
        for why in grouping.left.values():
            self._reader.leave(why)
        self._data_files = list(grouping.data_files)
        self._parts[:] = [*grouping.parts, *grouping.aside]
        if grouping.left and not (self._parts or self._data_files):
            raise NothingToCombine("; ".join(self._reader.unreadable))
        written = self._write_file(target, grouping.parts, extend=grouping.extends)
        aside = tuple(self._set_aside(part, why) for part, why in grouping.aside.items())
        sessions = [part.session.id for part in grouping.parts if part.session is not None]
        return CombineResult(
            data_file=target,
            sessions=tuple(sorted(sessions)),
            images=self._reader.images,
            data_files=len(self._data_files),
            running=tuple(self._reader.running),
            unreadable=tuple(self._reader.unreadable),
            warnings=(*written.warnings, *self._without_result()),
            kept=tuple(part.directory for part in self._parts if part.session is not None),
            provenance=written.provenance,
            aside=aside,
            out_of_sight=tuple(
                (part.session.id, opened_on(part.session))
                for part in self._parts
                if part.session is not None and part.out_of_sight
            ),
            nothing=written.nothing and known.keys().isdisjoint(sessions) and not aside,
        )

    def _without_result(self) -> Iterator[str]:
        """One sentence for each run inside of a session that has made no result yet."""
        for part in self._parts:
            for session in part.inner_unfinished:
                yield (
                    f"session {session} inside of {part.name} is not in the result, as it has not"
                    " ended, or was left to `covsup combine`, which adds it"
                )

    def _set_aside(self, part: Part, why: Reason) -> SetAside:
        """Store a session in a data file of its own."""
        assert part.session is not None
        path = separate_file(self._combine_settings.data_file, part.session.id)
        is_known = is_data_file(path)
        has_data = part.kind is not None
        if has_data:
            provenance = self._write_file(path, [part], extend=is_known).provenance
        else:
            provenance = provenance_of(part.past())
        return SetAside(
            session=part.session.id,
            data_file=path,
            why=why.text,
            is_mixed=why.is_mixed,
            is_new=has_data and not (is_known and self._inputs.by_default),
            provenance=provenance,
        )

    def store_in_enclosing(self, enclosing: EnclosingRun, outcome: CombineResult) -> CombineResult:
        """Store the session of a run in the session around it, too."""
        if not enclosing.place.exists():
            return outcome  # that one has ended, and has said that this run had no result yet
        (part,) = self._parts
        assert part.session is not None
        unfinished = enclosing.place.with_name(f"new-{enclosing.place.name}")
        is_united = part.kind is not Kind.LINES or not enclosing.branch
        if is_united and self._write_file(unfinished, [part], extend=False).nothing:
            enclosing.place.unlink()
            unfinished.unlink(missing_ok=True)
            return outcome
        if is_united and part.kind is Kind.ARCS and not enclosing.branch:
            is_united = reduce_to_lines(unfinished)
        if is_united:
            unfinished.replace(enclosing.place)
            return outcome
        unfinished.unlink(missing_ok=True)
        path = separate_file(self._combine_settings.data_file, part.session.id)
        if not is_data_file(path):
            self._write_file(path, [part], extend=False)
        enclosing.place.unlink()
        warning = (
            f"session {enclosing.session} around this run measures branches, and this run lines"
            f" only: it does not go into that one's result and is also kept in {path}"
        )
        return outcome._replace(warnings=(*outcome.warnings, warning))

    def _write_file(self, target: Path, parts: Sequence[Part], *, extend: bool) -> _Written:
        """Write what `parts` hold, and the data files into the data file, with what is in `target`
        if `extend`. Where there is no data at all, the data in `target` stay as they are.
        """
        gathered = _Gathered()
        for part in parts:
            gathered.take(part.past(), self._map_path)
            gathered.take(part.live.result(), self._map_path)
            if part.session is not None and part.folded:
                gathered.take_file(part.session.folded, self._map_path)
            for path in part.inner:
                gathered.take_file(path, self._map_path)
        if target == self._combine_settings.data_file:
            self._data_files = [path for path in self._data_files if self._gather(path, gathered)]
        result, measured = gathered.folding.result(), gathered.kind
        has_images, is_silent = bool(result.images), not has_content(result)
        is_there = is_data_file(target)
        if is_there and extend:
            gathered.take_file(target, None)
            if self._inputs.includes_data_file and target == self._combine_settings.data_file:
                measured = gathered.kind
        result, warnings = self._placed(gathered)
        touched: dict[str, str] = {}
        sessions = [part.session for part in parts if part.session is not None]
        for session in sessions:
            self._find_unexecuted(session, result, touched, warnings)
        touched, left_out = storable(touched)
        warnings += [each for each in left_out if each not in self._reader.unreadable]
        # A result of 0 % needs a process that was measured.
        nothing = measured is None and not (touched and has_images)
        known = session_starts(target) if is_there else {}
        has_more = any(session.id not in known for session in sessions) or self._data_files
        if (
            measured is None
            and has_more
            and "no-data-collected" not in self._combine_settings.disable_warnings
        ):
            is_older = nothing and is_there and kind_with_sent_code(target) is not None
            older = f": {target} has the result that it had before" if is_older else ""
            warnings.append(f"no data was collected{older} (no-data-collected)")
        if nothing:
            touched, self._data_files = {}, []
            if is_silent:
                return _Written(provenance_of(result), nothing=True, warnings=tuple(warnings))
            if is_there and not extend:
                gathered.take_file(target, None)
                result, _ = self._placed(gathered)
        kind = gathered.kind or next(
            (Kind.ARCS if each.settings.branch else Kind.LINES for each in sessions), None
        )
        provenance = write_database(
            result,
            target,
            kind=kind,
            others=gathered.files,
            touched={self._map_path(path): name for path, name in touched.items()},
        )
        return _Written(provenance, nothing=nothing, warnings=tuple(warnings))

    def _find_unexecuted(
        self, session: Session, result: Result, touched: dict[str, str], warnings: list[str]
    ) -> None:
        """Add the files of a session's sources that never ran, and what there is to say of them."""
        find: FilesOfPlugins = _no_files
        if session.settings.plugins:
            from covsup.supervisor.settings.plugins import (  # noqa: PLC0415 - it imports coverage.py
                FileFinders,
            )

            plugins = FileFinders(session.settings)
            find = plugins.find
            warnings += plugins.problems
        touched |= unexecuted_files(
            session.settings,
            result.modules,
            find,
            namespace_packages=self._combine_settings.namespace_packages,
        )
        warnings += [
            f"{sentence} ({slug})"
            for slug, sentence in unseen_packages(session.settings, result.modules)
            if slug not in self._combine_settings.disable_warnings
        ]

    def _placed(self, gathered: _Gathered) -> tuple[Result, list[str]]:
        """What was gathered, with the lines of functions that were sent by value in their files,
        and what there is to say of it."""
        result = gathered.folding.result()
        said = gathered.versions.sentences(result)
        sent = sent_code_in(result)
        if sent:
            from covsup.supervisor.combining.by_value_sources import (  # noqa: PLC0415 - hardly any run needs it
                SourceFinder,
            )

            placing = SourceFinder(result, sent, self._map_path, gathered.versions)
            result = placing.place()
            said += placing.sentences
        return result, said

    def shorten(self) -> None:
        """Shorten what stays although it has ended."""
        for part in self._parts:
            part.shorten()

    def clean_up(self) -> None:
        """Delete what is in the data file now; what cannot be deleted is told."""
        for part in self._parts:
            try:
                self._clean_up(part)
            except (OSError, DataFileUnwritable) as error:
                self._could_not_delete(part.directory, error)
        for path in self._data_files:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                self._could_not_delete(path, error)
        for parent in {part.directory.parent for part in self._parts if part.session is not None}:
            try:
                tidy_sessions_directory(parent)
            except OSError as error:
                self._could_not_delete(parent, error)

    def _clean_up(self, part: Part) -> None:
        if part.session is None:
            _delete(part.free())
        elif part.is_over():
            part.session.delete()
        else:
            self.kept.append(part.directory)
            if self._concludes:
                part.session.mark(RUN_FINISHED)
            goes_on = part.supervised or part.out_of_sight or part.session.settings.open
            if not goes_on and not part.live.images:
                self.programs += part.members
            if part.free() and not part.broken:
                self._keep_partial_fold(part, part.session)
                _delete(part.free())

    def _could_not_delete(self, path: Path, error: Exception) -> None:
        self.leftovers.append(f"{path} is combined but cannot be deleted: {error}")

    def _keep_partial_fold(self, part: Part, session: Session) -> None:
        folding = ResultFold().add(SourceVersions().identified(part.past()))
        others = []
        if part.folded:
            others.append(DataFile(path=session.folded))
            folding.add(read_covsup_tables(session.folded))
        write_database(folding.result(), session.folded, others=others)

    def _take_input(self, path: Path) -> None:
        """Note a data file that was named; what cannot be read is reported and left."""
        try:
            if is_data_file(path):
                kind_of(path)
                self._data_files.append(path)
            else:
                self._reader.leave(f"{path} is empty")
        except DataFileUnusable as error:
            self._reader.leave(error)

    def _gather(self, path: Path, gathered: _Gathered) -> bool:
        """Have a data file that was named; False where it cannot be read."""
        try:
            gathered.take_file(path, self._map_path)
        except DataFileUnusable as error:
            self._reader.leave(error)
            return False
        return True


class _Written(NamedTuple):
    """What writing a data file came to."""

    provenance: Provenance
    nothing: bool  # there was no data
    warnings: tuple[str, ...]


class _Gathered:
    """Everything that goes into a data file: lines or branches, not both."""

    def __init__(self) -> None:
        self.folding = ResultFold()
        self.files: list[DataFile] = []
        self.versions = SourceVersions()
        self.kind: Kind | None = None
        """What is measured; None where nothing was."""

    def take(self, result: Result, map_path: Callable[[str], str]) -> None:
        """Have a result."""
        self.folding.add(remapped(self.versions.identified(result), map_path))
        self.kind = self.kind or result.kind

    def take_file(self, path: Path, map_path: Callable[[str], str] | None) -> None:
        """Have what is in a data file. Raises DataFileUnusable, and then nothing was taken."""
        kind, who = kind_of(path), read_covsup_tables(path)
        if kind is not None:
            self.files.append(DataFile(path=path, map_path=map_path))
        self.versions.know(who)
        self.folding.add(who if map_path is None else remapped(who, map_path))
        self.kind = self.kind or kind or who.kind


def _appends(part: Part) -> bool:
    return part.session is not None and part.session.settings.append


def _with_command(pid: int) -> tuple[int, tuple[str, ...]]:
    program = this_table().program(pid)
    return pid, () if program is None else program.argv


def _no_files(_: str) -> Iterator[tuple[str, str]]:
    """What plugins report in a directory where there are none."""
    return iter(())


def _delete(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - there may be thousands
