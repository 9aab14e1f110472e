"""Find the Python processes of a session that left no journal.

Four kinds of records tell of them: a note of the process itself, the supervisor's observations, an
exec and a spawn that measured images recorded.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict

from covsup.datafile.provenance.command_lines import (
    NO_JOURNAL_REASON,
    is_python,
    runs_user_code,
    unmeasured_reason,
)
from covsup.datafile.provenance.model import Unmeasured
from covsup.datafile.provenance.probes import runs_nothing_measured
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from covsup.datafile.fold.result import Image, Spawn
    from covsup.datafile.provenance.index import ResultIndex
    from covsup.datafile.provenance.observed import ObservedProcess

_START_SLACK_NS: Final = 5_000_000_000
"""By so much a child may have started before its parent recorded that."""

_EARLY_DEATH_NS: Final = 2_000_000_000
"""A Python that a signal ends sooner may not have reached its startup files."""


def unmeasured_processes(index: ResultIndex) -> list[Unmeasured]:
    """Every Python process without a journal, once, from the record that says most."""
    finder = _Finder(index)
    found: dict[tuple[str, int, int], Unmeasured] = {}
    times: dict[tuple[str, int], list[int]] = defaultdict(list)
    for each in (
        *finder.reported_by_note(),
        *finder.observed_without_journal(),
        *finder.execs_without_journal(),
        *finder.spawns_without_journal(),
    ):
        known = times[each.session, each.pid]
        # The same pid at about this time is the same process, from another record.
        if any(abs(each.at_ns - at_ns) < 4 * _START_SLACK_NS for at_ns in known):
            continue
        known.append(each.at_ns)
        found[each.session, each.pid, each.at_ns] = each
    return sorted(found.values(), key=lambda each: (each.session, each.at_ns, each.pid))


class _Finder:
    """The four kinds of records, each searched for Pythons without a journal."""

    def __init__(self, index: ResultIndex) -> None:
        self._index = index
        self._result = index.result

    def reported_by_note(self) -> Iterator[Unmeasured]:
        """Processes that left a note that their measurement could not start."""
        for session, note in sorted(self._result.notes):
            if note.kind == "start-failed":
                yield Unmeasured(
                    session=session, pid=note.pid, argv=note.argv, reason=note.why,
                    at_ns=note.time_ns,
                )  # fmt: skip

    def observed_without_journal(self) -> Iterator[Unmeasured]:
        """Python processes that the supervisor observed and that have no journal."""
        for process in self._index.processes:
            summary = process.summary()
            if summary.python is not True:
                continue
            images = self._index.images_of(process)
            replaced = (
                images[-1] if images and self._index.was_replaced_by_python(images[-1]) else None
            )
            if images and replaced is None and not self._became_unmeasured(process, images[-1]):
                continue
            if not self._runs_user_code(summary.argv, process.session):
                continue
            created_ns = int(process.created * 1e9)
            reason = summary.reason or unmeasured_reason(summary.argv)
            if reason is NO_JOURNAL_REASON and self._died_at_start(
                process.session, process.pid, created_ns
            ):
                continue
            yield Unmeasured(
                session=process.session,
                pid=process.pid,
                argv=summary.argv,
                reason=reason,
                at_ns=created_ns,
                ppid=summary.ppid,
                parent=self._index.image_at(process.session, summary.ppid, created_ns)
                if replaced is None
                else replaced.identity.image_id,
            )

    def _became_unmeasured(self, process: ObservedProcess, last: Image) -> bool:
        """Whether a measured process execed a Python for which the supervisor has a reason."""
        with_reason = [each for each in process.observations if each.reason]
        return bool(
            with_reason
            and self._index.ended_by_exec(last)
            and last.about_to_exec is not None
            and last.about_to_exec.at_ns <= with_reason[-1].at_ns
        )

    def execs_without_journal(self) -> Iterator[Unmeasured]:
        """Images that execed a Python of which there is no journal."""
        for image in self._index.images:
            about = image.about_to_exec
            if about is None or not self._index.ended_by_exec(image):
                continue
            if image.identity.image_id in self._index.successor or not self._is_python(about.path):
                continue
            if self._runs_user_code(about.argv, image.identity.session):
                yield Unmeasured(
                    session=image.identity.session,
                    pid=image.identity.pid,
                    argv=tuple(about.argv),
                    reason=unmeasured_reason(about.argv),
                    at_ns=about.at_ns,
                    ppid=image.identity.ppid,
                    parent=image.identity.image_id,
                )

    def spawns_without_journal(self) -> Iterator[Unmeasured]:
        """Pythons that a measured process spawned and of which there is no journal."""
        spawned = Counter((spawn.by, spawn.pid) for spawn in self._result.spawns)
        failed = self._failed_spawns()
        for spawn in sorted(self._result.spawns):
            argv = spawn.argv
            if spawn in failed or not argv or not self._is_python(argv[0]):
                continue
            session = self._index.session_of(spawn.by)
            of_pid = self._index.by_pid.get((session, spawn.pid), ())
            identities = [image.identity for image in of_pid]
            if not self._runs_user_code(argv, session) or any(
                each.started_ns >= spawn.at_ns - _START_SLACK_NS for each in identities
            ):
                continue
            # The clock may have been set back between the two. Then the parent's id decides.
            by_parent = sum(each.parent_id == spawn.by for each in identities)
            if by_parent and by_parent >= spawned[spawn.by, spawn.pid]:
                continue
            reason = unmeasured_reason(argv)
            if reason is NO_JOURNAL_REASON and self._died_at_start(session, spawn.pid, spawn.at_ns):
                continue
            parent = self._result.images.get(spawn.by)
            yield Unmeasured(
                session=session,
                pid=spawn.pid,
                argv=argv,
                reason=reason,
                at_ns=spawn.at_ns,
                ppid=0 if parent is None else parent.identity.pid,
                parent=spawn.by,
            )

    def _runs_user_code(self, argv: Sequence[str], session: str) -> bool:
        """Whether an interpreter with this command line runs anything that could be measured."""
        settings = self._result.sessions.get(session)
        return runs_user_code(argv) and not runs_nothing_measured(argv, settings)

    def _is_python(self, program: str) -> bool:
        """Whether a program is a Python by its name, or is one that ran a measured image."""
        return is_python(program) or program in self._index.executables

    def _failed_spawns(self) -> set[Spawn]:
        """The spawns whose program could not be executed."""
        if not self._result.failed_spawns:
            return set()
        by_pid: dict[tuple[str, int], list[Spawn]] = defaultdict(list)
        for spawn in self._result.spawns:
            by_pid[spawn.by, spawn.pid].append(spawn)
        found = set()
        for failed in self._result.failed_spawns:
            before = [each for each in by_pid[failed.by, failed.pid] if each.at_ns <= failed.at_ns]
            if before:
                found.add(max(before, key=lambda each: each.at_ns))
        return found

    def _died_at_start(self, session: str, pid: int, at_ns: int) -> bool:
        """Whether a signal ended a process so soon that it may have run none of the target's code.

        A pool that is terminated as soon as it has its results kills workers that still start.
        """
        for child_exit in self._index.child_exits[session, pid]:
            if child_exit.at_ns >= at_ns - _START_SLACK_NS:
                is_early = child_exit.at_ns < at_ns + _EARLY_DEATH_NS
                return os.WIFSIGNALED(child_exit.status) and is_early
        return False
