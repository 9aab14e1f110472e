"""The end of a run: combine, say what there is to say, and turn a success into a failure if asked.

The target has ended, and signals do what they do in any program again: whoever interrupts us here
finds everything in the session directory, for `covsup combine`.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.coverage_settings import rcfile_of_session
from covsup.supervisor.cycles import no_search_for_cycles
from covsup.supervisor.errors import BELOW_MINIMUM, INCOMPLETE, NOT_STORED
from covsup.supervisor.owed import make_owed, owed_by
from covsup.supervisor.say import complain

if TYPE_CHECKING:
    from pathlib import Path

    from covsup.datafile.provenance import Provenance
    from covsup.datafile.result import Lost
    from covsup.datafile.session import Session
    from covsup.supervisor.outcome import Outcome
    from covsup.supervisor.settings import RunSettings

_SHOWN: int = 3
_LONGEST_COMMAND: int = 60


def conclude(session: Session, settings: RunSettings, status: int) -> int:
    """Combine; gives the raw wait status that covsup is to end with."""
    owed = owed_by(session)
    try:
        outcome = _combine(session, settings)
    except KeyboardInterrupt:
        complain(f"interrupted; all is kept in {session.path}: `covsup combine` goes on with it")
        return status or signal.SIGINT
    except (CovsupError, OSError) as error:
        complain(f"{error}; all is kept in {session.path}: mend it and run `covsup combine`")
        return status or NOT_STORED << 8
    provenance = outcome.provenance.of_session(session.id)
    incomplete = [*unmeasured_sentences(provenance), *lost_sentences(provenance)]
    for sentence in (*outcome.sentences(), *incomplete):
        complain(sentence)
    running = {each.pid for each in outcome.running}
    make_owed([each for each in owed if each["pid"] not in running], session, status)
    if status == 0 and settings.strict and (incomplete or outcome.unreadable):
        complain(f"--strict: not everything was measured and kept, so the status is {INCOMPLETE}")
        return INCOMPLETE << 8
    if status == 0 and settings.fail_under is not None:
        return _minimum(settings, settings.fail_under)
    return status


def prepare(settings: RunSettings) -> None:
    """Load what the end needs, which takes a while: the sooner is the end of the run."""
    # Whatever is wrong with it, `conclude` meets it again, when it can be said.
    with suppress(ImportError), no_search_for_cycles():
        from covsup.supervisor import combine, rules  # noqa: F401, PLC0415

        has_sources = settings.source_dirs or settings.source_pkgs
        if has_sources or settings.append or settings.fail_under is not None:
            import coverage  # noqa: F401, PLC0415 - the slowest of all; where it is needed
        if settings.for_pytest:
            from covsup.supervisor import pytest_report  # noqa: F401, PLC0415


def unmeasured_sentences(provenance: Provenance) -> list[str]:
    """One sentence about the Python processes that were not measured, or none."""
    found = provenance.unmeasured
    if not found:
        return []
    by_reason: dict[str, list[str]] = {}
    for each in found:
        by_reason.setdefault(each.reason, []).append(_process(each.pid, each.argv))
    told = [
        f"{', '.join(processes[:_SHOWN])}{_and_more(len(processes) - _SHOWN)}: {reason}"
        for reason, processes in list(by_reason.items())[:_SHOWN]
    ]
    were = "Python process was" if len(found) == 1 else "Python processes were"
    others = _and_more(len(by_reason) - _SHOWN, " reasons")
    return [f"{len(found)} {were} not measured: {'; '.join(told)}{others} (see `covsup tree`)"]


def _and_more(count: int, noun: str = "") -> str:
    return f" and {count} more{noun}" if count > 0 else ""


def lost_sentences(provenance: Provenance) -> list[str]:
    """One sentence per process that could not store something, and per reason of such a note."""
    said = [
        f"process {_process(each.pid, each.argv)} could not keep {_lost(each.lost)}"
        for each in provenance.losses
        if each.lost
    ]
    said += [
        f"processes forked below {_process(each.pid, each.argv)} could make no journal and"
        f" lost {_lost(each.forks_lost)}"
        for each in provenance.losses
        if each.forks_lost
    ]
    by_reason: dict[str, list[str]] = {}
    for _, note in provenance.notes:
        if note.kind in {"lost", "refused"}:
            by_reason.setdefault(note.why, []).append(_process(note.pid, note.argv))
    said += [
        f"process {processes[0]}{_and_more(len(processes) - 1)}: {why}"
        for why, processes in by_reason.items()
    ]
    return said


def _lost(lost: Lost) -> str:
    what = [
        f"{count} {noun if count == 1 else noun + 's'}"
        for count, noun in ((lost.facts, "fact"), (lost.events, "event"))
        if count
    ]
    return f"{' and '.join(what)}: {os.strerror(lost.errno)}"


def _process(pid: int, argv: tuple[str, ...]) -> str:
    command = " ".join(argv)
    if len(command) > _LONGEST_COMMAND:
        command = command[: _LONGEST_COMMAND - 1] + "…"
    return f"{pid} ({command})" if command else str(pid)


def _combine(session: Session, settings: RunSettings) -> Outcome:
    # Here and not above: what combining needs is slow to import, and the target has run by now.
    with no_search_for_cycles():
        from covsup.supervisor.combine import combine  # noqa: PLC0415
        from covsup.supervisor.rules import Rules  # noqa: PLC0415

    rules = Rules.of_session(session.settings)
    return combine(
        [session.path], rules=rules, append=settings.append, waiting=_say_that_we_wait
    )  # fmt: skip


def _say_that_we_wait(directory: Path) -> None:
    complain(f"waiting for another covsup that combines in {directory}")


def _minimum(settings: RunSettings, minimum: float) -> int:
    """Compare the total with --fail-under, as coverage.py's reports do."""
    import io  # noqa: PLC0415

    from coverage import Coverage  # noqa: PLC0415
    from coverage.exceptions import CoverageException  # noqa: PLC0415
    from coverage.results import should_fail_under  # noqa: PLC0415

    try:
        measured = Coverage(
            data_file=str(settings.data_file), config_file=rcfile_of_session(settings.rcfile)
        )
        measured.load()
        total = measured.report(file=io.StringIO())
    except CoverageException as error:
        complain(f"--fail-under: {error}")
        return BELOW_MINIMUM << 8
    precision = measured.get_option("report:precision")
    digits = precision if isinstance(precision, int) else 0
    if not should_fail_under(total, minimum, digits):
        return 0
    complain(f"the total of {total:.{digits}f}% is below --fail-under={minimum:g}")
    return BELOW_MINIMUM << 8
