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
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from covsup.datafile.contents import result_of, result_of_session
from covsup.datafile.database import (
    DataFile,
    DataFileUnusable,
    DataFileUnwritable,
    is_data_file,
    kind_of,
    read_who,
    sessions_in,
    write_database,
)
from covsup.datafile.derivation import provenance_of
from covsup.datafile.errors import JournalDamaged, JournalError, JournalNotBegun
from covsup.datafile.fold import Folding, MixedMeasurement, remapped, seen
from covsup.datafile.journal import read_journal
from covsup.datafile.provenance import End
from covsup.datafile.result import Kind, Result
from covsup.datafile.session import (
    JournalFile,
    Session,
    SessionUnreadable,
    open_session,
    tidy_sessions_directory,
)
from covsup.supervisor.inputs import Inputs, NothingToCombine
from covsup.supervisor.liveness import Look, Verdict, supervisor_runs
from covsup.supervisor.locks import locked, version_of
from covsup.supervisor.outcome import Outcome, StillRunning
from covsup.supervisor.unexecuted import never_imported, unexecuted_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from covsup.datafile.journal import Journal
    from covsup.supervisor.rules import Rules

_EMPTY_MAGIC: Final = bytes(8)
_UNBORN_SECONDS: Final = 60.0


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
            outcome = replace(
                outcome,
                kept=tuple(work.kept),
                programs=tuple(work.programs),
                leftovers=tuple(work.leftovers),
            )  # fmt: skip
        return outcome


@dataclass(frozen=True, slots=True)
class _ReadImage:
    """One image as its journals tell it."""

    result: Result
    image_id: str
    pid: int
    said: dict[str, str]  # its properties
    journals: tuple[Path, ...]  # that may go once the image has ended


