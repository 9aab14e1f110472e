"""Lets a process that runs already join a session, and leave it: `covsup attach`, `covsup detach`.

Runs in that process, in its main thread, in the middle of what the program is doing. The request
came through sys.remote_exec(). Nothing is printed and nothing is raised: a file holds the answer.
"""

import os
import sys
import time

from covsup import bootstrap

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType
    from typing import Any

    Request = dict[str, Any]
    Answer = list[tuple[str, str]]

_VARIABLES = ("COVSUP_SESSION", "COVSUP_PARENT", "COVSUP_CONTEXT")
_PRELOAD = "LD_PRELOAD"

_paused_session = ""
"""The session that this process left without being able to become as it was: it records nothing."""

_variables_before: "dict[str, str | None]" = {}
"""What os.environ had before the process was attached, of the names that attaching changes."""


def act(
    request: "Request",
    frame: "FrameType",
    blocked: "list[int]",
    interrupted: "BaseException | None",
) -> object:
    """Do what a request asks for, and write the answer. Signals stay blocked while the result lives.

    `frame` is the one that the program is executing, `blocked` the signals that it blocks.
    `interrupted` is an exception of one of its signal handlers, for the program.
    """
    if os.getpid() != request["pid"]:
        return None  # a fork copied the request
    try:
        os.unlink(f"{request['path']}.token")
    except OSError:
        return None  # covsup has given up
    held: object = None
    answer: Answer
    tracer: Any = None
    try:
        tracer = bootstrap.load_by_path(*bootstrap.MEASURING_MODULES[0])
        held = tracer.hold_signals(blocked)
        if interrupted is not None:
            tracer.raise_afterwards(held, interrupted)
        answer = attach(request, frame, tracer) if request["wish"] == "attach" else detach(tracer)
    except BaseException as error:  # noqa: BLE001 - the program must run on
        answer = [("state", "failed"), ("why", f"{type(error).__name__}: {error}")]
        if held is not None and not isinstance(error, Exception):
            # A signal handler of the program raised it. Another thread received the signal.
            tracer.raise_afterwards(held, error)
    write_answer(request["path"], answer)
    return held


def attach(request: "Request", frame: "FrameType", tracer: "Any") -> "Answer":
    """Measure this process from now on."""
    global _paused_session
    if tracer.parent_value() and _paused_session:
        session, _paused_session = _paused_session, ""
        set_variables(request["carrier"])
        tracer.propagate_session(session)
        tracer.resume(frame)
        return [("state", "resumed"), ("session", session), *facts()]
    if tracer.parent_value():
        return [("state", "measured"), ("session", tracer.session_directory() or "")]
    set_variables(request["carrier"])
    try:
        bootstrap.measure(request["session"])
    except BaseException:
        tracer.detach()  # what has been done until then
        restore_variables()
        raise
    tracer.property("attached", b"1")
    tracer.join(frame)
    return [("state", "attached"), ("session", request["session"]), *facts()]


def detach(tracer: "Any") -> "Answer":
    """Let this process leave its session."""
    global _paused_session  # noqa: PLW0603 - see attach()
    session = tracer.session_directory() if tracer.parent_value() else None
    if session is None or _paused_session:
        return [("state", "unmeasured")]
    done = tracer.detach()
    if not done:
        tracer.pause()
        tracer.stop_propagating()
        _paused_session = session
    restore_variables()
    for name in _VARIABLES:
        if os.environ.get("COVSUP_SESSION", session) == session:
            os.environ.pop(name, None)
    if done:
        sys.modules["covsup.concurrency.registry"].__dict__["_recorded"].clear()
    return [("state", "detached" if done else "paused"), ("session", session), *facts()]


def set_variables(carrier: str) -> None:
    """Make room in the environment for the session, and preload the carrier if there is one."""
    for name in _VARIABLES:
        _variables_before[name] = os.environ.pop(name, None)
        os.unsetenv(name)
    if carrier:
        before = os.environ.get(_PRELOAD)
        _variables_before[_PRELOAD] = before
        os.environ[_PRELOAD] = f"{before}:{carrier}" if before else carrier


def restore_variables() -> None:
    """Give os.environ what it had before set_variables()."""
    for name, value in _variables_before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _variables_before.clear()


def facts() -> "Answer":
    """What covsup has to know of this process: the time, and whether its Pythons start covsup."""
    starts = any(os.path.exists(f"{entry}/covsup.pth") for entry in sys.path)
    return [("time_ns", str(time.time_ns())), ("startup_file", "1" if starts else "0")]


def write_answer(path: str, answer: "Iterable[tuple[str, str]]") -> None:
    """Write the answer beside the request, whole or not at all."""
    from covsup.pairs import encode_pairs

    try:
        descriptor = os.open(
            f"{path}.answer~", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644
        )
        try:
            os.write(descriptor, encode_pairs(answer).encode("utf-8", "surrogateescape"))
        finally:
            os.close(descriptor)
        os.rename(f"{path}.answer~", f"{path}.answer")
    except OSError:
        return  # the directory is gone, or the disk is full: covsup reports that no answer came
