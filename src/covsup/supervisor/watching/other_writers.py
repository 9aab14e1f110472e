"""Whether other processes, or other machines, may write to a file."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

_MAP_FAILED: Final = ctypes.c_void_p(-1).value
_LOCAL_FILE_SYSTEMS: Final = frozenset(
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


def is_local(path: Path) -> bool:
    """Whether certainly only one machine at a time can write to the file system of a path."""
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
    return kind in _LOCAL_FILE_SYSTEMS


def is_mapped_for_writing(path: str) -> bool | None:
    """Whether any process of this kernel, in any container, has a file open or mapped for writing;
    None = unknown.

    The kernel grants a read lease (fcntl(2), F_SETLEASE) only for a file without a writer, and a
    shared mapping counts as a writer even after its descriptor is closed. Only the owner of the
    file, or root, may take a lease.
    """
    if sys.platform != "linux" or not _counts_mappings(path.rpartition("/")[0]):
        return None
    try:
        return not _is_leased(path)
    except OSError:
        return None


def _is_leased(path: str) -> bool:
    """Take a read lease and give it back; False if a writer prevents it. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        # If a process opens the file for writing meanwhile, the kernel sends us a signal. SIGURG
        # does nothing by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@cache
def _counts_mappings(directory: str) -> bool:
    """Whether a mapping counts as a writer on this file system, tried with a file. On an overlay it
    does not.
    """
    import mmap  # only for images in containers

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
            # Not mmap.mmap(): that keeps a descriptor open.
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
            Path(path).unlink()
