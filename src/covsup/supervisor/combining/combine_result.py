"""The result of a combination, and the messages about it."""

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
    """An image that may still run. Its journal is combined as far as it goes, and kept."""

    session: str
    image_id: str
    pid: int
    argv: tuple[str, ...]
    host: str  # where it runs, for messages; "" = on this machine


def opened_on(session: Session) -> str:
    """Where a session was opened whose supervisor cannot be seen from here, for a message."""
    host = session.settings.host
    return host if host != os.uname().nodename else f"another machine or in a container ({host})"


class SetAside(NamedTuple):
    """A session that could not go into the data file and has a separate one."""

    session: str  # its id
    data_file: Path
    why: str  # "session X measured branches, ..."
    is_mixed: bool  # the reason is that lines and branches cannot be in one file
    is_new: bool  # this combination set it aside, not an earlier one
    provenance: Provenance

    def sentence(self) -> str:
        """A message about it."""
        return f"{self.why}; the session is now in {self.data_file}"


class CombineResult(NamedTuple):
    """The result of a combination."""

    data_file: Path
    sessions: tuple[str, ...]  # ids of those in the data file
    images: int  # process images read
    processes: int  # processes that these images ran in: an exec begins an image in the same one
    data_files: int  # input data files combined
    running: tuple[StillRunning, ...]
    unreadable: tuple[str, ...]  # a message for each journal or data file that could not be read
    warnings: tuple[str, ...]  # as coverage.py would give them
    kept: tuple[Path, ...]  # session directories that were not deleted
    provenance: Provenance  # of everything in the data file
    programs: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """Programs that are not measured but run in a session, in which no measured process runs any
    more: pid and command line."""
    leftovers: tuple[str, ...] = ()  # a message for each input that could not be deleted
    aside: tuple[SetAside, ...] = ()
    may_be_supervised: tuple[tuple[str, str], ...] = ()
    """Sessions that may have a supervisor that cannot be seen: id and where they were opened."""
    has_no_data: bool = False  # nothing was stored, and the data file is as it was

    def data_file_of(self, session: str) -> Path:
        """The data file that holds what a session measured."""
        return next(
            (each.data_file for each in self.aside if each.session == session), self.data_file
        )

    def provenance_of(self, session: str) -> Provenance:
        """The provenance of one session's processes."""
        found = next(
            (each.provenance for each in self.aside if each.session == session), self.provenance
        )
        return found.of_session(session)

    def sentences(self) -> list[str]:
        """Messages for the user, a line each; none where nothing is amiss."""
        messages = list(self.unreadable)
        here = [each for each in self.running if not each.host]
        elsewhere = [each for each in self.running if each.host]
        if here:
            messages.append(
                f"{_processes(here)} still running: the result has what ran so far;"
                " `covsup combine` adds the rest"
            )
        if elsewhere:
            hosts = ", ".join(sorted({each.host for each in elsewhere}))
            it_runs = "it still runs" if len(elsewhere) == 1 else "they still run"
            it_ended = "it has ended" if len(elsewhere) == 1 else "they have ended"
            messages.append(
                f"{_processes(elsewhere)} on {hosts}, and covsup cannot see from here whether"
                f" {it_runs}: the result has what ran so far (if {it_ended}, {ASSUME_ENDED} adds"
                " the rest)"
            )
        named = {each.session for each in elsewhere}
        for session, host in self.may_be_supervised:
            if session in named:
                continue
            messages.append(
                f"session {session} was opened on {host}, and covsup cannot see from here whether"
                f" it still runs: its directory is kept (if it has ended, {ASSUME_ENDED} deletes it)"
            )
        if self.programs:
            shown = first_few([describe_process(pid, argv) for pid, argv in self.programs])
            noun = "program" if len(self.programs) == 1 else "programs"
            messages.append(
                f"still running: {noun} {shown} of the session: a Python started there is measured,"
                " too, and `covsup combine` adds it"
            )
        messages += [each.sentence() for each in self.aside if each.is_new]
        return [*messages, *self.leftovers, *self.warnings]


def _processes(running: Sequence[StillRunning]) -> str:
    shown = first_few([describe_process(each.pid, each.argv) for each in running])
    return f"process {shown} is" if len(running) == 1 else f"processes {shown} are"
