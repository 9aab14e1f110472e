"""What Linux offers a supervisor beyond POSIX: subreaper, pidfds that tell an exit status, /proc.

Every function says by its result, not by an exception, that the kernel is too old or another.
"""

from __future__ import annotations

import _thread
import ctypes
import fcntl
import os
import select
import signal
import struct
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final, Literal, Self

HAS_PROC: Final = sys.platform == "linux" and os.access("/proc/self/stat", os.R_OK)

# proc(5): fields of /proc/PID/stat, the first of which follows the name in brackets; and a name.
_FIRST_AFTER_NAME: Final = 3
_ARGV_FIELDS: Final = (48, 49)
_COMM_BYTES: Final = 15

# sigset_t, as glibc and musl have it.
_SIGSET_BITS: Final = 1024
_SIGNALS: Final = 64
_WORD_BITS: Final = 8 * ctypes.sizeof(ctypes.c_ulong)

_PROC: Final = Path("/proc")
_MAP_FAILED: Final = ctypes.c_void_p(-1).value
_LOCAL: Final = frozenset(
    {
        b"ext2",
        b"ext3",
        b"ext4",
        b"xfs",
        b"btrfs",
        b"zfs",
        b"f2fs",
        b"bcachefs",
        b"tmpfs",
        b"overlay",
    }
)

_IN_CREATE: Final = 0x100
_IN_DELETE_SELF: Final = 0x400
_INOTIFY_EVENT: Final = struct.Struct("=iIII")  # which watch, mask, cookie, length of the name
_F_SETSIG: Final = 10
_INOTIFY_BYTES: Final = 65_536

_PR_SET_PDEATHSIG: Final = 1
_PR_GET_PDEATHSIG: Final = 2
_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36

# struct pidfd_info of <linux/pidfd.h>, its first version: mask, cgroupid, eleven ids, exit_code.
_PIDFD_INFO: Final = struct.Struct("=QQ11Ii")
_PIDFD_INFO_EXIT: Final = 1 << 3
_PIDFD_GET_INFO: Final = 3 << 30 | _PIDFD_INFO.size << 16 | 0xFF << 8 | 11