@dataclass(slots=True)
class _Part:
    """A session, or loose journals, as read."""

    name: str  # for messages
    directory: Path
    session: Session | None
    only: frozenset[str] | None
    ended: Folding = field(default_factory=Folding)  # what need not be read again
    live: Folding = field(default_factory=Folding)
    elsewhere: list[_ReadImage] = field(default_factory=list)  # still to be judged
    folded: bool = False  # a partial fold is there
    finished: list[Path] = field(default_factory=list)  # journals that may go
    started: set[Path] = field(default_factory=set)  # journals of which the magic was there
    broken: bool = False  # the partial fold is there and cannot be read
    members: list[int] = field(default_factory=list)  # processes that were started in it
    supervised: bool = False  # another covsup will combine it, too
    stays: bool = False  # something of it has to be looked at again

    def end(self, read: _ReadImage) -> None:
        """Take in an image that has ended."""
        now = time.time_ns()
        self.ended.add(seen(read.result, running=(), gone=(read.image_id,), at_ns=now))
        self.finished += read.journals

    def journals(self) -> list[JournalFile]:
        """The journals in question that are there now."""
        if self.session is not None:
            found = self.session.journals()
        else:
            found = sorted(
                journal
                for path in self.directory.iterdir()
                if path.is_file() and (journal := JournalFile.at(path)) is not None
            )
        return [each for each in found if self.only is None or each.image_id in self.only]


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
        self._progress = progress
        self._unreadable: list[str] = []
        self._running: list[StillRunning] = []
        self._images = 0
        self._data_files: list[Path] = []
        self._parts: list[_Part] = []

    def read(self) -> None:
        """Look who runs and read everything; nothing is changed."""
        self._inputs.forget_vanished()
        for directory, only in sorted(self._inputs.sessions.items()):
            try:
                session = open_session(directory)
            except SessionUnreadable as error:
                if not _never_began(directory):
                    self._leave(error)
                continue
            part = _Part(f"session {session.id}", directory, session, only)
            self._parts.append(part)
            try:
                part.folded = is_data_file(session.folded)
            except DataFileUnusable as error:
                # Without it nothing can be added to it: what is there now has to stay.
                self._leave(error)
                part.broken = True
        self._parts += [
            _Part(str(directory), directory, None, frozenset(images))
            for directory, images in sorted(self._inputs.loose.items())
        ]
        # In this order: listed, looked at, listed again. Whose journal was complete before the
        # look and who does not run in it has written all of the segments that the second list has.
        for part in self._parts:
            part.started = {each.path for each in part.journals() if _is_begun(each.path)}
        look = Look(
            [part.directory for part in self._parts if part.session is not None],
            [each for part in self._parts for each in part.journals()],
        )
        lists = [part.journals() for part in self._parts]
        total, done = sum(map(len, lists)), 0
        for part, journals in zip(self._parts, lists, strict=True):
            part.members = look.members.get(part.directory, [])
            if part.members:
                part.stays = True
            if part.session is not None:
                part.supervised = supervisor_runs(part.session.settings)
                if part.supervised:
                    part.stays = True
                part.ended.add(
                    result_of_session(
                        part.session.settings, part.session.notes(), part.session.observations()
                    )
                )
            for image in _by_image(journals):
                self._read_image(part, image, look)
                done += len(image)
                if self._progress is not None:
                    self._progress(done, total)
            self._judge_elsewhere(part)

    def write(self, *, append: bool) -> Outcome:
        """Write the data file."""
        target = self._rules.data_file
        gathered = _Gathered()
        sessions = [part.session for part in self._parts if part.session is not None]
        if is_data_file(target) and (append or self._continues(sessions)):
            gathered.take_file(target, str(target), None)
        for part in self._parts:
            gathered.take(part.ended.result(), part.name, self._map_path)
            gathered.take(part.live.result(), part.name, self._map_path)
            if part.session is not None and part.folded:
                gathered.take_file(part.session.folded, part.name, self._map_path)
        for path in self._inputs.data_files:
            self._take_input(path, gathered)
        if not (self._parts or self._data_files or self._inputs.names_target):
            raise NothingToCombine("; ".join(self._unreadable))
        kind = gathered.kind or next(
            (Kind.ARCS if each.settings.branch else Kind.LINES for each in sessions), None
        )
        result = gathered.folding.result()
        touched: set[str] = set()
        warnings: list[str] = []
        for session in sessions:
            touched |= unexecuted_files(
                session.settings,
                result.modules,
                namespace_packages=self._rules.namespace_packages,
            )
            warnings += [
                f"module {package} was never imported"
                for package in never_imported(session.settings, result.modules)
            ]
        if gathered.kind is None:
            warnings.append("no data was collected")
        write_database(
            result,
            target,
            kind=kind,
            others=gathered.files,
            touched={self._map_path(path) for path in touched},
        )
        ids = {session.id for session in sessions}
        return Outcome(
            data_file=target,
            sessions=tuple(sorted(ids)),
            images=self._images,
            data_files=len(self._data_files),
            running=tuple(self._running),
            unreadable=tuple(self._unreadable),
            warnings=tuple(warnings),
            kept=tuple(part.directory for part in self._parts if part.session is not None),
            provenance=provenance_of(result),
        )

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

    def _clean_up(self, part: _Part) -> None:
        if part.session is None:
            _delete(part.finished)
        elif self._is_over(part):
            part.session.delete()
        else:
            self.kept.append(part.directory)
            goes_on = part.supervised or part.session.settings.open
            if not goes_on and not part.live.result().images:
                self.programs += part.members
            if part.finished and not part.broken:
                self._keep_partial_fold(part, part.session)
                _delete(part.finished)

    def _could_not_delete(self, path: Path, error: Exception) -> None:
        self.leftovers.append(f"{path} is combined but cannot be deleted: {error}")

    def _is_over(self, part: _Part) -> bool:
        """Whether nothing of a session is left to be done."""
        if part.stays or part.broken or part.only is not None:
            return False
        if part.session is not None and part.session.settings.open:
            return False  # others may join it at any time
        done = set(part.finished)
        return all(journal.path in done for journal in part.journals())

    def _keep_partial_fold(self, part: _Part, session: Session) -> None:
        folding = Folding().add(part.ended.result())
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
                self._leave(f"{path} is empty")
        except DataFileUnusable as error:
            self._leave(error)

    def _leave(self, why: Exception | str) -> None:
        self._unreadable.append(f"{why}; it is left where it is")

    def _read_image(self, part: _Part, files: Sequence[JournalFile], look: Look) -> None:
        """Read the segments of one image."""
        journals, good = self._read_segments(part, files)
        if not journals:
            part.finished += good
            return
        context = "" if part.session is None else part.session.settings.context
        session_id = "" if part.session is None else part.session.id
        result = result_of(journals, session=session_id, static_context=context)
        ((image_id, image),) = result.images.items()
        self._images += 1
        if result.problems:
            whats = "; ".join(sorted(problem.what for problem in result.problems))
            unused = any(problem.unused for problem in result.problems)
            left = "; what is sound was used, the journal is left where it is" if unused else ""
            self._unreadable.append(f"{files[0].path}: {whats}{left}")
            if unused:
                part.stays = True
                good = []
        header = journals[0].header
        read = _ReadImage(result, image_id, header.pid, image.said(), tuple(good))
        match look.verdict(header, read.said.get("host"), read.said.get("pid_namespace", "")):
            case Verdict.ENDED if files[0].path in part.started:
                part.end(read)
            case Verdict.ELSEWHERE:
                part.elsewhere.append(read)
            case _:
                self._go_on(part, read, host="")

    def _read_segments(
        self, part: _Part, files: Sequence[JournalFile]
    ) -> tuple[list[Journal], list[Path]]:
        """The segments that can be read, and those which may go once they are stored."""
        journals: list[Journal] = []
        good: list[Path] = []
        whole = True
        for file in files:
            try:
                journals.append(_read_as_named(file))
                good.append(file.path)
            except JournalNotBegun:
                # Its process was killed before it could begin, or it is about to.
                if _is_alive(file.pid):
                    part.stays = True
                else:
                    good.append(file.path)
            except JournalError as error:
                self._leave(error)
                whole = False
        if not whole:
            # The segments of an image need each other's definitions: they go together or stay.
            part.stays = True
            good = []
        return journals, good

    def _judge_elsewhere(self, part: _Part) -> None:
        """Of the images of other hosts, the journals alone tell which have ended."""
        if not part.elsewhere:
            return
        told = Folding().add(part.ended.result()).add(part.live.result())
        for read in part.elsewhere:
            told.add(read.result)
        processes = provenance_of(told.result()).processes
        over = {
            each.image_id
            for each in processes
            if each.ending.end in {End.EXITED, End.KILLED, End.EXECED}
        }
        for read in part.elsewhere:
            if read.image_id in over:
                part.end(read)
            else:
                self._go_on(part, read, host=_host(read.said))

    def _go_on(self, part: _Part, read: _ReadImage, *, host: str) -> None:
        """The image runs, as far as can be known."""
        part.stays = True
        now = time.time_ns()
        part.live.add(seen(read.result, running=(read.image_id,), gone=(), at_ns=now))
        argv = read.said.get("argv", "")
        self._running.append(
            StillRunning(
                session="" if part.session is None else part.session.id,
                image_id=read.image_id,
                pid=read.pid,
                argv=tuple(argv.split("\0")) if argv else (),
                host=host,
            )
        )


