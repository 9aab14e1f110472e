"""Sessions beside a data file: which processes run in them, and what it lacks of them."""

from __future__ import annotations

import os
from pathlib import Path

from covsup.datafile.errors import SessionUnreadable
from covsup.datafile.provenance.model import End
from covsup.datafile.session.directory import open_session
from covsup.datafile.session.places import find_sessions
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.combining.inputs import belongs_to_data_file
from covsup.supervisor.messages import print_message
from covsup.supervisor.short_commands import describe_process, first_few
from covsup.supervisor.watching.still_running import (
    ProcessSnapshot,
    supervisor_may_run_elsewhere,
    supervisor_runs,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from covsup.datafile.session.directory import JournalFile, Session


class WaitingSession(NamedTuple):
    """A session that is not fully combined, and the processes that run in it."""

    session: Session
    journals: tuple[JournalFile, ...]
    measured: tuple[int, ...]  # pids of running processes with a journal
    programs: tuple[int, ...]  # pids of all running processes in the session
    supervised: bool  # by a covsup that runs, or may run where we cannot see it

    @property
    def runs(self) -> bool:
        """Whether a process of it may run."""
        return bool(self.measured or self.programs or self.supervised)


def waiting_sessions(data_file: Path) -> list[WaitingSession]:
    """The sessions of a data file, oldest first. Unreadable ones are left out: `combine` reports
    them.
    """
    return with_processes(list(_opened(data_file)))


def with_processes(sessions: Sequence[Session]) -> list[WaitingSession]:
    """These sessions, each with its processes that run now."""
    listed = [(session, tuple(session.journals())) for session in sessions]
    journals = [each for _, of_session in listed for each in of_session]
    snapshot = ProcessSnapshot([session.path for session in sessions], journals)
    return [
        WaitingSession(
            session=session,
            journals=of_session,
            measured=tuple(
                sorted({each.pid for each in of_session if snapshot.is_mapped(each.image_id)})
            ),
            programs=tuple(sorted(snapshot.members.get(session.path, ()))),
            supervised=supervisor_runs(session.settings, session.path)
            or supervisor_may_run_elsewhere(session),
        )
        for session, of_session in listed
    ]


def _opened(data_file: Path) -> Iterator[Session]:
    for path in find_sessions(data_file):
        if not belongs_to_data_file(path, data_file):
            continue
        try:
            yield open_session(path)
        except SessionUnreadable:
            continue


def uncombined_data(data_file: Path, waiting: Iterable[WaitingSession]) -> list[str]:
    """What the data file lacks of these sessions, in words; at most one text for each session."""
    from covsup.datafile.database.database import read_provenance  # slow to import

    held = read_provenance(data_file)
    known = {each.session for each in held.sessions}
    combined = {
        each.image_id for each in held.processes if each.ending.end is not End.RUNNING
    }  # fmt: skip
    commands = {each.pid: each.argv for each in held.processes}
    found = []
    for each in waiting:
        session = each.session
        if session.id not in known and session.has_result:
            continue  # it belongs to an earlier result
        new = {journal.image_id for journal in each.journals} - combined
        if each.measured:
            running = first_few(
                [describe_process(pid, commands.get(pid, ())) for pid in each.measured]
            )
            runs = "process {} of session {} still runs"
            run = "processes {} of session {} still run"
            words = runs if len(each.measured) == 1 else run
            found.append(words.format(running, session.id))
        elif new:
            processes = "1 process" if len(new) == 1 else f"{len(new)} processes"
            found.append(f"{processes} of session {session.id} not combined yet")
    return found


def warn_if_session_is_gone() -> None:
    """Warn if COVSUP_SESSION names a directory that does not exist. No process is measured with it,
    and none can report that.
    """
    named = os.environ.get("COVSUP_SESSION", "")
    if named and not Path(named).is_dir():
        print_message(
            f"COVSUP_SESSION names {named}, which does not exist any more: a program started with"
            " it is not measured (`unset COVSUP_SESSION`, or open a new session)"
        )
