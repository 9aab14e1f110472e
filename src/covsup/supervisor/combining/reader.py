"""What is to be combined, as read: sessions and loose journals, image by image.

An image's journal is read after the look at who runs, and taken in as ended or as going on. What
was executed is united at once: memory grows with the result and not with the journals.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from itertools import chain
from struct import Struct

from covsup.datafile.database.database import is_data_file, kind_with_sent_code
from covsup.datafile.errors import (
    DataFileUnusable,
    JournalDamaged,
    JournalError,
    JournalNotBegun,
)
from covsup.datafile.fold.fold import fold
from covsup.datafile.fold.gather import UNSTORABLE_MESSAGE, ImageFold, session_result
from covsup.datafile.journal.reader import read_borrowers, read_journal, read_slots
from covsup.datafile.journal.shortening import shorten
from covsup.datafile.provenance.derive import provenance_of
from covsup.datafile.provenance.model import End
from covsup.datafile.session.directory import JournalFile, Session, SessionUnreadable, open_session
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.combining.combine_result import StillRunning
from covsup.supervisor.watching.linux import is_local, is_mapped_for_writing
from covsup.supervisor.watching.liveness import (
    ImageState,
    ProcessSnapshot,
    supervisor_may_run_elsewhere,
    supervisor_runs,
    was_rebooted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Final

    from covsup.datafile.fold.result import Kind, Problem, Result
    from covsup.datafile.journal.reader import Journal
    from covsup.supervisor.combining.inputs import Inputs

_BEGINNING: Final = Struct("=8s64xQ224xQ")
"""Of a journal's header: the magic, which is written last, when its image started, and how many
others have journals in its file."""

_NO_MAGIC: Final = bytes(8)

_START_SECONDS: Final = 60.0


class InputDirectory:
    """A session, or loose journals, as read."""

    __slots__ = (
        "ended", "ended_journals", "fold_is_unreadable", "has_partial_fold", "is_kept",
        "journal_starts", "live", "may_be_supervised", "members", "name", "nested_results",
        "only_images", "path", "pinned", "session", "session_records", "slot_borrowers",
        "supervised", "undecided", "undecided_records", "unfinished_runs",
    )  # fmt: skip

    def __init__(
        self, name: str, path: Path, session: Session | None, only: frozenset[str] | None
    ) -> None:
        """Not a dataclass, whose module takes longer to import than most of combining."""
        self.name = name  # for messages
        self.path = path
        self.session = session
        self.only_images = only
        self.session_records: Result | None = None  # what the session says besides its journals
        self.ended = ImageFold()  # what need not be read again
        self.live = ImageFold()
        self.undecided: list[tuple[list[JournalFile], dict[str, _UnseenPlace]]] = []
        """Images still to be judged, by the files that hold their journals."""
        self.undecided_records = ImageFold()  # what these say
        self.has_partial_fold = False  # a partial fold is there
        self.nested_results: list[Path] = []  # results of runs inside of this one
        self.unfinished_runs: list[str] = []  # ids of runs inside of this one that have none yet
        self.ended_journals: list[str] = []  # journals of images that have ended
        self.pinned: set[str] = set()  # journals that hold something else, too
        self.journal_starts: Mapping[str, int] = {}
        """Journals of which the magic was there before the look: when they began."""
        self.slot_borrowers: frozenset[tuple[int, str]] = frozenset()
        """Likewise: the pids and images that have journals in slots of others' files."""
        self.fold_is_unreadable = False  # the partial fold is there and cannot be read
        self.members: list[int] = []  # processes that were started in it
        self.supervised = False  # another covsup will combine it, too
        self.may_be_supervised = False  # it may have a supervisor that cannot be seen
        self.is_kept = False  # something of it has to be looked at again

    @property
    def images(self) -> int:
        """How many images have journals in it."""
        return self.ended.images + self.live.images

    @property
    def kind(self) -> Kind | None:
        """What was measured; None where nothing was executed."""
        kind = self.ended.kind or self.live.kind
        if kind is None and self.has_partial_fold and self.session is not None:
            kind = kind_with_sent_code(self.session.folded)
        return kind or next(filter(None, map(kind_with_sent_code, self.nested_results)), None)

    def journals(self) -> list[JournalFile]:
        """The journals in question that are there now."""
        if self.session is not None:
            found = self.session.journals()
        else:
            found = sorted(
                journal
                for path in self.path.iterdir()
                if path.is_file() and (journal := JournalFile.at(path)) is not None
            )
        return [
            each for each in found if self.only_images is None or each.image_id in self.only_images
        ]

    def deletable(self) -> list[str]:
        """The journals that may go."""
        return [path for path in self.ended_journals if path not in self.pinned]

    def shorten(self) -> None:
        """Give these an end behind what they hold, as far as can be: the session stays for now."""
        for path in self.deletable():
            # Where that fails (another user's file, a full disk) it is as deletable as it was.
            with suppress(OSError):
                shorten(path)

    def ended_result(self) -> Result:
        """The fold of what need not be read again."""
        results = (
            [self.ended.result()]
            if self.session_records is None
            else [self.session_records, self.ended.result()]
        )
        return fold(results)

    def is_finished(self) -> bool:
        """Whether nothing of a session is left to be done."""
        if self.is_kept or self.fold_is_unreadable or self.only_images is not None:
            return False
        if self.session is not None and self.session.settings.open:
            return False  # others may join it at any time
        done = set(self.deletable())
        return all(journal.path in done for journal in self.journals())