class _Gathered:
    """Everything that goes into the data file. Lines and branches do not go together."""

    def __init__(self) -> None:
        self.folding = Folding()
        self.files: list[DataFile] = []
        self._by_kind: dict[Kind, str] = {}

    @property
    def kind(self) -> Kind | None:
        """What is measured; None where nothing was."""
        return next(iter(self._by_kind), None)

    def take(self, result: Result, name: str, map_path: Callable[[str], str]) -> None:
        """Have a result; `name` is whose it is."""
        self._agree(name, result.kind)
        self.folding.add(remapped(result, map_path))

    def take_file(self, path: Path, name: str, map_path: Callable[[str], str] | None) -> None:
        """Have what is in a data file. Raises DataFileUnusable, and then nothing was taken."""
        kind, who = kind_of(path), read_who(path)
        self._agree(name, kind)
        if kind is not None:
            self.files.append(DataFile(path=path, map_path=map_path))
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


def _never_began(directory: Path) -> bool:
    """Whether a session directory is empty: one that is being made, or whose maker was killed."""
    try:
        if time.time() - directory.stat().st_mtime > _UNBORN_SECONDS:
            directory.rmdir()
        return not any(directory.iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _by_image(journals: Iterable[JournalFile]) -> list[list[JournalFile]]:
    images: dict[tuple[str, int], list[JournalFile]] = {}
    for journal in journals:
        images.setdefault((journal.image_id, journal.pid), []).append(journal)
    return list(images.values())


def _host(said: dict[str, str]) -> str:
    """Where an image runs that cannot be looked at from here."""
    host = said.get("host", "")
    return host if host != os.uname().nodename else f"{host}, in a container"


def _is_begun(path: Path) -> bool:
    """Whether a journal's first word is there: it is written last, when the journal is mapped."""
    try:
        with path.open("rb") as file:
            return file.read(len(_EMPTY_MAGIC)) not in {b"", _EMPTY_MAGIC}
    except OSError:
        # The reader shall say what is wrong with it.
        return True


def _read_as_named(file: JournalFile) -> Journal:
    journal = read_journal(file.path)
    header = journal.header
    if (header.image_id, header.pid, header.segment) != (file.image_id, file.pid, file.segment):
        raise JournalDamaged(f"{file.path}: its name and its header are of different processes")
    return journal


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
