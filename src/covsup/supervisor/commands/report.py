"""report, html, xml, json, lcov, annotate: coverage.py's own command line, on our data file."""

from __future__ import annotations

import sys
import warnings

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser
from covsup.supervisor.combining.gc_pause import gc_disabled
from covsup.supervisor.errors import NOT_STORED
from covsup.supervisor.messages import local_time, print_message
from covsup.supervisor.sessions.waiting_sessions import (
    uncombined_data,
    waiting_sessions,
    warn_if_session_is_gone,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Final

_NAMES: Final = {"--data-file": "data_file", "--rcfile": "rcfile"}


def make_parser(prog: str = "covsup report") -> Parser:
    """A parser that knows nothing: coverage.py parses its own options, and has the help."""
    return Parser(prog=prog, add_help=False)


def run(words: Sequence[str]) -> int:
    """Have coverage.py make a report; `words` are its command line, the report's kind first."""
    with gc_disabled():
        from coverage.cmdline import main as coverage

    if not any(word in {"-h", "--help"} for word in words):
        warn_if_session_is_gone()
        _combine_finished_sessions(words)
        _warn_about_edited_files(words)
    try:
        with warnings.catch_warnings():
            _print_coverage_warnings()
            status = coverage(list(words))
    except OSError as error:
        # coverage.py lets some through, such as an unwritable output directory.
        if isinstance(error, BrokenPipeError):
            raise
        print_message(f"{words[0]}: {error}")
        status = NOT_STORED
    sys.stdout.flush()
    if status and not any(word in {"-h", "--help"} for word in words):
        _mention_uncombined_sessions(words)
    return status or 0


def _print_coverage_warnings() -> None:
    """Have coverage.py's own warnings told as ours are: a line each, with the name of each."""
    from coverage.exceptions import CoverageWarning

    def tell(message: Warning | str, *_: object, **__: object) -> None:
        print_message(str(message).partition("; see https:")[0])

    warnings.simplefilter("always", CoverageWarning)
    warnings.showwarning = tell


def _mention_uncombined_sessions(words: Sequence[str]) -> None:
    """Where there is no data, say so if that is because nobody has combined it."""
    from covsup.datafile.errors import CovsupError
    from covsup.datafile.session.directory import find_sessions
    from covsup.supervisor.settings.run_settings import resolve_data_file

    said = _file_options(words)
    try:
        data_file = resolve_data_file(said.get("rcfile"), said.get("data_file"))
        waiting = [] if data_file.exists() else find_sessions(data_file)
    except CovsupError:
        # coverage.py has complained of the same thing.
        return
    if waiting:
        sessions = "a session is" if len(waiting) == 1 else f"{len(waiting)} sessions are"
        print_message(f"{sessions} not combined yet: run `covsup combine`")


def _combine_finished_sessions(words: Sequence[str]) -> None:
    """Have in the data file what belongs to it and has ended, and say what has more."""
    from covsup.datafile.errors import CovsupError
    from covsup.datafile.session.directory import find_sessions
    from covsup.supervisor.sessions.reported_sessions import collect_reported_sessions
    from covsup.supervisor.settings.run_settings import resolve_data_file

    said = _file_options(words)
    try:
        data_file = resolve_data_file(said.get("rcfile"), said.get("data_file"))
        collect_reported_sessions(data_file)
        waiting = find_sessions(data_file)
    except CovsupError:
        # coverage.py will print_message of the same thing.
        return
    try:
        if waiting:
            _combine_parallel(data_file, said.get("rcfile"), keep="--keep-combined" in words)
            _mention_newer_data(data_file)
    except CovsupError as error:
        print_message(f"what waits beside {data_file} was not combined: {error}")


def _combine_parallel(data_file: Path, rcfile: str | None, *, keep: bool) -> None:
    """Combine what `run --parallel-mode` left, as coverage.py's reports do with its own files."""
    from covsup.supervisor.combining.combine import combine
    from covsup.supervisor.settings.combine_settings import CombineSettings
    from covsup.supervisor.settings.coverage_settings import config_file_argument

    left = [
        each.session.path
        for each in waiting_sessions(data_file)
        if each.session.is_left_to_combine and not each.runs
    ]
    if not left:
        return
    combine_settings = CombineSettings.read(config_file_argument(rcfile), data_file)
    outcome = combine(left, combine_settings=combine_settings, keep=keep, append=True)
    for sentence in outcome.sentences():
        print_message(sentence)
    if outcome.sessions and not outcome.nothing:
        sessions = (
            "1 session" if len(outcome.sessions) == 1 else f"{len(outcome.sessions)} sessions"
        )
        print_message(f"combined {sessions} into {data_file}")


def _mention_newer_data(data_file: Path) -> None:
    """Say until when the data go, where something goes on or waits."""
    from covsup.datafile.database.database import is_data_file

    more = (
        uncombined_data(data_file, waiting_sessions(data_file)) if is_data_file(data_file) else []
    )
    if more:
        taken = local_time(data_file.stat().st_mtime_ns)
        print_message(
            f"{data_file} has what was measured until {taken}; {', '.join(more)}: `covsup combine`"
            " brings in what there is by now"
        )


def _warn_about_edited_files(words: Sequence[str]) -> None:
    """Say which files are not what they were when they were measured."""
    from covsup.datafile.database.database import is_data_file, read_versions
    from covsup.datafile.errors import CovsupError
    from covsup.supervisor.combining.source_versions import (
        edited_sentence,
        edited_since,
    )
    from covsup.supervisor.settings.run_settings import resolve_data_file

    said = _file_options(words)
    try:
        data_file = resolve_data_file(said.get("rcfile"), said.get("data_file"))
        versions = read_versions(data_file) if is_data_file(data_file) else {}
    except CovsupError:
        # coverage.py will print_message of the same thing.
        return
    if edited := edited_since(versions):
        print_message(edited_sentence(edited))


def _file_options(words: Sequence[str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for index, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in _NAMES:
            following = words[index + 1] if index + 1 < len(words) else ""
            said[_NAMES[option]] = value if equals else following
    return said
