"""Read a session directory again and again, each journal from where the last look ended."""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from covsup.datafile._fold import JOURNAL_HEADER_SIZE
from covsup.datafile.errors import JournalError, JournalNotBegun
from covsup.datafile.fold.fold import MixedMeasurement
from covsup.datafile.fold.gather import ImageFold
from covsup.datafile.journal.header import read_header
from covsup.datafile.journal.reader import open_journal
from covsup.datafile.session.directory import is_user_directory
from covsup.views.model.descriptors import Descriptors, HeldFile
from covsup.views.model.followed_image import FollowedImage, properties_of
from covsup.views.model.followed_journal import FollowedJournal
from covsup.views.model.known_facts import KnownFacts
from covsup.views.model.known_images import KnownImages
from covsup.views.model.liveness import Birthplace, LifeState, Liveness, processes_there
from covsup.views.model.session_records import SessionRecords
from covsup.views.model.whole_images import FilesRead, by_start, read_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from covsup.datafile.fold.result import Result
    from covsup.datafile.session.directory import JournalFile, Session

_FRESH_NS: Final = 100_000_000
"""A directory that changed less long ago is listed again: its time is as coarse as a tick."""

_CHECKS: Final = 1
"""How many images that seem to run are checked in one refresh, in turn: an exec may be unrecorded."""

_SWEPT: Final = 20
"""How many files of ended images are looked at in one refresh, in turn, for journals in new slots."""

_START_NS: Final = 60_000_000_000
"""So long a file without a header is read in each refresh. Its process may have been killed."""

_TABLE_ENTRIES: Final = 250_000
"""More entries than this in the tables of all images are not kept: about 50 MB."""


