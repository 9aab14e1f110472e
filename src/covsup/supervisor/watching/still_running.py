"""Which process images of a session still run, and whether a covsup supervises it.

The journal of a running image may still grow, so it is neither complete nor to be deleted. A
snapshot of the process table is taken before the journals are read: an image that had ended by then
has a complete journal.
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
from covsup.supervisor.watching.other_writers import is_local

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
"""The largest error of a creation time: it is computed from the boot time, in whole seconds."""

_READS_DURING_EXEC: Final = 300  # one a millisecond

_FIRST_NAMESPACE: Final = "pid:[4026531836]"
"""The first pid namespace of a machine: PROC_PID_INIT_INO, a constant of the kernel."""

_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class ImageState(Enum):
    """Whether an image runs."""

    RUNNING = "running"
    ENDED = "ended"
    REMOTE = "remote"  # it ran on another machine, and may still run
    OTHER_NAMESPACE = "other namespace"  # likewise, in a container of this machine


class _UnreadableProcess(NamedTuple):
    """A process whose mappings we may not read. Only its start identifies it."""

    boottime_ns: int | None  # since boot; None = unknown
    create_time: float | None  # seconds since 1970; None = unknown


class ProcessSnapshot:
    """The processes that matter to some sessions, as of one moment."""

    def __init__(
        self,
        sessions: Iterable[Path],
        journals: Iterable[JournalFile],
        slot_borrowers: Iterable[int] = (),
    ) -> None:
        """Take the snapshot now.

        `sessions` are directories. `journals` are those whose images are in question, and
        `slot_borrowers` the pids of processes with a journal in a slot of another's file.
        """
        self.members: dict[Path, list[int]] = defaultdict(list)
        """By session directory: the pids of processes with the session in their environment."""
        self._mapped_by_pid: set[tuple[int, str]] = set()
        """The pid and image id of each journal that a process maps. It may have inherited it."""
        self._mapped_images: set[str] = set()
        self._unreadable: dict[int, _UnreadableProcess] = {}
        self._boot = linux.boot_id(_PROC)
        self._namespace = pid_namespace("self")
        pids = {*slot_borrowers, *(journal.pid for journal in journals)}
        if _HAS_PROC:
            # Of many journals' processes few still run. The listing also leaves out thread ids, for
            # which /proc/ID exists, too.
            there = [int(entry) for entry in os.listdir(_PROC) if entry.isdigit()]  # speed
            pids.intersection_update(there)
            names = {os.fsencode(path.name): path for path in sessions}
            pids.update(self._find_members(names, there))
        for pid in pids:
            self._read_process(pid)

    def is_mapped(self, image_id: str) -> bool:
        """Whether any process maps the journal of this image: its own, or a child that may write to
        a slot of the file.
        """
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
        """Whether the image of a journal's header runs.

        `host`, `boot` (the boot id) and `namespace` (of pids) are where it ran, as recorded in the
        journal. `file_of` is the image in whose file the journal is, if it borrows a slot.
        `was_rebooted` is called if it ran on another kernel, and answers whether that was this
        machine.
        """
        if (header.pid, file_of or header.image_id) in self._mapped_by_pid:
            return ImageState.RUNNING
        if not is_this_machine(self._boot, boot, host or ""):
            return ImageState.ENDED if boot and was_rebooted() else ImageState.REMOTE
        if namespace and self._namespace not in {"", namespace}:
            # Its pid means nothing here. But root in the first namespace sees all processes of all
            # containers, and would have seen it mapping its journal.
            sees_all = self._namespace == _FIRST_NAMESPACE and os.geteuid() == 0
            return ImageState.ENDED if sees_all else ImageState.OTHER_NAMESPACE
        unreadable = self._unreadable.get(header.pid)
        if unreadable is None:
            return ImageState.ENDED
        # A process has this pid. It is another one if it started after the image did.
        is_later = (
            unreadable.boottime_ns is not None
            and unreadable.boottime_ns > header.start_boottime_ns + _TICK_NS
        ) or (
            unreadable.create_time is not None
            and unreadable.create_time > header.start_realtime_ns / 1e9 + _CLOCK_SLACK_SECONDS
        )
        return ImageState.ENDED if is_later else ImageState.RUNNING

    def any_writer_runs(self, journals: Iterable[JournalFile]) -> bool:
        """Whether a process that writes to one of these journals may run."""
        return any(
            each.image_id in self._mapped_images or each.pid in self._unreadable
            for each in journals
        )

    def _find_members(self, sessions: dict[bytes, Path], pids: Iterable[int]) -> Iterator[int]:
        for pid in pids:
            # This process may be in the session, too, if it was started in a shell that is.
            if pid == os.getpid():
                continue
            try:
                environment = _environment(_PROC / str(pid))
            except OSError:
                # It has ended, or is another user's.
                continue
            for found in _SESSION.findall(b"\0" + environment):
                # The directory's random name identifies it. Its path may have been another one.
                for name in found.split(b"/"):
                    if name in sessions:
                        self.members[sessions[name]].append(pid)
                        yield pid

    def _read_process(self, pid: int) -> None:
        if not _HAS_PROC:
            create_time = _create_time_of(pid)
            if create_time is not None:
                self._unreadable[pid] = _UnreadableProcess(None, create_time)
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
        # A zombie has no mappings left, and an exec drops them.
        images = {match.decode("ascii") for match in _IMAGE.findall(maps)}
        if images:
            self._mapped_images |= images
            self._mapped_by_pid.update((each, image) for each in _pids_of(pid) for image in images)


def _pids_of(pid: int) -> set[int]:
    """The pids of a process, here and in each of its pid namespaces."""
    try:
        status = (_PROC / str(pid) / "status").read_bytes()
    except OSError:
        return {pid}
    return {pid, *(int(each) for line in _PIDS.findall(status) for each in line.split())}


def is_this_machine(our_boot: str, boot: str, host: str) -> bool:
    """Whether something ran on this machine since its last boot.

    The kernel's boot id decides. Where there is none (without /proc), the host's name does.
    """
    return boot == our_boot if boot else host in {"", os.uname().nodename}


def was_rebooted(machine: str, host: str, directory: Path) -> bool:
    """Whether something that ran on another kernel ran on this machine before its last boot.

    Copies of a virtual machine may share everything but the boot id. So the file system of the
    session's `directory` has to be one that no other machine can write to.
    """
    return (
        bool(machine and linux.boot_id(_PROC))
        and machine == linux.machine_id()
        and host == os.uname().nodename
        and is_local(directory)
    )


def supervisor_may_run_elsewhere(session: Session) -> bool:
    """Whether a session has a supervisor on another machine that may not have ended.

    A supervisor that holds no lock is a measured process, and its journal shows its end.
    """
    settings = session.settings
    if not settings.held or session.supervisor_has_ended:
        return False
    if is_this_machine(linux.boot_id(_PROC), settings.boot, settings.host):
        return False
    return not was_rebooted(settings.machine, settings.host, session.path)


def supervisor_runs(settings: Settings, session: Path | None = None) -> bool:
    """Whether another process of this machine supervises a session now.

    `session` is its directory.
    """
    pid = settings.supervisor_pid
    if pid == 0 or not is_this_machine(linux.boot_id(_PROC), settings.boot, settings.host):
        return False
    if settings.namespace not in {"", pid_namespace("self")}:
        # Its pid means nothing here. Its lock is seen from every container, and ends with it.
        return settings.held and session is not None and is_held_by_supervisor(session)
    return pid != os.getpid() and _is_older(pid, settings)


def _is_older(pid: int, settings: Settings) -> bool:
    """Whether there is a process of this pid that is older than the session."""
    if _HAS_PROC and settings.started_boottime_ns:
        started = _start_of(pid)
        if started is None or started.boottime_ns is None:
            return False
        return started.boottime_ns <= settings.started_boottime_ns + _TICK_NS
    create_time = _create_time_of(pid)
    return (
        create_time is not None and create_time <= settings.started_ns / 1e9 + _CLOCK_SLACK_SECONDS
    )


def _create_time_of(pid: int) -> float | None:
    """When a process started, in seconds since 1970; None if it has ended. For systems without
    /proc.
    """
    import psutil  # slow to import; not on Linux

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def _environment(process: Path) -> bytes:
    """The environment that a process was started with. Raises OSError if it cannot be read.

    In the middle of an exec the environment and the command line are empty for some microseconds.
    They always are for a kernel thread and a zombie, which have no program.
    """
    environment = (process / "environ").read_bytes()
    for _ in range(_READS_DURING_EXEC):
        if environment:
            break
        (process / "exe").readlink()
        is_there = bool((process / "cmdline").read_bytes())
        # The environment comes a moment after the command line, so it is read once more.
        time.sleep(0.001)
        environment = (process / "environ").read_bytes()
        if is_there:
            break
    return environment


def _start_of(pid: int) -> _UnreadableProcess | None:
    """When a process started, from a file that every user may read; None if it has ended."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The second field is the program's name in parentheses, which may hold anything.
    state, *fields = stat[stat.rindex(b")") + 2 :].split()
    if state in {b"Z", b"X", b"x"}:
        return None
    return _UnreadableProcess(int(fields[18]) * _TICK_NS, None)
