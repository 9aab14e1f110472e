"""Print the processes of sessions: as a tree for people, or in a format for programs."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from covsup.datafile.database.database import is_data_file, read_provenance
from covsup.datafile.errors import CovsupError, SessionUnreadable
from covsup.datafile.session.directory import SETTINGS, open_session
from covsup.datafile.session.places import find_sessions
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.combine import combine
from covsup.supervisor.combining.inputs import belongs_to_data_file
from covsup.supervisor.messages import print_message
from covsup.supervisor.sessions.waiting_sessions import warn_if_session_is_gone
from covsup.supervisor.settings.combine_settings import CombineSettings
from covsup.supervisor.settings.resolved_settings import resolve_data_file
from covsup.supervisor.tree.drawing import ASCII, UNICODE, Drawing
from covsup.supervisor.tree.mermaid import Chart
from covsup.supervisor.tree.trace import Trace
from covsup.supervisor.tree.tree_json import session_as_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from typing import Final

    from covsup.datafile.provenance.model import Provenance
    from covsup.datafile.session.settings import Settings

_NARROWEST: Final = 40


class NothingToShow(CovsupError):
    """There is no session, or not the one that was named."""


def show(options: argparse.Namespace) -> int:
    """Print the sessions, and give the exit status. Raises CovsupError."""
    warn_if_session_is_gone()
    provenance = _provenance(options)
    # Session ids have a resolution of one second.
    sessions = sorted(provenance.sessions, key=lambda each: (each.started_ns, each.session))
    shown = sessions if options.all else list(_last(sessions))
    if options.format != "text":
        parts = [(each, provenance.of_session(each.session)) for each in shown]
        sys.stdout.write(_for_programs(options.format, parts, everything=options.all))
        return 0
    console = Console(highlight=False, soft_wrap=True)
    # The width of a pipe's reader is unknown, unless COLUMNS has it.
    has_width = console.is_terminal or os.environ.get("COLUMNS", "").isdigit()
    width = max(console.width, _NARROWEST) if has_width else None
    marks = ASCII if console.options.ascii_only else UNICODE
    for settings in shown:
        of_session = provenance.of_session(settings.session)
        for line in Drawing(width, marks, everything=options.all).lines(settings, of_session):
            console.print(line)
    sys.stdout.flush()
    return 0


def _for_programs(
    form: str, parts: Sequence[tuple[Settings, Provenance]], *, everything: bool
) -> str:
    """Sessions in a format for other programs."""
    if form == "mermaid":
        chart = Chart(everything=everything)
        for part in parts:
            chart.add(*part)
        return chart.text()
    if form == "trace":
        trace = Trace()
        for part in parts:
            trace.add(*part)
        return json.dumps(trace.value()) + "\n"
    return json.dumps({"sessions": [session_as_json(*part) for part in parts]}, indent=2) + "\n"


def _last(sessions: Sequence[Settings]) -> Iterator[Settings]:
    """The last session, and those inside it."""
    ids = {each.session for each in sessions}
    shown: set[str] = set()
    for settings in [each for each in sessions if each.within not in ids][-1:]:
        shown.add(settings.session)
        yield settings
    for settings in sessions:
        if settings.within in shown:
            shown.add(settings.session)
            yield settings


def _provenance(options: argparse.Namespace) -> Provenance:
    """That of the newest session, combined or not, or of the path given. Raises CovsupError."""
    if options.path is not None:
        path = Path(options.path)
        if not path.exists():
            raise NothingToShow(f"there is no {path}: it is no session, and no file or directory")
        found = _of_directory(path) if (path / SETTINGS).exists() else None
        return found or read_provenance(path)
    data_file = resolve_data_file(options.rcfile, options.data_file)
    combined = read_provenance(data_file) if is_data_file(data_file) else None
    newest = max((each.started_ns for each in combined.sessions), default=0) if combined else 0
    # The directory of a session that was combined while it ran has more than the data file.
    for started_ns, path in sorted(_waiting(data_file), reverse=True):
        found = _of_directory(path) if started_ns >= newest else None
        if found is not None:
            return found
    if combined is None or not combined.sessions:
        raise NothingToShow(f"no session beside {data_file} and none in it: `covsup run` makes one")
    return combined


def _waiting(data_file: Path) -> Iterator[tuple[int, Path]]:
    """The session directories beside a data file, each with its start in nanoseconds."""
    for path in find_sessions(data_file):
        if not belongs_to_data_file(path, data_file):
            continue
        try:
            session = open_session(path)
            if session.settings.open and not (session.journals() or session.folded.exists()):
                continue  # no process has joined it yet
            yield session.settings.started_ns, path
        except SessionUnreadable as error:
            print_message(str(error))


def _of_directory(path: Path) -> Provenance | None:
    """That of a session directory as it is now, or None if it has none. Changes nothing there."""
    settings = open_session(path).settings
    with tempfile.TemporaryDirectory(prefix="covsup-tree-") as scratch:
        # Its patterns and path mappings do not matter: only how much each process executed.
        combine_settings = CombineSettings(data_file=Path(scratch) / "coverage")
        outcome = combine([path], combine_settings=combine_settings, keep=True)
    for sentence in outcome.unreadable:
        print_message(sentence)
    provenance = outcome.provenance.of_session(settings.session)
    return provenance if provenance.sessions else None
