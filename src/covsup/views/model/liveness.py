"""Which images of a session still run, as far as this process can see.

An image runs while its process maps its journal. Of a process on another machine, or in another pid
namespace, nothing can be seen: its image counts as running until a record says otherwise, as in
`covsup combine`.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from covsup.datafile.journal.header import Header
    from covsup.datafile.session.settings import Settings
    from covsup.views.model.descriptors import Descriptors

_HAS_PROC: Final = Path("/proc/self/maps").exists()
_HAS_PIDFD: Final = hasattr(os, "pidfd_open") and hasattr(select, "epoll")
_IMAGE: Final = re.compile(rb"/\d+-([0-9a-f]{32})\.\d+\.journal~?")
_START_NS: Final = 60_000_000_000

_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class LifeState(Enum):
    """Whether an image runs."""

    RUNNING = "running"
    ENDED = "ended"
    UNSEEN = "unseen"


class Birthplace(NamedTuple):
    """What identifies the process of an image."""

    image_id: str
    pid: int
    file_of: str  # the image in whose file the journal is: its own, or that of a borrowed slot
    start_boottime_ns: int
    boot: str  # the kernel's boot id; "" = not recorded
    host: str
    namespace: str  # of its pid; "" = not recorded
    started_ns: int  # wall clock
    is_unknown: bool  # the image has not recorded any of this yet: it may run anywhere

    @classmethod
    def of(
        cls, header: Header, file_of: str, properties: Mapping[str, bytes], settings: Settings
    ) -> Birthplace:
        """That of the image with this header and these properties."""
        text = {key: os.fsdecode(value) for key, value in properties.items()}
        return cls(
            image_id=header.image_id,
            pid=header.pid,
            file_of=file_of,
            start_boottime_ns=header.start_boottime_ns,
            # A process that sees no /proc does not know its boot id: the session's counts.
            boot=text.get("boot", "") or settings.boot,
            host=text.get("host", ""),
            namespace=text.get("pid_namespace", ""),
            started_ns=header.start_realtime_ns,
            is_unknown=not properties,
        )

    @property
    def is_old(self) -> bool:
        """Whether the image would have recorded by now where it runs."""
        return time.time_ns() - self.started_ns > _START_NS


class Liveness:
    """Looks at processes, and waits for the ends of those that it watches."""

    def __init__(self, descriptors: Descriptors) -> None:
        """Watch none yet."""
        self._descriptors = descriptors
        self._boot = _text_of("/proc/sys/kernel/random/boot_id")
        self._namespace = _link("/proc/self/ns/pid")
        self._epoll: select.epoll | None = None
        self._watched: dict[str, int] = {}
        self._image_of: dict[int, str] = {}

    def is_visible(self, place: Birthplace) -> bool:
        """Whether the process would be seen here if it ran."""
        if place.boot and self._boot:
            is_here = place.boot == self._boot
        else:
            is_here = place.host in {"", os.uname().nodename}
        return is_here and ("" in {place.namespace, self._namespace}
                            or place.namespace == self._namespace)  # fmt: skip

    def state_of(self, place: Birthplace) -> LifeState:
        """Whether an image runs now."""
        if not self.is_visible(place):
            return LifeState.UNSEEN
        if not _HAS_PROC:
            return LifeState.RUNNING if _is_there(place.pid) else LifeState.ENDED
        try:
            maps = Path(f"/proc/{place.pid}/maps").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return LifeState.ENDED
        except OSError:
            # Another user's process. Only its start tells whether it is the same one.
            started = _boottime_of(place.pid)
            is_same = started is not None and started <= place.start_boottime_ns + _TICK_NS
            return LifeState.RUNNING if is_same else LifeState.ENDED
        # A zombie has no mappings left, and an exec drops them.
        mapped = {match.decode("ascii") for match in _IMAGE.findall(maps)}
        return LifeState.RUNNING if place.file_of in mapped else LifeState.ENDED

    def watch(self, place: Birthplace) -> None:
        """Wait for the end of an image's process, if this system can."""
        if not _HAS_PIDFD or place.image_id in self._watched or not self._descriptors.take():
            return
        try:
            descriptor = os.pidfd_open(place.pid)
        except OSError:
            self._descriptors.give_back()
            return
        if self._epoll is None:
            self._epoll = select.epoll()
        self._epoll.register(descriptor, select.EPOLLIN)
        self._watched[place.image_id] = descriptor
        self._image_of[descriptor] = place.image_id

    def is_watched(self, image_id: str) -> bool:
        """Whether the end of an image's process will be noticed at once."""
        return image_id in self._watched

    def forget(self, image_id: str) -> None:
        """Watch an image no longer."""
        descriptor = self._watched.pop(image_id, None)
        if descriptor is not None and self._epoll is not None:
            del self._image_of[descriptor]
            with contextlib.suppress(OSError):
                self._epoll.unregister(descriptor)
            os.close(descriptor)
            self._descriptors.give_back()

    def ended(self) -> list[str]:
        """The ids of watched images whose processes have ended."""
        if self._epoll is None or not self._watched:
            return []
        return [self._image_of[fd] for fd, _ in self._epoll.poll(0, len(self._watched))]

    def close(self) -> None:
        """Watch none any more."""
        for image_id in list(self._watched):
            self.forget(image_id)
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None


def processes_there() -> frozenset[int] | None:
    """The pids of all processes that can be seen; None where that cannot be found out."""
    if not _HAS_PROC:
        return None
    return frozenset(int(entry) for entry in os.listdir("/proc") if entry.isdigit())  # speed


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _boottime_of(pid: int) -> int | None:
    """When a process started, in ns since boot; None if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The second field is the program's name in parentheses, which may hold anything.
    state, *fields = stat[stat.rindex(b")") + 2 :].split()
    return None if state in {b"Z", b"X", b"x"} else int(fields[18]) * _TICK_NS


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""
