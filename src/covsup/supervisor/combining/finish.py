"""The end of a run: combine, report what went wrong, and decide the exit status.

The target has ended, and its status becomes covsup's, whatever fails here. If something fails, one
line says what it was, where the data is, and which command continues from there.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from covsup.datafile.journal.header import StartKind
from covsup.datafile.session.directory import SUPERVISOR_ENDED
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.losses import lost_sentences, unmeasured_sentences
from covsup.supervisor.combining.pending_reports import make_pending_reports, pending_reports
from covsup.supervisor.errors import INCOMPLETE, NOT_STORED
from covsup.supervisor.gc_pause import gc_disabled
from covsup.supervisor.messages import in_one_line, print_message, shell_quoted
from covsup.supervisor.settings.coverage_settings import config_file_of_session, display_path
from covsup.supervisor.watching import signals
from covsup.supervisor.watching.signals import EndRequested

if TYPE_CHECKING:
    from collections.abc import Callable

    from covsup.datafile.provenance.model import Provenance
    from covsup.datafile.session.directory import Session
    from covsup.supervisor.combining.early_imports import EarlyImports
    from covsup.supervisor.combining.enclosing_run import EnclosingRun
    from covsup.supervisor.settings.resolved_settings import RunSettings


class RunEnd:
    """The end of one run, step by step. It may be interrupted at any step and then says how far it
    came.
    """

    def __init__(
        self, session: Session, settings: RunSettings, status: int, enclosing: EnclosingRun | None
    ) -> None:
        """`status` is the target's raw wait status, `enclosing` the session around this one."""
        self._enclosing = enclosing
        self._session = session
        self._settings = settings
        self._status = status
        self._is_stored = settings.parallel_mode  # if so, `covsup combine` does it later
        self._is_judged = not (settings.strict or settings.fail_under is not None)
        self._troubles: list[str] = []

    def finish_run(
        self, mask: set[int], early_imports: EarlyImports, finish_watching: Callable[[], str]
    ) -> int:
        """End the run; gives the raw wait status that covsup is to end with. Raises nothing.

        Every signal is blocked before and after. In between the mask is `mask`, so that the user
        can interrupt. `finish_watching` completes the observations, and gives what went wrong in
        watching, or "".
        """
        try:
            try:
                signals.raise_on_end_signals()
                signals.unblock(mask)
                early_imports.wait()
                self._finish_watching(finish_watching)
                _leave_deleted_directory()
                if self._settings.parallel_mode:
                    self._keep_session()
                else:
                    self._make_result()
            finally:
                # EndRequested is raised above this line only, not in the handlers below.
                signals.block()
        except BaseException as error:  # noqa: BLE001 - the status is the target's in any case
            self._break_off(error)
        _flush_output()
        early_imports.join()
        return self._status

    def _finish_watching(self, finish_watching: Callable[[], str]) -> None:
        try:
            trouble = finish_watching()
        except Exception as error:  # noqa: BLE001 - the journals hold everything
            trouble = in_one_line(error)
        if trouble:
            self._troubles.append(
                f"covsup could not watch the processes all the time: {trouble}; how they ended may be"
                " unknown, and a Python that was not measured may go unreported"
            )

    def _keep_session(self) -> None:
        """Leave the session to `covsup combine`."""
        from covsup.supervisor.combining.shorten_journals import shorten_ended  # here alone

        with suppress(OSError):  # it may have been deleted; `combine` reports what is missing
            self._session.set_flag(SUPERVISOR_ENDED)
        shorten_ended(self._session)
        if self._settings.announce:
            path = display_path(self._session.path)
            print_message(f"the data is in {path}: `covsup combine` makes the result")

    def _make_result(self) -> None:
        settings = self._settings
        # Before the session is deleted.
        pending = pending_reports(self._session)
        with gc_disabled():  # combining may import coverage.py, too
            from covsup.supervisor.combining.run_result import (  # slow to import
                combine_run,
            )

            result = combine_run(self._session, self._enclosing)
        self._is_stored = True
        provenance = result.provenance_of(self._session.id)
        incomplete = [
            *self._troubles, *unmeasured_sentences(provenance), *lost_sentences(provenance),
        ]  # fmt: skip
        self._troubles = []
        for sentence in (*result.sentences(), *incomplete):
            print_message(sentence)
        running = {each.pid for each in result.running}
        without_running = [each for each in pending if each["pid"] not in running]
        # If nothing was collected, the data file may still hold an older result, of another run.
        data_file_of_run = result.data_file_of(self._session.id)
        data_file = None if result.has_no_data else data_file_of_run
        # pytest prints its own report.
        if settings.announce and data_file is not None and not settings.for_pytest:
            print_message(_summary(provenance, data_file, extends=settings.append))
        make_pending_reports(without_running, self._session, self._status, data_file)
        if self._status == 0 and settings.append and data_file_of_run != result.data_file:
            self._status = NOT_STORED << 8
        elif self._status == 0 and settings.strict and (incomplete or result.unreadable):
            print_message(
                f"--strict: not everything was measured and kept, so the status is {INCOMPLETE}"
            )
            self._status = INCOMPLETE << 8
        elif self._status == 0 and settings.fail_under is not None:
            from covsup.supervisor.combining.fail_under import (  # imports coverage.py
                status_of_total,
            )

            config_file = config_file_of_session(settings.rcfile)
            self._status = status_of_total(settings.fail_under, data_file, config_file) << 8
        self._is_judged = True

    def _break_off(self, error: BaseException) -> None:
        """Report the error and how to continue. Without a result, a success becomes a failure."""
        number = 0
        if isinstance(error, (EndRequested, KeyboardInterrupt)):
            number = error.number if isinstance(error, EndRequested) else signal.SIGINT
        if not (self._is_stored or self._session.is_there()):
            # The session is deleted only after its data is stored: the signal came in between.
            self._is_stored = self._data_file_has_session()
        if self._status == 0 and not (self._is_stored and self._is_judged):
            self._status = number or NOT_STORED << 8
        why = _interrupted(number) if number else in_one_line(error)
        for sentence in self._troubles:
            print_message(sentence)
        is_waiting = self._settings.parallel_mode or not self._is_stored
        if is_waiting and not self._session.is_there():
            print_message(
                f"the session directory {self._session.path} is gone, and all that was recorded in it"
                f" ({why}): run it again"
            )
        elif not self._is_stored:
            command = combine_command(self._session, self._settings)
            print_message(
                f"{why}; the data is kept in {self._session.path}: `{command}` makes the result"
            )
        elif self._settings.parallel_mode:
            print_message(f"{why}; the data is kept in {self._session.path} for `covsup combine`")
        else:
            unchecked = (
                "" if self._is_judged else ", but was not checked against --strict or --fail-under"
            )
            print_message(f"{why}; the result is in {self._settings.data_file}{unchecked}")

    def _data_file_has_session(self) -> bool:
        from covsup.datafile.database.database import session_ids_in  # slow to import
        from covsup.datafile.errors import DataFileUnusable

        try:
            return self._session.id in session_ids_in(self._settings.data_file)
        except DataFileUnusable:
            return False


