"""What a result says about processes: who started whom, how each ended, what was not measured.

Derived anew from every result, so that a fold which learns more (a parent's wait, the next
generation of an exec) gives better answers. Pure, as the fold is. Wall clocks of one host are
compared with each other, with a slack where one is as coarse as the kernel's boot time.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter, defaultdict
from functools import lru_cache
from itertools import pairwise

from covsup.datafile.journal.events import EndedHow
from covsup.datafile.journal.header import Core, StartKind
from covsup.datafile.provenance.command_lines import (
    NO_JOURNAL_REASON,
    is_python,
    runs_user_code,
    unmeasured_reason,
)
from covsup.datafile.provenance.model import (
    End,
    Ending,
    FileShare,
    KnownFrom,
    ObservedRecord,
    ProcessRecord,
    Provenance,
    Unmeasured,
)
from covsup.datafile.provenance.probes import runs_nothing_measured
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Final

    from covsup.datafile.fold.result import ChildExit, Image, Result, Spawn
    from covsup.datafile.session.observations import Observation

_SAME_LIFE: Final = 0.05
"""Two looks at one process give creation times this close together, in seconds."""

_CLOCK_SLACK: Final = 1.5
"""A creation time is boot time (whole seconds) plus ticks: this far off the wall clock at most."""

_TICKS_SLACK_NS: Final = 20_000_000
"""The time since boot at which a process was made is told in ticks."""

_START_SLACK_NS: Final = 5_000_000_000
"""A child may have started by so much before its parent came to note that it did."""

_EARLY_DEATH_NS: Final = 2_000_000_000
"""A Python that a signal ends sooner may not have come as far as its startup files."""


_CORES: Final = {core: core.name.lower() for core in Core}


def provenance_of(result: Result) -> Provenance:
    """What `result` says about processes."""
    view = _ResultIndex(result)
    return Provenance(
        sessions=tuple(sorted(result.sessions.values(), key=lambda each: each.session)),
        processes=tuple(view.processes()),
        observed=tuple(view.observed()),
        unmeasured=tuple(view.unmeasured()),
        notes=tuple(sorted(result.notes)),
        problems=tuple(sorted(result.problems)),
        files=tuple(_shares(result)),
    )


class _ObservedProcess(NamedTuple):
    """A pid from its creation to its end, by the supervisor's observations."""

    session: str
    pid: int
    created: float
    boottime_ns: int  # likewise since boot; 0 = unknown
    looks: tuple[Observation, ...]  # in order of time

    def last_word(self) -> Observation:
        """All observations in one: what came later holds, an end is not forgotten."""
        said = self.looks[0]
        for look in self.looks[1:]:
            said = look._replace(
                ppid=said.ppid or look.ppid,  # an orphan was somebody's child before
                argv=look.argv or said.argv,
                executable=look.executable or said.executable,
                python=said.python if look.python is None else look.python,
                ended=look.ended or said.ended,
                status=said.status if look.status is None else look.status,
                reason=look.reason or said.reason,
            )
        return said

    def has_begun_by(self, image: Image, *, wall: bool = False) -> bool:
        """Whether it had begun when an image did. What was counted since boot decides, for the wall
        clock may have been set in between; or that clock, if `wall`."""
        identity = image.identity
        if self.boottime_ns and identity.boottime_ns and not wall:
            return self.boottime_ns <= identity.boottime_ns + _TICKS_SLACK_NS
        return self.created <= identity.started_ns / 1e9 + _CLOCK_SLACK

    def ending(self) -> Ending | None:
        """How it ended, or None where the supervisor does not know."""
        said = self.last_word()
        if said.status is not None:
            return _ending_of_status(said.status, KnownFrom.SUPERVISOR)
        return None

    def ended_ns(self) -> int:
        """When the supervisor saw that it had ended; 0 = it did not."""
        return next((look.at_ns for look in self.looks if look.ended), 0)


