"""What a view knows of images and their processes, united as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile.fold.result import Problem, consistent_choice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from covsup.datafile.fold.result import ChildExit, FailedSpawn, Image, Result, Spawn
    from covsup.datafile.session.directory import JournalFile
    from covsup.datafile.session.notes import SessionNote
    from covsup.datafile.session.observations import Observation
    from covsup.datafile.session.settings import Settings
    from covsup.views.model.followed_image import Described


class KnownImages:
    """All that is known of processes. `changed` says whether any of it is new, besides counts."""

    def __init__(self) -> None:
        """Begin without images."""
        self.changed = False
        self.counted = False
        """Whether an image has executed more lines, or started a thread."""
        self.images: dict[str, Image] = {}
        self.sessions: dict[str, Settings] = {}
        self._child_exits: frozenset[ChildExit] = frozenset()
        self._spawns: frozenset[Spawn] = frozenset()
        self._failed_spawns: frozenset[FailedSpawn] = frozenset()
        self._observations: frozenset[tuple[str, Observation]] = frozenset()
        self._notes: frozenset[tuple[str, SessionNote]] = frozenset()
        self._problems: dict[str, frozenset[Problem]] = {}
        """By journal."""

    def add(self, result: Result) -> None:
        """Add all but the facts of a result."""
        for image in result.images.values():
            self._add_image(image)
        for session, settings in result.sessions.items():
            known = self.sessions.get(session, settings)
            self.sessions[session] = consistent_choice(known, settings)
        by_journal: dict[str, set[Problem]] = {}
        for problem in result.problems:
            by_journal.setdefault(problem.journal, set()).add(problem)
        for journal, problems in by_journal.items():
            self.replace_problems(journal, self._problems.get(journal, frozenset()) | problems)
        self._observations |= result.observations
        self._notes |= result.notes
        self._add_events(result.child_exits, result.spawns, result.failed_spawns)

    def update(self, described: Described) -> None:
        """Add what the new words of an image say of it."""
        image, events = described
        self.add_whole(image)
        self._add_events(events.child_exits, events.spawns, events.failed_spawns)

    def add_whole(self, image: Image) -> None:
        """Add what all journals of an image say of it together."""
        image_id = image.identity.image_id
        if (known := self.images.get(image_id)) is not None:
            # Of a property that was stored again, only the last value counts.
            self.images[image_id] = known._replace(properties=image.properties)
            self.changed |= known.properties != image.properties
        self._add_image(image)

    def _add_image(self, image: Image) -> None:
        image_id = image.identity.image_id
        known = self.images.get(image_id)
        united = image if known is None else known.union(image)
        if united == known:
            return
        self.images[image_id] = united
        if known is None or _without_counts(united) != _without_counts(known):
            self.changed = True
        else:
            self.counted = True

    def _add_events(
        self,
        child_exits: frozenset[ChildExit],
        spawns: frozenset[Spawn],
        failed_spawns: frozenset[FailedSpawn],
    ) -> None:
        if not child_exits <= self._child_exits:
            self._child_exits |= child_exits
            self.changed = True
        if not spawns <= self._spawns:
            self._spawns |= spawns
            self.changed = True
        if not failed_spawns <= self._failed_spawns:
            self._failed_spawns |= failed_spawns
            self.changed = True

    def replace_problems(self, journal: str, problems: Iterable[Problem]) -> None:
        """Set what is wrong with a journal."""
        new = frozenset(problems)
        if new != self._problems.get(journal, frozenset()):
            self._problems[journal] = new
            self.changed = True

    def replace_problem_text(self, session: str, file: JournalFile, what: str) -> None:
        """Set the only thing that is wrong with a journal that cannot be used."""
        journal = f"{file.pid}-{file.image_id}"
        self.replace_problems(
            journal, [Problem(session=session, journal=journal, what=what, unused=True)]
        )

    def seems_over(self, image_id: str, *, is_seen: bool) -> bool:
        """Whether nothing says yet that an image runs. `is_seen`: its process is seen running.

        An image that cannot be seen, and was about to exec, is taken to have done so.
        """
        image = self.images[image_id]
        about = image.about_to_exec if is_seen else None
        known = max(image.gone_ns, 0 if about is None else about.at_ns)
        return image.running_ns <= known

    def is_about_to_exec(self, image_id: str) -> bool:
        """Whether an image said that it will execute another program, and no more."""
        image = self.images[image_id]
        about, failed = image.about_to_exec, image.exec_failed
        return about is not None and (failed is None or failed.at_ns < about.at_ns)

    def set_running(self, image_id: str, at_ns: int) -> None:
        """An image was seen running."""
        self.images[image_id] = self.images[image_id]._replace(running_ns=at_ns)
        self.changed = True

    def set_gone(self, image_id: str, at_ns: int) -> None:
        """An image was seen not to run any more."""
        self.images[image_id] = self.images[image_id]._replace(gone_ns=at_ns)
        self.changed = True

    def fill(
        self,
        result: Result,
        observations: frozenset[tuple[str, Observation]],
        notes: frozenset[tuple[str, SessionNote]],
        problems: Iterable[Problem],
    ) -> Result:
        """A result with what is known, and with what else was read of the session."""
        return result._replace(
            images=self.images,
            sessions=self.sessions,
            child_exits=self._child_exits,
            spawns=self._spawns,
            failed_spawns=self._failed_spawns,
            observations=self._observations | observations,
            notes=self._notes | notes,
            problems=frozenset().union(problems, *self._problems.values()),
        )


def _without_counts(image: Image) -> Image:
    return image._replace(lines=0, threads=0)
