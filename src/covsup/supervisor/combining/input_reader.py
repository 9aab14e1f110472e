"""Read the inputs of a combination: find out which images still run, then read all journals.

What was executed is united image by image, so memory grows with the result, not with the journals.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from functools import partial
from itertools import chain
from pathlib import Path

from covsup.datafile.database.database import is_data_file
from covsup.datafile.errors import (
    DataFileUnusable,
    JournalError,
    JournalNotBegun,
    SessionUnreadable,
)
from covsup.datafile.fold.fold import fold
from covsup.datafile.fold.gather import UNSTORABLE_MESSAGE, ImageFold, session_result
from covsup.datafile.journal.header import StartKind, header_struct
from covsup.datafile.journal.reader import read_borrowers, read_slots
from covsup.datafile.provenance.derive import provenance_of
from covsup.datafile.provenance.model import End
from covsup.datafile.session.directory import open_session
from covsup.datafile.session.session_journals import read_as_named
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.combine_result import StillRunning
from covsup.supervisor.combining.image_journals import ImageJournals, files_by_image
from covsup.supervisor.combining.input_directory import InputDirectory, UnseenPlace
from covsup.supervisor.watching.other_writers import is_local, is_mapped_for_writing
from covsup.supervisor.watching.still_running import (
    ImageState,
    ProcessSnapshot,
    supervisor_may_run_elsewhere,
    supervisor_runs,
    was_rebooted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Final

    from covsup.datafile.fold.result import Problem
    from covsup.datafile.journal.reader import Journal
    from covsup.datafile.session.directory import JournalFile, Session
    from covsup.supervisor.combining.inputs import Inputs

_BEGINNING: Final = header_struct("=", "magic", "start_realtime_ns", "slots_used")
"""A journal's header: the magic, which is written last, the image's start, and the slots in use."""

_NO_MAGIC: Final = bytes(8)

_START_SECONDS: Final = 60.0
"""A session directory or a journal without contents may still be filled until it is this old."""


class InputReader:
    """Reads the directories of a combination and changes nothing. The caller holds the locks."""

    def __init__(
        self, progress: Callable[[int, int], None] | None, *, assume_ended: bool = False
    ) -> None:
        """`progress` is called with the number of journals read and the number of all journals.

        `assume_ended`: processes that cannot be seen from here have ended.
        """
        self.directories: list[InputDirectory] = []
        self.unreadable: dict[str, None] = {}  # an ordered set of sentences
        self.running: list[StillRunning] = []
        self.images = 0
        self._image_ids: set[str] = set()
        self._execed_from: list[str | None] = []  # by image that an exec started: the one before it
        self._assume_ended = assume_ended
        self._progress = progress

    def read(self, inputs: Inputs) -> None:
        """Find out which images run, and read all journals."""
        self._open(inputs)
        # The order matters: list, look at the processes, list again. An image that had begun before
        # the snapshot and does not run in it has written every segment of the second list.
        listed = [directory.journals() for directory in self.directories]
        for directory, journals in zip(self.directories, listed, strict=True):
            directory.journal_starts, directory.slot_borrowers = _journal_starts(journals)
        snapshot = ProcessSnapshot(
            [directory.path for directory in self.directories if directory.session is not None],
            chain.from_iterable(listed),
            [pid for directory in self.directories for pid, _ in directory.slot_borrowers],
        )
        listed = [directory.journals() for directory in self.directories]
        total, done = sum(map(len, listed)), 0
        for directory, journals in zip(self.directories, listed, strict=True):
            directory.members = snapshot.members.get(directory.path, [])
            if directory.members:
                directory.is_kept = True
            if directory.session is not None:
                self._read_session(directory, directory.session)
            for files in files_by_image(journals, directory.journal_starts):
                self._read_image(directory, files, snapshot)
                done += len(files)
                if self._progress is not None:
                    self._progress(done, total)
            self._decide_undecided(directory)

    @property
    def processes(self) -> int:
        """In how many processes the images ran. An exec begins an image in the same process."""
        return self.images - sum(each in self._image_ids for each in self._execed_from)

    def report_left(self, why: Exception | str) -> None:
        """Report an input that cannot be used and stays where it is."""
        self.unreadable[f"{why}; it is left where it is"] = None

    def _open(self, inputs: Inputs) -> None:
        for path, only in sorted(inputs.sessions.items()):
            try:
                session = open_session(path)
            except SessionUnreadable as error:
                if not _is_unused(path):
                    self.report_left(error)
                continue
            directory = InputDirectory(f"session {session.id}", path, session, only)
            self.directories.append(directory)
            try:
                directory.has_partial_fold = is_data_file(session.folded)
            except DataFileUnusable as error:
                # Nothing can be added to a fold that cannot be read: the journals have to stay.
                self.report_left(error)
                directory.fold_is_unreadable = True
            self._find_nested_results(directory, session)
        self.directories += [
            InputDirectory(str(path), path, None, frozenset(images))
            for path, images in sorted(inputs.loose.items())
        ]

    def _find_nested_results(self, directory: InputDirectory, session: Session) -> None:
        for path in session.nested_results():
            try:
                if is_data_file(path):
                    directory.nested_results.append(path)
                else:
                    directory.unfinished_runs.append(path.name.partition("-")[2])
            except DataFileUnusable as error:
                self.report_left(error)
                directory.is_kept = True

    def _read_session(self, directory: InputDirectory, session: Session) -> None:
        """Read what a session holds besides journals, and whether a covsup supervises it."""
        directory.supervised = supervisor_runs(session.settings, directory.path)
        directory.may_be_supervised = not self._assume_ended and supervisor_may_run_elsewhere(
            session
        )
        if directory.supervised or directory.may_be_supervised:
            directory.is_kept = True
        directory.session_records = session_result(
            session.settings, session.notes(), session.observations()
        )
        if session.has_marks:
            for problem in directory.read_marks(session):
                self.report_left(problem)

    def _read_image(
        self, directory: InputDirectory, files: Sequence[JournalFile], snapshot: ProcessSnapshot
    ) -> None:
        """Read the files of one image, and the journals that others have in slots of these files.
        Add each image to the ended, the live or the undecided ones.
        """
        images, deletable = self._images_in(directory, files)
        owner = files[0].image_id
        if snapshot.is_mapped(owner):
            # A process that maps the file may take a slot in it and write there at any time.
            directory.is_kept = True
            directory.pinned.update(deletable)
        if not images:
            directory.ended_journals += deletable
        unseen: dict[str, UnseenPlace] = {}
        for image in images:
            self._count(image)
            if image.image_id == owner:
                had_begun = files[0].path in directory.journal_starts
            else:
                had_begun = (image.pid, image.image_id) in directory.slot_borrowers
            match self._state_of(directory, image, snapshot, owner):
                case ImageState.ENDED if had_begun:
                    self._add_ended(directory, image)
                case ImageState.OTHER_NAMESPACE:
                    # Asked now, before the journals are read once more: if no process maps them
                    # for writing, they are complete by then.
                    mapped = {is_mapped_for_writing(each.path) for each in files}
                    if True in mapped:
                        self._add_live(directory, image, host="")
                        continue
                    unseen[image.image_id] = UnseenPlace(
                        host=f"{image.host}, in a container",
                        has_ended=mapped == {False} or self._assume_ended,
                    )
                    directory.add(directory.undecided_records, image.journals)
                case ImageState.REMOTE:
                    unseen[image.image_id] = UnseenPlace(
                        host=_name_of_machine(image.host), has_ended=self._assume_ended
                    )
                    directory.add(directory.undecided_records, image.journals)
                case _:
                    self._add_live(directory, image, host="")
        if unseen:
            # Other journals may report these ends, so all have to be read first. The contents are
            # not kept until then, which could take any amount of memory: they are read again.
            directory.undecided.append((list(files), unseen))

    def _count(self, image: ImageJournals) -> None:
        self.images += 1
        self._image_ids.add(image.image_id)
        header = image.journals[0].header
        if header.start_kind is StartKind.EXECED:
            self._execed_from.append(header.parent_image_id)

    def _state_of(
        self, directory: InputDirectory, image: ImageJournals, snapshot: ProcessSnapshot, owner: str
    ) -> ImageState:
        boot, machine = image.text_property("boot"), image.text_property("machine")
        if directory.session is not None:
            opener = directory.session.settings
            # A process that sees no /proc does not know its boot id: the session's counts.
            boot = boot or opener.boot
            if boot == opener.boot:
                machine = opener.machine
        return snapshot.state_of(
            image.journals[0].header,
            image.host,
            image.text_property("pid_namespace"),
            owner,
            boot=boot,
            was_rebooted=partial(was_rebooted, machine, image.host, directory.path),
        )

    def _images_in(
        self, directory: InputDirectory, files: Sequence[JournalFile]
    ) -> tuple[list[ImageJournals], list[str]]:
        """The images with journals in the files of one image, and the paths of the files that may
        be deleted when all of these have ended.
        """
        journals, deletable = self._read_segments(directory, files)
        if not journals:
            return [], deletable
        images = {journals[0].header.image_id: journals}
        headers = {each.header.segment: each.header for each in reversed(journals)}
        for file in files:
            header = headers.get(file.segment)
            if header is None or not header.slots_used:
                continue
            try:
                slots = read_slots(file.path, header)
            except JournalError as error:
                self.report_left(error)
                directory.pinned.add(file.path)
                continue
            for problem in slots.problems:
                self.report_left(problem)
                directory.pinned.add(file.path)
            for journal in slots.journals:
                images.setdefault(journal.header.image_id, []).append(journal)
        return [ImageJournals(each, files, deletable) for each in images.values()], deletable

    def _read_segments(
        self, directory: InputDirectory, files: Sequence[JournalFile]
    ) -> tuple[list[Journal], list[str]]:
        """The segments of one image that can be read, and the paths of those that may be deleted
        once they are stored.
        """
        journals: list[Journal] = []
        deletable: list[str] = []
        is_complete = True
        for file in files:
            try:
                journals.append(read_as_named(file, directory.session))
                deletable.append(file.path)
            except JournalNotBegun:
                if self._may_be_starting(directory, file):
                    directory.is_kept = True
                else:
                    # Its process was killed before it began the journal.
                    deletable.append(file.path)
            except JournalError as error:
                self.report_left(error)
                is_complete = False
        if not is_complete:
            # The segments of an image need each other's definitions: all of them stay.
            directory.is_kept = True
            deletable = []
        return journals, deletable

    def _may_be_starting(self, directory: InputDirectory, file: JournalFile) -> bool:
        """Whether a process may be about to begin its journal."""
        if _is_alive(file.pid) or is_mapped_for_writing(file.path):
            return True
        if self._assume_ended or is_local(directory.path):
            return False
        # The file system is shared with other machines, whose processes we cannot see.
        return time.time() - Path(file.path).stat().st_mtime < _START_SECONDS

    def _decide_undecided(self, directory: InputDirectory) -> None:
        """Add the images that cannot be seen to the ended ones or to the live ones."""
        if not directory.undecided:
            return
        records = fold(
            [
                directory.ended_result(),
                directory.live.result(),
                directory.undecided_records.result(),
            ]
        )
        ended = {
            each.image_id
            for each in provenance_of(records).processes
            if each.ending.end in {End.EXITED, End.KILLED, End.EXECED, End.DETACHED}
        }
        listed = {each.path for each in directory.journals()}
        segments = Counter(each.image_id for each in directory.journals())
        for files, unseen in directory.undecided:
            # A segment that was added since then shows that the image still ran: all of them stay.
            is_unchanged = segments[files[0].image_id] == len(files) and listed.issuperset(
                each.path for each in files
            )
            for image in self._images_in(directory, files)[0]:
                place = unseen.get(image.image_id)
                if place is None:
                    continue
                if image.image_id in ended or (place.has_ended and is_unchanged):
                    self._add_ended(directory, image)
                else:
                    self._add_live(directory, image, host=place.host)
        directory.undecided_records = ImageFold()

    def _add_ended(self, directory: InputDirectory, image: ImageJournals) -> None:
        """Add an image that has ended. If all of its journals was used, they may be deleted."""
        problems = directory.add(directory.ended, image.journals, gone_ns=time.time_ns())
        if self._report_problems(directory, image, problems):
            directory.ended_journals += image.deletable
        else:
            directory.pinned.update(image.deletable)

    def _add_live(self, directory: InputDirectory, image: ImageJournals, *, host: str) -> None:
        """Add an image that runs, as far as can be known; `host` is "" if it runs here."""
        directory.is_kept = True
        directory.pinned.update(image.deletable)
        problems = directory.add(directory.live, image.journals, running_ns=time.time_ns())
        self._report_problems(directory, image, problems)
        self.running.append(
            StillRunning(
                session="" if directory.session is None else directory.session.id,
                image_id=image.image_id,
                pid=image.pid,
                argv=image.argv,
                host=host,
            )
        )

    def _report_problems(
        self, directory: InputDirectory, image: ImageJournals, problems: Sequence[Problem]
    ) -> bool:
        """Report what is wrong with an image's journals; gives whether all of them was used."""
        # A source file whose name cannot be stored is reported once, not once for each image.
        unstorable = [each for each in problems if each.what.startswith(UNSTORABLE_MESSAGE)]
        self.unreadable |= dict.fromkeys(each.what for each in unstorable)
        problems = [each for each in problems if each not in unstorable]
        if not problems:
            return True
        whats = "; ".join(sorted({problem.what for problem in problems}))
        unused = any(problem.unused for problem in problems)
        left = "; its intact records were used, and the journal is kept" if unused else ""
        self.unreadable[f"{image.files[0].path}: {whats}{left}"] = None
        if unused:
            directory.is_kept = True
        return not unused


