"""The end of a run: combine, say what there is to say, and turn a success into a failure if asked.

The target has ended, and its status is covsup's, whatever fails here. Whatever that is, one line
says what it was, where the data are and which command goes on with them.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from covsup.datafile.journal.header import StartKind
from covsup.datafile.session.directory import SUPERVISOR_ENDED
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.gc_pause import gc_disabled
from covsup.supervisor.combining.losses import lost_sentences, unmeasured_sentences
from covsup.supervisor.combining.pending_reports import make_pending_reports, pending_reports
from covsup.supervisor.errors import BELOW_MINIMUM, INCOMPLETE, NOT_STORED
from covsup.supervisor.messages import in_one_line, print_message, shell_quoted
from covsup.supervisor.settings.coverage_settings import config_file_of_session, display_path
from covsup.supervisor.watching import signals
from covsup.supervisor.watching.signals import EndRequested

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from covsup.datafile.provenance.model import Provenance
    from covsup.datafile.session.directory import Session
    from covsup.supervisor.combining.early_imports import EarlyImports
    from covsup.supervisor.combining.outcome import CombineResult
    from covsup.supervisor.sessions.enclosing_run import EnclosingRun
    from covsup.supervisor.settings.run_settings import RunSettings


class RunEnd:
    """The end of one run, step by step; what has been done is known wherever it is broken off."""

    def __init__(
        self, session: Session, settings: RunSettings, status: int, enclosing: EnclosingRun | None
    ) -> None:
        """`status` is the target's raw wait status; `enclosing` the session around this one."""
        self._enclosing = enclosing
        self._session = session
        self._settings = settings
        self._status = status
        self._is_stored = settings.parallel_mode  # then `covsup combine` does it later
        self._is_judged = not (settings.strict or settings.fail_under is not None)
        self._troubles: list[str] = []

    def finish_run(
        self, mask: set[int], early_imports: EarlyImports, finish_watching: Callable[[], str]
    ) -> int:
        """Do it; gives the raw wait status that covsup is to end with. Raises nothing.

        Every signal is blocked before and after; meanwhile the mask is `mask`, so that a user can
        interrupt. `finish_watching` completes what was observed, and gives what went wrong in observing,
        or "".
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
                # EndRequested comes until here, and not in the handlers below.
                signals.block()
        except BaseException as error:  # noqa: BLE001 - the status is the target's, whatever it is
            self._break_off(error)
        _flush_output()
        return self._status

    def _finish_watching(self, finish_watching: Callable[[], str]) -> None:
        try:
            trouble = finish_watching()
        except Exception as error:  # noqa: BLE001 - what was executed is in the journals all the same
            trouble = in_one_line(error)
        if trouble:
            self._troubles.append(
                f"the processes could not be watched all the time: {trouble}; how they ended may be"
                " unknown, and a Python that was not measured may not be named"
            )

    def _keep_session(self) -> None:
        """Leave the session to `covsup combine`."""
        from covsup.supervisor.combining.shorten_journals import shorten_ended  # noqa: PLC0415 - here alone

        with suppress(OSError):  # it may be gone; `combine` finds out what there is
            self._session.mark(SUPERVISOR_ENDED)
        shorten_ended(self._session)
        if self._settings.announce:
            path = display_path(self._session.path)
            print_message(f"all is in {path}: `covsup combine` makes the result of it")

    def _make_result(self) -> None:
        settings = self._settings
        # Before the session is deleted.
        pending = pending_reports(self._session)
        outcome = _combine(self._session, settings, self._enclosing)
        self._is_stored = True
        provenance = outcome.provenance_of(self._session.id)
        incomplete = [
            *self._troubles, *unmeasured_sentences(provenance), *lost_sentences(provenance),
        ]  # fmt: skip
        self._troubles = []
        for sentence in (*outcome.sentences(), *incomplete):
            print_message(sentence)
        running = {each.pid for each in outcome.running}
        without_running = [each for each in pending if each["pid"] not in running]
        # Where nothing was collected, an older result in the data file is not this run's.
        place = outcome.data_file_of(self._session.id)
        data_file = None if outcome.nothing else place
        # pytest shows a report of its own.
        if settings.announce and data_file is not None and not settings.for_pytest:
            print_message(_summary(provenance, data_file, extends=settings.append))
        make_pending_reports(without_running, self._session, self._status, data_file)
        if self._status == 0 and settings.append and place != outcome.data_file:
            self._status = NOT_STORED << 8
        elif self._status == 0 and settings.strict and (incomplete or outcome.unreadable):
            print_message(
                f"--strict: not everything was measured and kept, so the status is {INCOMPLETE}"
            )
            self._status = INCOMPLETE << 8
        elif self._status == 0 and settings.fail_under is not None:
            self._status = _minimum(settings, settings.fail_under, data_file)
        self._is_judged = True

    def _break_off(self, error: BaseException) -> None:
        """Say what it was and how to go on; a success without a result is none."""
        number = 0
        if isinstance(error, (EndRequested, KeyboardInterrupt)):
            number = error.number if isinstance(error, EndRequested) else signal.SIGINT
        if self._status == 0 and not (self._is_stored and self._is_judged):
            self._status = number or NOT_STORED << 8
        why = _interrupted(number) if number else in_one_line(error)
        for sentence in self._troubles:
            print_message(sentence)
        is_waiting = self._settings.parallel_mode or not self._is_stored
        if is_waiting and not self._session.is_there():
            print_message(
                f"the session directory {self._session.path} is gone, and all that was recorded with"
                f" it ({why})"
            )
        elif not self._is_stored:
            command = combine_command(self._session, self._settings)
            print_message(
                f"{why}; all is kept in {self._session.path}: `{command}` makes the result"
            )
        elif self._settings.parallel_mode:
            print_message(f"{why}; all is kept in {self._session.path} for `covsup combine`")
        else:
            undecided = "" if self._is_judged else ", but --strict or --fail-under is not decided"
            print_message(f"{why}; the result is in {self._settings.data_file}{undecided}")


def combine_command(session: Session, settings: RunSettings) -> str:
    """The command that makes the result of a session, in whatever directory it is given."""
    words = ["covsup", "combine", f"--data-file={settings.data_file}"]
    rcfile = config_file_of_session(settings.rcfile)
    if rcfile is not True:
        words.append(f"--rcfile={rcfile or ''}")
    return " ".join(map(shell_quoted, (*words, str(session.path))))


def _interrupted(number: int) -> str:
    return "interrupted" if number == signal.SIGINT else f"interrupted by {signals.name_of(number)}"


def _leave_deleted_directory() -> None:
    """Go elsewhere if the working directory was deleted: coverage.py cannot be imported there."""
    try:
        os.getcwd()  # noqa: PTH109 - asked only whether it is there
    except OSError:
        os.chdir("/")


def _flush_output() -> None:
    """Write out what reports left in stdout's buffer; Python would fail at its exit, with 120."""
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
    """What was measured, where it is, and what to do with it. Of a run that `extends` earlier data
    the lines are known that these did not have.
    """
    import shlex  # noqa: PLC0415

    file = display_path(data_file)
    option = "" if file == ".coverage" else f" --data-file={shlex.quote(file)}"
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


