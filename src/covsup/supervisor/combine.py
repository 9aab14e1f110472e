"""Combine: bring what sessions, journals and data files hold into one data file.

What `covsup run` does at its end and what `covsup combine` does. The order is the promise: look
who runs, read, write the data file durably, and only then delete. Killed at any moment, it may be
repeated and gives the same; two at a time take turns.

A session that goes on (one of its processes runs, a journal of it is unreadable) keeps its
directory. What was taken out of its deleted journals stays there as a partial fold, so that the
directory alone always gives everything of the session, whatever happens to the data file.
"""

from __future__ import annotations

import contextlib
import os

from covsup.datafile.by_value import sent_code_in
from covsup.datafile.database import (
    is_data_file,
    kind_of,
    read_who,
    sessions_in,
    write_database,
)
from covsup.datafile.errors import DataFileUnusable, DataFileUnwritable
from covsup.datafile.fold import Folding, MixedMeasurement, remapped
from covsup.datafile.measured import DataFile
from covsup.datafile.result import Kind, Result
from covsup.datafile.session import Session, tidy_sessions_directory
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.cycles import no_search_for_cycles
from covsup.supervisor.inputs import Inputs, NothingToCombine
from covsup.supervisor.locks import locked, version_of
from covsup.supervisor.outcome import Outcome
from covsup.supervisor.parts import Part, Reader
from covsup.supervisor.source_versions import SourceVersions
from covsup.supervisor.unexecuted import unexecuted_files, unseen_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from covsup.supervisor.rules import Rules
    from covsup.supervisor.unexecuted import FilesOfPlugins


def combine(
    paths: Sequence[Path] = (),
    *,
    rules: Rules,
    keep: bool = False,
    append: bool = False,
    progress: Callable[[int, int], None] | None = None,
    waiting: Callable[[Path], None] | None = None,
) -> Outcome:
    """Combine `paths`, or every session beside the data file, into the data file.

    `paths` are session directories, directories that hold sessions or data files, journals and
    data files. What was combined is deleted, unless `keep`. An existing data file is replaced;
    it is united with the rest if `append`, if it is named in `paths`, and if it holds a part of
    a session that is combined now (a snapshot, or what had ended by an earlier time).
    `progress` is called with the number of journals read and of all; `waiting` with a directory
    that another combination holds, before we wait for it.

    Raises NothingToCombine, InputUnusable, DataFileUnusable, DataFileUnwritable,
    SessionUnreadable, MixedMeasurement; then nothing was deleted and the data file is as it was.
    """
    is_data_file(rules.data_file)
    map_path = rules.map_path()
    inputs = Inputs(paths, rules.data_file)
    before = version_of(rules.data_file)
    with contextlib.ExitStack() as stack:
        stack.enter_context(no_search_for_cycles())
        waited = stack.enter_context(locked(rules.data_file.parent, waiting))
        for directory in sorted(inputs.session_directories()):
            stack.enter_context(locked(directory, waiting))
        # Whom we waited for combined at the same time: together they are one combination.
        append = append or inputs.names_target or (
            waited and before != version_of(rules.data_file)
        )  # fmt: skip
        work = _Work(inputs, rules, map_path, progress)
        work.read()
        outcome = work.write(append=append)
        if not keep:
            work.clean_up()
            outcome = outcome._replace(
                kept=tuple(work.kept),
                programs=tuple(work.programs),
                leftovers=tuple(work.leftovers),
            )  # fmt: skip
        return outcome


