"""`covsup report`, html, xml, json, lcov, annotate: coverage.py's own commands, on covsup's data."""

from __future__ import annotations

import sys
import warnings

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser
from covsup.supervisor.errors import NOT_STORED
from covsup.supervisor.gc_pause import gc_disabled
from covsup.supervisor.messages import print_message

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

    asks_for_help = any(word in {"-h", "--help"} for word in words)
    data_file = None if asks_for_help else _prepare(words)
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
        from covsup.supervisor.combining.before_report import mention_uncombined_sessions

        mention_uncombined_sessions(data_file)
    return status or 0


def _prepare(words: Sequence[str]) -> Path | None:
    """Bring the data file up to date. Gives its path, or None if coverage.py will report a mistake."""
    from covsup.datafile.errors import CovsupError
    from covsup.supervisor.combining.before_report import prepare_report
    from covsup.supervisor.sessions.waiting_sessions import warn_if_session_is_gone
    from covsup.supervisor.settings.resolved_settings import resolve_data_file

    warn_if_session_is_gone()
    rcfile = _value_of("--rcfile", words)
    try:
        data_file = resolve_data_file(rcfile, _value_of("--data-file", words))
    except CovsupError:
        return None
    prepare_report(data_file, rcfile, keep="--keep-combined" in words)
    return data_file


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