class _ResultIndex:
    """A result, indexed by what the questions ask for."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.unique = result.unique_lines()
        # Every order here is made, for a set has none and the same union must say the same.
        self.images = sorted(result.images.values(), key=lambda each: each.identity.owner)
        self.by_pid: dict[tuple[str, int], list[Image]] = defaultdict(list)
        self.successor: dict[str, Image] = {}
        self.executables = {
            value for image in self.images for key, value in image.properties if key == "executable"
        }
        for image in self.images:
            identity = image.identity
            self.by_pid[identity.session, identity.pid].append(image)
            if identity.started is StartKind.EXECED and identity.parent_id is not None:
                self.successor[identity.parent_id] = image
        self.child_exits: dict[tuple[str, int], list[ChildExit]] = defaultdict(list)
        for reap in sorted(result.child_exits, key=lambda each: (each.at_ns, each)):
            self.child_exits[self._session_of(reap.by), reap.pid].append(reap)
        self.lives = list(_lives(result.observations))
        self.images_of_life: dict[int, list[Image]] = defaultdict(list)
        self.life_of_image: dict[str, _ObservedProcess] = {}
        self._match_observed_processes()
        self.predecessor: dict[str, Image] = {}  # by an exec that neither image tells of
        self._match_unreported_execs()

    def processes(self) -> Iterator[ProcessRecord]:
        """Every measured image, by start."""
        for image in self.images:
            identity = image.identity
            said = image.said()
            parent, known_from = self.parent(image)
            before = self.predecessor.get(identity.image_id)
            yield ProcessRecord(
                image_id=identity.image_id,
                session=identity.session,
                pid=identity.pid,
                ppid=identity.ppid,
                parent=parent,
                parent_known_from=known_from,
                started=identity.started if before is None else StartKind.EXECED,
                generation=identity.generation
                if before is None
                else before.identity.generation + 1,
                started_ns=identity.started_ns,
                argv=self._argv(image, said),
                executable=said.get("executable", ""),
                cwd=said.get("cwd", ""),
                host=said.get("host", ""),
                python=_release(identity.python),
                core=_CORES[identity.core],
                branch=identity.branch,
                ending=self.ending(image),
                lines=image.lines,
                unique_lines=self.unique.get(identity.image_id, 0),
                threads=image.threads,
                libraries=tuple(sorted(image.libraries)) if image.libraries else (),
                tracers=tuple(sorted(image.tracers)) if image.tracers else (),
                notes=tuple([text for _, text in sorted(image.notes)]) if image.notes else (),
                lost=image.lost,
                forks_lost=image.forks_lost,
                ended_ns=self.ended_ns(image),
            )

    def parent(self, image: Image) -> tuple[str | None, KnownFrom]:
        """Who started an image, and how that is known."""
        identity = image.identity
        before = self.predecessor.get(identity.image_id)
        if before is not None:
            return before.identity.image_id, KnownFrom.PROCESS_ID
        if identity.started is not StartKind.SPAWNED:
            known = KnownFrom.ITSELF if identity.parent_id else KnownFrom.NOBODY
            return identity.parent_id, known
        known_by_pid = self.by_pid.get((identity.session, identity.ppid), ())
        candidates = [each for each in known_by_pid if each.identity.owner < identity.owner]
        if candidates and self._alive_at(candidates[-1], identity.started_ns):
            return candidates[-1].identity.image_id, KnownFrom.PROCESS_ID
        if identity.parent_id is not None:
            return identity.parent_id, KnownFrom.ENVIRONMENT
        return None, KnownFrom.NOBODY

    def ending(self, image: Image) -> Ending:
        """How an image ended: the kernel's word before the process's own."""
        next_image = self.successor.get(image.identity.image_id)
        if next_image is not None:
            said = next_image.said()
            program = (
                image.about_to_exec.path if image.about_to_exec else said.get("executable", "")
            )
            return Ending(end=End.EXECED, known_from=KnownFrom.SUCCESSOR, detail=program)
        if image.about_to_exec is not None and self._left_by_exec(image):
            return Ending(
                end=End.EXECED, known_from=KnownFrom.ITSELF, detail=image.about_to_exec.path
            )
        look = self._replaced_by(image)
        if look is not None:
            return Ending(end=End.EXECED, known_from=KnownFrom.SUPERVISOR, detail=look.executable)
        return self._last_end(image)

    def ended_ns(self, image: Image) -> int:
        """When an image ended, by its own word, its parent's wait or the supervisor; 0 = unknown."""
        next_image = self.successor.get(image.identity.image_id)
        if next_image is not None:
            return next_image.identity.started_ns
        if image.about_to_exec is not None and self._left_by_exec(image):
            return image.about_to_exec.at_ns
        if image.ended is not None:
            return image.ended.at_ns
        reap = self._wait_for(image)
        if reap is not None:
            return reap.at_ns
        life = self._last_life(image)
        return 0 if life is None else life.ended_ns()

    def _last_end(self, image: Image) -> Ending:
        """How an image ended with which its process ended, too."""
        reap = self._wait_for(image)
        told = (
            self._seen_to_end(image)
            if reap is None
            else _ending_of_status(reap.status, KnownFrom.PARENT)
        )
        if told is None and image.ended is not None:
            return _ending_of_word(image.ended.how, image.ended.status)
        if told is not None:
            if image.ended is not None and told.end is End.EXITED:
                return told._replace(detail=_how(image.ended.how))
            return told
        if image.running_ns > image.gone_ns:
            return Ending(end=End.RUNNING, known_from=KnownFrom.SUPERVISOR)
        return Ending(end=End.UNKNOWN)

    def observed(self) -> Iterator[ObservedRecord]:
        """Every process that the supervisor saw, by creation."""
        for life in self.lives:
            said = life.last_word()
            images = self.images_of_life[id(life)]
            reap = None if images else self._reap_after(life)
            ended_ns = self.ended_ns(images[-1]) if images else life.ended_ns()
            if images:
                ending = self.ending(images[-1])
            elif (seen := life.ending()) is not None:
                ending = seen
            elif reap is not None:
                ending = _ending_of_status(reap.status, KnownFrom.PARENT)
            else:
                ending = Ending(end=End.UNKNOWN if said.ended else End.RUNNING)
            yield ObservedRecord(
                session=life.session,
                pid=life.pid,
                ppid=said.ppid,
                create_time=life.created,
                argv=said.argv,
                executable=said.executable,
                python=True if images else said.python,
                ending=ending,
                images=tuple(each.identity.image_id for each in images),
                reason=said.reason,
                ended_ns=ended_ns or (0 if reap is None else reap.at_ns),
            )

    def unmeasured(self) -> list[Unmeasured]:
        """Every Python process without a journal, once, by the best witness."""
        found: dict[tuple[str, int, int], Unmeasured] = {}
        times: dict[tuple[str, int], list[int]] = defaultdict(list)
        for each in (
            *self._reported_by_note(),
            *self._observed_without_journal(),
            *self._execs_without_journal(),
            *self._spawns_without_journal(),
        ):
            known = times[each.session, each.pid]
            # The same pid within this time is the same process, told of by another witness.
            if any(abs(each.at_ns - at_ns) < 4 * _START_SLACK_NS for at_ns in known):
                continue
            known.append(each.at_ns)
            found[each.session, each.pid, each.at_ns] = each
        return sorted(found.values(), key=lambda each: (each.session, each.at_ns, each.pid))

    def _reported_by_note(self) -> Iterator[Unmeasured]:
        """Processes that left a note that they could not start to measure."""
        for session, note in sorted(self.result.notes):
            if note.kind == "start-failed":
                yield Unmeasured(
                    session=session, pid=note.pid, argv=note.argv, reason=note.why,
                    at_ns=note.time_ns,
                )  # fmt: skip

    def _observed_without_journal(self) -> Iterator[Unmeasured]:
        """Python processes that the supervisor saw and that have no journal."""
        for life in self.lives:
            said = life.last_word()
            images = self.images_of_life[id(life)]
            replaced = images[-1] if images and self._is_lost(images[-1]) else None
            if said.python is not True:
                continue
            if images and replaced is None:
                # Measured, unless the supervisor names a reason and every image had gone by then.
                told = [look for look in life.looks if look.reason]
                last = images[-1]
                if not told or not (
                    self._left_by_exec(last)
                    and last.about_to_exec is not None
                    and last.about_to_exec.at_ns <= told[-1].at_ns
                ):
                    continue
            if not self._runs_user_code(said.argv, life.session):
                continue
            created_ns = int(life.created * 1e9)
            reason = said.reason or unmeasured_reason(said.argv)
            if reason is NO_JOURNAL_REASON and self._died_at_start(
                life.session, life.pid, created_ns
            ):
                continue
            yield Unmeasured(
                session=life.session,
                pid=life.pid,
                argv=said.argv,
                reason=reason,
                at_ns=created_ns,
                ppid=said.ppid,
                parent=self._image_at(life.session, said.ppid, int(life.created * 1e9))
                if replaced is None
                else replaced.identity.image_id,
            )

    def _execs_without_journal(self) -> Iterator[Unmeasured]:
        """Images that became a Python of which no journal is there."""
        for image in self.images:
            about = image.about_to_exec
            if about is None or not self._left_by_exec(image):
                continue
            if image.identity.image_id in self.successor or not self._is_python(about.path):
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

    def _spawns_without_journal(self) -> Iterator[Unmeasured]:
        """Pythons that a measured process started and of which no journal is there."""
        spawned = Counter((spawn.by, spawn.pid) for spawn in self.result.spawns)
        unexecuted = self._unexecuted()
        for spawn in sorted(self.result.spawns):
            argv = spawn.argv
            if spawn in unexecuted:
                continue
            if not argv or not self._is_python(argv[0]):
                continue
            session = self._session_of(spawn.by)
            identities = [image.identity for image in self.by_pid.get((session, spawn.pid), ())]
            if not self._runs_user_code(argv, session) or any(
                each.started_ns >= spawn.at_ns - _START_SLACK_NS for each in identities
            ):
                continue
            # The clock may have been set back between the two: then who its parent is tells.
            by_parent = sum(each.parent_id == spawn.by for each in identities)
            if by_parent and by_parent >= spawned[spawn.by, spawn.pid]:
                continue
            reason = unmeasured_reason(argv)
            if reason is NO_JOURNAL_REASON and self._died_at_start(session, spawn.pid, spawn.at_ns):
                continue
            yield Unmeasured(
                session=session,
                pid=spawn.pid,
                argv=argv,
                reason=reason,
                at_ns=spawn.at_ns,
                ppid=self.result.images[spawn.by].identity.pid if self._knows(spawn.by) else 0,
                parent=spawn.by,
            )

    def _runs_user_code(self, argv: Sequence[str], session: str) -> bool:
        """Whether an interpreter with this command line runs anything that could be measured."""
        settings = self.result.sessions.get(session)
        return runs_user_code(argv) and not runs_nothing_measured(argv, settings)

    def _is_python(self, program: str) -> bool:
        """Whether it is called like a Python, or measured Pythons of this result are."""
        return is_python(program) or program in self.executables

    def _unexecuted(self) -> set[Spawn]:
        """What was started and did not come as far as its program."""
        if not self.result.stillborn:
            return set()
        by_pid: dict[tuple[str, int], list[Spawn]] = defaultdict(list)
        for spawn in self.result.spawns:
            by_pid[spawn.by, spawn.pid].append(spawn)
        found = set()
        for each in self.result.stillborn:
            before = [one for one in by_pid[each.by, each.pid] if one.at_ns <= each.at_ns]
            if before:
                found.add(max(before, key=lambda one: one.at_ns))
        return found

    def _died_at_start(self, session: str, pid: int, at_ns: int) -> bool:
        """Whether a signal ended a process so soon that it may have run nothing of the target's.

        A pool that is terminated as soon as it has its results kills workers that still start.
        """
        for reap in self.child_exits[session, pid]:
            if reap.at_ns >= at_ns - _START_SLACK_NS:
                return os.WIFSIGNALED(reap.status) and reap.at_ns < at_ns + _EARLY_DEATH_NS
        return False

    def _knows(self, image_id: str) -> bool:
        return image_id in self.result.images

    def _session_of(self, image_id: str) -> str:
        image = self.result.images.get(image_id)
        return "" if image is None else image.identity.session

    def _argv(self, image: Image, said: dict[str, str]) -> tuple[str, ...]:
        """The command line: the image's own word, else (a fork's) that of whom it was forked of."""
        # An embedded Python knows none: the process may have been seen with one.
        if said.get("argv"):
            return tuple(said["argv"].split("\0"))
        life = self.life_of_image.get(image.identity.image_id)
        return life.last_word().argv if life is not None else ()

    def _left_by_exec(self, image: Image) -> bool:
        """Whether an image's last word is that it execs another program."""
        about, failed, ended = image.about_to_exec, image.exec_failed, image.ended
        if about is None or (failed is not None and failed.at_ns >= about.at_ns):
            return False
        if ended is not None and ended.at_ns >= about.at_ns:
            return False
        return not image.running_ns > max(about.at_ns, image.gone_ns)

    def _is_lost(self, image: Image) -> bool:
        """Whether a Python took the place of an image that way, and left no journal."""
        look = self._replaced_by(image)
        return look is not None and is_python(look.argv[0])

    def _replaced_by(self, image: Image) -> Observation | None:
        """What the supervisor saw of the program that took the place of an image, where no code of
        Python's told of the exec: that of C code (uvloop's, ctypes'), with its own environment.
        """
        identity = image.identity
        life = self.life_of_image.get(identity.image_id)
        if life is None or self.images_of_life[id(life)][-1] is not image:
            return None
        # What was seen before the image began is the program that became it, such as a shell. A look
        # at the end says again what was seen before, unless it says why that was not measured.
        look = next(
            (
                look
                for look in reversed(life.looks)
                if look.argv
                and look.at_ns > identity.started_ns
                and (not look.ended or look.reason)
            ),
            None,
        )
        argv = image.said().get("argv", "").split("\0")
        if look is None or not is_python(argv[0]):
            return None
        if identity.started is StartKind.FORKED and look.reason:
            return look  # it was measured, as a copy of its parent, whatever its command line is
        if look.argv == tuple(argv):
            return None
        if is_python(look.argv[0]):
            # One that was started may have been given a command line that it does not show.
            return look if look.reason or identity.started is StartKind.FORKED else None
        # A title that a program gives itself changes its command line, but not its executable.
        is_other = look.executable != "" and not is_python(look.executable)
        return look if is_other else None

    def _match_unreported_execs(self) -> None:
        """Find the images that follow a forked one in its process, though they name no exec.

        subprocess makes them where it is given an environment and a preexec_fn, for which the child
        is forked; so does C code that forks and then executes a program in the session.
        """
        for images in self.by_pid.values():
            for forked, image in pairwise(images):
                if (
                    forked.identity.started is StartKind.FORKED
                    and image.identity.started is StartKind.SPAWNED
                    and forked.identity.image_id not in self.successor
                    and forked.ended is None
                    and self._are_one_process(forked, image)
                ):
                    self.successor[forked.identity.image_id] = image
                    self.predecessor[image.identity.image_id] = forked

    def _are_one_process(self, one: Image, later: Image) -> bool:
        """Whether two images of one pid are of one process: it was not seen to end in between, and
        the supervisor saw one, or they have the same parent."""
        identity = one.identity
        times = range(identity.started_ns, later.identity.started_ns)
        child_exits = self.child_exits.get((identity.session, identity.pid), ())
        if any(reap.at_ns in times for reap in child_exits):
            return False
        life = self.life_of_image.get(identity.image_id)
        if life is not self.life_of_image.get(later.identity.image_id):
            return False
        if life is None:
            return identity.parent_id == later.identity.parent_id
        return not any(look.ended and look.at_ns in times for look in life.looks)

    def _wait_for(self, image: Image) -> ChildExit | None:
        """Its parent's wait for it."""
        identity = image.identity
        child_exits = self.child_exits.get((identity.session, identity.pid))
        if child_exits is None:
            return None
        index = bisect_left(child_exits, identity.started_ns, key=lambda reap: reap.at_ns)
        if index == len(child_exits):
            return self._only_wait(image, child_exits)
        reap = child_exits[index]
        for other in self.by_pid[identity.session, identity.pid]:
            # The pid came again before this wait, so the wait is for that later process.
            if identity.owner < other.identity.owner and other.identity.started_ns <= reap.at_ns:
                return None
        return reap

    def _only_wait(self, image: Image, child_exits: list[ChildExit]) -> ChildExit | None:
        """Its parent's wait for it, by a clock that was set back while it ran.

        Only where there is no doubt: one process of this pid, and one wait for it.
        """
        identity = image.identity
        parent = identity.parent_id
        waits = [reap for reap in child_exits if reap.by == parent]
        same = self.by_pid[identity.session, identity.pid]
        begun = [each for each in same if each.identity.started is not StartKind.EXECED]
        if len(waits) != 1 or begun != [image]:
            return None
        return waits[0]

    def _seen_to_end(self, image: Image) -> Ending | None:
        """What the supervisor saw of the end of the process of its last image."""
        life = self._last_life(image)
        return None if life is None else life.ending()

    def _last_life(self, image: Image) -> _ObservedProcess | None:
        """The process that ended with this image."""
        life = self.life_of_image.get(image.identity.image_id)
        if life is None or self.images_of_life[id(life)][-1] is not image:
            return None
        return life

    def _reap_after(self, life: _ObservedProcess) -> ChildExit | None:
        """A measured parent's wait for a process that has no journal."""
        begin = int((life.created - _CLOCK_SLACK) * 1e9)
        for reap in self.child_exits.get((life.session, life.pid), ()):
            if reap.at_ns >= begin:
                return reap
        return None

    def _alive_at(self, image: Image, at_ns: int) -> bool:
        """Whether nothing says that the process of `image` had ended by then."""
        identity = image.identity
        ends = [
            reap.at_ns
            for reap in self.child_exits.get((identity.session, identity.pid), ())
            if reap.at_ns >= identity.started_ns
        ]
        return not ends or min(ends) >= at_ns

    def _image_at(self, session: str, pid: int, at_ns: int) -> str | None:
        for image in reversed(self.by_pid.get((session, pid), ())):
            if image.identity.started_ns <= at_ns + int(_CLOCK_SLACK * 1e9):
                return image.identity.image_id if self._alive_at(image, at_ns) else None
        return None

    def _match_observed_processes(self) -> None:
        """Find the life that each image belongs to."""
        by_pid: dict[tuple[str, str, int], list[_ObservedProcess]] = defaultdict(list)
        for life in self.lives:
            by_pid[life.session, "", life.pid].append(life)
            said = life.last_word()
            if said.namespace:
                by_pid[life.session, said.namespace, said.inner_pid].append(life)
        namespaces = {namespace for _, namespace, _ in by_pid}
        for (session, pid), images in self.by_pid.items():
            for image in images:
                # What its pid is in the supervisor's namespace it cannot know.
                there = image.said().get("pid_namespace", "") if len(namespaces) > 1 else ""
                lives = by_pid.get((session, there if there in namespaces else "", pid), ())
                begun = [life for life in lives if life.has_begun_by(image)]
                # In a time namespace the time since boot is another one.
                begun = begun or [life for life in lives if life.has_begun_by(image, wall=True)]
                if begun:
                    self.life_of_image[image.identity.image_id] = begun[-1]
                    self.images_of_life[id(begun[-1])].append(image)