def _combine(
    session: Session, settings: RunSettings, enclosing: EnclosingRun | None
) -> CombineResult:
    # Here and not above: what combining needs is slow to import, and the target has run by now.
    with gc_disabled():
        from covsup.supervisor.combining.combine import combine  # noqa: PLC0415
        from covsup.supervisor.settings.combine_settings import CombineSettings  # noqa: PLC0415

    combine_settings = CombineSettings.of_session(session.settings)
    return combine(
        [session.path],
        combine_settings=combine_settings,
        append=settings.append,
        concludes=True,
        enclosing=enclosing,
        waiting=_report_wait,
    )


def _report_wait(directory: Path) -> None:
    print_message(f"waiting for another covsup that combines in {directory}")


def _minimum(settings: RunSettings, minimum: float, data_file: Path | None) -> int:
    """Compare the total with --fail-under, as coverage.py's reports do."""
    import io  # noqa: PLC0415

    from coverage import Coverage  # noqa: PLC0415
    from coverage.exceptions import CoverageException  # noqa: PLC0415
    from coverage.results import should_fail_under  # noqa: PLC0415

    from covsup.supervisor.combining.totals import total_and_minimum  # noqa: PLC0415

    try:
        measured = Coverage(
            data_file=data_file and str(data_file),
            config_file=config_file_of_session(settings.rcfile),
        )
        measured.load()
        total = measured.report(file=io.StringIO())
    except CoverageException as error:
        print_message(f"--fail-under: {error}")
        return BELOW_MINIMUM << 8
    precision = measured.get_option("report:precision")
    digits = precision if isinstance(precision, int) else 0
    if not should_fail_under(total, minimum, digits):
        return 0
    shown, _ = total_and_minimum(total, minimum, digits)
    print_message(f"the total of {shown}% is below --fail-under={minimum:g}")
    return BELOW_MINIMUM << 8
