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

from covsup.datafile.database.database import is_data_file, kind_with_sent_code
from covsup.datafile.errors import (
    DataFileUnusable,
    JournalDamaged,
    JournalError,
    JournalNotBegun,
    SessionUnreadable,
)
from covsup.datafile.fold.fold import fold
from covsup.datafile.fold.gather import UNSTORABLE_MESSAGE, ImageFold, session_result
from covsup.datafile.journal.header import header_struct
from covsup.datafile.journal.reader import read_borrowers, read_journal, read_slots
from covsup.datafile.journal.shortening import shorten
from covsup.datafile.provenance.derive import provenance_of
from covsup.datafile.provenance.model import End
from covsup.datafile.session.directory import JournalFile, Session, open_session
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.combining.outcome import StillRunning
from covsup.supervisor.sessions.liveness import (
    ImageState,
    ProcessSnapshot,
    supervisor_may_run_elsewhere,
    supervisor_runs,
    was_rebooted,
)
from covsup.supervisor.watching.linux import is_local, is_mapped_for_writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Final

    from covsup.datafile.fold.result import Kind, Problem, Result
    from covsup.datafile.journal.reader import Journal
    from covsup.supervisor.combining.inputs import Inputs

_BEGINNING: Final = header_struct("=", "magic", "start_realtime_ns", "slots_used")
"""Of a journal's header: the magic, which is written last, when its image started, and how many
others have journals in its file."""

_NO_MAGIC: Final = bytes(8)

_START_SECONDS: Final = 60.0


class Part:
    """A session, or loose journals, as read."""

    __slots__ = (
        "begun",
        "broken",
        "directory",
        "elsewhere",
        "ended",
        "finished",
        "folded",
        "held",
        "inner",
        "inner_unfinished",
        "live",
        "members",
        "name",
        "only",
        "out_of_sight",
        "said",
        "session",
        "slot_borrowers",
        "stays",
        "supervised",
        "told",
    )  # fmt: skip

    def __init__(
        self, name: str, directory: Path, session: Session | None, only: frozenset[str] | None
    ) -> None:
        """Not a dataclass, whose module takes longer to import than most of combining."""
        self.name = name  # for messages
        self.directory = directory
        self.session = session
        self.only = only
        self.said: Result | None = None  # what the session says besides its journals
        self.ended = ImageFold()  # what need not be read again
        self.live = ImageFold()
        self.elsewhere: list[tuple[list[JournalFile], dict[str, _Place]]] = []
        """Images still to be judged, by the files that hold their journals."""
        self.told = ImageFold()  # what these say
        self.folded = False  # a partial fold is there
        self.inner: list[Path] = []  # results of runs inside of this one
        self.inner_unfinished: list[str] = []  # ids of runs inside of this one that have none yet
        self.finished: list[str] = []  # journals of images that have ended
        self.held: set[str] = set()  # journals that hold something else, too
        self.begun: Mapping[str, int] = {}
        """Journals of which the magic was there before the look: when they began."""
        self.slot_borrowers: frozenset[tuple[int, str]] = frozenset()
        """Likewise: the pids and images that have journals in slots of others' files."""
        self.broken = False  # the partial fold is there and cannot be read
        self.members: list[int] = []  # processes that were started in it
        self.supervised = False  # another covsup will combine it, too
        self.out_of_sight = False  # it may have a supervisor that cannot be seen
        self.stays = False  # something of it has to be looked at again

    @property
    def images(self) -> int:
        """How many images have journals in it."""
        return self.ended.images + self.live.images

    @property
    def kind(self) -> Kind | None:
        """What was measured; None where nothing was executed."""
        kind = self.ended.kind or self.live.kind
        if kind is None and self.folded and self.session is not None:
            kind = kind_with_sent_code(self.session.folded)
        return kind or next(filter(None, map(kind_with_sent_code, self.inner)), None)

    def journals(self) -> list[JournalFile]:
        """The journals in question that are there now."""
        if self.session is not None:
            found = self.session.journals()
        else:
            found = sorted(
                journal
                for path in self.directory.iterdir()
                if path.is_file() and (journal := JournalFile.at(path)) is not None
            )
        return [each for each in found if self.only is None or each.image_id in self.only]

    def free(self) -> list[str]:
        """The journals that may go."""
        return [path for path in self.finished if path not in self.held]

    def shorten(self) -> None:
        """Give these an end behind what they hold, as far as can be: the session stays for now."""
        for path in self.free():
            # Where that fails (another user's file, a full disk) it is as good as it was.
            with suppress(OSError):
                shorten(path)

    def past(self) -> Result:
        """The fold of what need not be read again."""
        results = [self.ended.result()] if self.said is None else [self.said, self.ended.result()]
        return fold(results)

    def is_over(self) -> bool:
        """Whether nothing of a session is left to be done."""
        if self.stays or self.broken or self.only is not None:
            return False
        if self.session is not None and self.session.settings.open:
            return False  # others may join it at any time
        done = set(self.free())
        return all(journal.path in done for journal in self.journals())


