"""Shorten the journals of ended images in a session that stays: it may be copied or uploaded.

Those, and no others, that a combination might delete: their images have ended, and no process has
them mapped.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.inputs import Inputs
from covsup.supervisor.combining.locks import locked
from covsup.supervisor.combining.reader import InputReader
from covsup.supervisor.gc_pause import gc_disabled

if TYPE_CHECKING:
    from covsup.datafile.session.directory import Session


def shorten_ended(session: Session) -> None:
    """Shorten what has ended in a session. What cannot be stays: `combine` says what is wrong."""
    with suppress(CovsupError, OSError), gc_disabled(), locked(session.path):
        reader = InputReader(None)
        reader.read(Inputs([session.path], Path(session.settings.data_file)))
        for directory in reader.directories:
            directory.shorten()