def _lives(observations: Iterable[tuple[str, Observation]]) -> Iterator[_ObservedProcess]:
    """Observations grouped by process, in order of creation."""
    by_pid: dict[tuple[str, int], list[Observation]] = defaultdict(list)
    for session, look in observations:
        by_pid[session, look.pid].append(look)
    lives = []
    for (session, pid), looks in by_pid.items():
        groups: list[list[Observation]] = []
        for look in sorted(looks, key=lambda each: each.create_time):
            if groups and look.create_time - groups[-1][-1].create_time <= _SAME_LIFE:
                groups[-1].append(look)
            else:
                groups.append([look])
        lives += [
            _ObservedProcess(
                session=session,
                pid=pid,
                created=group[0].create_time,
                boottime_ns=max(look.boottime_ns for look in group),
                looks=tuple(sorted(group, key=lambda each: (each.at_ns, repr(each)))),
            )
            for group in groups
        ]
    yield from sorted(lives, key=lambda life: (life.session, life.created, life.pid))


def _shares(result: Result) -> Iterator[FileShare]:
    for path, owners in sorted(result.first.items()):
        shared = result.shared.get(path, 0)
        for (_, image_id), bits in sorted(owners.items()):
            yield FileShare(
                path=path,
                image_id=image_id,
                first=bits.bit_count(),
                alone=(bits & ~shared).bit_count(),
            )


def _ending_of_status(status: int, known_from: KnownFrom) -> Ending:
    """An ending from a raw wait status."""
    if os.WIFSIGNALED(status):
        return Ending(
            end=End.KILLED,
            known_from=known_from,
            signal=os.WTERMSIG(status),
            core_dumped=os.WCOREDUMP(status),
        )
    return Ending(end=End.EXITED, known_from=known_from, status=os.WEXITSTATUS(status))


@lru_cache(maxsize=256)
def _ending_of_word(how: EndedHow, status: int) -> Ending:
    """An ending as the process itself announced it: mostly the same as that of the one before."""
    if how is EndedHow.SIGNAL:
        return Ending(end=End.KILLED, known_from=KnownFrom.ITSELF, signal=status)
    return Ending(end=End.EXITED, known_from=KnownFrom.ITSELF, status=status, detail=_how(how))


@lru_cache(maxsize=256)
def _release(version: int) -> str:
    return f"{version >> 24}.{version >> 16 & 255}.{version >> 8 & 255}"


def _how(how: EndedHow) -> str:
    return "os._exit" if how is EndedHow.UNDERSCORE_EXIT else ""
