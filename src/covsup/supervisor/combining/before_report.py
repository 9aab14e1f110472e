"""Before coverage.py makes a report: combine what has ended, warn about what the report lacks."""

from __future__ import annotations

from covsup.datafile.database.database import is_data_file, read_versions
from covsup.datafile.errors import CovsupError
from covsup.datafile.session.places import find_sessions
from covsup.datafile.source_files import edited_since
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.combine import combine
from covsup.supervisor.combining.source_versions import edited_sentence
from covsup.supervisor.messages import local_time, print_message
from covsup.supervisor.sessions.reported_sessions import collect_reported_sessions
from covsup.supervisor.sessions.waiting_sessions import uncombined_data, waiting_sessions
from covsup.supervisor.settings.combine_settings import CombineSettings
from covsup.supervisor.settings.coverage_settings import config_file_argument

if TYPE_CHECKING:
    from pathlib import Path


def prepare_report(data_file: Path, rcfile: str | None, *, keep: bool) -> None:
    """Combine what has ended, and warn about newer data and edited files."""
    collect_reported_sessions(data_file)
    try:
        if find_sessions(data_file):
            _combine_parallel(data_file, rcfile, keep=keep)
            _mention_newer_data(data_file)
    except CovsupError as error:
        print_message(f"the sessions beside {data_file} were not combined: {error}")
    try:
        versions = read_versions(data_file) if is_data_file(data_file) else {}
    except CovsupError:
        return  # coverage.py reports that it cannot read the file
    if edited := edited_since(versions):
        print_message(edited_sentence(edited))


def _combine_parallel(data_file: Path, rcfile: str | None, *, keep: bool) -> None:
    """Combine what `run --parallel-mode` left, as coverage.py's reports do with its own files."""
    left = [
        each.session.path
        for each in waiting_sessions(data_file)
        if each.session.is_left_to_combine and not each.runs
    ]
    if not left:
        return
    combine_settings = CombineSettings.read(config_file_argument(rcfile), data_file)
    result = combine(left, combine_settings=combine_settings, keep=keep, append=True)
    for sentence in result.sentences():
        print_message(sentence)
    if result.sessions and not result.has_no_data:
        count = len(result.sessions)
        print_message(f"combined {count} session{'' if count == 1 else 's'} into {data_file}")


def _mention_newer_data(data_file: Path) -> None:
    """Print until when the data were measured, if a session has newer data."""
    if not is_data_file(data_file):
        return
    if newer := uncombined_data(data_file, waiting_sessions(data_file)):
        print_message(
            f"{data_file} has what was measured until"
            f" {local_time(data_file.stat().st_mtime_ns)}; {', '.join(newer)}: `covsup combine` adds"
            " the newer data"
        )


def mention_uncombined_sessions(data_file: Path) -> None:
    """After a failure: print what to do if there is no data file, but a session to combine."""
    waiting = [] if data_file.exists() else find_sessions(data_file)
    if waiting:
        sessions = "a session is" if len(waiting) == 1 else f"{len(waiting)} sessions are"
        print_message(f"{sessions} not combined yet: run `covsup combine`")
