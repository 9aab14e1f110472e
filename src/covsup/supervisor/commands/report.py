"""`covsup report`, html, xml, json, lcov, annotate: coverage.py's own commands, on covsup's data."""

from __future__ import annotations

import sys
import warnings

from covsup.datafile.database.database import is_data_file, read_versions
from covsup.datafile.errors import CovsupError
from covsup.datafile.session.directory import find_sessions
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser
from covsup.supervisor.combining.gc_pause import gc_disabled
from covsup.supervisor.combining.source_versions import edited_sentence, edited_since
from covsup.supervisor.errors import NOT_STORED
from covsup.supervisor.messages import local_time, print_message
from covsup.supervisor.sessions.reported_sessions import collect_reported_sessions
from covsup.supervisor.sessions.waiting_sessions import (
    uncombined_data,
    waiting_sessions,
    warn_if_session_is_gone,
)
from covsup.supervisor.settings.run_settings import resolve_data_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def make_parser(prog: str = "covsup report") -> Parser:
    """A parser without arguments: coverage.py parses its own, and prints the help."""
    return Parser(prog=prog, add_help=False)


def run(words: Sequence[str]) -> int:
    """Let coverage.py make a report, and give its exit status.

    `words` are coverage.py's command line, which begins with the kind of the report.
    """
    with gc_disabled():
        from coverage.cmdline import main as coverage

    data_file = None
    if not any(word in {"-h", "--help"} for word in words):
        warn_if_session_is_gone()
        rcfile = _value_of("--rcfile", words)
        try:
            data_file = resolve_data_file(rcfile, _value_of("--data-file", words))
        except CovsupError:
            pass  # coverage.py reports the same mistake
        else:
            _prepare(data_file, rcfile, keep="--keep-combined" in words)
    try:
        with warnings.catch_warnings():
            _print_warnings_as_messages()
            status = coverage(list(words))
    except OSError as error:
        # coverage.py does not catch all of them, such as that of an unwritable output directory.
        if isinstance(error, BrokenPipeError):
            raise
        print_message(f"{words[0]}: {error}")
        status = NOT_STORED
    sys.stdout.flush()
    if status and data_file is not None:
        _mention_uncombined_sessions(data_file)
    return status or 0


def _value_of(option: str, words: Sequence[str]) -> str | None:
    """The last value of an option of coverage.py's, "" if the value is missing."""
    value = None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == option:
            value = following
        elif word.startswith(f"{option}="):
            value = word.partition("=")[2]
    return value


def _print_warnings_as_messages() -> None:
    """Print coverage.py's warnings as covsup's messages, one line each."""
    from coverage.exceptions import CoverageWarning

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print_message(str(message).partition("; see https:")[0])

    warnings.simplefilter("always", CoverageWarning)
    warnings.showwarning = show


def _prepare(data_file: Path, rcfile: str | None, *, keep: bool) -> None:
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
    from covsup.supervisor.combining.combine import combine
    from covsup.supervisor.settings.combine_settings import CombineSettings
    from covsup.supervisor.settings.coverage_settings import config_file_argument

    combine_settings = CombineSettings.read(config_file_argument(rcfile), data_file)
    result = combine(left, combine_settings=combine_settings, keep=keep, append=True)
    for sentence in result.sentences():
        print_message(sentence)
    if result.sessions and not result.nothing:
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


def _mention_uncombined_sessions(data_file: Path) -> None:
    """After a failure: print what to do if there is no data file, but a session to combine."""
    waiting = [] if data_file.exists() else find_sessions(data_file)
    if waiting:
        sessions = "a session is" if len(waiting) == 1 else f"{len(waiting)} sessions are"
        print_message(f"{sessions} not combined yet: run `covsup combine`")
