"""Open the view in this terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from covsup.datafile.errors import CovsupError
from covsup.views.model.open_view import open_view

if TYPE_CHECKING:
    from pathlib import Path

    from covsup.views.terminal.palette import Palette
    from covsup.views.terminal.pictures import Describing


class NoTerminal(CovsupError):
    """There is no terminal that the view could use."""


def check_terminal() -> None:
    """Raise NoTerminal where the view cannot be shown."""
    instead = "`covsup tree` and `covsup report` print instead"
    # textual writes to stderr.
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, f"__{name}__")
        if stream is None or not stream.isatty():
            raise NoTerminal(f"covsup top needs a terminal, and {name} is none; {instead}")
    if os.environ.get("TERM", "dumb") in {"", "dumb", "unknown"}:
        raise NoTerminal(
            f"covsup top needs a terminal with a cursor, and TERM is"
            f" {os.environ.get('TERM') or 'not set'}; {instead}"
        )


def show(place: Path, config_file: str | bool, describing: Describing) -> None:
    """Show a session directory or a data file until the user quits. Raises CovsupError."""
    check_terminal()
    from covsup.views.sources.source_library import SourceLibrary
    from covsup.views.terminal.app import TopApp

    palette = choose_palette()
    with SourceLibrary(config_file) as library:
        app = TopApp(open_view(place), library, describing, palette)
        app.run()
    if app.failure is not None:
        raise app.failure


def choose_palette() -> Palette:
    """The palette for this terminal: its colours, and the user's wish to have none."""
    from rich.console import Console

    from covsup.views.terminal.palette import COLORS_256, FULL, NONE, SIXTEEN

    if os.environ.get("NO_COLOR"):
        return NONE
    by_system = {"truecolor": FULL, "256": COLORS_256}
    return by_system.get(Console(stderr=True).color_system or "", SIXTEEN)