class SessionReader:
    """The contents of one session directory."""

    def __init__(self, session: Session) -> None:
        """Read nothing yet."""
        self.session = session
        self.facts = KnownFacts()
        self.images = KnownImages()
        self.records = SessionRecords(session)
        self._descriptors = Descriptors()
        self._liveness = Liveness(self._descriptors)
        self._followed: dict[str, FollowedImage] = {}
        self._by_pid: dict[int, set[str]] = {}
        self._to_check: set[str] = set()
        self._held: dict[str, HeldFile] = {}
        self._groups: dict[tuple[str, int], list[JournalFile]] = {}
        """By image id and pid: the files of an image."""
        self._listed: set[str] = set()
        self._not_begun: dict[str, tuple[JournalFile, int]] = {}
        """By path: files without a header, and until when they are read in each refresh."""
        self._failed: dict[str, JournalFile] = {}
        """By path: files that cannot be read. They are read again when the directory changes."""
        self._ended_files: deque[JournalFile] = deque()
        """Of ended images, those with slots, in the order in which they will be looked at."""
        self._swept: set[str] = set()
        self._slots: dict[str, int] = {}
        """By path: how many slots were in use when they were read."""
        self._directories: dict[str, int] = {}
        self._listed_ns = 0
        self._turn = 0
        self.table_entries = _TABLE_ENTRIES

    def close(self) -> None:
        """Close all descriptors."""
        for file in self._held.values():
            file.close()
        self._liveness.close()

    @property
    def followed(self) -> int:
        """How many images may still write."""
        return len(self._followed)

    def refresh(self) -> None:
        """Read what is new. Raises OSError where the directory cannot be read."""
        now = time.time_ns()
        ended = self._find_ended()
        if self._has_changed() or ended:
            self._list()
        elif starting := [file for file, until in self._not_begun.values() if now < until]:
            self._add_files(starting, processes_there())
        self.records.read_due_marks()
        for observation in self.records.new_observations():
            self.images.changed = True
            self._to_check |= self._by_pid.get(observation.pid, set())
        ended |= self._check()
        for image in list(self._followed.values()):
            image_id = image.place.image_id
            self._update(image, now, is_final=image_id in ended)
        self._sweep()
        self._limit_tables()

    # The directory.

    def _has_changed(self) -> bool:
        """Whether a file was made or replaced since the directory was listed. Raises OSError."""
        if not self._directories:
            return True
        for path, changed_ns in self._directories.items():
            found = os.stat(path).st_mtime_ns  # called many times a second
            if found != changed_ns or self._listed_ns - found < _FRESH_NS:
                return True
        return False

    def _list(self) -> None:
        """Find new files, and read them. Raises OSError."""
        session = self.session
        self._listed_ns = time.time_ns()
        names = os.listdir(session.path)  # before the files are looked at
        places = [str(session.path)]
        places += [f"{session.path}/{name}" for name in names if is_user_directory(name)]
        self._directories = {path: os.stat(path).st_mtime_ns for path in places}
        there = processes_there()
        new = [file for file in session.journals() if file.path not in self._listed]
        self._listed.update(file.path for file in new)
        self.images.changed |= self.records.read_notes()
        not_begun = [file for file, _ in self._not_begun.values()]
        self._add_files([*new, *not_begun, *self._failed.values()], there)
        for result in self.records.changed_data_files():
            self._add_result(result)
        self.records.read_marks()

    def _add_result(self, result: Result) -> None:
        """Add what another combination has stored in the directory."""
        try:
            self.facts.add(result)
        except MixedMeasurement:
            return  # an inner run measured something else: `combine` stores it elsewhere, too
        self.images.add(result)

    def _add_files(self, files: Sequence[JournalFile], there: frozenset[int] | None) -> None:
        """Read files that are new, or could not be read before."""
        fresh: set[tuple[str, int]] = set()
        for file in files:
            self._failed.pop(file.path, None)
            key = file.image_id, file.pid
            group = self._groups.setdefault(key, [])
            if file not in group:
                group.append(file)
            fresh.add(key)
        union = ImageFold()
        for group in by_start(file for key in fresh for file in self._groups[key]):
            image = self._followed.get(group[0].image_id)
            if image is not None:
                known = {each.path for each in image.journals}
                self._attach(image, [file for file in group if file.path not in known])
            else:
                self._read_group(group, union, there)
        self._merge(union)

    def _attach(self, image: FollowedImage, files: Iterable[JournalFile]) -> None:
        """Add new segments of an image."""
        for file in files:
            held = self._hold(file)
            try:
                header, _ = read_header(file.path, held.read(JOURNAL_HEADER_SIZE, 0))
            except JournalNotBegun:
                self._wait_for(file)
                continue
            except (OSError, JournalError):
                image.is_odd = True
                continue
            self._not_begun.pop(file.path, None)
            image.journals.append(FollowedJournal(held, file.path, header))
            image.journals.sort(key=lambda each: each.header.segment)

    def _wait_for(self, file: JournalFile) -> None:
        """Read a file again until its process begins its journal."""
        self._not_begun.setdefault(file.path, (file, time.time_ns() + _START_NS))

    def _read_group(
        self, group: Sequence[JournalFile], union: ImageFold, there: frozenset[int] | None
    ) -> None:
        """Read the files of an image that is not followed, with the journals of others in them."""
        read = read_files(self.session, group)
        for file in group:
            self._not_begun.pop(file.path, None) if file not in read.not_begun else self._wait_for(
                file
            )
        self._failed.update((file.path, file) for file in read.failed)
        self.images.replace_problems(f"{group[0].pid}-{group[0].image_id}", read.problems)
        self._add_read(read, group, union, there)
        if group[0].image_id not in self._followed:
            self._sweep_later(group)

    def _add_read(
        self,
        read: FilesRead,
        group: Sequence[JournalFile],
        union: ImageFold,
        there: frozenset[int] | None,
    ) -> None:
        owner = group[0].image_id
        files = {file.path: file for file in group}
        for image_id, found in read.images.items():
            if image_id in self._followed:
                continue
            journals = [each.journal for each in found]
            header = journals[0].header
            place = Birthplace.of(header, owner, properties_of(journals), self.session.settings)
            is_there = (
                there is None
                or header.pid in there
                or not self._liveness.is_visible(place)
                or place.is_unknown
            )
            try:
                problems = union.add(
                    journals,
                    session=self.session.id,
                    static_context=self.session.settings.context,
                    gone_ns=0 if is_there else time.time_ns(),
                )
            except MixedMeasurement as error:
                self.images.replace_problem_text(self.session.id, files[found[0].path], str(error))
                continue
            for each in found:
                if each.journal.header.slots_at and not each.journal.header.offset:
                    self._slots[each.path] = each.journal.header.slots_used
                    if each.path in read.has_new_slots:
                        self._slots[each.path] = -1
            if is_there:
                image = FollowedImage(place, owner)
                image.is_odd = bool(problems)
                for each in found:
                    held = self._hold(files[each.path])
                    journal = FollowedJournal(held, each.path, each.journal.header)
                    journal.skip_known(each.journal)
                    image.journals.append(journal)
                image.journals.sort(key=lambda each: each.header.segment)
                self._follow(image)

    def _hold(self, file: JournalFile) -> HeldFile:
        held = self._held.get(file.path)
        if held is None:
            check = partial(self.session.check_owner, file)
            held = HeldFile(self._descriptors, lambda: open_journal(file.path, check)[0])
            self._held[file.path] = held
        return held

    # The images that may still write.

    def _follow(self, image: FollowedImage) -> None:
        place = image.place
        self._followed[place.image_id] = image
        same = self._by_pid.setdefault(place.pid, set())
        # An exec begins an image in the process of another one.
        self._to_check |= same
        same.add(place.image_id)
        self._to_check.add(place.image_id)

    def _unfollow(self, image: FollowedImage) -> None:
        image_id = image.place.image_id
        del self._followed[image_id]
        self._by_pid[image.place.pid].discard(image_id)
        self._liveness.forget(image_id)
        in_use = (
            {each.path for other in self._followed.values() for each in other.journals}
            if any(each.offset or self._slots.get(each.path) for each in image.journals)
            else ()
        )
        for each in image.journals:
            if each.path not in in_use and (held := self._held.pop(each.path, None)) is not None:
                held.close()
        if image.file_of == image_id:
            self._sweep_later(self._groups.get((image_id, image.place.pid), ()))

    def _find_ended(self) -> set[str]:
        """The followed images whose processes have ended since the last look."""
        return set(self._liveness.ended()) & self._followed.keys()

    def _check(self) -> set[str]:
        """The followed images that do not run any more, of those that have to be looked at."""
        followed = list(self._followed)
        for _ in range(min(_CHECKS, len(followed))):
            self._turn = (self._turn + 1) % len(followed)
            self._to_check.add(followed[self._turn])
        ended = set()
        for image_id in self._to_check & self._followed.keys():
            image = self._followed[image_id]
            if image.place.is_unknown:
                image.learn_place(self.session.settings)
            place = image.place
            self._liveness.watch(place)
            state = self._liveness.state_of(place)
            if state is LifeState.ENDED and place.is_unknown and not place.is_old:
                continue
            if state is LifeState.ENDED:
                ended.add(image_id)
            elif self.images.seems_over(image_id, is_seen=state is LifeState.RUNNING):
                self.images.set_running(image_id, time.time_ns())
        self._to_check = set()
        return ended

    def _update(self, image: FollowedImage, now: int, *, is_final: bool) -> None:
        """Read what an image has written since the last look, if anything."""
        try:
            has_moved = image.has_moved() or (is_final and image.waits_for_word)
            if has_moved and image.is_odd:
                self._read_whole(image)
            elif has_moved:
                image.last_moved = now
                described = image.add_new(self.facts, self.session, is_final=is_final)
                self.images.update(described)
        except (OSError, JournalError, MixedMeasurement):
            self._read_whole(image)
        for journal in image.journals:
            used = self._slots.get(journal.path)
            if not journal.offset and used is not None and journal.header.slots_used != used:
                self._read_slots(image, journal)
        if is_final:
            self.images.set_gone(image.place.image_id, time.time_ns())
            self._unfollow(image)
        elif self.images.is_about_to_exec(image.place.image_id):
            self._to_check.add(image.place.image_id)

    def _group_of(self, image: FollowedImage) -> list[JournalFile]:
        """The files that hold an image's journals."""
        return next(
            (files for (owner, _), files in self._groups.items() if owner == image.file_of), []
        )

    def _read_whole(self, image: FollowedImage) -> None:
        """Read all journals of an image at once, and report what is wrong with them."""
        image.forget_tables()
        group = self._group_of(image)
        read = read_files(self.session, group)
        found = read.images.get(image.place.image_id, [])
        if not found:
            return  # its files have vanished: what they held is in the partial fold
        union = ImageFold()
        try:
            problems = union.add(
                [each.journal for each in found],
                session=self.session.id,
                static_context=self.session.settings.context,
            )
            result = union.result()
            self.facts.add(result)
        except MixedMeasurement:
            image.is_odd = True
            return
        image.is_odd = bool(problems)
        by_place = {(each.path, each.journal.header.offset): each.journal for each in found}
        for journal in image.journals:
            if (whole := by_place.get((journal.path, journal.offset))) is not None:
                with suppress(OSError, JournalError):  # it vanishes when it was combined
                    journal.take_whole(whole)
        owner = f"{image.place.pid}-{image.place.image_id}"
        self.images.replace_problems(owner, (*result.problems, *read.problems))
        self.images.add_whole(result.images[image.place.image_id])
        self.images.add(result._replace(problems=frozenset()))

    def _read_slots(self, owner: FollowedImage, journal: FollowedJournal) -> None:
        """Read journals that began in slots of a file."""
        self._slots[journal.path] = journal.header.slots_used
        group = self._group_of(owner)
        union = ImageFold()
        read = read_files(self.session, group)
        read.images.pop(owner.place.image_id, None)
        self._add_read(read, group, union, processes_there())
        if journal.path in read.has_new_slots:
            self._slots[journal.path] = -1
        self._merge(union)

    def _merge(self, union: ImageFold) -> None:
        if union.images:
            result = union.result()
            self.facts.add(result)
            self.images.add(result)

    def _sweep(self) -> None:
        """Look for journals in new slots of files whose own images have ended.

        A process that inherited a mapping of the file may begin one at any time.
        """
        if not self._followed:
            return
        for _ in range(min(_SWEPT, len(self._ended_files))):
            file = self._ended_files[0]
            self._ended_files.rotate(-1)
            used = self._slots[file.path]
            try:
                fd, _status = open_journal(file.path, partial(self.session.check_owner, file))
                try:
                    header, _ = read_header(file.path, os.pread(fd, JOURNAL_HEADER_SIZE, 0))
                finally:
                    os.close(fd)
            except (OSError, JournalError):
                continue  # it was combined and deleted, or was reported when it was read
            if header.slots_used != used:
                self._slots[file.path] = header.slots_used
                group = self._groups[file.image_id, file.pid]
                union = ImageFold()
                read = read_files(self.session, group)
                read.images.pop(file.image_id, None)
                self._add_read(read, group, union, processes_there())
                self._merge(union)

    def _sweep_later(self, files: Iterable[JournalFile]) -> None:
        """Look at these files of an ended image from time to time."""
        for file in files:
            if file.path in self._slots and file.path not in self._swept:
                self._swept.add(file.path)
                self._ended_files.append(file)

    def _limit_tables(self) -> None:
        """Forget the tables of images that have not written for the longest time, if they are many."""
        with_tables = [each for each in self._followed.values() if each.table_size]
        total = sum(each.table_size for each in with_tables)
        if total <= self.table_entries:
            return
        for image in sorted(with_tables, key=lambda each: each.last_moved):
            total -= image.table_size
            image.forget_tables()
            if total <= self.table_entries // 2:
                return