def pid_namespace(pid: int | Literal["self"]) -> str:
    """The pid namespace that a process is in; "" = unknown."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115 - it leads nowhere
    except OSError:
        return ""


def boot_id(proc: Path = _PROC) -> str:
    """The id of the running kernel: of this machine since its last start; "" = unknown.

    Containers have their host's. A copy of a virtual machine has one of its own.
    """
    return _line_in(proc / "sys/kernel/random/boot_id")


def machine_id() -> str:
    """The id of the installed system, the same after each start; "" = unknown.

    Copies of a virtual machine, and containers of one image, may share it.
    """
    return _line_in(Path("/etc/machine-id"))


def is_local(path: Path) -> bool:
    """Whether a path is on a file system that only one machine at a time can write to."""
    try:
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
        where = os.fsencode(os.path.realpath(path))
    except OSError:
        return False
    kind, longest = b"", -1
    for mount in mounts:
        fields, _, more = mount.partition(b" - ")
        point = fields.split()[4].replace(b"\\040", b" ")
        is_above = point in {b"/", where} or where.startswith(point + b"/")
        # A later mount of the same place hides the earlier one.
        if is_above and len(point) >= longest:
            kind, longest = more.split()[0], len(point)
    return kind in _LOCAL


def is_mapped_for_writing(path: str) -> bool | None:
    """Whether any process of this kernel, in any container, has a file open or mapped for writing;
    None where that cannot be known.

    The kernel grants a read lease (fcntl(2), F_SETLEASE) only for a file that has no writer, and a
    shared mapping counts as one after its descriptor is closed. Only the file's owner may ask.
    """
    if sys.platform != "linux" or not _keeps_count_of_mappings(os.path.dirname(path)):  # noqa: PTH120
        return None
    try:
        return not _is_leased(path)
    except OSError:
        return None


def _is_leased(path: str) -> bool:
    """Take a read lease and give it back; False where a writer keeps us from it."""
    import fcntl  # noqa: PLC0415 - not on every path

    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        # Who opens the file for writing in this moment has the kernel send a signal: one that does
        # nothing by default.
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@cache
def _keeps_count_of_mappings(directory: str) -> bool:
    """Whether a mapping counts as a writer here. On an overlay it does not: tried with a file."""
    import mmap  # noqa: PLC0415 - not on every path

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    path = f"{directory}/.new-{os.urandom(6).hex()}"
    address = None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, mmap.PAGESIZE)
            protection = mmap.PROT_READ | mmap.PROT_WRITE
            # Not mmap.mmap(), which keeps a descriptor.
            address = libc.mmap(None, mmap.PAGESIZE, protection, mmap.MAP_SHARED, descriptor, 0)
        finally:
            os.close(descriptor)
        if address in {None, _MAP_FAILED} or _is_leased(path):
            return False
        libc.munmap(address, mmap.PAGESIZE)
        address = None
        return _is_leased(path)
    except OSError:
        return False
    finally:
        if address not in {None, _MAP_FAILED}:
            libc.munmap(address, mmap.PAGESIZE)
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - as above


def _line_in(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


class _SignalInfo(ctypes.Structure):
    """The head of siginfo_t; what follows is aligned as a pointer."""

    _fields_ = (
        ("number", ctypes.c_int),
        ("errno", ctypes.c_int),
        ("code", ctypes.c_int),
        ("_", ctypes.c_void_p * 0),
        ("sender", ctypes.c_int),
        ("rest", ctypes.c_char * 128),
    )


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def take_signal(numbers: Iterable[int], seconds: float) -> tuple[int, int, int] | None:
    """Wait for one of these signals, which are blocked; its number, sender (a pid) and code.

    None where none came in time, or the wait was cut short: by SIGSTOP and SIGCONT, by a debugger.
    Where that lasted until the time was over, `signal.sigtimedwait` gives a signal that there was
    not, from memory that was never written (CPython's signal_sigtimedwait_impl).
    """
    mask = sum(1 << (number - 1) for number in numbers)
    words = [mask >> at & (1 << _WORD_BITS) - 1 for at in range(0, _SIGNALS, _WORD_BITS)]
    whole = int(seconds)
    info = _SignalInfo()
    got = ctypes.CDLL(None).sigtimedwait(
        (ctypes.c_ulong * (_SIGSET_BITS // _WORD_BITS))(*words),
        ctypes.byref(info),
        ctypes.byref(_Time(whole, int((seconds - whole) * 1e9))),
    )
    return (info.number, info.sender, info.code) if got > 0 else None


def adopt_orphans() -> bool:
    """Become the parent of every process of the tree that loses its own."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_core_file() -> None:
    """Leave no core file, also where the kernel pipes cores to a program whatever the limit is."""
    _prctl(_PR_SET_DUMPABLE, 0)


def parent_death_signal() -> int:
    """The signal that this process gets when its parent ends; 0 = none. A fork does not inherit it."""
    if sys.platform != "linux":
        return 0
    number = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
    return number.value


def set_parent_death_signal(number: int) -> None:
    """Get this signal when the parent ends."""
    _prctl(_PR_SET_PDEATHSIG, number)


def pidfd_id(pid: int) -> str:
    """What systemd calls the process in LISTEN_PIDFDID: the inode number of its pidfd; "" = unknown."""
    pidfd = open_pidfd(pid)
    if pidfd is None:
        return ""
    try:
        return str(os.fstat(pidfd).st_ino)
    finally:
        os.close(pidfd)


def look_like(name: str, argv: Sequence[str]) -> None:
    """Show another name and command line of this process, as far as there is room for them.

    Elsewhere than on Linux, and where the kernel does not say where they are, they stay.
    """
    if not HAS_PROC:
        return
    try:
        Path("/proc/self/comm").write_bytes(os.fsencode(name)[:_COMM_BYTES])
        after_name = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return
    begin, end = (int(after_name[field - _FIRST_AFTER_NAME]) for field in _ARGV_FIELDS)
    if begin and begin < end:
        # The last byte stays 0: else the kernel goes on with the environment behind it.
        shown = b"\0".join(map(os.fsencode, argv))[: end - begin - 1]
        ctypes.memmove(begin, shown.ljust(end - begin, b"\0"), end - begin)


def open_pidfd(pid: int) -> int | None:
    """A descriptor of the process, or None where there is none or none can be had now."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        # It has ended, the kernel is older than 5.3, or no descriptor is left: polling has to do.
        return None


def has_ended(pidfd: int) -> bool:
    """Whether the process of a pidfd has ended (it may still be a zombie)."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def exit_status_of(pidfd: int) -> int | None:
    """The raw wait status of a process that was reaped by whomever (Linux 6.15)."""
    if sys.platform != "linux":
        return None
    info = bytearray(_PIDFD_INFO.size)
    _PIDFD_INFO.pack_into(info, 0, _PIDFD_INFO_EXIT, 0, *[0] * 11, 0)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
    except OSError:
        # Not reaped yet, or a kernel that does not know the question.
        return None
    mask, *_, status = _PIDFD_INFO.unpack(info)
    return status if mask & _PIDFD_INFO_EXIT else None


class InotifyWatch:
    """Rings, with SIGIO, when a file is made in a directory, or it or the one above is deleted.

    SIGIO has to be blocked and taken.
    """

    def __init__(self, descriptor: int) -> None:
        """Of an inotify descriptor; use `open`."""
        self._descriptor = descriptor

    @classmethod
    def open(cls, directory: str) -> Self | None:
        """Watch a directory; None where that is not to be had (another system, a used-up limit)."""
        if sys.platform != "linux":
            return None
        descriptor = ctypes.CDLL(None).inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            return None
        inotify = cls(descriptor)
        if not inotify.watch(directory):
            os.close(descriptor)
            return None
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        # Named, although it is the default: only then does the signal say what it is about.
        fcntl.fcntl(descriptor, _F_SETSIG, signal.SIGIO)
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
        return inotify

    def watch(self, directory: str) -> bool:
        """Watch a directory, one that was made again, too; False where that is not to be had."""
        add = ctypes.CDLL(None).inotify_add_watch
        add(self._descriptor, os.fsencode(os.path.dirname(directory)), _IN_DELETE_SELF)  # noqa: PTH120 - text
        mask = _IN_CREATE | _IN_DELETE_SELF
        return bool(add(self._descriptor, os.fsencode(directory), mask) >= 0)

    def drain(self) -> list[str]:
        """Have it ring again for what comes next; the names of the files that were made."""
        names: list[str] = []
        while True:
            try:
                events = os.read(self._descriptor, _INOTIFY_BYTES)
            except BlockingIOError:
                return names
            at = 0
            while at < len(events):
                _, mask, _, length = _INOTIFY_EVENT.unpack_from(events, at)
                at += _INOTIFY_EVENT.size + length
                if mask & _IN_CREATE:
                    names.append(os.fsdecode(events[at - length : at].rstrip(b"\0")))

    def close(self) -> None:
        """Ring no more."""
        # At once: SIGIO would end us where it is not blocked any more.
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags & ~os.O_ASYNC)
        # The kernel makes the last close wait for all who may be looking at the watch, some 20 ms,
        # and whoever ends with it open waits as long. So a thread of its own waits, meanwhile.
        # It runs no Python code, so the end of this process need not wait for it.
        try:
            _thread.start_new_thread(os.close, (self._descriptor,))
        except (RuntimeError, MemoryError):  # no more threads are to be had
            os.close(self._descriptor)


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    prctl = ctypes.CDLL(None).prctl
    return bool(prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)