class _UnseenPlace(NamedTuple):
    """Where an image runs that we do not see."""

    name: str
    ended: bool  # no process of this kernel has its journal any more, or so it is assumed


class ImageJournals(NamedTuple):
    """The journals of one image, as read."""

    journals: list[Journal]
    files: Sequence[JournalFile]  # in which they are: its own, or in slots of another image's
    deletable: list[str]  # those of the files that may go when all who are in them have ended

    @property
    def image_id(self) -> str:
        return self.journals[0].header.image_id

    @property
    def pid(self) -> int:
        return self.journals[0].header.pid


class InputReader:
    """Reads the directories of a combination; nothing is changed. The caller holds the locks."""

    def __init__(
        self, progress: Callable[[int, int], None] | None, *, assume_ended: bool = False
    ) -> None:
        """Begin; `progress` is told the number of journals read and of all. `assume_ended`: what
        cannot be seen from here has ended."""
        self._assume_ended = assume_ended
        self.directories: list[InputDirectory] = []
        self.unreadable: dict[str, None] = {}  # sentences, in order, each once
        self.running: list[StillRunning] = []
        self.images = 0
        self._progress = progress

    def read(self, inputs: Inputs) -> None:
        """ProcessSnapshot who runs and read all journals."""
        self._open(inputs)
        # In this order: listed, looked at, listed again. Whose journal was complete before the
        # look and who does not run in it has written all of the segments that the second list has.
        listed = [directory.journals() for directory in self.directories]
        for directory, journals in zip(self.directories, listed, strict=True):
            directory.journal_starts, directory.slot_borrowers = _journal_starts(journals)
        snapshot = ProcessSnapshot(
            [directory.path for directory in self.directories if directory.session is not None],
            chain.from_iterable(listed),
            [pid for directory in self.directories for pid, _ in directory.slot_borrowers],
        )
        lists = [directory.journals() for directory in self.directories]
        total, done = sum(map(len, lists)), 0
        for directory, journals in zip(self.directories, lists, strict=True):
            directory.members = snapshot.members.get(directory.path, [])
            if directory.members:
                directory.is_kept = True
            if directory.session is not None:
                directory.supervised = supervisor_runs(directory.session.settings, directory.path)
                directory.may_be_supervised = (
                    not self._assume_ended and supervisor_may_run_elsewhere(directory.session)
                )
                if directory.supervised or directory.may_be_supervised:
                    directory.is_kept = True
                directory.session_records = session_result(
                    directory.session.settings,
                    directory.session.notes(),
                    directory.session.observations(),
                )
            for files in _by_image(journals, directory.journal_starts):
                self._read_image(directory, files, snapshot)
                done += len(files)
                if self._progress is not None:
                    self._progress(done, total)
            self._decide_undecided(directory)

    def report_left(self, why: Exception | str) -> None:
        """Say that something is left where it is."""
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
                # Without it nothing can be added to it: what is there now has to stay.
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

    def _read_image(
        self, directory: InputDirectory, files: Sequence[JournalFile], snapshot: ProcessSnapshot
    ) -> None:
        """Read the segments of one image, and what others have in slots of its files; take each in
        by what is known of its end."""
        images, deletable = self._images_in(directory, files)
        owner = files[0].image_id
        if snapshot.is_mapped(owner):
            # Whoever maps the file may yet write to it, whether it has a slot now or not.
            directory.is_kept = True
            directory.pinned.update(deletable)
        if not images:
            directory.ended_journals += deletable
        elsewhere: dict[str, _UnseenPlace] = {}
        for image in images:
            self.images += 1
            if image.image_id == owner:
                is_old = files[0].path in directory.journal_starts
            else:
                is_old = (image.pid, image.image_id) in directory.slot_borrowers
            match self._state_of(directory, image, snapshot, owner):
                case ImageState.ENDED if is_old:
                    self._add_ended(directory, image)
                case ImageState.OTHER_NAMESPACE:
                    # The journals are read once more after this, and are complete then.
                    mapped = {is_mapped_for_writing(each.path) for each in files}
                    if True in mapped:
                        self._keep_running(directory, image, host="")
                        continue
                    name = f"{_host(image)}, in a container"
                    ended = mapped == {False} or self._assume_ended
                    elsewhere[image.image_id] = _UnseenPlace(name, ended=ended)
                    _add_image(directory, directory.undecided_records, image.journals)
                case ImageState.REMOTE:
                    name = _machine(_host(image))
                    elsewhere[image.image_id] = _UnseenPlace(name, ended=self._assume_ended)
                    _add_image(directory, directory.undecided_records, image.journals)
                case _:
                    self._keep_running(directory, image, host="")
        if elsewhere:
            # By the end of all. To keep all of them until then could take any memory.
            directory.undecided.append((list(files), elsewhere))

    def _state_of(
        self, directory: InputDirectory, image: ImageJournals, snapshot: ProcessSnapshot, owner: str
    ) -> ImageState:
        host, namespace, boot, machine = (
            _property(image.journals, key) for key in ("host", "pid_namespace", "boot", "machine")
        )
        if directory.session is not None:
            opener = directory.session.settings
            # A process that sees no /proc does not know it.
            boot = boot or opener.boot
            if boot == opener.boot:
                machine = opener.machine
        return snapshot.state_of(
            image.journals[0].header,
            host,
            namespace,
            owner,
            boot=boot,
            was_rebooted=partial(was_rebooted, machine, host, directory.path),
        )

    def _images_in(
        self, directory: InputDirectory, files: Sequence[JournalFile]
    ) -> tuple[list[ImageJournals], list[str]]:
        """The image of these files and those that lodge in them, and the files that may go."""
        journals, deletable = self._read_segments(directory, files)
        if not journals:
            return [], deletable
        images = {journals[0].header.image_id: journals}
        lodge = any(each.header.slots_used for each in journals)
        for file in files if lodge else ():
            header = next(
                (each.header for each in journals if each.header.segment == file.segment), None
            )
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
        """The segments that can be read, and those which may go once they are stored."""
        journals: list[Journal] = []
        deletable: list[str] = []
        is_complete = True
        for file in files:
            try:
                journals.append(_read_as_named(file, directory.session))
                deletable.append(file.path)
            except JournalNotBegun:
                # Its process was killed before it could begin, or it is about to.
                if self._may_be_starting(directory, file):
                    directory.is_kept = True
                else:
                    deletable.append(file.path)
            except JournalError as error:
                self.report_left(error)
                is_complete = False
        if not is_complete:
            # The segments of an image need each other's definitions: they go together or stay.
            directory.is_kept = True
            deletable = []
        return journals, deletable

    def _may_be_starting(self, directory: InputDirectory, file: JournalFile) -> bool:
        """Whether a process may be about to begin its journal."""
        if _is_alive(file.pid) or is_mapped_for_writing(file.path):
            return True
        if self._assume_ended or is_local(directory.path):
            return False
        # A process of another machine, perhaps.
        return time.time() - os.stat(file.path).st_mtime < _START_SECONDS  # noqa: PTH116 - a text

    def _decide_undecided(self, directory: InputDirectory) -> None:
        """Judge the images that we cannot see, by what the journals tell and the kernel knows."""
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
            if each.ending.end in {End.EXITED, End.KILLED, End.EXECED}
        }
        listed = {each.path for each in directory.journals()}
        by_image = Counter(each.image_id for each in directory.journals())
        for files, images in directory.undecided:
            # Another segment since then belongs to these: they go together or stay.
            is_all = by_image[files[0].image_id] == len(files) and listed.issuperset(
                each.path for each in files
            )
            for image in self._images_in(directory, files)[0]:
                place = images.get(image.image_id)
                if place is None:
                    continue
                if image.image_id in ended or (place.ended and is_all):
                    self._add_ended(directory, image)
                else:
                    self._keep_running(directory, image, host=place.name)
        directory.undecided_records = ImageFold()

    def _add_ended(self, directory: InputDirectory, image: ImageJournals) -> None:
        """The image has ended: its journals may go once they are stored, if all of them was used."""
        problems = _add_image(directory, directory.ended, image.journals, gone_ns=time.time_ns())
        if self._report_problems(directory, image, problems):
            directory.ended_journals += image.deletable
        else:
            directory.pinned.update(image.deletable)

    def _keep_running(self, directory: InputDirectory, image: ImageJournals, *, host: str) -> None:
        """The image runs, as far as can be known."""
        directory.is_kept = True
        directory.pinned.update(image.deletable)
        self._report_problems(
            directory,
            image,
            _add_image(directory, directory.live, image.journals, running_ns=time.time_ns()),
        )
        argv = _property(image.journals, "argv")
        self.running.append(
            StillRunning(
                session="" if directory.session is None else directory.session.id,
                image_id=image.image_id,
                pid=image.pid,
                argv=tuple(argv.split("\0")) if argv else (),
                host=host,
            )
        )

    def _report_problems(
        self, directory: InputDirectory, image: ImageJournals, problems: Sequence[Problem]
    ) -> bool:
        """Say what was wrong with an image's journals; gives whether all of them was used."""
        if not problems:
            return True
        # A file is named once, however many images executed it.
        self.unreadable |= dict.fromkeys(
            problem.what for problem in problems if problem.what.startswith(UNSTORABLE_MESSAGE)
        )
        problems = [each for each in problems if not each.what.startswith(UNSTORABLE_MESSAGE)]
        if not problems:
            return True
        whats = "; ".join(sorted({problem.what for problem in problems}))
        unused = any(problem.unused for problem in problems)
        left = "; what is sound was used, the journal is left where it is" if unused else ""
        self.unreadable[f"{image.files[0].path}: {whats}{left}"] = None
        if unused:
            directory.is_kept = True
        return not unused


