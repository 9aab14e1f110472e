"""A run inside another run: `covsup run -- make`, whose recipe calls `covsup run`.

The inner run is as it would be alone: its own options, its own result in the data file, which the
recipe may read at once. Its result also goes into the session around it, and so into the outer
result, which replaces the data file in the end. The same holds inside of a session of `covsup env`.
Runs with another data file have nothing to do with each other.
"""

from __future__ import annotations

import os
from pathlib import Path

from covsup.datafile.errors import CovsupError
from covsup.datafile.session import directory as sessions
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from covsup.datafile.session.directory import Session


class EnclosingRun(NamedTuple):
    """The session around a run."""

    session: str  # its id
    place: Path  # where the inner run's result goes
    branch: bool  # it measures branches


def enclosing_session(data_file: Path) -> Session | None:
    """The session that this command was started in, if it is one of the same data file."""
    named = os.environ.get("COVSUP_SESSION")
    if not named:
        return None
    try:
        session = sessions.open_session(Path(named))
    except (CovsupError, OSError):
        # It is over, or another user's.
        return None
    return session if session.settings.data_file == os.fspath(data_file) else None


def announce_inner_run(outer: Session, inner: Session) -> EnclosingRun | None:
    """Before its target starts, let the outer session know of a run inside; None where it cannot."""
    place = outer.nested_result(inner.id)
    try:
        place.touch()
        around = outer
        while around.settings.within:
            around = sessions.open_session(around.path.with_name(around.settings.within))
            around.mark_nested_run(inner.id)
    except (CovsupError, OSError):
        # One that is over needs to know nothing.
        return EnclosingRun(outer.id, place, outer.settings.branch) if place.exists() else None
    return EnclosingRun(outer.id, place, outer.settings.branch)


def withdraw_inner_run(enclosing: EnclosingRun | None) -> None:
    """Nothing was run."""
    if enclosing is not None:
        enclosing.place.unlink(missing_ok=True)