class _Place(NamedTuple):
    """Where an image runs that we do not see."""

    name: str
    ended: bool  # no process of this kernel has its journal any more, or so it is assumed


class _Read(NamedTuple):
    """The journals of one image, as read."""

    journals: list[Journal]
    files: Sequence[JournalFile]  # in which they are: its own, or in slots of another image's
    good: list[str]  # those of the files that may go when all who are in them have ended

    @property
    def image_id(self) -> str:
        return self.journals[0].header.image_id

    @property
    def pid(self) -> int:
        return self.journals[0].header.pid


class InputReader:
    """Reads the parts of a combination; nothing is changed. The caller holds the locks."""

    def __init__(
        self, progress: Callable[[int, int], None] | None, *, assume_ended: bool = False
    ) -> None:
        """Begin; `progress` is told the number of journals read and of all. `assume_ended`: what
        cannot be seen from here has ended."""
        self._assume_ended = assume_ended
        self.parts: list[Part] = []
        self.unreadable: dict[str, None] = {}  # sentences, in order, each once
        self.running: list[StillRunning] = []
        self.images = 0
        self._progress = progress

    def read(self, inputs: Inputs) -> None:
        """ProcessSnapshot who runs and read all journals."""
        self._open(inputs)
        # In this order: listed, looked at, listed again. Whose journal was complete before the
        # look and who does not run in it has written all of the segments that the second list has.
        listed = [part.journals() for part in self.parts]
        for part, journals in zip(self.parts, listed, strict=True):
            part.begun, part.slot_borrowers = _begun(journals)
        look = ProcessSnapshot(
            [part.directory for part in self.parts if part.session is not None],
            chain.from_iterable(listed),
            [pid for part in self.parts for pid, _ in part.slot_borrowers],
        )
        lists = [part.journals() for part in self.parts]
        total, done = sum(map(len, lists)), 0
        for part, journals in zip(self.parts, lists, strict=True):
            part.members = look.members.get(part.directory, [])
            if part.members:
                part.stays = True
            if part.session is not None:
                part.supervised = supervisor_runs(part.session.settings, part.directory)
                part.out_of_sight = not self._assume_ended and supervisor_may_run_elsewhere(
                    part.session
                )
                if part.supervised or part.out_of_sight:
                    part.stays = True
                part.said = session_result(
                    part.session.settings, part.session.notes(), part.session.observations()
                )
            for image in _by_image(journals, part.begun):
                self._read_image(part, image, look)
                done += len(image)
                if self._progress is not None:
                    self._progress(done, total)
            self._judge_elsewhere(part)

    def leave(self, why: Exception | str) -> None:
        """Say that something is left where it is."""
        self.unreadable[f"{why}; it is left where it is"] = None

    def _open(self, inputs: Inputs) -> None:
        for directory, only in sorted(inputs.sessions.items()):
            try:
                session = open_session(directory)
            except SessionUnreadable as error:
                if not _is_unused(directory):
                    self.leave(error)
                continue
            part = Part(f"session {session.id}", directory, session, only)
            self.parts.append(part)
            try:
                part.folded = is_data_file(session.folded)
            except DataFileUnusable as error:
                # Without it nothing can be added to it: what is there now has to stay.
                self.leave(error)
                part.broken = True
            self._find_inner(part, session)
        self.parts += [
            Part(str(directory), directory, None, frozenset(images))
            for directory, images in sorted(inputs.loose.items())
        ]

    def _find_inner(self, part: Part, session: Session) -> None:
        for path in session.nested_results():
            try:
                if is_data_file(path):
                    part.inner.append(path)
                else:
                    part.inner_unfinished.append(path.name.partition("-")[2])
            except DataFileUnusable as error:
                self.leave(error)
                part.stays = True

    def _read_image(self, part: Part, files: Sequence[JournalFile], look: ProcessSnapshot) -> None:
        """Read the segments of one image, and what others have in slots of its files; take each in
        by what is known of its end."""
        images, good = self._images_in(part, files)
        owner = files[0].image_id
        if look.is_mapped(owner):
            # Whoever maps the file may yet write to it, whether it has a slot now or not.
            part.stays = True
            part.held.update(good)
        if not images:
            part.finished += good
        elsewhere: dict[str, _Place] = {}
        for read in images:
            self.images += 1
            if read.image_id == owner:
                is_old = files[0].path in part.begun
            else:
                is_old = (read.pid, read.image_id) in part.slot_borrowers
            match self._verdict(part, read, look, owner):
                case ImageState.ENDED if is_old:
                    self._end(part, read)
                case ImageState.OTHER_NAMESPACE:
                    # The journals are read once more after this, and are complete then.
                    mapped = {is_mapped_for_writing(each.path) for each in files}
                    if True in mapped:
                        self._go_on(part, read, host="")
                        continue
                    name = f"{_host(read)}, in a container"
                    ended = mapped == {False} or self._assume_ended
                    elsewhere[read.image_id] = _Place(name, ended=ended)
                    _take(part, part.told, read.journals)
                case ImageState.REMOTE:
                    name = _machine(_host(read))
                    elsewhere[read.image_id] = _Place(name, ended=self._assume_ended)
                    _take(part, part.told, read.journals)
                case _:
                    self._go_on(part, read, host="")
        if elsewhere:
            # By the end of all. To keep all of them until then could take any memory.
            part.elsewhere.append((list(files), elsewhere))

    def _verdict(self, part: Part, read: _Read, look: ProcessSnapshot, owner: str) -> ImageState:
        host, namespace, boot, machine = (
            _property(read.journals, key) for key in ("host", "pid_namespace", "boot", "machine")
        )
        if part.session is not None:
            opener = part.session.settings
            # A process that sees no /proc does not know it.
            boot = boot or opener.boot
            if boot == opener.boot:
                machine = opener.machine
        return look.state_of(
            read.journals[0].header,
            host,
            namespace,
            owner,
            boot=boot,
            was_rebooted=partial(was_rebooted, machine, host, part.directory),
        )

    def _images_in(self, part: Part, files: Sequence[JournalFile]) -> tuple[list[_Read], list[str]]:
        """The image of these files and those that lodge in them, and the files that may go."""
        journals, good = self._read_segments(part, files)
        if not journals:
            return [], good
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
                self.leave(error)
                part.held.add(file.path)
                continue
            for problem in slots.problems:
                self.leave(problem)
                part.held.add(file.path)
            for journal in slots.journals:
                images.setdefault(journal.header.image_id, []).append(journal)
        return [_Read(each, files, good) for each in images.values()], good

    def _read_segments(
        self, part: Part, files: Sequence[JournalFile]
    ) -> tuple[list[Journal], list[str]]:
        """The segments that can be read, and those which may go once they are stored."""
        journals: list[Journal] = []
        good: list[str] = []
        whole = True
        for file in files:
            try:
                journals.append(_read_as_named(file, part.session))
                good.append(file.path)
            except JournalNotBegun:
                # Its process was killed before it could begin, or it is about to.
                if self._may_begin(part, file):
                    part.stays = True
                else:
                    good.append(file.path)
            except JournalError as error:
                self.leave(error)
                whole = False
        if not whole:
            # The segments of an image need each other's definitions: they go together or stay.
            part.stays = True
            good = []
        return journals, good

    def _may_begin(self, part: Part, file: JournalFile) -> bool:
        """Whether a process may be about to begin its journal."""
        if _is_alive(file.pid) or is_mapped_for_writing(file.path):
            return True
        if self._assume_ended or is_local(part.directory):
            return False
        # A process of another machine, perhaps.
        return time.time() - os.stat(file.path).st_mtime < _START_SECONDS  # noqa: PTH116 - a text

    def _judge_elsewhere(self, part: Part) -> None:
        """Judge the images that we cannot see, by what the journals tell and the kernel knows."""
        if not part.elsewhere:
            return
        told = fold([part.past(), part.live.result(), part.told.result()])
        over = {
            each.image_id
            for each in provenance_of(told).processes
            if each.ending.end in {End.EXITED, End.KILLED, End.EXECED}
        }
        listed = {each.path for each in part.journals()}
        by_image = Counter(each.image_id for each in part.journals())
        for files, images in part.elsewhere:
            # Another segment since then belongs to these: they go together or stay.
            is_all = by_image[files[0].image_id] == len(files) and listed.issuperset(
                each.path for each in files
            )
            for read in self._images_in(part, files)[0]:
                place = images.get(read.image_id)
                if place is None:
                    continue
                if read.image_id in over or (place.ended and is_all):
                    self._end(part, read)
                else:
                    self._go_on(part, read, host=place.name)
        part.told = ImageFold()

    def _end(self, part: Part, read: _Read) -> None:
        """The image has ended: its journals may go once they are stored, if all of them was used."""
        problems = _take(part, part.ended, read.journals, gone_ns=time.time_ns())
        if self._tell(part, read, problems):
            part.finished += read.good
        else:
            part.held.update(read.good)

    def _go_on(self, part: Part, read: _Read, *, host: str) -> None:
        """The image runs, as far as can be known."""
        part.stays = True
        part.held.update(read.good)
        self._tell(part, read, _take(part, part.live, read.journals, running_ns=time.time_ns()))
        argv = _property(read.journals, "argv")
        self.running.append(
            StillRunning(
                session="" if part.session is None else part.session.id,
                image_id=read.image_id,
                pid=read.pid,
                argv=tuple(argv.split("\0")) if argv else (),
                host=host,
            )
        )

    def _tell(self, part: Part, read: _Read, problems: Sequence[Problem]) -> bool:
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
        self.unreadable[f"{read.files[0].path}: {whats}{left}"] = None
        if unused:
            part.stays = True
        return not unused