def _add_image(
    directory: InputDirectory,
    into: ImageFold,
    journals: Sequence[Journal],
    *,
    running_ns: int = 0,
    gone_ns: int = 0,
) -> list[Problem]:
    """Take an image in as one of a directory; gives what was wrong with its journals."""
    return into.add(
        journals,
        session="" if directory.session is None else directory.session.id,
        static_context="" if directory.session is None else directory.session.settings.context,
        running_ns=running_ns,
        gone_ns=gone_ns,
    )


def _property(journals: Iterable[Journal], key: str) -> str:
    """What the journals of an image say, or nothing."""
    value = min(
        [value for journal in journals if (value := journal.properties.get(key))], default=b""
    )
    return os.fsdecode(value) if value else ""


def _host(image: ImageJournals) -> str:
    return _property(image.journals, "host")


def _machine(host: str) -> str:
    """A machine that is not this one, for a message."""
    if not host:
        return "another machine"
    return host if host != os.uname().nodename else f"another machine named {host}"


def _is_unused(path: Path) -> bool:
    """Whether a session directory is empty: one that is being made, or whose maker was killed."""
    try:
        if time.time() - path.stat().st_mtime > _START_SECONDS:
            path.rmdir()
        return not any(path.iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _by_image(
    journals: Iterable[JournalFile], starts: Mapping[str, int]
) -> list[list[JournalFile]]:
    """The segments of each image; the oldest image first, which is quickest to unite."""
    images: dict[tuple[str, int], list[JournalFile]] = {}
    for journal in journals:
        images.setdefault((journal.image_id, journal.pid), []).append(journal)
    return sorted(images.values(), key=lambda files: starts.get(files[0].path, 0))


def _journal_starts(
    journals: Iterable[JournalFile],
) -> tuple[dict[str, int], frozenset[tuple[int, str]]]:
    """The journals of which the magic is there: they are mapped. With when their images began; and
    the pids and images of those that lodge in them."""
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
            # The reader shall say what is wrong with it.
            starts[journal.path] = 0
            continue
        magic, started_ns, slots_used = _BEGINNING.unpack(head.ljust(_BEGINNING.size, b"\0"))
        if magic != _NO_MAGIC:
            starts[journal.path] = started_ns
            if slots_used:
                slot_borrowers |= read_borrowers(journal.path)
    return starts, frozenset(slot_borrowers)


def _read_as_named(file: JournalFile, session: Session | None) -> Journal:
    if session is None:
        journal = read_journal(file.path)
    else:
        journal = read_journal(file.path, session.owner, partial(session.check_owner, file))
    header = journal.header
    if (header.image_id, header.pid, header.segment) != (file.image_id, file.pid, file.segment):
        raise JournalDamaged(f"{file.path}: its name and its header are of different processes")
    return journal


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