def _name_of_machine(host: str) -> str:
    """A machine that is not this one, for a message."""
    if not host:
        return "another machine"
    return host if host != os.uname().nodename else f"another machine named {host}"


def _is_unused(path: Path) -> bool:
    """Whether a session directory is empty: just being made, or its maker was killed.

    One that is empty for a minute is deleted.
    """
    try:
        if time.time() - path.stat().st_mtime > _START_SECONDS:
            path.rmdir()
        return not any(path.iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _journal_starts(
    journals: Iterable[JournalFile],
) -> tuple[dict[str, int], frozenset[tuple[int, str]]]:
    """The journals that their processes have begun, each with the start of its image in ns; and the
    pids and image ids that have a journal in a slot of one of them.
    """
    starts = {}
    slot_borrowers: set[tuple[int, str]] = set()
    for journal in journals:
        try:
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
            descriptor = os.open(journal.path, flags)
            try:
                head = os.pread(descriptor, _BEGINNING.size, 0)
            finally:
                os.close(descriptor)
        except OSError:
            # Counts as begun: then it is read, and reading it reports the error.
            starts[journal.path] = 0
            continue
        magic, started_ns, slots_used = _BEGINNING.unpack(head.ljust(_BEGINNING.size, b"\0"))
        if magic != _NO_MAGIC:
            starts[journal.path] = started_ns
            if slots_used:
                slot_borrowers |= read_borrowers(journal.path)
    return starts, frozenset(slot_borrowers)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
