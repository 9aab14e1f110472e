"""Watch the tree: which processes there are, what each runs, and how each ends.

A scan at the process table finds them, twenty times a second; a journal that appears names one too.
Of each a pidfd is held, because only its own parent is told how a process ended, and a pidfd
remembers. What was seen goes into the session directory at once, so that it is there whatever
becomes of the supervisor.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from contextlib import suppress

from covsup.datafile.provenance.command_lines import is_python, runs_user_code
from covsup.datafile.session.directory import OBSERVATIONS, JournalFile, is_user_directory
from covsup.datafile.session.notes import NOTE_SUFFIX, SessionNote
from covsup.datafile.session.observations import Observation
from covsup.hints import TYPE_CHECKING
from covsup.interpreter_command import parse_command_line
from covsup.supervisor.watching import linux
from covsup.supervisor.watching.deletion_guard import DeletionGuard
from covsup.supervisor.watching.process_table import this_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Final

    from covsup.datafile.session.directory import Session
    from covsup.datafile.session.observations import EndSource
    from covsup.supervisor.watching.process_table import Program, Stat, Table

_FAST_POLL_SECONDS: Final = 0.05
_SLOW_POLL_SECONDS: Final = 0.1
_FAST_POLL_PERIOD_SECONDS: Final = 2.0
_SPARE_DESCRIPTORS: Final = 32  # of a limited number, for anything but processes and journals
_NO_LIMIT: Final = 1 << 20
_MANY_PROGRAMS: Final = 256
_MIN_SCAN_RATIO: Final = 10  # times as long as a scan took, until a inotify makes us take another
_SETTLED_SECONDS: Final = 0.3
"""After this a process runs what it runs, and has loaded what it loads."""

_SHELLS: Final = frozenset(
    {"sh", "bash", "dash", "ash", "busybox", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "make"}
)
_CARRIER_HINT: Final = ", or use --carrier" if sys.platform == "linux" else ""

_EARLY_DEATH_SECONDS: Final = 1.0
"""A Python that a signal ends sooner may not have come as far as its startup files."""


_DELETED: Final = "its journal was deleted during the run"


class Watched:
    """One process of the tree, from its first scan to its end."""

    def __init__(
        self,
        stat: Stat,
        *,
        program: Program | None,
        forked_from: Watched | None,
        pidfd: int | None,
        inner: tuple[str, int] = ("", 0),
    ) -> None:
        """As `stat` finds it now; `inner` is the pid namespace that it is in, and its pid there."""
        self.pid: Final = stat.pid
        self.ppid = stat.ppid  # at first
        self.ppid_now = stat.ppid
        self.create_time: Final = stat.create_time
        self.boottime_ns: Final = stat.boottime_ns
        self.namespace, self.inner_pid = inner
        self.memory = stat.memory
        self.program = program
        self.forked_from = forked_from  # runs a copy of this one
        self.pidfd = pidfd
        self.since = time.monotonic()  # of the first scan at this program
        self.said: Observation | None = None  # the last that was observed of it
        self.zombie = False  # it has ended, and nobody has waited for it
        self.looked_for_library = False
        self.embeds_python = False
        self.sees_session: bool | None = None  # the session directory, None = unknown

    @property
    def is_python(self) -> bool:
        """Whether it runs an interpreter, by the program's name or by what it has loaded."""
        program = self.program
        if program is None:
            return False
        names = (program.executable, *program.argv[:1])
        return self.embeds_python or any(is_python(name) for name in names)


