"""`covsup env`: a session without a supervisor, for Pythons that somebody else starts."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from covsup.carrier.preload import NoCarrier, carrier_library
from covsup.datafile import session as sessions
from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.errors import UsageError
from covsup.supervisor.launch import COVERAGES
from covsup.supervisor.opening import carrier_to_preload, check_data_file, open_session
from covsup.supervisor.say import complain
from covsup.supervisor.settings import data_file_of, run_settings
from covsup.supervisor.shells import FORMS, put, take_out

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator


def env(options: argparse.Namespace) -> int:
    """`covsup env`."""
    if options.shell not in FORMS:
        from covsup.supervisor.vocabulary import nearest  # noqa: PLC0415 - for a mistake only

        raise UsageError(
            f"--shell={options.shell} is not known{nearest(options.shell, FORMS)}"
            f" ({', '.join(FORMS)})"
        )
    if options.close:
        return _close(options)
    settings = run_settings(options)
    check_data_file(settings)
    uids = list(_user_ids(options.user or ()))
    carrier = carrier_to_preload() if settings.carrier else None
    for warning in settings.warnings:
        complain(warning)
    for name in COVERAGES:
        if os.environ.get(name):
            complain(f"{name} is set, so coverage.py will measure every process, too: unset it")
    session = open_session(settings, command=("covsup", "env"), supervisor_pid=0)
    try:
        sessions.let_in(session, uids)
        text = put(options.shell, session.path, carrier)
    except CovsupError:
        session.delete()
        sessions.tidy_sessions_directory(session.path.parent)
        raise
    for directory in _closed_to_others(session.path) if uids else ():
        complain(f"other users cannot get through {directory}: let them (chmod o+x), or name a"
                 " --data-file elsewhere")  # fmt: skip
    if options.shell == "docker" and os.geteuid() != 0:
        complain("a container's root takes part in root's sessions alone: give `docker run` also"
                 f" --user={os.geteuid()}, or open the session as root")  # fmt: skip
    sys.stdout.write(text)
    return 0


def _close(options: argparse.Namespace) -> int:
    """Close what is open; closing it twice is no mistake."""
    data_file = data_file_of(options.rcfile, options.data_file)
    named = os.environ.get("COVSUP_SESSION", "")
    for path in [Path(named)] if named else sessions.find_sessions(data_file):
        try:
            session = sessions.open_session(path)
        except sessions.SessionUnreadable as error:
            if path.exists():
                complain(str(error))
            continue
        if session.settings.open:
            from covsup.supervisor.shortening import shorten_ended  # noqa: PLC0415 - here alone

            shorten_ended(sessions.close_session(session))
    try:
        carrier: Path | None = carrier_library()
    except NoCarrier:
        carrier = None
    sys.stdout.write(take_out(options.shell, carrier))
    return 0


def _user_ids(words: Iterable[str]) -> Iterator[int]:
    """The ids of users given by name or number. Raises UsageError."""
    import pwd  # noqa: PLC0415 - only where somebody else is to take part

    for word in (part.strip() for each in words for part in each.split(",") if part.strip()):
        if word.isascii() and word.isdigit():
            yield int(word)
            continue
        try:
            yield pwd.getpwnam(word).pw_uid
        except KeyError as error:
            raise UsageError(f"--user={word}: there is no such user; give its number") from error


def _closed_to_others(session: Path) -> list[Path]:
    """The directories above a session that not everybody may pass."""
    return [each for each in session.parents if not each.stat().st_mode & stat.S_IXOTH]
