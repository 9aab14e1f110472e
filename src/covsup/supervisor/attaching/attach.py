"""Attach a running process to a session of its own, and let it leave that session again."""

from __future__ import annotations

import os

from covsup.carrier.preload_library import PACKAGE
from covsup.datafile.errors import CovsupError
from covsup.datafile.session import directory as sessions
from covsup.datafile.session.places import tidy_sessions_directory
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.attaching.refused import AttachRefused
from covsup.supervisor.attaching.request import Request
from covsup.supervisor.attaching.running_python import running_python
from covsup.supervisor.messages import local_time, print_message
from covsup.supervisor.sessions.create import check_data_file, required_carrier, start_session
from covsup.supervisor.settings.resolved_settings import resolve_run_settings
from covsup.supervisor.watching.still_running import ProcessSnapshot, supervisor_runs

if TYPE_CHECKING:
    import argparse
    from pathlib import Path
    from typing import Final

    from covsup.datafile.session.attach_answers import AttachAnswer
    from covsup.datafile.session.directory import Session
    from covsup.supervisor.attaching.running_python import RunningPython

COMMAND: Final = ("covsup", "attach")
"""How the command of an attached process's session begins."""


class Attached(NamedTuple):
    """A process that is measured into a session of `covsup attach`."""

    process: RunningPython
    session: Path
    since: str  # local time
    is_new: bool  # this command attached it


class Detached(NamedTuple):
    """A process that has left its session."""

    process: RunningPython
    session: Session
    is_paused: bool  # it only records nothing more: covsup stays in it
    others: int  # processes that still run in the session


def attach(options: argparse.Namespace) -> Attached:
    """Attach the process `options.pid`, with the options of `covsup run`.

    Raises AttachRefused and other CovsupErrors; KeyboardInterrupt, if the user gave up.
    """
    process = running_python(options.pid)
    if process.session is not None:
        attached = _attached_before(process, process.session)
        if not _pause_mark(process.session, process).exists():
            return attached
        return _not_joined(process, Request(process, "attach", process.session).answer())
    settings = resolve_run_settings(options)
    check_data_file(settings)
    carrier = required_carrier() if settings.carrier else None
    for warning in settings.warnings:
        print_message(warning)
    session = start_session(settings, command=(*COMMAND, str(process.pid)), supervisor_pid=0)
    joined = False
    try:
        if process.uid != os.geteuid():
            sessions.grant_users(session, [process.uid])
        answer = Request(process, "attach", session.path, carrier=carrier).answer()
        joined = answer.state == "attached"
        if not joined:
            return _not_joined(process, answer)
    finally:
        if not joined:
            session.delete()
            tidy_sessions_directory(session.path.parent)
    # No process joins it by its environment alone, so `combine` may delete it once all have ended.
    sessions.close_session(session)
    if not answer.has_startup_file and carrier is None:
        print_message(
            f"the Python of process {process.name} does not start covsup: its forks are measured, but"
            " not the Python programs that it starts; install covsup there, or use --carrier"
        )
    return Attached(process, session.path, local_time(answer.time_ns), is_new=True)


def _attached_before(process: RunningPython, path: Path) -> Attached:
    """A process that is measured already. Raises AttachRefused if `attach` did not begin that."""
    where = f"process {process.name} is measured already, into session {path}"
    try:
        session = sessions.open_session(path)
    except CovsupError as error:
        raise AttachRefused(f"{where} ({error})") from error
    settings = session.settings
    if settings.command[:2] != COMMAND:
        by = f"`covsup run` (process {settings.supervisor_pid})"
        raise AttachRefused(f"{where}, by {by if settings.supervisor_pid else '`covsup env`'}")
    return Attached(process, path, local_time(settings.started_ns), is_new=False)


def _not_joined(process: RunningPython, answer: AttachAnswer) -> Attached:
    """What an answer means that is not "attached". Raises AttachRefused if it is a failure."""
    if answer.session is not None and answer.state == "resumed":
        _pause_mark(answer.session, process).unlink(missing_ok=True)
        return Attached(process, answer.session, local_time(answer.time_ns), is_new=True)
    if answer.session is not None and answer.state == "measured":
        return _attached_before(process, answer.session)
    version = f"{process.version[0]}.{process.version[1]}"
    if "no core for this Python" in answer.why:
        raise AttachRefused(
            f"process {process.name} runs Python {version}, and covsup has no extension for it, only"
            f" for {', '.join(_versions()) or 'none'}: install covsup for that Python"
        )
    raise AttachRefused(f"process {process.name} could not join: {answer.why or answer.state}")


def _versions() -> list[str]:
    """The versions of Python for which there is an extension beside this file."""
    found = (PACKAGE / "tracer_c").glob("_tracer.cpython-3*.so")
    numbers = {each.name.partition("cpython-3")[2].partition("-")[0] for each in found}
    return [f"3.{number}" for number in sorted(numbers, key=lambda each: (len(each), each))]


def detach(pid: int) -> Detached:
    """Let a process leave the session that it is measured in. Raises AttachRefused."""
    process = running_python(pid)
    if process.session is None:
        raise AttachRefused(f"process {process.name} is not measured")
    session = sessions.open_session(process.session)
    if supervisor_runs(session.settings, session.path):
        raise AttachRefused(
            f"process {process.name} is measured by `covsup run` (process"
            f" {session.settings.supervisor_pid}), which it cannot leave"
        )
    answer = Request(process, "detach", session.path).answer()
    if answer.state not in {"detached", "paused"}:
        raise AttachRefused(
            f"process {process.name} could not be detached: {answer.why or answer.state}"
        )
    if answer.state == "paused":
        _pause_mark(session.path, process).touch()
    return Detached(
        process, session, answer.state == "paused", others=_others(session, process.pid)
    )


def _pause_mark(session: Path, process: RunningPython) -> Path:
    """Shows that a process of the session records nothing until it is attached again."""
    return session / f"paused-{process.pid}"


def _others(session: Session, pid: int) -> int:
    """How many other processes may still record into a session."""
    journals = session.journals()
    snapshot = ProcessSnapshot([session.path], journals)
    running = {each.pid for each in journals if snapshot.is_mapped(each.image_id)}
    return len({*running, *snapshot.members.get(session.path, ())} - {pid})
