"""Why a Python of the tree is not measured, and what to do about it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from covsup.datafile.provenance.command_lines import is_python, runs_user_code
from covsup.hints import TYPE_CHECKING
from covsup.interpreter_command import parse_command_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from covsup.datafile.session.directory import Session
    from covsup.supervisor.watching.process_table import Program, Table
    from covsup.supervisor.watching.session_files import SessionFiles
    from covsup.supervisor.watching.watched_process import WatchedProcess

_CARRIER_HINT: Final = ", or use --carrier" if sys.platform == "linux" else ""

_EARLY_DEATH_SECONDS: Final = 1.0
"""A Python that fails or is killed sooner may not have reached its startup files."""


class UnmeasuredReasons:
    """Judges the processes of one session. Reasons are texts for messages; "" = none is known."""

    def __init__(
        self, session: Session, files: SessionFiles, table: Table, *, uses_carrier: bool
    ) -> None:
        """`uses_carrier`: the carrier is preloaded into the processes of the session."""
        self._session = session
        self._files = files
        self._table = table
        self._uses_carrier = uses_carrier

    def has_journal(self, process: WatchedProcess) -> bool:
        """Whether it is measured. A pid of another namespace may be mistaken, but hardly ever."""
        return self._files.has_journal_of(process.pid) or self._files.has_journal_of(
            process.inner_pid
        )

    def counts_as_python(self, process: WatchedProcess, reason: str) -> bool | None:
        """Whether a process, with the reason known for it, certainly is a Python to be measured;
        None = not certain.
        """
        if self.has_journal(process) or reason:
            return True
        if process.program is None or process.is_python or not process.program.argv:
            return None
        return False

    def certain_reason(self, process: WatchedProcess) -> str:
        """The reason that one look at the process shows."""
        program = process.program
        if program is None or not process.is_python:
            return ""
        if process.forked_from is not None:
            # It is measured if its parent is. It has no journal before it executes a new line.
            parent = process.forked_from
            return "" if self.has_journal(parent) else self.certain_reason(parent)
        if (
            not self._uses_carrier
            and is_python(program.argv[0] if program.argv else "")
            and "S" in parse_command_line(program.argv).letters
        ):
            return (
                "started with -S, which skips the startup files: start it without -S"
                + _CARRIER_HINT
            )
        if self._is_of_nested_run(program):
            return ""
        if program.environment_known and (reason := self._reason_in_environment(program)):
            return reason
        return "" if self.has_journal(process) else self._reason_in_mounts(process)

    def is_unexplained(self, process: WatchedProcess) -> bool:
        """Whether it is a Python without a journal and without a certain reason."""
        return (
            process.is_python
            and process.forked_from is None
            and process.program is not None
            and runs_user_code(process.program.argv)
            and not self._is_of_nested_run(process.program)
            and not self.has_journal(process)
            and not self.certain_reason(process)
        )

    def likely_reason(self, process: WatchedProcess, why_not: Callable[[str], str]) -> str:
        """The reason for an unexplained process, as far as can be found out; "" also if it may have
        ended too early to be measured.

        `why_not` starts the interpreter at a path, and gives the reason why it cannot be measured.
        """
        program, last = process.program, process.last_observation
        if program is None or last is None:
            return ""
        if process.embeds_python and not process.is_named_python:
            hint = "" if self._uses_carrier or sys.platform != "linux" else ": use --carrier"
            return f"it embeds a Python that has no covsup or did not start it{hint}"
        reason = why_not(_interpreter_of(program)) or self._reason_in_user(program)
        if reason:
            return reason
        seconds = (last.at_ns / 1e9 - process.create_time) if last.ended else 0.0
        if seconds < _EARLY_DEATH_SECONDS and last.status != 0:
            return ""
        if self._files.was_deleted:
            return "the session directory was deleted before it started"
        return "it left no journal, although its environment and its interpreter allow it now"

    def _is_of_nested_run(self, program: Program) -> bool:
        """Whether it belongs to a run inside this session, whose result this session gets."""
        session = program.session
        if not session or session == os.fspath(self._session.path):
            return False
        return self._session.contains_run(session.rpartition("/")[2])

    def _reason_in_environment(self, program: Program) -> str:
        match program.session:
            case None if self._uses_carrier:
                return (
                    "its environment has no COVSUP_SESSION: a program that cannot preload the carrier"
                    " (static or set-user-ID) started it; make that program pass the variable on"
                )
            case None:
                return (
                    "its environment has no COVSUP_SESSION: make its launcher pass the variable on"
                    + _CARRIER_HINT
                )
            case "":
                return "an empty COVSUP_SESSION in its environment switched measurement off"
            case session if session != os.fspath(self._session.path):
                return f"it belongs to another session, {session}"
            case _:
                return ""

    def _reason_in_mounts(self, process: WatchedProcess) -> str:
        """Why a process with the right environment cannot see the session directory.

        The last look counts: when the process has ended, its mounts cannot be seen any more.
        """
        path = os.fspath(self._session.path)
        program = process.program
        if program is None or program.session != path:
            return ""
        if process.sees_session is not False:
            seen = self._table.sees(process.pid, path)
            process.sees_session = process.sees_session if seen is None else seen
        if process.sees_session is not False:
            return ""
        return (
            f"the session directory {path} does not exist where it ran (other mounts, another"
            " root): mount it there at the same path, or use a --data-file in a directory that the"
            " process can see"
        )

    def _reason_in_user(self, program: Program) -> str:
        """Why a process of another user cannot be measured."""
        path = self._session.path
        try:
            owner = path.stat().st_uid
        except OSError:
            return ""
        if program.uid == 0 != owner:
            return (
                "it ran as root, and covsup lets no session of another user (here"
                f" {owner}) control root's processes: run covsup as root, or the process as {owner}"
            )
        if program.uid in {None, owner} or self._files.has_directory_of(program.uid):
            return ""
        return (
            f"it ran as user {program.uid}, who cannot write to the session directory {path}: open"
            f" a session with `covsup env --user={program.uid}` in a directory that this user can"
            " reach"
        )


def _interpreter_of(program: Program) -> str:
    """A path that starts the interpreter of a process, with the packages of its environment."""
    first = program.argv[0] if program.argv else ""
    if first.startswith("/") and os.path.isfile(first):  # any text, even with NULs
        return first
    import shutil  # slow to import, and rarely needed

    # Only the name shows whether a virtual environment or its base was started: it is looked up as
    # the process's parent did, in that process's directory or PATH.
    found = shutil.which(first, path=program.search_path) if first else None
    if "/" in first and program.cwd:
        found = str(Path(program.cwd, first))
    if found is not None and os.path.realpath(found) == program.executable:
        return found
    return program.executable
