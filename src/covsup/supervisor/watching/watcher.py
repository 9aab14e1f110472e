"""Watch the tree of a run: which processes there are, what each runs, and how each ends.

A scan of the process table, up to twenty times a second, finds them. The journal of a process that
lives for less than that is found, too. The watcher holds a pidfd of each process: only the parent
gets the wait status, but a pidfd still reports it afterwards. Observations are written into the
session directory at once, so they are there even if the supervisor is killed.
"""

from __future__ import annotations

import os
import resource
import time
from contextlib import suppress

from covsup.datafile.session.notes import SessionNote
from covsup.datafile.session.observations import Observation
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.watching import linux
from covsup.supervisor.watching.process_table import this_table
from covsup.supervisor.watching.session_files import SessionFiles
from covsup.supervisor.watching.unmeasured import UnmeasuredReasons
from covsup.supervisor.watching.watched_process import WatchedProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from covsup.datafile.session.directory import Session
    from covsup.datafile.session.observations import EndSource
    from covsup.supervisor.watching.process_table import Stat, Table

_FAST_POLL_SECONDS: Final = 0.05
_SLOW_POLL_SECONDS: Final = 0.1
_FAST_POLL_PERIOD_SECONDS: Final = 2.0
"""Scans are frequent for so long after the last process began or ended."""

_MIN_SCAN_RATIO: Final = 10
"""inotify triggers no scan before so many times the duration of the last scan have passed."""

_SPARE_DESCRIPTORS: Final = 32  # that are used for neither processes nor journals
_NO_LIMIT: Final = 1 << 20
_MANY_PROGRAMS: Final = 256

_SHELLS: Final = frozenset(
    {"sh", "bash", "dash", "ash", "busybox", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "make"}
)

_DELETED: Final = "its journal was deleted during the run"


