"""Where processes of a session may run that cannot be seen from here."""

from __future__ import annotations

from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.combine_result import opened_on
from covsup.supervisor.combining.input_reader import InputReader
from covsup.supervisor.combining.inputs import Inputs

if TYPE_CHECKING:
    from pathlib import Path


def unseen_places(path: Path) -> str:
    """The machines and containers on which processes of the session at `path` may run, for a
    message; "" = there are none, or the session cannot be read.
    """
    reader = InputReader(None)
    try:
        reader.read(Inputs([path], path))
    except CovsupError:
        return ""
    places = {each.host or "this machine, in a container" for each in reader.running}
    places = places or {
        opened_on(directory.session)
        for directory in reader.directories
        if directory.session and directory.may_be_supervised
    }
    return ", ".join(sorted(places))
