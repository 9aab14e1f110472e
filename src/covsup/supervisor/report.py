"""report, html, xml, json, lcov, annotate: coverage.py's own command line, on our data file."""

from __future__ import annotations

import sys
import warnings

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.cycles import no_search_for_cycles
from covsup.supervisor.errors import NOT_STORED
from covsup.supervisor.say import complain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_NAMES: Final = {"--data-file": "data_file", "--rcfile": "rcfile"}


def report(words: Sequence[str]) -> int:
    """Have coverage.py make a report; `words` are its command line, the report's kind first."""
    with no_search_for_cycles():
        from coverage.cmdline import main as coverage  # noqa: PLC0415 - slow to import

    _tidy(words)
    _tell_of_edited_files(words)
    try:
        with warnings.catch_warnings():
            _tell_warnings()
            status = coverage(list(words))
    except OSError as error:
        # coverage.py lets some through, such as an unwritable output directory.
        if isinstance(error, BrokenPipeError):
            raise
        complain(f"{words[0]}: {error}")
        status = NOT_STORED
    sys.stdout.flush()
    if status and not any(word in {"-h", "--help"} for word in words):
        _mention_sessions(words)
    return status or 0


def _tell_warnings() -> None:
    """Have coverage.py's own warnings told as ours are: a line each, with the name of each."""
    from coverage.exceptions import CoverageWarning  # noqa: PLC0415

    def tell(message: Warning | str, *_: object, **__: object) -> None:
        complain(str(message).partition("; see https:")[0])

    warnings.simplefilter("always", CoverageWarning)
    warnings.showwarning = tell


def _mention_sessions(words: Sequence[str]) -> None:
    """Where there is no data, say so if that is because nobody has combined it."""
    from covsup.datafile.errors import CovsupError  # noqa: PLC0415
    from covsup.datafile.session import find_sessions  # noqa: PLC0415
    from covsup.supervisor.settings import data_file_of  # noqa: PLC0415

    said = _said(words)
    try:
        data_file = data_file_of(said.get("rcfile"), said.get("data_file"))
        waiting = [] if data_file.exists() else find_sessions(data_file)
    except CovsupError:
        # coverage.py has complained of the same thing.
        return
    if waiting:
        sessions = "a session is" if len(waiting) == 1 else f"{len(waiting)} sessions are"
        complain(f"{sessions} not combined yet: run `covsup combine`")


def _tidy(words: Sequence[str]) -> None:
    """Have in the data file what a process did after its report."""
    from covsup.datafile.errors import CovsupError  # noqa: PLC0415
    from covsup.supervisor.finished import tidy_finished  # noqa: PLC0415
    from covsup.supervisor.settings import data_file_of  # noqa: PLC0415

    said = _said(words)
    try:
        tidy_finished(data_file_of(said.get("rcfile"), said.get("data_file")))
    except CovsupError:
        # coverage.py will complain of the same thing.
        return


def _tell_of_edited_files(words: Sequence[str]) -> None:
    """Say which files are not what they were when they were measured."""
    from covsup.datafile.database import is_data_file, read_versions  # noqa: PLC0415
    from covsup.datafile.errors import CovsupError  # noqa: PLC0415
    from covsup.supervisor.settings import data_file_of  # noqa: PLC0415
    from covsup.supervisor.source_versions import (  # noqa: PLC0415
        edited_sentence,
        edited_since,
    )

    said = _said(words)
    try:
        data_file = data_file_of(said.get("rcfile"), said.get("data_file"))
        versions = read_versions(data_file) if is_data_file(data_file) else {}
    except CovsupError:
        # coverage.py will complain of the same thing.
        return
    if edited := edited_since(versions):
        complain(edited_sentence(edited))


def _said(words: Sequence[str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for index, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in _NAMES:
            following = words[index + 1] if index + 1 < len(words) else ""
            said[_NAMES[option]] = value if equals else following
    return said
