"""Read what journals say of images, as a whole: at the first look, and where one is damaged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from covsup.datafile.errors import JournalError, JournalNotBegun
from covsup.datafile.fold.result import Problem
from covsup.datafile.journal.header import header_struct
from covsup.datafile.journal.reader import read_slots
from covsup.datafile.session.session_journals import read_as_named
from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final

    from covsup.datafile.journal.reader import Journal
    from covsup.datafile.session.directory import JournalFile, Session

_BEGINNING: Final = header_struct("=", "magic", "start_realtime_ns")


class FoundJournal(NamedTuple):
    """A journal, and the file that it is in."""

    path: str
    journal: Journal


class FilesRead(NamedTuple):
    """What the files of one image hold: its own journals, and those of others in slots."""

    images: dict[str, list[FoundJournal]]
    not_begun: list[JournalFile]
    failed: list[JournalFile]
    problems: list[Problem]
    has_new_slots: list[str]  # paths of files with slots in which nothing is written yet


def read_files(session: Session, files: Sequence[JournalFile]) -> FilesRead:
    """Read the files of one image. A file that has vanished is left out."""
    read = FilesRead({}, [], [], [], [])
    for file in files:
        try:
            journal = read_as_named(file, session)
            slots = read_slots(file.path, journal.header) if journal.header.slots_used else None
        except JournalNotBegun:
            read.not_begun.append(file)
            continue
        except JournalError as error:
            if os.path.lexists(file.path):  # there may be thousands
                read.failed.append(file)
                read.problems.append(_problem(session, file, str(error)))
            continue
        read.images.setdefault(journal.header.image_id, []).append(FoundJournal(file.path, journal))
        if slots is not None:
            read.problems.extend(_problem(session, file, each) for each in slots.problems)
            if slots.not_begun:
                read.has_new_slots.append(file.path)
            for each in slots.journals:
                of_image = read.images.setdefault(each.header.image_id, [])
                of_image.append(FoundJournal(file.path, each))
    return read


def by_start(files: Iterable[JournalFile]) -> list[list[JournalFile]]:
    """The files of each image, the oldest image first: so they unite the fastest."""
    images: dict[tuple[str, int], list[JournalFile]] = {}
    for file in files:
        images.setdefault((file.image_id, file.pid), []).append(file)
    return sorted(images.values(), key=lambda of_image: _start_of(of_image[0].path))


def _start_of(path: str) -> int:
    """When the image of a journal began; 0 if that cannot be read. Only for an order."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            head = os.pread(fd, _BEGINNING.size, 0)
        finally:
            os.close(fd)
    except OSError:
        return 0
    return int(_BEGINNING.unpack(head.ljust(_BEGINNING.size, b"\0"))[1])


def _problem(session: Session, file: JournalFile, what: str) -> Problem:
    return Problem(
        session=session.id, journal=f"{file.pid}-{file.image_id}", what=what, unused=True
    )
