"""A run inside another run: `covsup run -- make`, whose recipe calls `covsup run`.

The inner run behaves as it would alone: it has its own options, and its own result in the data
file, which the recipe may read at once. Its result is also stored in the session around it, and so
becomes part of the outer result, which replaces the data file in the end. The same holds inside a
session of `covsup env`. Runs with different data files are independent.
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
    result_path: Path  # in its directory: where the inner run stores its result
    measures_branches: bool


def enclosing_session(data_file: Path) -> Session | None:
    """The session that this command runs in, if it has the same data file; else None."""
    named = os.environ.get("COVSUP_SESSION")
    if not named:
        return None
    try:
        session = sessions.open_session(Path(named))
    except (CovsupError, OSError):
        # The session has ended, or belongs to another user.
        return None
    return session if session.settings.data_file == os.fspath(data_file) else None


def announce_inner_run(outer: Session, inner: Session) -> EnclosingRun | None:
    """Record the inner run in the outer session, before its target starts; None where that fails.

    So a result of the outer session that is made too early can name the run that it lacks.
    """
    path = outer.nested_result(inner.id)
    try:
        path.touch()
        around = outer
        while around.settings.within:
            around = sessions.open_session(around.path.with_name(around.settings.within))
            around.flag_nested_run(inner.id)
    except (CovsupError, OSError):
        # A session further out has ended: it has its result already. The nearest one counts.
        if not path.exists():
            return None
    return EnclosingRun(outer.id, path, outer.settings.branch)


def withdraw_inner_run(enclosing: EnclosingRun | None) -> None:
    """Take the record back: the target did not start."""
    if enclosing is not None:
        enclosing.result_path.unlink(missing_ok=True)
