"""Read the journals of a session, by the rules for whose journals count."""

from __future__ import annotations

from functools import partial

from covsup.datafile.errors import JournalDamaged
from covsup.datafile.journal.reader import read_journal
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from covsup.datafile.journal.reader import Journal
    from covsup.datafile.session.directory import JournalFile, Session


def read_as_named(file: JournalFile, session: Session | None) -> Journal:
    """Read one journal. Raises JournalError, also where the name and the header disagree.

    `session` is the one that it belongs to; None = it is outside of a session directory.
    """
    if session is None:
        journal = read_journal(file.path)
    else:
        journal = read_journal(file.path, session.owner, partial(session.check_owner, file))
    header = journal.header
    if (header.image_id, header.pid, header.segment) != (file.image_id, file.pid, file.segment):
        raise JournalDamaged(f"{file.path}: its name and its header are of different processes")
    return journal
