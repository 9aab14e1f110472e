"""What waits beside a data file: sessions, who runs in them, and what they have more than it."""

from __future__ import annotations

import os
from pathlib import Path

from covsup.datafile.errors import CovsupError, SessionUnreadable
from covsup.datafile.provenance.model import End
from covsup.datafile.session.directory import open_session
from covsup.datafile.session.places import find_sessions
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.combining.inputs import Inputs, belongs_to_data_file
from covsup.supervisor.messages import print_message
from covsup.supervisor.sessions.liveness import (
    ProcessSnapshot,
    supervisor_may_run_elsewhere,
    supervisor_runs,
)
from covsup.supervisor.tree.short_commands import first_few, process

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from covsup.datafile.session.directory import JournalFile, Session


class WaitingSession(NamedTuple):
    """A session that waits, and who runs in it."""

    session: Session
    journals: tuple[JournalFile, ...]
    measured: tuple[int, ...]  # pids of processes that write journals
    programs: tuple[int, ...]  # pids of all that were started in it
    supervised: bool  # or it may be, as far as can be known

    @property
    def runs(self) -> bool:
        """Whether anything of it may run."""
        return bool(self.measured or self.programs or self.supervised)


def waiting_sessions(data_file: Path) -> list[WaitingSession]:
    """The sessions of a data file, oldest first. What cannot be read is left out: `combine` says
    what is wrong with it."""
    sessions = list(_opened(data_file))
    listed = [(session, tuple(session.journals())) for session in sessions]
    journals = [each for _, of_session in listed for each in of_session]
    look = ProcessSnapshot([session.path for session in sessions], journals)
    return [
        WaitingSession(
            session=session,
            journals=of_session,
            measured=tuple(
                sorted({each.pid for each in of_session if look.is_mapped(each.image_id)})
            ),
            programs=tuple(sorted(look.members.get(session.path, ()))),
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
    """What sessions have that is in no result yet, in words for each; nothing where the data file
    has it all."""
    from covsup.datafile.database.database import read_provenance  # noqa: PLC0415 - slow to import

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
            continue  # of an earlier run
        new = {journal.image_id for journal in each.journals} - combined
        if each.measured:
            running = first_few([process(pid, commands.get(pid, ())) for pid in each.measured])
            runs = "process {} of session {} still runs"
            run = "processes {} of session {} still run"
            words = runs if len(each.measured) == 1 else run
            found.append(words.format(running, session.id))
        elif new:
            processes = "1 process" if len(new) == 1 else f"{len(new)} processes"
            found.append(f"{processes} of session {session.id} not combined yet")
    return found


def out_of_sight(path: Path) -> str:
    """Where processes of a session may run that cannot be seen from here, or ""."""
    from covsup.supervisor.combining.outcome import opened_on  # noqa: PLC0415 - as below
    from covsup.supervisor.combining.reader import InputReader  # noqa: PLC0415 - slow to import

    reader = InputReader(None)
    try:
        reader.read(Inputs([path], path))
    except CovsupError:
        return ""  # nothing could ever be made of it
    hosts = {each.host or "this machine, in a container" for each in reader.running}
    hosts = hosts or {
        opened_on(part.session) for part in reader.parts if part.session and part.out_of_sight
    }
    return ", ".join(sorted(hosts))


def warn_if_session_is_gone() -> None:
    """Say that COVSUP_SESSION names a directory that is not there: nothing is measured with it, and
    no process can say so."""
    named = os.environ.get("COVSUP_SESSION", "")
    if named and not Path(named).is_dir():
        print_message(
            f"COVSUP_SESSION names {named}, which is not there any more: what is started with it"
            " is not measured (`unset COVSUP_SESSION`, or open a session again)"
        )