class Watcher:
    """The tree below this process."""

    def __init__(
        self,
        session: Session,
        *,
        not_ours: set[int],
        uses_carrier: bool = False,
        table: Table | None = None,
    ) -> None:
        """Watch what `session` starts; `not_ours` are children of this process that are not it.

        `uses_carrier`: the carrier goes along.
        """
        self._session = session
        self._carried = uses_carrier
        self._table = this_table() if table is None else table
        self._supervisor = os.getpid()
        self._not_ours = not_ours
        self._watched: dict[int, Watched] = {}
        self._programs: dict[tuple[str, ...], Watched] = {}  # by memory: who was seen with it first
        self._unrelated_pids: set[int] = {self._supervisor, *not_ours}
        self._journals: dict[int, set[str]] = {}  # images by pid
        self._names: set[str] = set()  # of the files in the session directory
        self._files: list[JournalFile] = []  # the journals among them
        self._directories = {session.path: -1}
        """Where journals are made, those of other users too: when each was changed last."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit == resource.RLIM_INFINITY:
            limit = _NO_LIMIT
        self._most_pidfds = max(0, limit - _SPARE_DESCRIPTORS) // 2
        self._guard = DeletionGuard(session, self._most_pidfds)
        """Holds the journals; they are as many as the processes, and more."""
        self._unwritten: list[Observation] = []
        self._changed = self._scanned_at = time.monotonic()
        self.saw_no_change = False
        """Whether nobody began or ended since the last scan began."""
        self._scan_seconds = 0.0  # that the last scan took
        self._inotify = linux.InotifyWatch.hang(os.fspath(session.path))
        self._unexplained: list[Watched] = []  # ended Pythons of which no journal was seen

    @property
    def interval(self) -> float:
        """Seconds until the next scan is due: fewer while things happen."""
        quiet = time.monotonic() - self._changed
        return _FAST_POLL_SECONDS if quiet < _FAST_POLL_PERIOD_SECONDS else _SLOW_POLL_SECONDS

    @property
    def is_due(self) -> bool:
        """Whether the last scan is so long ago that it is time for another."""
        return time.monotonic() - self._scanned_at > 2 * self.interval

    def alive(self) -> list[Watched]:
        """The processes that have not ended, as of the last scan."""
        return [each for each in self._watched.values() if not each.zombie]

    def may_run_python(self) -> list[Watched]:
        """The living processes that may still execute Python.

        A program that is none, has no child and has been what it is for a while (gpg-agent, sleep)
        is not waited for; a shell is, which may start anything next.
        """
        alive = self.alive()
        parents = {each.ppid_now for each in alive}
        return [
            each
            for each in alive
            if each.program is None
            or each.is_python
            or each.pid in parents
            or self._has_journal(each)
            or self._age(each) < _SETTLED_SECONDS
            or os.path.basename(each.program.executable) in _SHELLS  # noqa: PTH119 - a name
        ]

    def is_child(self, pid: int) -> bool:
        """Whether a process is a child of this one, by birth or by adoption."""
        stat = self._table.stat(pid)
        return stat is not None and stat.ppid == self._supervisor

    def scan(self) -> None:
        """Take one scan."""
        self._scanned_at = time.monotonic()
        self.saw_no_change = True
        self._read_directory()
        pids = self._table.pids()
        self._unrelated_pids &= pids
        self._find_new(pids - self._unrelated_pids - self._watched.keys())
        for each in list(self._watched.values()):
            self._scan_process(each, gone=each.pid not in pids)
        self._drop_explained()
        self._write_observations()
        self._scan_seconds = time.monotonic() - self._scanned_at

    def on_inotify(self) -> None:
        """A journal was made: take a scan, unless that has taken much of our time of late.

        Whoever lives for less than the time between two looks is seen only so, and with it the
        shell that it was started by.
        """
        for name in self._inotify.quiet() if self._inotify is not None else ():
            self._see_name(self._session.path, name)
        self._restore_directory()
        if time.monotonic() - self._scanned_at > _MIN_SCAN_RATIO * self._scan_seconds:
            self.scan()

    def ignore_child(self, pid: int) -> None:
        """A child of this process that was just forked belongs to this process, not to the tree."""
        self._unrelated_pids.add(pid)

    def about_to_be_reaped(self, pid: int) -> None:
        """A child of ours is a zombie: the last chance to learn when it began."""
        if pid not in self._watched and pid not in self._unrelated_pids:
            stat = self._table.stat(pid)
            if stat is not None:
                self._begin(stat)

    def reaped(self, pid: int, status: int) -> None:
        """A child of ours, or an orphan that became one, was waited for."""
        watched = self._watched.get(pid)
        if watched is not None:
            self._end(watched, "wait", status)

    def finish(self) -> None:
        """Take the last scan; call it once, when nobody is waited for any longer."""
        inotify, self._inotify = self._inotify, None
        if inotify is not None:
            # First: SIGIO may come at no later time, whatever fails here.
            inotify.take_down()
        self.scan()
        for each in list(self._watched.values()):
            stat = self._table.stat(each.pid) if each.zombie else None
            if stat is not None and stat.exit_code is not None:
                self._end(each, "pidfd", stat.exit_code)
        self._recover()
        self._write_observations()

    def explain_unmeasured(self, why_not: Callable[[str], str]) -> None:
        """After `finish`: say of Pythons without a journal why they have none.

        `why_not` tells why Pythons of an interpreter cannot be measured, or "". It starts them.
        """
        for each in (*self._unexplained, *self._watched.values()):
            if self._is_unexplained(each):
                self._explain(each, why_not)
        self._write_observations()
        for each in self._watched.values():
            self._close(each)

    def _restore_directory(self) -> None:
        """Make the session directory again where the program has deleted it."""
        if self._guard.restore_directory():
            self._directories = {self._session.path: -1}
            if self._inotify is not None:
                self._inotify.watch(os.fspath(self._session.path))

    def _recover(self) -> None:
        """Have what was deleted in the session directory again, and say what could not be saved."""
        written = self._guard.recover(self._files)
        alive = {pid for each in self.alive() for pid in (each.pid, each.inner_pid)}
        seen = {}
        if self._guard.lost:
            with suppress(OSError):
                seen = {each.pid: each for each in self._session.observations()}
        saved = {each.pid for each in self._files} - {each.pid for each in self._guard.lost}
        for pid in sorted({each.pid for each in self._guard.lost}):
            if pid in seen and pid not in saved:
                reason = f"{_DELETED}, and what it recorded is lost"
                self._unwritten.append(seen[pid]._replace(at_ns=time.time_ns(), reason=reason))
            else:
                self._leave_note(pid, f"{_DELETED}, and what it recorded is lost")
        for pid in sorted({each.pid for each in written} & alive):
            self._leave_note(pid, f"{_DELETED}: what it executes from now on is lost")
        self._guard.let_go()

    def _leave_note(self, pid: int, why: str) -> None:
        watched = self._watched.get(pid)
        program = watched.program if watched is not None else None
        argv = program.argv if program is not None else ()
        with suppress(
            OSError
        ):  # a disk without room; the line about the deletion_message is said anyway
            self._session.leave_note(
                SessionNote(pid=pid, time_ns=time.time_ns(), kind="lost", why=why, argv=argv)
            )

    @property
    def deletion_message(self) -> str:
        """One line about what was deleted in the session directory, or nothing."""
        guard = self._guard
        if not guard.was_deleted:
            return ""
        lost = f", {len(guard.lost)} lost" if guard.lost else ""
        return (
            f"something deleted the session directory {self._session.path} during the run, or files"
            f" in it; journals saved: {guard.saved}{lost}"
        )

    def _read_directory(self) -> None:
        """Which processes have a journal."""
        self._restore_directory()
        for directory in self._directories.copy():
            self._read_names(directory)

    def _read_names(self, directory: Path) -> None:
        try:
            changed_ns = directory.stat().st_mtime_ns
            if changed_ns == self._directories[directory]:
                return
            names = os.listdir(directory)  # noqa: PTH208 - names are all that is needed
        except OSError:
            # The target deletes what it likes. The journals are mapped, what is in them is not lost
            # before the last process ends; combining will say what it cannot find.
            return
        self._directories[directory] = changed_ns
        for name in names:
            if name not in self._names or name == OBSERVATIONS:
                self._see_name(directory, name)

    def _see_name(self, directory: Path, name: str) -> None:
        """Take up a file of the session directory."""
        path = f"{directory}/{name}"
        journal = JournalFile.named(name, path)
        if journal is None:
            if name == OBSERVATIONS or name.endswith(NOTE_SUFFIX):
                self._guard.hold(path)
            elif (
                is_user_directory(name)
                and directory == self._session.path
                and directory / name not in self._directories
            ):
                self._directories[directory / name] = -1
                self._read_names(directory / name)
            return
        if name in self._names:
            return
        self._names.add(name)
        self._files.append(journal)
        self._guard.hold(path)
        images = self._journals.setdefault(journal.pid, set())
        if journal.image_id not in images:
            images.add(journal.image_id)
            self._unrelated_pids.discard(journal.pid)

    def _find_new(self, pids: set[int]) -> None:
        """Take up which of `pids` belong to the tree; the others are never looked at again."""
        stats = {}
        for pid in pids:
            stat = self._table.stat(pid)
            if stat is not None:
                stats[pid] = stat
        unknown = dict(stats)
        found = True
        while found:
            found = False
            for pid, stat in list(unknown.items()):
                if (
                    stat.ppid == self._supervisor
                    or stat.ppid in self._watched
                    or self._has_journal_of_ours(stat)
                ):
                    self._begin(stat)
                    del unknown[pid]
                    found = True
        self._unrelated_pids |= unknown.keys()

    def _has_journal_of_ours(self, stat: Stat) -> bool:
        """Whether one of the session's journals is this process's, who is no descendant of ours."""
        if stat.pid not in self._journals:
            return False
        program = self._table.program(stat.pid)
        return program is not None and program.session == os.fspath(self._session.path)

    def _begin(self, stat: Stat) -> None:
        self._forget_programs()
        pidfd = linux.open_pidfd(stat.pid) if len(self._watched) < self._most_pidfds else None
        again = self._table.stat(stat.pid)
        if pidfd is not None and (again is None or again.create_time != stat.create_time):
            # The pid was given to another process in between: that one is found by the next scan.
            os.close(pidfd)
            pidfd = None
        original = self._programs.get(stat.memory)
        watched = Watched(
            stat,
            program=None if stat.state == "Z" else self._table.program(stat.pid),
            forked_from=original,
            pidfd=pidfd,
            inner=self._table.inner_pid(stat.pid),
        )
        self._watched[stat.pid] = watched
        self._programs.setdefault(stat.memory, watched)
        self._changed = time.monotonic()
        self.saw_no_change = False
        if stat.state != "Z":
            self._note(watched)

    def _forget_programs(self) -> None:
        """Forget what was run by processes that have ended, as have all of their copies."""
        if len(self._programs) > 2 * len(self._watched) + _MANY_PROGRAMS:
            alive = {each.memory for each in self._watched.values()}
            for memory in self._programs.keys() - alive:
                del self._programs[memory]

    def _scan_process(self, watched: Watched, *, gone: bool) -> None:
        """See whether it has ended, or become another program."""
        if gone or (watched.pidfd is not None and linux.has_ended(watched.pidfd)):
            self._see_end(watched)
            return
        stat = self._table.stat(watched.pid)
        if stat is None or stat.create_time != watched.create_time:
            self._see_end(watched)
            return
        if stat.state == "Z":
            self._see_zombie(watched)
            return
        watched.ppid_now = stat.ppid
        if stat.memory != watched.memory:
            program = self._table.program(watched.pid)
            if program is None or not program.argv:
                # In the middle of an exec, which the next scan will find done, or about to be a
                # zombie: its memory goes first, and what it ran is still what it ran.
                return
            watched.memory = stat.memory
            watched.forked_from = self._programs.setdefault(stat.memory, watched)
            if watched.forked_from is watched:
                watched.forked_from = None
            watched.program = program
            watched.since = self._changed = time.monotonic()
            watched.looked_for_library = watched.embeds_python = False
            watched.sees_session = None
            self._note(watched)
        elif not watched.looked_for_library and self._age(watched) > _SETTLED_SECONDS:
            watched.looked_for_library = True
            if not watched.is_python and watched.forked_from is None:
                watched.embeds_python = self._table.maps_python(watched.pid)
            self._note(watched)

    def _see_end(self, watched: Watched) -> None:
        """It ended, but was not waited for by us."""
        if watched.pidfd is None:
            self._end(watched, "gone", None)
            return
        status = linux.exit_status_of(watched.pidfd)
        stat = self._table.stat(watched.pid)
        if status is None and stat is not None and stat.create_time == watched.create_time:
            # The kernel tells when its parent has waited for it, or we shall wait for it.
            self._see_zombie(watched)
            return
        if status is None:
            self._end(watched, "gone", None)
        else:
            self._end(watched, "pidfd", status)

    def _see_zombie(self, watched: Watched) -> None:
        self.saw_no_change = self.saw_no_change and watched.zombie
        watched.zombie = True

    def _drop_explained(self) -> None:
        """Pythons that ended undecided: their journal may have been seen since."""
        self._unexplained = [each for each in self._unexplained if self._is_unexplained(each)]

    def _end(self, watched: Watched, known: EndSource, status: int | None) -> None:
        del self._watched[watched.pid]
        self._changed = time.monotonic()
        self.saw_no_change = False
        self._note(watched, ended=known, status=status)
        if self._is_unexplained(watched):
            self._unexplained.append(watched)
        self._close(watched)

    def _close(self, watched: Watched) -> None:
        if watched.pidfd is not None:
            os.close(watched.pidfd)
            watched.pidfd = None

    def _has_journal(self, watched: Watched) -> bool:
        """Whether it is measured; where its pid is another one for itself, nearly surely."""
        return watched.pid in self._journals or watched.inner_pid in self._journals

    def _note(
        self,
        watched: Watched,
        *,
        ended: EndSource = "",
        status: int | None = None,
        reason: str = "",
    ) -> None:
        """Observe what is known of it now, if that is new."""
        program = watched.program
        reason = reason or self._certain_reason(watched)
        observation = Observation(
            pid=watched.pid,
            create_time=watched.create_time,
            boottime_ns=watched.boottime_ns,
            at_ns=time.time_ns(),
            ppid=watched.ppid,
            argv=program.argv if program is not None else (),
            executable=program.executable if program is not None else "",
            python=self._verdict(watched, reason),
            ended=ended,
            status=status,
            reason=reason,
            namespace=watched.namespace,
            inner_pid=watched.inner_pid,
        )
        if watched.said and watched.said._replace(at_ns=observation.at_ns) == observation:
            return
        watched.said = observation
        self._unwritten.append(observation)

    def _verdict(self, watched: Watched, reason: str) -> bool | None:
        """Whether it counts as a Python: only where that is sure, for it is then held to be one
        that ought to be measured."""
        if self._has_journal(watched) or reason:
            return True
        if watched.program is None or watched.is_python or not watched.program.argv:
            return None
        return False

    def _certain_reason(self, watched: Watched) -> str:
        """Why a process is not measured, where one scan tells; "" = it may well be."""
        program = watched.program
        if program is None or not watched.is_python:
            return ""
        if watched.forked_from is not None:
            # It is measured as its parent is: a journal of its own comes with the first new fact.
            parent = watched.forked_from
            return "" if self._has_journal(parent) else self._certain_reason(parent)
        if (
            not self._carried
            and is_python(program.argv[0] if program.argv else "")
            and "S" in parse_command_line(program.argv).letters
        ):
            return (
                "started with -S, which skips the startup files: start it without" + _CARRIER_HINT
            )
        if self._is_of_inner_run(program):
            return ""
        if program.environment_known and (reason := self._reason_in_environment(program)):
            return reason
        return "" if self._has_journal(watched) else self._reason_in_mounts(watched)

    def _reason_in_environment(self, program: Program) -> str:
        match program.session:
            case None:
                if self._carried:
                    return (
                        "its environment has no COVSUP_SESSION, and something that the carrier is"
                        " not in (a static or set-user-ID program) started it: have that pass it on"
                    )
                return (
                    "its environment has no COVSUP_SESSION: have what starts it pass that on"
                    + _CARRIER_HINT
                )
            case "":
                return "switched off by an empty COVSUP_SESSION"
            case session if session != os.fspath(self._session.path):
                return f"it belongs to another session, {session}"
            case _:
                return ""

    def _is_of_inner_run(self, program: Program) -> bool:
        """Whether it belongs to a run inside of this session, which hands its result on to it."""
        session = program.session
        if not session or session == os.fspath(self._session.path):
            return False
        return self._session.contains_run(os.path.basename(session))  # noqa: PTH119 - any text

    def _reason_in_mounts(self, watched: Watched) -> str:
        """Why a process that would take part in the session cannot: it has another root directory,
        or other mounts. What was seen of it holds when it has ended."""
        path = os.fspath(self._session.path)
        program = watched.program
        if program is None or program.session != path:
            return ""
        if watched.sees_session is not False:
            seen = self._table.sees(watched.pid, path)
            watched.sees_session = watched.sees_session if seen is None else seen
        if watched.sees_session is not False:
            return ""
        return (
            f"the session directory {path} is not there where it ran (other mounts, another root):"
            " mount it there at the same path, or choose a place that is by --data-file"
        )

    def _reason_in_user(self, program: Program) -> str:
        """Why a process of another user is not measured, if it is one."""
        path = self._session.path
        try:
            owner = path.stat().st_uid
        except OSError:
            return ""
        if program.uid == 0 != owner:
            return (
                f"it ran as root, which no session of another user's (here of {owner}) may steer:"
                " run covsup as root, or it as that user"
            )
        if program.uid in {None, owner} or path / f"uid-{program.uid}" in self._directories:
            return ""
        return (
            f"it ran as user {program.uid}, who cannot write to the session directory {path}:"
            f" open a session by `covsup env --user={program.uid}` where that user can go"
        )

    def _is_unexplained(self, watched: Watched) -> bool:
        """Whether it is a Python of which nothing tells whether it was measured."""
        return (
            watched.is_python
            and watched.forked_from is None
            and watched.program is not None
            and runs_user_code(watched.program.argv)
            and not self._is_of_inner_run(watched.program)
            and not self._has_journal(watched)
            and not self._certain_reason(watched)
        )

    def _explain(self, watched: Watched, why_not: Callable[[str], str]) -> None:
        """The Python should be measured, as far as one sees, and has no journal."""
        program, last = watched.program, watched.said
        if program is None or last is None:
            return
        if watched.embeds_python and not any(
            is_python(name) for name in (program.executable, *program.argv[:1])
        ):
            reason = "a program that embeds Python, which has no covsup or never started it"
            if not self._carried and sys.platform == "linux":
                reason += ": use --carrier"
        else:
            reason = why_not(_interpreter_of(program))
        if not reason:
            reason = self._reason_in_user(program)
        if not reason:
            seconds = (last.at_ns / 1e9 - watched.create_time) if last.ended else 0.0
            if seconds < _EARLY_DEATH_SECONDS and last.status != 0:
                return
            reason = (
                "the session directory had been deleted when it started"
                if self._guard.was_deleted
                else "it left no journal, though its environment and its interpreter, as they are now, would let it"
            )
        self._note(watched, ended=last.ended, status=last.status, reason=reason)

    def _age(self, watched: Watched) -> float:
        return time.monotonic() - watched.since

    def _write_observations(self) -> None:
        """Write down what was observed."""
        news, self._unwritten = self._unwritten, []
        try:
            self._session.observe(news)
        except OSError:
            # A deleted directory or a full disk must not end the supervision; what is missing then
            # is how processes ended, which is shown as unknown. Tried again with the next news.
            self._unwritten = news


def _interpreter_of(program: Program) -> str:
    """The path to start the interpreter of a process by, in its own environment of packages."""
    first = program.argv[0] if program.argv else ""
    if os.path.isabs(first) and _is_file(first):  # noqa: PTH117 - any text
        return first
    import shutil  # noqa: PLC0415 - only where a Python was not measured

    # A virtual environment is told from its base by the name alone: as it was started, so by the
    # directory or the PATH of that process.
    found = shutil.which(first, path=program.search_path) if first else None
    if os.sep in first and program.cwd:
        found = os.path.join(program.cwd, first)  # noqa: PTH118 - as above
    if found is not None and os.path.realpath(found) == program.executable:
        return found
    return program.executable


def _is_file(path: str) -> bool:
    try:
        return os.path.isfile(path)  # noqa: PTH113
    except ValueError:
        return False
