"""combine and erase: what is done to sessions after their time."""

from __future__ import annotations

import glob
import os
import sys
from pathlib import Path

from coverage.files import set_relative_directory

from covsup.datafile.database.database import is_data_file, read_provenance
from covsup.datafile.errors import SessionUnreadable, SessionUntrusted
from covsup.datafile.session.directory import Session, open_session
from covsup.datafile.session.places import find_sessions, tidy_sessions_directory
from covsup.datafile.session.settings import Settings
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining import combine as combining
from covsup.supervisor.combining.finish import lost_sentences, unmeasured_sentences
from covsup.supervisor.combining.grouping import separate_files
from covsup.supervisor.combining.inputs import InputUnusable, NoSession, belongs_to_data_file
from covsup.supervisor.errors import NOT_STORED, UsageError
from covsup.supervisor.messages import print_message
from covsup.supervisor.sessions.liveness import ProcessSnapshot, supervisor_runs
from covsup.supervisor.sessions.waiting_sessions import (
    out_of_sight,
    warn_if_session_is_gone,
)
from covsup.supervisor.settings.combine_settings import CombineSettings
from covsup.supervisor.settings.coverage_settings import config_file_argument
from covsup.supervisor.settings.run_settings import choose_sessions_directory

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from covsup.supervisor.combining.outcome import CombineResult

_MIN_JOURNALS_FOR_PROGRESS: int = 1000
"""So many journals may take long enough for somebody to wonder."""


def combine(options: argparse.Namespace) -> int:
    """`covsup combine`."""
    warn_if_session_is_gone()
    if options.directory is not None:
        os.chdir(options.directory)
        set_relative_directory()
    combine_settings = _combine_settings(options)
    if options.directory is None:
        combine_settings.data_file.parent.mkdir(parents=True, exist_ok=True)  # as coverage.py does
    try:
        with _Progress() as progress:
            outcome = combining.combine(
                [Path(path) for path in options.paths],
                combine_settings=combine_settings,
                keep=options.keep,
                append=options.append,
                assume_ended=options.assume_ended,
                progress=progress.step,
                waiting=lambda directory: print_message(
                    f"waiting for another covsup that combines in {directory}"
                ),
            )
    except NoSession:
        # `run` combines by itself: a script's `combine` after it is satisfied, not wrong.
        if not _has_combined_sessions(combine_settings.data_file):
            raise
        if not options.quiet:
            sys.stdout.write(f"Nothing new to combine into {combine_settings.data_file}\n")
        return 0
    mine = set(outcome.sessions)
    for sentence in outcome.sentences():
        print_message(sentence)
    for session in sorted({*mine, *(each.session for each in outcome.aside)}):
        provenance = outcome.provenance_of(session)
        for sentence in (*unmeasured_sentences(provenance), *lost_sentences(provenance)):
            print_message(sentence)
    if outcome.nothing:
        print_message(f"nothing to combine: {outcome.data_file} is as it was")
        return NOT_STORED
    if not options.quiet:
        sys.stdout.write(f"{_summary(outcome)}\n")
    is_mixed = any(each.is_new and each.is_mixed for each in outcome.aside)
    return NOT_STORED if outcome.unreadable or is_mixed else 0


def _has_combined_sessions(data_file: Path) -> bool:
    """Whether sessions have been combined into it."""
    return is_data_file(data_file) and bool(read_provenance(data_file).sessions)


def erase(options: argparse.Namespace) -> int:
    """`covsup erase`."""
    warn_if_session_is_gone()
    data_file = _combine_settings(options).data_file
    status = 0
    for path in _data_files(data_file):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            print_message(f"cannot delete {path}: {error.strerror}")
            status = NOT_STORED
    sessions = find_sessions(data_file)
    for path in sessions:
        status = _erase_session(path, data_file, assume_ended=options.assume_ended) or status
    for parent in {path.parent for path in sessions}:
        tidy_sessions_directory(parent)
    return status


def _combine_settings(options: argparse.Namespace) -> CombineSettings:
    choose_sessions_directory(options.rcfile)
    try:
        return CombineSettings.read(
            config_file_argument(options.rcfile),
            None if options.data_file is None else Path(options.data_file),
        )
    except InputUnusable as error:
        raise UsageError(str(error)) from error


def _summary(outcome: CombineResult) -> str:
    counts = [
        f"{count} {noun if count == 1 else nouns}"
        for count, noun, nouns in (
            (len(outcome.sessions), "session", "sessions"),
            (outcome.images, "process image", "process images"),
            (outcome.data_files, "data file", "data files"),
        )
        if count
    ]
    return f"Combined {', '.join(counts) or 'nothing new'} into {outcome.data_file}"


def _data_files(data_file: Path) -> list[Path]:
    """The data file, coverage.py's parallel ones, and what was set aside."""
    parallel = data_file.parent.glob(f"{glob.escape(data_file.name)}.*")
    return [data_file, *(path for path in parallel if path.is_file()), *separate_files(data_file)]


def _erase_session(path: Path, data_file: Path, *, assume_ended: bool) -> int:
    """Delete a session directory, unless it is in use or of another data file.

    `assume_ended`: what cannot be seen from here has ended.
    """
    try:
        session = open_session(path)
    except SessionUntrusted as error:
        print_message(str(error))
        return NOT_STORED
    except SessionUnreadable:
        # Nothing could ever be made of it.
        session = Session(path, Settings(session=path.name), os.geteuid())
    if not belongs_to_data_file(path, data_file):
        return 0
    try:
        journals = session.journals()
        look = ProcessSnapshot([path], journals)
        # An open session is in the environment of shells, which is nothing that would be lost.
        runs = look.any_writer_runs(journals) or (
            not session.settings.open and bool(look.members.get(path))
        )
        if runs or supervisor_runs(session.settings, path):
            print_message(f"session {session.id} still runs and is left alone")
            return NOT_STORED
        if not assume_ended and (where := out_of_sight(path)):
            print_message(
                f"session {session.id} may still run on {where}, which cannot be asked: it is left"
                " alone (has it ended? `covsup erase --assume-ended` deletes it)"
            )
            return NOT_STORED
        if session.settings.open:
            session.empty()
            print_message(
                f"session {session.id} is empty and stays open: `covsup env --close` ends it"
            )
        else:
            session.delete()
    except OSError as error:
        print_message(f"cannot delete {path}: {error.strerror}")
        return NOT_STORED
    return 0


class _Progress:
    """A bar on the terminal, for a combination that takes a while."""

    def __init__(self) -> None:
        self._bar: Callable[[int], None] | None = None
        self._stop: Callable[[], None] | None = None
        self._next = 0

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stop is not None:
            self._stop()

    def step(self, done: int, total: int) -> None:
        """So many journals of all have been read."""
        if total < _MIN_JOURNALS_FOR_PROGRESS or done < self._next:
            return
        self._next = done + total // 200  # a bar has no more steps
        if self._bar is None and sys.stderr.isatty():
            self._begin(total)
        if self._bar is not None:
            self._bar(done)

    def _begin(self, total: int) -> None:
        from rich.console import Console  # noqa: PLC0415 - slow to import
        from rich.progress import Progress  # noqa: PLC0415

        progress = Progress(console=Console(stderr=True), transient=True)
        task = progress.add_task("reading journals", total=total)
        progress.start()
        self._bar = lambda done: progress.update(task, completed=done)
        self._stop = progress.stop
