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
import fcntl
import os
import shutil
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from covsup.datafile.contents import result_of, result_of_session
from covsup.datafile.database import (
    DataFile,
    DataFileUnusable,
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
from covsup.datafile.provenance import End, Provenance
from covsup.datafile.result import Kind, Result
from covsup.datafile.session import (
    SESSIONS,
    JournalFile,
    Session,
    open_session,
)
from covsup.supervisor.inputs import Inputs, InputUnusable, NothingToCombine
from covsup.supervisor.liveness import Look, Verdict, supervisor_runs
from covsup.supervisor.unexecuted import never_imported, unexecuted_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from covsup.datafile.journal import Journal
    from covsup.supervisor.rules import Rules

_GONE: Final = ".gone-"
"""How the name of a session directory begins while it is being deleted."""

_EMPTY_MAGIC: Final = bytes(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class StillRunning:
    """An image that was folded as far as it had come, and whose journal is kept."""

    session: str
    image_id: str
    pid: int
    argv: tuple[str, ...]
    host: str  # "" = this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a combination did."""

    data_file: Path
    sessions: tuple[str, ...]  # ids
    images: int  # process images folded
    data_files: int  # data files combined
    running: tuple[StillRunning, ...]
    unreadable: tuple[str, ...]  # one sentence per journal or data file that was left where it is
    warnings: tuple[str, ...]  # what coverage.py would warn of
    kept: tuple[Path, ...]  # session directories that stay
    provenance: Provenance  # of the sessions combined

    def sentences(self) -> list[str]:
        """What there is to say, a line each; nothing where all went as it should."""
        said = list(self.unreadable)
        here = [each for each in self.running if not each.host]
        elsewhere = [each for each in self.running if each.host]
        if here:
            said.append(
                f"{_processes(here)} still running: measured so far, the journal is kept;"
                " `covsup combine` picks up the rest"
            )
        if elsewhere:
            hosts = ", ".join(sorted({each.host for each in elsewhere}))
            said.append(
                f"{_processes(elsewhere)} on {hosts}, which cannot be asked whether it still"
                " runs: measured so far, the journal is kept"
            )
        return [*said, *self.warnings]


def combine(
    paths: Sequence[Path] = (),
    *,
    rules: Rules,
    keep: bool = False,
    append: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Combine `paths`, or every session beside the data file, into the data file.

    `paths` are session directories, directories that hold sessions or data files, journals and
    data files. What was combined is deleted, unless `keep`. An existing data file is replaced;
    it is united with the rest if `append`, if it is named in `paths`, and if it holds a part of
    a session that is combined now (a snapshot, or what had ended by an earlier time).
    `progress` is called with the number of journals read and of all.

    Raises NothingToCombine, InputUnusable, DataFileUnusable, DataFileUnwritable,
    SessionUnreadable, MixedMeasurement; then nothing was deleted and the data file is as it was.
    """
    is_data_file(rules.data_file)
    map_path = rules.map_path()
    inputs = Inputs(paths, rules.data_file)
    before = _version_of(rules.data_file)
    with contextlib.ExitStack() as stack:
        waited = stack.enter_context(_locked(rules.data_file.parent))
        for directory in sorted(inputs.session_directories()):
            stack.enter_context(_locked(directory))
        # Whom we waited for combined at the same time: together they are one combination.
        append = append or inputs.names_target or (
            waited and before != _version_of(rules.data_file)
        )  # fmt: skip
        work = _Work(inputs, rules, map_path, progress)
        work.read()
        outcome = work.write(append=append)
        if not keep:
            work.clean_up()
            outcome = replace(outcome, kept=tuple(work.kept))
        return outcome


@dataclass(slots=True)
class _Part:
    """A session, or loose journals, as read."""

    name: str  # for messages
    directory: Path
    session: Session | None
    only: frozenset[str] | None
    ended: Folding = field(default_factory=Folding)  # what need not be read again
    live: Folding = field(default_factory=Folding)
    folded: bool = False  # a partial fold is there
    finished: list[Path] = field(default_factory=list)  # journals that may go
    started: set[Path] = field(default_factory=set)  # journals of which the magic was there
    stays: bool = False  # something of it has to be looked at again

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
            session = open_session(directory)
            part = _Part(f"session {session.id}", directory, session, only)
            part.folded = is_data_file(session.folded)
            self._parts.append(part)
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
            if look.members.get(part.directory):
                part.stays = True
            if part.session is not None:
                if supervisor_runs(part.session.settings):
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

    def write(self, *, append: bool) -> Outcome:
        """Write the data file."""
        target = self._rules.data_file
        existing = is_data_file(target)
        who = Folding()
        facts = Folding()
        others: list[DataFile] = []
        kinds = _Kinds()
        sessions = [part.session for part in self._parts if part.session is not None]
        if existing and (append or self._continues(sessions)):
            kinds.add(str(target), kind_of(target))
            others.append(DataFile(path=target))
            who.add(read_who(target))
        for part in self._parts:
            part_facts = Folding().add(part.ended.result()).add(part.live.result()).result()
            kinds.add(part.name, part_facts.kind)
            self._add(facts, who, part_facts)
            if part.session is not None and part.folded:
                kinds.add(part.name, kind_of(part.session.folded))
                others.append(DataFile(path=part.session.folded, map_path=self._map_path))
                who.add(remapped(read_who(part.session.folded), self._map_path))
        for path in self._inputs.data_files:
            self._take_data_file(path, kinds, others, who)
        if not (self._parts or self._data_files or self._inputs.names_target):
            raise NothingToCombine("; ".join(self._unreadable))
        kind = kinds.kind or next(
            (Kind.ARCS if each.settings.branch else Kind.LINES for each in sessions), None
        )
        result = Folding().add(who.result()).add(facts.result()).result()
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
        if kinds.kind is None:
            warnings.append("no data was collected")
        write_database(
            result,
            target,
            kind=kind,
            others=others,
            touched={self._map_path(path) for path in touched},
        )
        ids = {session.id for session in sessions}
        provenance = provenance_of(result)
        return Outcome(
            data_file=target,
            sessions=tuple(sorted(ids)),
            images=self._images,
            data_files=len(self._data_files),
            running=tuple(self._running),
            unreadable=tuple(self._unreadable),
            warnings=tuple(warnings),
            kept=tuple(part.directory for part in self._parts if part.session is not None),
            provenance=provenance,
        )

    def clean_up(self) -> None:
        """Delete what is in the data file now."""
        for part in self._parts:
            if part.session is None:
                _delete(part.finished)
            elif self._is_over(part):
                _delete_session(part.directory)
            else:
                self.kept.append(part.directory)
                if part.finished:
                    self._keep_partial_fold(part, part.session)
                    _delete(part.finished)
        _delete(self._data_files)
        for parent in {part.directory.parent for part in self._parts if part.session is not None}:
            _tidy(parent)

    def _is_over(self, part: _Part) -> bool:
        """Whether nothing of a session is left to be done."""
        if part.stays or part.only is not None:
            return False
        done = set(part.finished)
        return all(journal.path in done for journal in part.journals())

    def _keep_partial_fold(self, part: _Part, session: Session) -> None:
        folding = Folding().add(part.ended.result())
        others = []
        if part.folded:
            others.append(DataFile(path=session.folded))
            folding.add(read_who(session.folded))
        write_database(folding.result(), session.folded, others=others)

    def _add(self, facts: Folding, who: Folding, result: Result) -> None:
        mapped = remapped(result, self._map_path)
        who.add(replace(mapped, kind=None, lines={}, arcs={}))
        facts.add(Result(kind=mapped.kind, lines=mapped.lines, arcs=mapped.arcs))

    def _continues(self, sessions: Iterable[Session]) -> bool:
        """Whether a session has been combined before, in part."""
        known = sessions_in(self._rules.data_file)
        return any(session.id in known or is_data_file(session.folded) for session in sessions)

    def _take_data_file(
        self, path: Path, kinds: _Kinds, others: list[DataFile], who: Folding
    ) -> None:
        try:
            if not is_data_file(path):
                self._unreadable.append(f"{path} is empty; it is left where it is")
                return
            kind = kind_of(path)
            its_who = read_who(path)
        except DataFileUnusable as error:
            self._unreadable.append(f"{error}; it is left where it is")
            return
        kinds.add(str(path), kind)
        if kind is not None:
            others.append(DataFile(path=path, map_path=self._map_path))
        who.add(remapped(its_who, self._map_path))
        self._data_files.append(path)

    def _read_image(self, part: _Part, files: Sequence[JournalFile], look: Look) -> None:
        """Read the segments of one image."""
        journals: list[Journal] = []
        good: list[Path] = []
        whole = True
        for file in files:
            try:
                journals.append(_read_as_named(file))
            except JournalNotBegun:
                # Its process was killed before it could begin, or it is about to.
                if _is_alive(file.pid):
                    part.stays = True
                else:
                    good.append(file.path)
            except JournalError as error:
                self._unreadable.append(f"{error}; it is left where it is")
                whole = False
            else:
                good.append(file.path)
        if not whole:
            # The segments of an image need each other's definitions: they go together or stay.
            part.stays = True
            good = []
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
        host = dict(image.properties).get("host")
        verdict = look.verdict(header, host)
        if verdict is Verdict.ELSEWHERE and _said_goodbye(result):
            verdict = Verdict.ENDED
        begun = all(file.path in part.started for file in files[:1])
        now = time.time_ns()
        if verdict is Verdict.ENDED and begun:
            part.ended.add(seen(result, running=(), gone=(image_id,), at_ns=now))
            part.finished += good
            return
        part.stays = True
        part.live.add(seen(result, running=(image_id,), gone=(), at_ns=now))
        argv = dict(image.properties).get("argv", "")
        self._running.append(
            StillRunning(
                session=session_id,
                image_id=image_id,
                pid=header.pid,
                argv=tuple(argv.split("\0")) if argv else (),
                host=host or "" if verdict is Verdict.ELSEWHERE else "",
            )
        )


class _Kinds:
    """Who brought lines and who branches; they do not go together."""

    def __init__(self) -> None:
        self._by: dict[Kind, str] = {}

    def add(self, name: str, kind: Kind | None) -> None:
        if kind is not None:
            self._by.setdefault(kind, name)
        if len(self._by) == 2:
            raise MixedMeasurement(
                f"{self._by[Kind.ARCS]} measured branches and {self._by[Kind.LINES]} only lines:"
                " one data file cannot hold both; combine them one at a time, each with a"
                " --data-file of its own (nothing was changed)"
            )

    @property
    def kind(self) -> Kind | None:
        return next(iter(self._by), None)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[bool]:
    """Hold a directory against other combinations; gives whether we had to wait for one.

    The lock goes with the process, however that ends, and leaves no file behind.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        # Another combination has taken it; or the data file's directory is yet to be complained of.
        yield False
        return
    except OSError as error:
        raise InputUnusable(f"cannot open {directory}: {error.strerror or error}") from error
    try:
        waited = False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield waited
    finally:
        os.close(descriptor)


def _version_of(path: Path) -> tuple[int, int] | None:
    """What changes when a file is replaced."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _by_image(journals: Iterable[JournalFile]) -> list[list[JournalFile]]:
    images: dict[tuple[str, int], list[JournalFile]] = {}
    for journal in journals:
        images.setdefault((journal.image_id, journal.pid), []).append(journal)
    return list(images.values())


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


def _said_goodbye(result: Result) -> bool:
    """Whether a journal itself tells that its image has ended."""
    (process,) = provenance_of(result).processes
    return process.ending.end in {End.EXITED, End.KILLED, End.EXECED}


def _processes(running: Sequence[StillRunning]) -> str:
    shown = [f"{each.pid} ({' '.join(each.argv)})" if each.argv else str(each.pid)
             for each in running[:3]]  # fmt: skip
    more = f" and {len(running) - 3} more" if len(running) > 3 else ""
    verb = "is" if len(running) == 1 else "are"
    noun = "process" if len(running) == 1 else "processes"
    return f"{noun} {', '.join(shown)}{more} {verb}"


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _delete_session(directory: Path) -> None:
    """Delete a session in one step, as far as any other covsup can see."""
    gone = directory.with_name(_GONE + directory.name)
    directory.rename(gone)
    shutil.rmtree(gone)


def _tidy(parent: Path) -> None:
    """Finish what killed combinations left, and remove the directory of sessions if it is empty."""
    for gone in parent.glob(f"{_GONE}*"):
        shutil.rmtree(gone)
    if parent.name != SESSIONS or {each.name for each in parent.iterdir()} > {".gitignore"}:
        return
    (parent / ".gitignore").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        # A session may have been made in this moment: its directory then stays, and it wrote
        # .gitignore itself or finds the directory without it.
        parent.rmdir()
