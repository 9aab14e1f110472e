"""One process of the watched tree."""

from __future__ import annotations

import os
import time

from covsup.datafile.provenance.command_lines import is_python
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

    from covsup.datafile.session.observations import Observation
    from covsup.supervisor.watching.process_table import Program, Stat

_SETTLED_SECONDS: Final = 0.3
"""After this time a process has made its exec and loaded its libraries."""


class WatchedProcess:
    """One process, from the first scan that finds it to its end."""

    def __init__(
        self,
        stat: Stat,
        *,
        program: Program | None,
        forked_from: WatchedProcess | None,
        pidfd: int | None,
        inner: tuple[str, int] = ("", 0),
    ) -> None:
        """A process as `stat` shows it now; `inner` is its pid namespace and its pid in there.

        It owns `pidfd`.
        """
        self.pid: Final = stat.pid
        self.ppid = stat.ppid  # when it was found
        self.ppid_now = stat.ppid
        self.create_time: Final = stat.create_time
        self.boottime_ns: Final = stat.boottime_ns
        self.namespace, self.inner_pid = inner
        self.memory = stat.memory
        self.program = program
        self.forked_from = forked_from  # it runs a copy of this process
        self.pidfd = pidfd
        self.last_observation: Observation | None = None
        self.zombie = False  # it has ended, and its parent has not waited for it yet
        self.looked_for_library = False
        self.embeds_python = False
        self.sees_session: bool | None = None  # whether its mounts have the session; None = unknown
        self._since = time.monotonic()  # when this program was first seen

    @property
    def is_python(self) -> bool:
        """Whether it runs an interpreter, by the program's name or by its libraries."""
        return self.embeds_python or self.is_named_python

    @property
    def is_named_python(self) -> bool:
        """Whether it runs an interpreter, by the program's name."""
        program = self.program
        return program is not None and any(
            is_python(name) for name in (program.executable, *program.argv[:1])
        )

    @property
    def is_settled(self) -> bool:
        """Whether it has run the same program for a while."""
        return time.monotonic() - self._since > _SETTLED_SECONDS

    def became(
        self, memory: tuple[str, ...], program: Program, forked_from: WatchedProcess | None
    ) -> None:
        """Take note of an exec."""
        self.memory = memory
        self.program = program
        self.forked_from = forked_from
        self._since = time.monotonic()
        self.looked_for_library = self.embeds_python = False
        self.sees_session = None

    def close(self) -> None:
        """Close the pidfd."""
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None
