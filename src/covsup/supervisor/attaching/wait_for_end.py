"""Wait until an attached process has ended, and combine its session."""

from __future__ import annotations

import os
import select
import time

from covsup.datafile.session.directory import open_session
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.attaching.attach import detach
from covsup.supervisor.attaching.refused import AttachRefused
from covsup.supervisor.attaching.running_python import memory_of
from covsup.supervisor.messages import print_message
from covsup.supervisor.watching import linux

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from covsup.datafile.session.directory import Session
    from covsup.supervisor.attaching.attach import Attached

_POLL_SECONDS: Final = 0.1


def wait_and_combine(attached: Attached, announce: Callable[[], None]) -> int:
    """Wait for the end of a process, combine its session, and give the exit status.

    Ctrl-C detaches the process, as soon as `announce` has been called.
    """
    session = open_session(attached.session)
    try:
        announce()
        _wait(attached.process.pid)
    except KeyboardInterrupt:
        try:
            detach(attached.process.pid)
        except AttachRefused as error:  # it ended at this moment
            print_message(str(error))
    return combine_with_others(session)


def combine_with_others(session: Session) -> int:
    """Combine a session and all others of its data file, and give the exit status.

    Without the others, the data of processes that were attached one by one would replace each other.
    """
    from covsup.supervisor.commands import combine  # imports the libraries that a result needs

    settings = session.settings
    words = ["combine", f"--data-file={settings.data_file}", f"--directory={settings.cwd}"]
    if settings.rcfile:
        words.append("--rcfile=" if settings.rcfile == "false" else f"--rcfile={settings.rcfile}")
    return combine.run(words)


def _wait(pid: int) -> None:
    pidfd = linux.open_pidfd(pid)
    if pidfd is None:
        while memory_of(pid) is not None:
            time.sleep(_POLL_SECONDS)
        return
    try:
        select.select([pidfd], [], [])
    finally:
        os.close(pidfd)
