"""Find what `covsup top` shows, and show it."""

from __future__ import annotations

import os
from importlib.util import find_spec

from covsup.datafile.errors import CovsupError
from covsup.datafile.session.directory import SETTINGS, open_session
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.sessions.marking import set_mark
from covsup.supervisor.sessions.view_places import place_to_view, sessions_of
from covsup.supervisor.sessions.waiting_sessions import waiting_sessions
from covsup.supervisor.settings.coverage_settings import (
    config_file_argument,
    config_file_of_session,
)
from covsup.supervisor.settings.resolved_settings import resolve_data_file
from covsup.supervisor.short_commands import short_command, without_directory
from covsup.supervisor.tree.process_tree import process_trees

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from covsup.views.terminal.pictures import Describing


class ViewNotInstalled(CovsupError):
    """A library of the view extra is missing."""


def top(options: argparse.Namespace, attach: Callable[[int], Path]) -> int:
    """Show it until the user quits. Raises CovsupError.

    `attach` measures a process that already runs, by its pid, and gives its session.
    """
    if find_spec("textual") is None:
        raise ViewNotInstalled(
            "covsup top needs textual, which is not installed: pip install 'covsup[view]'"
        )
    from covsup.views.terminal.start import check_terminal, show

    check_terminal()
    data_file = resolve_data_file(options.rcfile, options.data_file)
    place = _place(options.place, data_file, attach)
    if place is not None:
        show(place, _config_file(options.rcfile, place), describing())
    return 0


def describing() -> Describing:
    """What the view needs of the supervisor."""
    from covsup.views.terminal.pictures import Describing

    return Describing(process_trees, _command, set_mark)


def _place(word: str | None, data_file: Path, attach: Callable[[int], Path]) -> Path | None:
    """What to show; None if the user left the list of sessions. Raises CovsupError."""
    if word is not None:
        if word.isascii() and word.isdigit() and not os.path.exists(word):
            return attach(int(word))
        return place_to_view(word, data_file)
    waiting = waiting_sessions(data_file)
    if sum(each.runs for each in waiting) < 2:
        return place_to_view(None, data_file)
    from covsup.views.terminal.chooser import SessionRow, choose_session

    joined = {each.path for each in sessions_of(data_file)}
    rows = [
        SessionRow(
            path=each.session.path,
            started_ns=each.session.settings.started_ns,
            command=each.session.settings.command,
            runs=each.runs,
            processes=len(each.measured),
        )
        for each in waiting
        if each.session.path in joined
    ]
    rows.sort(key=lambda row: row.started_ns, reverse=True)
    return choose_session(rows, _command)


def _config_file(rcfile: str | None, place: Path) -> str | bool:
    """coverage.py's `config_file`: --rcfile, or that of the session."""
    if rcfile is None and (place / SETTINGS).exists():
        return config_file_of_session(open_session(place).settings.rcfile)
    return config_file_argument(rcfile)


def _command(argv: Sequence[str], room: int) -> str:
    """A command line for a row, without the directory of its program."""
    return short_command(without_directory(argv), room)