def _take(
    part: Part,
    into: ImageFold,
    journals: Sequence[Journal],
    *,
    running_ns: int = 0,
    gone_ns: int = 0,
) -> list[Problem]:
    """Take an image in as one of a part; gives what was wrong with its journals."""
    return into.add(
        journals,
        session="" if part.session is None else part.session.id,
        static_context="" if part.session is None else part.session.settings.context,
        running_ns=running_ns,
        gone_ns=gone_ns,
    )


def _property(journals: Iterable[Journal], key: str) -> str:
    """What the journals of an image say, or nothing."""
    said = min([said for journal in journals if (said := journal.properties.get(key))], default=b"")
    return os.fsdecode(said) if said else ""


def _host(read: _Read) -> str:
    return _property(read.journals, "host")


def _machine(host: str) -> str:
    """A machine that is not this one, for a message."""
    if not host:
        return "another machine"
    return host if host != os.uname().nodename else f"another machine named {host}"


def _is_unused(directory: Path) -> bool:
    """Whether a session directory is empty: one that is being made, or whose maker was killed."""
    try:
        if time.time() - directory.stat().st_mtime > _START_SECONDS:
            directory.rmdir()
        return not any(directory.iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _by_image(journals: Iterable[JournalFile], begun: Mapping[str, int]) -> list[list[JournalFile]]:
    """The segments of each image; the oldest image first, which is quickest to unite."""
    images: dict[tuple[str, int], list[JournalFile]] = {}
    for journal in journals:
        images.setdefault((journal.image_id, journal.pid), []).append(journal)
    return sorted(images.values(), key=lambda files: begun.get(files[0].path, 0))


def _begun(
    journals: Iterable[JournalFile],
) -> tuple[dict[str, int], frozenset[tuple[int, str]]]:
    """The journals of which the magic is there: they are mapped. With when their images began; and
    the pids and images of those that lodge in them."""
    begun = {}
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
            begun[journal.path] = 0
            continue
        magic, started_ns, slots_used = _BEGINNING.unpack(head.ljust(_BEGINNING.size, b"\0"))
        if magic != _NO_MAGIC:
            begun[journal.path] = started_ns
            if slots_used:
                slot_borrowers |= read_borrowers(journal.path)
    return begun, frozenset(slot_borrowers)


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