class _Work:
    """One combination, step by step. The caller holds the locks."""

    def __init__(
        self,
        inputs: Inputs,
        rules: Rules,
        map_path: Callable[[str], str],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.kept: list[Path] = []
        self.leftovers: list[str] = []
        self.programs: list[int] = []
        self._inputs = inputs
        self._rules = rules
        self._map_path = map_path
        self._reader = Reader(progress)
        self._parts = self._reader.parts
        self._data_files: list[Path] = []

    def read(self) -> None:
        """Look who runs and read everything; nothing is changed."""
        self._inputs.forget_vanished()
        self._reader.read(self._inputs)

    def write(self, *, append: bool) -> Outcome:
        """Write the data file."""
        target = self._rules.data_file
        gathered = _Gathered()
        sessions = [part.session for part in self._parts if part.session is not None]
        if is_data_file(target) and (append or self._continues(sessions)):
            gathered.take_file(target, str(target), None)
        for part in self._parts:
            gathered.take(part.past(), part.name, self._map_path)
            gathered.take(part.live.result(), part.name, self._map_path)
            if part.session is not None and part.folded:
                gathered.take_file(part.session.folded, part.name, self._map_path)
        for path in self._inputs.data_files:
            self._take_input(path, gathered)
        if not (self._parts or self._data_files or self._inputs.names_target):
            raise NothingToCombine("; ".join(self._reader.unreadable))
        kind = gathered.kind or next(
            (Kind.ARCS if each.settings.branch else Kind.LINES for each in sessions), None
        )
        result, warnings = self._placed(gathered)
        touched: dict[str, str] = {}
        silent = self._rules.disable_warnings
        for session in sessions:
            find: FilesOfPlugins = _no_files
            if session.settings.plugins:
                from covsup.supervisor.plugins import (  # noqa: PLC0415 - it imports coverage.py
                    FileFinders,
                )

                plugins = FileFinders(session.settings)
                find = plugins.find
                warnings += plugins.problems
            touched |= unexecuted_files(
                session.settings,
                result.modules,
                find,
                namespace_packages=self._rules.namespace_packages,
            )
            warnings += [
                f"{sentence} ({slug})"
                for slug, sentence in unseen_packages(session.settings, result.modules)
                if slug not in silent
            ]
        if gathered.kind is None and "no-data-collected" not in silent:
            warnings.append("no data was collected (no-data-collected)")
        provenance = write_database(
            result,
            target,
            kind=kind,
            others=gathered.files,
            touched={self._map_path(path): name for path, name in touched.items()},
        )
        ids = {session.id for session in sessions}
        return Outcome(
            data_file=target,
            sessions=tuple(sorted(ids)),
            images=self._reader.images,
            data_files=len(self._data_files),
            running=tuple(self._reader.running),
            unreadable=tuple(self._reader.unreadable),
            warnings=tuple(warnings),
            kept=tuple(part.directory for part in self._parts if part.session is not None),
            provenance=provenance,
        )

    def _placed(self, gathered: _Gathered) -> tuple[Result, list[str]]:
        """What was gathered, with the lines of functions that were sent by value in their files,
        and what there is to say of it."""
        result = gathered.folding.result()
        said = gathered.versions.sentences(result)
        sent = sent_code_in(result)
        if sent:
            from covsup.supervisor.by_value import (  # noqa: PLC0415 - hardly any run needs it
                Placing,
            )

            placing = Placing(result, sent, self._map_path, gathered.versions)
            result = placing.place()
            said += placing.sentences
        return result, said

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
            goes_on = part.supervised or part.session.settings.open
            if not goes_on and not part.live.images:
                self.programs += part.members
            if part.free() and not part.broken:
                self._keep_partial_fold(part, part.session)
                _delete(part.free())

    def _could_not_delete(self, path: Path, error: Exception) -> None:
        self.leftovers.append(f"{path} is combined but cannot be deleted: {error}")

    def _keep_partial_fold(self, part: Part, session: Session) -> None:
        folding = Folding().add(SourceVersions().identified(part.past()))
        others = []
        if part.folded:
            others.append(DataFile(path=session.folded))
            folding.add(read_who(session.folded))
        write_database(folding.result(), session.folded, others=others)

    def _continues(self, sessions: Iterable[Session]) -> bool:
        """Whether a session belongs to what is there: by --append, or as a part of it is."""
        known = sessions_in(self._rules.data_file)
        return any(
            each.settings.append or each.id in known or each.folded.exists() for each in sessions
        )

    def _take_input(self, path: Path, gathered: _Gathered) -> None:
        """Have a data file that was named; what cannot be read is told and left."""
        try:
            if is_data_file(path):
                gathered.take_file(path, str(path), self._map_path)
                self._data_files.append(path)
            else:
                self._reader.leave(f"{path} is empty")
        except DataFileUnusable as error:
            self._reader.leave(error)


class _Gathered:
    """Everything that goes into the data file. Lines and branches do not go together."""

    def __init__(self) -> None:
        self.folding = Folding()
        self.files: list[DataFile] = []
        self.versions = SourceVersions()
        self._by_kind: dict[Kind, str] = {}

    @property
    def kind(self) -> Kind | None:
        """What is measured; None where nothing was."""
        return next(iter(self._by_kind), None)

    def take(self, result: Result, name: str, map_path: Callable[[str], str]) -> None:
        """Have a result; `name` is whose it is."""
        self._agree(name, result.kind)
        self.folding.add(remapped(self.versions.identified(result), map_path))

    def take_file(self, path: Path, name: str, map_path: Callable[[str], str] | None) -> None:
        """Have what is in a data file. Raises DataFileUnusable, and then nothing was taken."""
        kind, who = kind_of(path), read_who(path)
        self._agree(name, kind or who.kind)
        if kind is not None:
            self.files.append(DataFile(path=path, map_path=map_path))
        self.versions.know(who)
        self.folding.add(who if map_path is None else remapped(who, map_path))

    def _agree(self, name: str, kind: Kind | None) -> None:
        if kind is not None:
            self._by_kind.setdefault(kind, name)
        if len(self._by_kind) == 2:
            raise MixedMeasurement(
                f"{self._by_kind[Kind.ARCS]} measured branches and {self._by_kind[Kind.LINES]}"
                " only lines: one data file cannot hold both; combine them one at a time, each"
                " with a --data-file of its own (nothing was changed)"
            )


def _no_files(_: str) -> Iterator[tuple[str, str]]:
    """What plugins report in a directory where there are none."""
    return iter(())


def _delete(paths: Iterable[str]) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - there may be thousands
