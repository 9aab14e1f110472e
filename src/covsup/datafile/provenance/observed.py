"""The supervisor's observations, grouped by process."""

from __future__ import annotations

from collections import defaultdict

from covsup.datafile.provenance.exit_statuses import ending_of_status
from covsup.datafile.provenance.model import KnownFrom
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from covsup.datafile.fold.result import Image
    from covsup.datafile.provenance.model import Ending
    from covsup.datafile.session.observations import Observation

CLOCK_SLACK: Final = 1.5
"""Seconds by which a creation time may differ from the wall clock: it is the boot time, which has
whole seconds, plus ticks."""

_SAME_PROCESS: Final = 0.05
"""Seconds by which the creation times of two observations of one process may differ."""

_TICKS_SLACK_NS: Final = 20_000_000
"""By how much the time since boot at which a process was created may be late: it is in ticks."""


class ObservedProcess(NamedTuple):
    """A process from its creation to its end, as the supervisor observed it."""

    session: str
    pid: int
    created: float  # wall clock, seconds since 1970
    boottime_ns: int  # the same since boot; 0 = unknown
    observations: tuple[Observation, ...]  # in order of time

    def summary(self) -> Observation:
        """All observations in one: later values win, and an end is not forgotten."""
        known = self.observations[0]
        for later in self.observations[1:]:
            known = later._replace(
                ppid=known.ppid or later.ppid,  # the first parent: an orphan gets another one
                argv=later.argv or known.argv,
                executable=later.executable or known.executable,
                python=known.python if later.python is None else later.python,
                ended=later.ended or known.ended,
                status=known.status if later.status is None else later.status,
                reason=later.reason or known.reason,
            )
        return known

    def existed_at_start_of(self, image: Image, *, by_wall_clock: bool = False) -> bool:
        """Whether this process had been created when `image` began.

        The times since boot decide where both are known, because the wall clock may have been set in
        between; `by_wall_clock` compares the wall clock's times nevertheless.
        """
        identity = image.identity
        if self.boottime_ns and identity.boottime_ns and not by_wall_clock:
            return self.boottime_ns <= identity.boottime_ns + _TICKS_SLACK_NS
        return self.created <= identity.started_ns / 1e9 + CLOCK_SLACK

    def ending(self) -> Ending | None:
        """How it ended; None where the supervisor does not know."""
        status = self.summary().status
        return None if status is None else ending_of_status(status, KnownFrom.SUPERVISOR)

    def ended_ns(self) -> int:
        """When the supervisor saw that it had ended, wall clock; 0 = it did not see that."""
        return next((each.at_ns for each in self.observations if each.ended), 0)


def observed_processes(
    observations: Iterable[tuple[str, Observation]],
) -> list[ObservedProcess]:
    """Group observations, given with their session ids, by process: by session and creation."""
    by_pid: dict[tuple[str, int], list[Observation]] = defaultdict(list)
    for session, observation in observations:
        by_pid[session, observation.pid].append(observation)
    processes = []
    for (session, pid), of_pid in by_pid.items():
        groups: list[list[Observation]] = []
        for observation in sorted(of_pid, key=lambda each: each.create_time):
            if groups and observation.create_time - groups[-1][-1].create_time <= _SAME_PROCESS:
                groups[-1].append(observation)
            else:
                groups.append([observation])
        processes += [
            ObservedProcess(
                session=session,
                pid=pid,
                created=group[0].create_time,
                boottime_ns=max(each.boottime_ns for each in group),
                observations=tuple(sorted(group, key=lambda each: (each.at_ns, repr(each)))),
            )
            for group in groups
        ]
    return sorted(processes, key=lambda each: (each.session, each.created, each.pid))
