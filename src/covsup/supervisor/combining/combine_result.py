"""What a combination did, and how it is told."""

from __future__ import annotations

import os

from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.short_commands import describe_process, first_few

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Final

    from covsup.datafile.provenance.model import Provenance
    from covsup.datafile.session.directory import Session


ASSUME_ENDED: Final = "`covsup combine --assume-ended`"


class StillRunning(NamedTuple):
    """An image that was folded as far as it had come, and whose journal is kept."""

    session: str
    image_id: str
    pid: int
    argv: tuple[str, ...]
    host: str  # "" = this one


def opened_on(session: Session) -> str:
    """Where a session was opened that cannot be seen from here, for a message."""
    host = session.settings.host
    return host if host != os.uname().nodename else f"another machine or in a container ({host})"


class SetAside(NamedTuple):
    """A session that could not go into the data file and has one of its own."""

    session: str  # its id
    data_file: Path
    why: str  # "session X measured branches, ..."
    is_mixed: bool  # because lines and branches cannot be in one file
    is_new: bool  # it was not set aside before
    provenance: Provenance

    def sentence(self) -> str:
        """What there is to say of it."""
        return f"{self.why}; the session is in {self.data_file} now"


class CombineResult(NamedTuple):
    """What a combination did."""

    data_file: Path
    sessions: tuple[str, ...]  # ids
    images: int  # process images folded
    data_files: int  # data files combined
    running: tuple[StillRunning, ...]
    unreadable: tuple[str, ...]  # one sentence per journal or data file that was left where it is
    warnings: tuple[str, ...]  # what coverage.py would warn of
    kept: tuple[Path, ...]  # session directories that stay
    provenance: Provenance  # of the sessions, and of what the data file held before if it stays
    programs: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """Processes, by pid and command line, that belong to a session of which no measured process runs, but these do."""
    leftovers: tuple[str, ...] = ()  # one sentence per thing that could not be deleted
    aside: tuple[SetAside, ...] = ()
    may_be_supervised: tuple[tuple[str, str], ...] = ()
    """Sessions that may have a supervisor which cannot be seen, each with where that was."""
    has_no_data: bool = False  # there was no data, and the data file has the data that it had

    def data_file_of(self, session: str) -> Path:
        """The data file that holds what a session measured."""
        return next(
            (each.data_file for each in self.aside if each.session == session), self.data_file
        )

    def provenance_of(self, session: str) -> Provenance:
        """What is known of the processes of one session."""
        found = next(
            (each.provenance for each in self.aside if each.session == session), self.provenance
        )
        return found.of_session(session)

    def sentences(self) -> list[str]:
        """What there is to say, a line each; nothing where all went as it should."""
        said = list(self.unreadable)
        here = [each for each in self.running if not each.host]
        elsewhere = [each for each in self.running if each.host]
        if here:
            said.append(
                f"{_processes(here)} still running: measured so far, the journal is kept;"
                " `covsup combine` picks up the rest"
            )
        if elsewhere:
            hosts = ", ".join(sorted({each.host for each in elsewhere}))
            said.append(
                f"{_processes(elsewhere)} on {hosts}, which cannot be asked whether it still"
                " runs: measured so far, the journal is kept"
                f" (has it ended? {ASSUME_ENDED} collects the rest)"
            )
        named = {each.session for each in elsewhere}
        for session, host in self.may_be_supervised:
            if session in named:
                continue
            said.append(
                f"session {session} was begun on {host}, which cannot be asked whether it still"
                f" runs: its directory is kept (has it ended? {ASSUME_ENDED} deletes it)"
            )
        if self.programs:
            shown = first_few([describe_process(pid, argv) for pid, argv in self.programs])
            noun = "program" if len(self.programs) == 1 else "programs"
            said.append(
                f"still running: {noun} {shown} of the session: what Python is started there is"
                " measured, too; `covsup combine` picks it up"
            )
        said += [each.sentence() for each in self.aside if each.is_new]
        return [*said, *self.leftovers, *self.warnings]


def _processes(running: Sequence[StillRunning]) -> str:
    shown = first_few([describe_process(each.pid, each.argv) for each in running])
    return f"process {shown} is" if len(running) == 1 else f"processes {shown} are"
