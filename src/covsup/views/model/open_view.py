"""Open a view of a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile.session.directory import SETTINGS
from covsup.views.model.data_file_view import DataFileView
from covsup.views.model.session_view import SessionView

if TYPE_CHECKING:
    from pathlib import Path

    from covsup.views.model.view import View


def open_view(place: Path) -> View:
    """A view of a session directory or of a data file, without contents until its first refresh.

    Raises SessionUnreadable.
    """
    return SessionView(place) if (place / SETTINGS).exists() else DataFileView(place)