class Watcher:
    """The tree of processes below this one."""

    def __init__(
        self,
        session: Session,
        *,
        not_ours: set[int],
        uses_carrier: bool = False,
        table: Table | None = None,
    ) -> None:
        """Watch what `session` starts. `not_ours` are pids of children of this process that do not
        belong to the session.

        `uses_carrier`: the carrier is preloaded into the processes of the session.
        """
        self._session = session
        self._table = this_table() if table is None else table
        self._supervisor = os.getpid()
        self._watched: dict[int, WatchedProcess] = {}  # by pid
        self._programs: dict[tuple[str, ...], WatchedProcess] = {}
        """By `memory`: the first process that was seen with it. Forked copies have the same."""
        self._unrelated_pids: set[int] = {self._supervisor, *not_ours}
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit == resource.RLIM_INFINITY:
            limit = _NO_LIMIT
        self._max_pidfds = max(0, limit - _SPARE_DESCRIPTORS) // 2
        # The other half is for journals, of which there are as many as processes, or more.
        self._files = SessionFiles(session, self._max_pidfds, self._unrelated_pids.discard)
        self._reasons = UnmeasuredReasons(
            session, self._files, self._table, uses_carrier=uses_carrier
        )
        self._unwritten: list[Observation] = []
        self._unexplained: list[WatchedProcess] = []  # they have ended
        self._changed = self._scanned_at = time.monotonic()
        self._scan_seconds = 0.0  # how long the last scan took
        self.saw_no_change = False
        """No process began or ended since the last scan began."""

    @property
    def interval(self) -> float:
        """Seconds from one scan to the next: fewer while processes come and go."""
        idle = time.monotonic() - self._changed
        return _FAST_POLL_SECONDS if idle < _FAST_POLL_PERIOD_SECONDS else _SLOW_POLL_SECONDS

    @property
    def is_due(self) -> bool:
        """Whether a scan is overdue."""
        return time.monotonic() - self._scanned_at > 2 * self.interval

    @property
    def deletion_message(self) -> str:
        """A message about files that were deleted in the session directory; "" = none were."""
        return self._files.deletion_message

    def alive(self) -> list[WatchedProcess]:
        """The processes that have not ended, as of the last scan."""
        return [each for each in self._watched.values() if not each.zombie]

    def may_run_python(self) -> list[WatchedProcess]:
        """The living processes that may still execute Python.

        A program that is not Python, has no child, and has run for a while (gpg-agent, sleep) does
        not count. A shell does: it may start anything next.
        """
        alive = self.alive()
        parents = {each.ppid_now for each in alive}
        return [
            each
            for each in alive
            if each.program is None
            or each.is_python
            or each.pid in parents
            or self._reasons.has_journal(each)
            or not each.is_settled
            or each.program.executable.rpartition("/")[2] in _SHELLS
        ]

    def is_child(self, pid: int) -> bool:
        """Whether a process is a child of this one, by fork or by adoption."""
        stat = self._table.stat(pid)
        return stat is not None and stat.ppid == self._supervisor

    def scan(self) -> None:
        """Scan the session directory and the process table once."""
        self._scanned_at = time.monotonic()
        self.saw_no_change = True
        self._files.read()
        pids = self._table.pids()
        self._unrelated_pids &= pids
        self._find_new(pids - self._unrelated_pids - self._watched.keys())
        for each in list(self._watched.values()):
            self._scan_process(each, gone=each.pid not in pids)
        # The journal of a Python that has ended may have been seen since.
        self._unexplained = [
            each for each in self._unexplained if self._reasons.is_unexplained(each)
        ]
        self._write_observations()
        self._scan_seconds = time.monotonic() - self._scanned_at

    def on_inotify(self) -> None:
        """Scan because a journal was made, unless scans took much of the time lately.

        Only so is a process found that lives for less than the interval, and the shell that started
        it.
        """
        self._files.on_inotify()
        if time.monotonic() - self._scanned_at > _MIN_SCAN_RATIO * self._scan_seconds:
            self.scan()

    def ignore_child(self, pid: int) -> None:
        """Leave out a child that this process has just forked for itself."""
        self._unrelated_pids.add(pid)

    def about_to_be_reaped(self, pid: int) -> None:
        """Look at a zombie child while the process table still shows when it began."""
        if pid not in self._watched and pid not in self._unrelated_pids:
            stat = self._table.stat(pid)
            if stat is not None:
                self._start_watching(stat)

    def reaped(self, pid: int, status: int) -> None:
        """Record the wait status of a child, or of an orphan that became one."""
        process = self._watched.get(pid)
        if process is not None:
            self._end(process, "wait", status)

    def finish(self) -> None:
        """Scan once more at the end of the run, and restore deleted journals. Called once."""
        # First, as SIGIO must not come later, whatever fails here.
        self._files.close_inotify()
        self.scan()
        for each in list(self._watched.values()):
            stat = self._table.stat(each.pid) if each.zombie else None
            if stat is not None and stat.exit_code is not None:
                self._end(each, "pidfd", stat.exit_code)
        self._recover()
        self._write_observations()

    def explain_unmeasured(self, why_not: Callable[[str], str]) -> None:
        """After `finish`: record why each Python without a journal was not measured.

        `why_not` starts the interpreter at a path, and gives the reason why it cannot be measured.
        """
        for each in (*self._unexplained, *self._watched.values()):
            if not self._reasons.is_unexplained(each):
                continue
            reason, last = self._reasons.likely_reason(each, why_not), each.last_observation
            if reason and last is not None:
                self._observe(each, ended=last.ended, status=last.status, reason=reason)
        self._write_observations()
        for each in self._watched.values():
            each.close()

    def _recover(self) -> None:
        """Restore deleted journals, and record which processes lost theirs."""
        written, lost, pids_with_journals = self._files.recover()
        alive = {pid for each in self.alive() for pid in (each.pid, each.inner_pid)}
        observed = {}
        if lost:
            with suppress(OSError):
                observed = {each.pid: each for each in self._session.observations()}
        for pid in sorted({each.pid for each in lost}):
            reason = f"{_DELETED}, and what it recorded is lost"
            if pid in observed and pid not in pids_with_journals:
                self._unwritten.append(observed[pid]._replace(at_ns=time.time_ns(), reason=reason))
            else:
                self._leave_note(pid, reason)
        for pid in sorted({each.pid for each in written} & alive):
            self._leave_note(pid, f"{_DELETED}: what it executes from now on is lost")

    def _leave_note(self, pid: int, why: str) -> None:
        process = self._watched.get(pid)
        program = process.program if process is not None else None
        argv = program.argv if program is not None else ()
        with suppress(OSError):  # a full disk; the user still gets the deletion message
            self._session.leave_note(
                SessionNote(pid=pid, time_ns=time.time_ns(), kind="lost", why=why, argv=argv)
            )

    def _find_new(self, pids: set[int]) -> None:
        """Watch those of `pids` that belong to the tree; later scans skip the others."""
        unknown = {pid: stat for pid in pids if (stat := self._table.stat(pid)) is not None}
        found = True
        while found:
            found = False
            for pid, stat in list(unknown.items()):
                if (
                    stat.ppid == self._supervisor
                    or stat.ppid in self._watched
                    or self._has_joined(stat)
                ):
                    self._start_watching(stat)
                    del unknown[pid]
                    found = True
        self._unrelated_pids |= unknown.keys()

    def _has_joined(self, stat: Stat) -> bool:
        """Whether a process that does not descend from this one has a journal in the session."""
        if not self._files.has_journal_of(stat.pid):
            return False
        program = self._table.program(stat.pid)
        return program is not None and program.session == os.fspath(self._session.path)

    def _start_watching(self, stat: Stat) -> None:
        self._forget_programs()
        pidfd = linux.open_pidfd(stat.pid) if len(self._watched) < self._max_pidfds else None
        again = self._table.stat(stat.pid)
        if pidfd is not None and (again is None or again.create_time != stat.create_time):
            # Another process got the pid in between. The next scan finds that one.
            os.close(pidfd)
            pidfd = None
        process = WatchedProcess(
            stat,
            program=None if stat.state == "Z" else self._table.program(stat.pid),
            forked_from=self._programs.get(stat.memory),
            pidfd=pidfd,
            inner=self._table.inner_pid(stat.pid),
        )
        self._watched[stat.pid] = process
        self._programs.setdefault(stat.memory, process)
        self._changed = time.monotonic()
        self.saw_no_change = False
        if stat.state != "Z":
            self._observe(process)

    def _forget_programs(self) -> None:
        """Drop the programs of processes that have ended with all of their copies."""
        if len(self._programs) > 2 * len(self._watched) + _MANY_PROGRAMS:
            alive = {each.memory for each in self._watched.values()}
            for memory in self._programs.keys() - alive:
                del self._programs[memory]

    def _scan_process(self, process: WatchedProcess, *, gone: bool) -> None:
        """Find out whether a process has ended, or runs another program now."""
        if gone or (process.pidfd is not None and linux.has_ended(process.pidfd)):
            self._see_end(process)
            return
        stat = self._table.stat(process.pid)
        if stat is None or stat.create_time != process.create_time:
            self._see_end(process)
            return
        if stat.state == "Z":
            self._see_zombie(process)
            return
        process.ppid_now = stat.ppid
        if stat.memory != process.memory:
            program = self._table.program(process.pid)
            if program is None or not program.argv:
                # Either in the middle of an exec, and the next scan finds it done; or about to
                # become a zombie, which loses its memory first: then the old program stays.
                return
            first = self._programs.setdefault(stat.memory, process)
            process.became(stat.memory, program, None if first is process else first)
            self._changed = time.monotonic()
            self._observe(process)
        elif not process.looked_for_library and process.is_settled:
            process.looked_for_library = True
            if not process.is_python and process.forked_from is None:
                process.embeds_python = self._table.maps_python(process.pid)
            self._observe(process)

    def _see_end(self, process: WatchedProcess) -> None:
        """Record the end of a process that is not this one's child, as far as it is known."""
        if process.pidfd is None:
            self._end(process, "gone", None)
            return
        status = linux.exit_status_of(process.pidfd)
        stat = self._table.stat(process.pid)
        if status is None and stat is not None and stat.create_time == process.create_time:
            # The kernel gives the status once the parent has waited, or we shall wait ourselves.
            self._see_zombie(process)
            return
        if status is None:
            self._end(process, "gone", None)
        else:
            self._end(process, "pidfd", status)

    def _see_zombie(self, process: WatchedProcess) -> None:
        self.saw_no_change = self.saw_no_change and process.zombie
        process.zombie = True

    def _end(self, process: WatchedProcess, source: EndSource, status: int | None) -> None:
        """Record an end; `source` is how it is known, `status` the raw wait status."""
        del self._watched[process.pid]
        self._changed = time.monotonic()
        self.saw_no_change = False
        self._observe(process, ended=source, status=status)
        if self._reasons.is_unexplained(process):
            self._unexplained.append(process)
        process.close()

    def _observe(
        self,
        process: WatchedProcess,
        *,
        ended: EndSource = "",
        status: int | None = None,
        reason: str = "",
    ) -> None:
        """Record what is known of a process now, if that is new."""
        program, last = process.program, process.last_observation
        reason = reason or self._reasons.certain_reason(process)
        observation = Observation(
            pid=process.pid,
            create_time=process.create_time,
            boottime_ns=process.boottime_ns,
            at_ns=time.time_ns(),
            ppid=process.ppid,
            argv=program.argv if program is not None else (),
            executable=program.executable if program is not None else "",
            python=self._reasons.counts_as_python(process, reason),
            ended=ended,
            status=status,
            reason=reason,
            namespace=process.namespace,
            inner_pid=process.inner_pid,
        )
        if last is None or last._replace(at_ns=observation.at_ns) != observation:
            process.last_observation = observation
            self._unwritten.append(observation)

    def _write_observations(self) -> None:
        unwritten, self._unwritten = self._unwritten, []
        try:
            self._session.observe(unwritten)
        except OSError:
            # A deleted directory or a full disk must not end the supervision. Without observations
            # the ends of some processes are shown as unknown. The next scan tries again.
            self._unwritten = unwritten
