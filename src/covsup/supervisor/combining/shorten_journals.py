"""Cut the unused space from the journals of a session that is kept, and may be copied or uploaded.

Only journals that a combination might delete are touched: their images have ended, and no process
maps them.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.input_reader import InputReader
from covsup.supervisor.combining.inputs import Inputs
from covsup.supervisor.combining.locks import locked

if TYPE_CHECKING:
    from covsup.datafile.session.directory import Session


def shorten_ended(session: Session) -> None:
    """Shorten the journals of a session's ended images. `combine` reports what goes wrong here."""
    with suppress(CovsupError, OSError), locked(session.path):
        reader = InputReader(None)
        reader.read(Inputs([session.path], Path(session.settings.data_file)))
        for directory in reader.directories:
            directory.shorten()