def combine_command(session: Session, settings: RunSettings) -> str:
    """The command that makes the result of a session, from any working directory."""
    words = ["covsup", "combine", f"--data-file={settings.data_file}"]
    rcfile = config_file_of_session(settings.rcfile)
    if rcfile is not True:
        words.append(f"--rcfile={rcfile or ''}")
    return " ".join(map(shell_quoted, (*words, str(session.path))))


def _interrupted(number: int) -> str:
    return "interrupted" if number == signal.SIGINT else f"interrupted by {signals.name_of(number)}"


def _leave_deleted_directory() -> None:
    """Change to / if the working directory was deleted: coverage.py cannot be imported there."""
    try:
        Path.cwd()
    except OSError:
        os.chdir("/")


def _flush_output() -> None:
    """Flush stdout. An error would otherwise make Python exit with status 120."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError) as error:
        if not isinstance(error, BrokenPipeError):
            print_message(f"cannot write to standard output: {in_one_line(error)}")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def _summary(provenance: Provenance, data_file: Path, *, extends: bool) -> str:
    """What was measured, where the result is, and which commands show it.

    If the run `extends` earlier data, its new lines are counted, and no files.
    """
    file = display_path(data_file)
    option = "" if file == ".coverage" else f" --data-file={shell_quoted(file)}"
    # An exec makes another image of the same process.
    processes = sum(each.started is not StartKind.EXECED for each in provenance.processes)
    lines = sum(share.first for share in provenance.files)
    files = len({share.path for share in provenance.files})
    measured = ", ".join(
        f"{count} {noun if count == 1 else nouns}"
        for count, noun, nouns in (
            (processes, "process", "processes"),
            *(() if extends else ((files, "file", "files"),)),
            (lines, "new line", "new lines") if extends else (lines, "line", "lines"),
        )
    )
    return f"measured {measured}, in {file}; next: `covsup report{option}`, `covsup tree{option}`"
