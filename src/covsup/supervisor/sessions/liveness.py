"""One look at the process table: which images of a session still run.

A journal whose owner runs may still grow, so it must be neither deleted nor thought complete. The
look is taken before the journals are read: what had ended by then is complete when it is read.
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from enum import Enum
from pathlib import Path

from covsup.datafile.session.directory import is_held_by_supervisor
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.watching import linux
from covsup.supervisor.watching.linux import pid_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Final

    from covsup.datafile.journal.header import Header
    from covsup.datafile.session.directory import JournalFile, Session
    from covsup.datafile.session.settings import Settings

_PROC: Final = Path("/proc")
_HAS_PROC: Final = Path("/proc/self/maps").exists()
_IMAGE: Final = re.compile(rb"/\d+-([0-9a-f]{32})\.\d+\.journal~?")

_PIDS: Final = re.compile(rb"^NSpid:([\d\s]*?)$", re.MULTILINE)

_SESSION: Final = re.compile(rb"\0COVSUP_SESSION=([^\0]*)")

_CLOCK_SLACK_SECONDS: Final = 2.0
"""A creation time is the boot time, in whole seconds, plus ticks: so far off at most (seconds)."""

_READS_DURING_EXEC: Final = 300

_FIRST_NAMESPACE: Final = "pid:[4026531836]"
"""The pid namespace of the machine itself: PROC_PID_INIT_INO, a constant of the kernel."""

_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class ImageState(Enum):
    """Whether an image runs."""

    RUNNING = "running"
    ENDED = "ended"
    REMOTE = "elsewhere"  # on another machine, which cannot be asked
    OTHER_NAMESPACE = "hidden"  # on this machine, in a pid namespace that we do not see


class _UnreadableProcess(NamedTuple):
    """A process whose mappings we may not read: it is known by its start alone."""

    boottime_ns: int | None
    create_time: float | None


class ProcessSnapshot:
    """What the process table said when it was asked."""

    def __init__(
        self,
        sessions: Iterable[Path],
        journals: Iterable[JournalFile],
        slot_borrowers: Iterable[int] = (),
    ) -> None:
        """ProcessSnapshot now.

        `journals` are those whose owners are in question, `slot_borrowers` the pids of the processes that
        have theirs in the files of others.
        """
        self.members: dict[Path, list[int]] = defaultdict(list)
        """By session directory: the processes that were started with it in their environment."""
        self._mapped_by_pid: set[tuple[int, str]] = set()
        """Process and image of each journal that a process maps: its own, or an inherited one."""
        self._mapped_images: set[str] = set()
        self._unreadable: dict[int, _UnreadableProcess] = {}
        self._host = os.uname().nodename
        self._boot = linux.boot_id(_PROC)
        self._namespace = pid_namespace("self")
        pids = {*slot_borrowers, *(journal.pid for journal in journals)}
        if _HAS_PROC:
            # Of many journals' processes few are there; a thread's id is nobody's pid.
            there = [int(entry) for entry in os.listdir(_PROC) if entry.isdigit()]  # noqa: PTH208
            pids.intersection_update(there)
            names = {os.fsencode(path.name): path for path in sessions}
            pids.update(self._find_members(names, there))
        for pid in pids:
            self._read_process(pid)

    def is_mapped(self, image_id: str) -> bool:
        """Whether any process maps the journal of this image: its own, or a child that may write
        to a slot of the file."""
        return image_id in self._mapped_images

    def state_of(
        self,
        header: Header,
        host: str | None,
        namespace: str = "",
        file_of: str | None = None,
        *,
        boot: str = "",
        was_rebooted: Callable[[], bool] = bool,
    ) -> ImageState:
        """Whether the image of a journal's header runs; `host`, `boot` and the pid `namespace` are
        where the journal says it did.

        `file_of` is the image in whose file the journal is, where that is another one;
        `was_rebooted` is asked where it ran on another kernel: whether that was this machine.
        """
        if (header.pid, file_of or header.image_id) in self._mapped_by_pid:
            return ImageState.RUNNING
        if not is_this_machine(self._boot, boot, host or ""):
            return ImageState.ENDED if boot and was_rebooted() else ImageState.REMOTE
        if namespace and self._namespace not in {"", namespace}:
            # Its pid means nothing here. Root sees the processes of every container, from outside.
            sees_all = self._namespace == _FIRST_NAMESPACE and os.geteuid() == 0
            return ImageState.ENDED if sees_all else ImageState.OTHER_NAMESPACE
        unreadable = self._unreadable.get(header.pid)
        if unreadable is None:
            return ImageState.ENDED
        # The pid is alive: the same process, unless that one started after the journal did.
        later = (
            unreadable.boottime_ns is not None
            and unreadable.boottime_ns > header.start_boottime_ns + _TICK_NS
        ) or (
            unreadable.create_time is not None
            and unreadable.create_time > header.start_realtime_ns / 1e9 + _CLOCK_SLACK_SECONDS
        )
        return ImageState.ENDED if later else ImageState.RUNNING

    def any_writer_runs(self, journals: Iterable[JournalFile]) -> bool:
        """Whether a process that writes one of these journals may run."""
        return any(
            each.image_id in self._mapped_images or each.pid in self._unreadable
            for each in journals
        )

    def _find_members(self, sessions: dict[bytes, Path], pids: Iterable[int]) -> Iterator[int]:
        for pid in pids:
            # We may have been given a session ourselves: that of the shell that we were started in.
            if pid == os.getpid():
                continue
            try:
                environment = _environment(_PROC / str(pid))
            except OSError:
                # Ended meanwhile, or another user's, which may not be one of ours either.
                continue
            for found in _SESSION.findall(b"\0" + environment):
                # The name is enough, it is random: the way to it may have been another then.
                for name in found.split(b"/"):
                    if name in sessions:
                        self.members[sessions[name]].append(pid)
                        yield pid

    def _read_process(self, pid: int) -> None:
        if not _HAS_PROC:
            import psutil  # noqa: PLC0415 - slow to import, and not needed on Linux

            try:
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:
                    self._unreadable[pid] = _UnreadableProcess(None, process.create_time())
            except psutil.NoSuchProcess:
                pass
            return
        try:
            maps = (_PROC / str(pid) / "maps").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return
        except OSError:
            started = _start_of(pid)
            if started is not None:
                self._unreadable[pid] = started
            return
        # A zombie has no mappings left, and a program that the process became has none of ours.
        images = {match.decode("ascii") for match in _IMAGE.findall(maps)}
        if images:
            self._mapped_images |= images
            self._mapped_by_pid.update((each, image) for each in _pids_of(pid) for image in images)


def _pids_of(pid: int) -> set[int]:
    """The pids by which a process is known, here and in the namespaces that it is in."""
    try:
        status = (_PROC / str(pid) / "status").read_bytes()
    except OSError:
        return {pid}
    return {pid, *(int(each) for line in _PIDS.findall(status) for each in line.split())}


def is_this_machine(our_boot: str, boot: str, host: str) -> bool:
    """Whether something was on this machine, and since its last start.

    The kernel's boot id tells. A name does only where there is no id: on systems without /proc,
    and in what older versions wrote.
    """
    return boot == our_boot if boot else host in {"", os.uname().nodename}


def was_rebooted(machine: str, host: str, directory: Path) -> bool:
    """Whether what ran on another kernel ran on this machine before its last start.

    Copies of a virtual machine may share everything but the boot id: so the file system has to be
    one that no other machine can write to.
    """
    return (
        bool(machine and linux.boot_id(_PROC))
        and machine == linux.machine_id()
        and host == os.uname().nodename
        and linux.is_local(directory)
    )


def supervisor_may_run_elsewhere(session: Session) -> bool:
    """Whether a session has a supervisor on another machine, and nothing says that it has ended.

    Where no lock is held, the supervisor is a measured process: its journal tells.
    """
    settings = session.settings
    if not settings.held or session.supervisor_has_ended:
        return False
    if is_this_machine(linux.boot_id(_PROC), settings.boot, settings.host):
        return False
    return not was_rebooted(settings.machine, settings.host, session.path)


def supervisor_runs(settings: Settings, session: Path | None = None) -> bool:
    """Whether another process of this machine supervises this session at this moment.

    `session` is its directory.
    """
    pid = settings.supervisor_pid
    if pid == 0 or not is_this_machine(linux.boot_id(_PROC), settings.boot, settings.host):
        return False
    if settings.namespace not in {"", pid_namespace("self")}:
        # Its pid means nothing here. Its lock is seen from everywhere, and goes with it.
        return settings.held and session is not None and is_held_by_supervisor(session)
    return pid != os.getpid() and _is_older(pid, settings)


def _is_older(pid: int, settings: Settings) -> bool:
    """Whether there is a process of this pid that is older than the session."""
    if _HAS_PROC and settings.started_boottime_ns:
        started = _start_of(pid)
        if started is None or started.boottime_ns is None:
            return False
        return started.boottime_ns <= settings.started_boottime_ns + _TICK_NS
    import psutil  # noqa: PLC0415 - slow to import

    try:
        process = psutil.Process(pid)
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and process.create_time() <= settings.started_ns / 1e9 + _CLOCK_SLACK_SECONDS
        )
    except psutil.NoSuchProcess:
        return False


def _environment(process: Path) -> bytes:
    """What a process was started with; OSError where it cannot be read.

    In the middle of an exec the old environment has gone and the new one is not there yet, nor is
    the command line: that lasts for microseconds. (A kernel thread and a zombie have no program.)
    """
    environment = (process / "environ").read_bytes()
    for _ in range(_READS_DURING_EXEC):
        if environment:
            break
        (process / "exe").readlink()
        is_there = bool((process / "cmdline").read_bytes())
        # The environment comes a moment after the command line: once more in any case.
        time.sleep(0.001)
        environment = (process / "environ").read_bytes()
        if is_there:
            break
    return environment


def _start_of(pid: int) -> _UnreadableProcess | None:
    """When a process started, by what everybody may read of it; None where it has ended."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The second field is the program's name in parentheses, which may hold anything.
    state, *fields = stat[stat.rindex(b")") + 2 :].split()
    if state in {b"Z", b"X", b"x"}:
        return None
    return _UnreadableProcess(int(fields[18]) * _TICK_NS, None)
