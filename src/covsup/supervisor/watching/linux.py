"""System calls of Linux that a supervisor needs beyond POSIX: subreaper, pidfd, prctl, ids.

A function that fails, because the kernel is too old or is not Linux, says so by its result and
raises nothing.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
import sys
from pathlib import Path

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final, Literal

HAS_PROC: Final = sys.platform == "linux" and os.access("/proc/self/stat", os.R_OK)

# proc(5): numbers of fields in /proc/PID/stat, of which the third follows the name in parentheses,
# and the longest name.
_FIRST_AFTER_NAME: Final = 3
_ARGV_FIELDS: Final = (48, 49)
_COMM_BYTES: Final = 15

# sigset_t of glibc and musl.
_SIGSET_BITS: Final = 1024
_SIGNALS: Final = 64
_WORD_BITS: Final = 8 * ctypes.sizeof(ctypes.c_ulong)

_PROC: Final = Path("/proc")

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
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def boot_id(proc: Path = _PROC) -> str:
    """The id of the running kernel, new at each boot of a machine; "" = unknown.

    Containers have that of their host. A copy of a virtual machine has another one.
    """
    return _line_in(proc / "sys/kernel/random/boot_id")


def machine_id() -> str:
    """The id of the installed system, the same at each boot; "" = unknown.

    Copies of a virtual machine, and containers of one image, may share it.
    """
    return _line_in(Path("/etc/machine-id"))


def _line_in(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


class _SignalInfo(ctypes.Structure):
    """The beginning of siginfo_t. Its union is aligned as a pointer."""

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
    """Wait for one of these blocked signals; gives its number, sender (a pid) and si_code.

    None if none came in time, or if the wait was interrupted, by SIGSTOP and SIGCONT or a debugger.
    Not `signal.sigtimedwait`: if an interruption lasts until the timeout, CPython's
    signal_sigtimedwait_impl returns a signal from uninitialized memory.
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
    """Become the parent of every process below this one whose parent ends; whether that worked."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_core_file() -> None:
    """Let this process leave no core file, even if the kernel pipes core dumps to a program."""
    _prctl(_PR_SET_DUMPABLE, 0)


def parent_death_signal() -> int:
    """The signal that this process gets when its parent ends; 0 = none. A forked child has none."""
    if sys.platform != "linux":
        return 0
    number = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(_PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
    return number.value


def set_parent_death_signal(number: int) -> None:
    """Have the kernel send this signal when the parent ends."""
    _prctl(_PR_SET_PDEATHSIG, number)


def pidfd_id(pid: int) -> str:
    """A process's LISTEN_PIDFDID (systemd): the inode number of its pidfd; "" = unknown."""
    pidfd = open_pidfd(pid)
    if pidfd is None:
        return ""
    try:
        return str(os.fstat(pidfd).st_ino)
    finally:
        os.close(pidfd)


def look_like(name: str, argv: Sequence[str]) -> None:
    """Change the name and the command line that others see of this process, cut to the room for
    them.

    Does nothing outside Linux, or if the kernel does not tell where they are in memory.
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
        # The last byte stays 0. Otherwise the kernel shows the environment behind it, too.
        shown = b"\0".join(map(os.fsencode, argv))[: end - begin - 1]
        ctypes.memmove(begin, shown.ljust(end - begin, b"\0"), end - begin)


def open_pidfd(pid: int) -> int | None:
    """A pidfd of the process; None if it has ended or no pidfd can be opened."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        # It has ended, the kernel is older than 5.3, or no descriptor is left. Scans do without.
        return None


def has_ended(pidfd: int) -> bool:
    """Whether the process of a pidfd has ended (it may still be a zombie)."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def exit_status_of(pidfd: int) -> int | None:
    """The raw wait status of a process that any parent has reaped; None = unknown (before Linux
    6.15).
    """
    if sys.platform != "linux":
        return None
    info = bytearray(_PIDFD_INFO.size)
    _PIDFD_INFO.pack_into(info, 0, _PIDFD_INFO_EXIT, 0, *[0] * 11, 0)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
    except OSError:
        # It is not reaped yet, or the kernel is too old.
        return None
    mask, *_, status = _PIDFD_INFO.unpack(info)
    return status if mask & _PIDFD_INFO_EXIT else None


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    prctl = ctypes.CDLL(None).prctl
    return bool(prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)
