"""The API for programs that control their own measurement.

A program needs none of this to be measured: nothing has to be started, saved or ended.

In a process that covsup does not measure, these functions do nothing and load nothing. They may be
called twice, in a signal handler, and after a fork. This module imports only what Python has
imported at its start.
"""

import os
import sys

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = [
    "active",
    "cleanup",
    "cleanup_on_signal",
    "cleanup_on_sigterm",
    "context",
    "flush_events",
    "init",
    "mark",
    "pause",
    "resume",
    "snapshot",
    "switch_context",
    "why_not",
]

_SIGTERM = 15

_why_not = ""
_noted_refusals: "set[tuple[int, str]]" = set()  # a process id, and the session it did not join

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # of co_flags


def active() -> bool:
    """Whether covsup measures this process."""
    return _tracer() is not None


def init() -> bool:
    """Begin to measure this process if it belongs to a session and is not measured yet.

    The startup file may have been skipped (`python -S`, an embedding program), or COVSUP_SESSION may
    have been set later. Functions that are already running are measured from now on.

    Returns whether the process is now measured into the session that COVSUP_SESSION names. If not,
    why_not() gives the reason: a measured process cannot change to another session.
    """
    global _why_not  # noqa: PLW0603 - the result of the last call
    wanted = os.environ.get("COVSUP_SESSION", "")
    if wanted and not active():
        from covsup import bootstrap  # a measured process has it already

        bootstrap.start()
        tracer = _tracer()
        if tracer is not None and not bootstrap.why_not:
            tracer.join(sys._getframe(1))  # noqa: SLF001 - as in resume()
    _why_not = _refusal(wanted)
    return not _why_not


def why_not() -> str:
    """The reason, in a sentence, why the last init() returned False; empty if it returned True."""
    return _why_not


def _refusal(wanted: str) -> str:
    """The reason why this process is not measured into the session `wanted`; empty if it is."""
    tracer = _tracer()
    if tracer is None:
        if not wanted:
            return "COVSUP_SESSION is not set, so this process belongs to no session"
        from covsup import bootstrap  # init() has imported it

        why = bootstrap.why_not or "a measurement that was tried before did not begin"
        return f"this process did not join the session {wanted}: {why}"
    session = tracer.session_directory()
    if not wanted or session is None or _is_same_directory(wanted, session):
        return ""
    why = f"it is measured into the session {session} already, and cannot change to another one"
    if (os.getpid(), wanted) not in _noted_refusals:
        _noted_refusals.add((os.getpid(), wanted))
        _note_refusal(wanted, why)
    return f"this process did not join the session {wanted}: {why}"


def _note_refusal(session: str, why: str) -> None:
    """Leave a note in a session that this process does not join it; `covsup combine` shows it."""
    from covsup import bootstrap, notes

    try:
        directory, _ = bootstrap.open_session(session)
    except OSError:  # there is no such session, or it is not to be trusted
        return
    os.close(directory)
    notes.write_note(session, why, kind="refused")


def _is_same_directory(one: str, other: str) -> bool:
    """Whether two paths lead to the same directory, which may have been deleted."""
    try:
        return one == other or os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def cleanup() -> None:
    """Record that the program is about to end. Nothing has to be saved."""
    tracer = _tracer()
    if tracer is not None:
        tracer.note(b"cleanup() was called")


def cleanup_on_sigterm() -> None:
    """Record it if SIGTERM ends this process. SIGTERM keeps its effect."""
    cleanup_on_signal(_SIGTERM)


def cleanup_on_signal(signum: int) -> None:
    """Record it if the signal ends this process or reaches a handler of the program's.

    The signal keeps its effect: a handler is called, an ignored signal stays ignored, and otherwise
    the same signal kills the process. This installs no Python handler, so `signal.getsignal()` is
    unchanged. A handler that the program installs later replaces this.
    """
    tracer = _tracer()
    if tracer is not None:
        tracer.record_signal(int(signum))


def flush_events() -> bool:
    """Write the recorded data to the disk, and wait until that is done. Returns whether it was.

    The data survive the process without this call. The call protects them from a crash of the
    machine.
    """
    tracer = _tracer()
    return tracer is not None and bool(tracer.flush())


def pause() -> None:
    """Record nothing in any thread of this process until resume() has been called as often.

    A child forked in the meantime is paused, too. A program started in the meantime is not.
    """
    tracer = _tracer()
    if tracer is not None:
        tracer.pause()


def resume() -> None:
    """Undo one pause(). Functions that were entered during the pause are measured from now on."""
    tracer = _tracer()
    if tracer is not None:
        tracer.resume(sys._getframe(1))  # noqa: SLF001 - inspect's function imports inspect


def mark(name: str) -> bool:
    """Set a mark: name this moment of the session, to see later what is new since then.

    It costs a few system calls for each process of the session, and disturbs none of them. Returns
    whether the mark was set; if not, the reason is recorded in the journal. `covsup mark` does the
    same from outside.
    """
    if not isinstance(name, str):
        raise TypeError(f"a mark's name is a str, not {type(name).__name__}")
    tracer = _tracer()
    session = None if tracer is None else tracer.session_directory()
    if tracer is None or session is None:
        return False
    try:
        from covsup import mark_files  # rarely used

        layout = mark_files.JournalLayout(*tracer.journal_layout())
        mark_files.set_mark(session, name, layout, tracer.journal_tails)
    except (OSError, ValueError, ImportError) as error:
        why = f"no mark {name!r}: {type(error).__name__}: {error}"
        tracer.note(why.encode("utf-8", "backslashreplace"))
        return False
    return True


def snapshot(path: "str | os.PathLike[str]") -> bool:
    """Write a data file with what all processes of the session have recorded until now.

    The format is coverage.py's; an existing file is replaced. `covsup combine --keep` does it, in a
    process that is not measured, within some tenths of a second. Returns whether the file was
    written; if not, the reason is recorded in the journal.
    """
    tracer = _tracer()
    if tracer is None:
        return False
    try:
        target = os.path.abspath(os.fspath(path))
        # An attached process does not have the session in os.environ.
        status = _write_snapshot(target, tracer.session_directory() or "")
        why = f"status {status}" if status else ""
    except (OSError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
    if why:
        tracer.note(f"no snapshot in {path!s}: {why}".encode("utf-8", "replace"))
    return not why


def switch_context(label: str | None) -> None:
    """Record what the current thread, greenlet or task executes from now on under `label`.

    Another call replaces the label; None or an empty text removes it. The labels of `context()` and
    of the settings stay, and are joined with it by "|".
    """
    if label is not None and not isinstance(label, str):
        raise TypeError(f"a context's label is a str, not {type(label).__name__}")
    tracer = _tracer()
    if tracer is not None:
        tracer.switch_context(label or None)


def enter_test(label: str) -> object:
    """Begin a test, for the plugin of a test runner. Returns the argument for leave_test().

    The current thread, greenlet or task is recorded under `label`. So are all others of the process
    that belong to no other running test, such as a server that an earlier test has started.
    """
    tracer = _tracer()
    return None if tracer is None else tracer.enter_test(label)


def leave_test(entered: object) -> None:
    """End a test."""
    tracer = None if entered is None else _tracer()
    if tracer is not None:
        tracer.leave_test(entered)


class context:  # noqa: N801 - used like a function
    """A context manager and a decorator: code that runs inside is recorded under `label`.

    Contexts nest: the labels are joined by "|", the outermost first. Threads, greenlets, tasks and
    processes that are started inside belong to the context.
    """

    def __init__(self, label: str) -> None:
        """Only store the label: the context begins when it is entered."""
        if not isinstance(label, str):
            raise TypeError(f"a context's label is a str, not {type(label).__name__}")
        self._label = label
        self._entered: list[object] = []

    def __enter__(self) -> "context":
        """Begin the context."""
        tracer = _tracer()
        self._entered.append(None if tracer is None else tracer.enter_context(self._label))
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End the context in the current thread, greenlet or task."""
        token = self._entered.pop()
        tracer = None if token is None else _tracer()
        if tracer is not None:
            tracer.leave_context(token)

    def __call__(self, function: "Callable[P, R]") -> "Callable[P, R]":
        """Decorate a function, generator function or async function: each call runs inside."""
        label = self._label
        wrapper: Any
        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        if flags & _COROUTINE:
            wrapper = _coroutine(label, function)
        elif flags & _ASYNC_GENERATOR:
            wrapper = _async_generator(label, function)
        elif flags & _GENERATOR:
            wrapper = _generator(label, function)
        else:

            def wrapper(*args: "P.args", **kwargs: "P.kwargs") -> "R":
                with context(label):
                    return function(*args, **kwargs)

        for name in ("__module__", "__name__", "__qualname__", "__doc__", "__dict__"):
            if name == "__dict__":
                wrapper.__dict__.update(getattr(function, name, {}))
            elif hasattr(function, name):
                setattr(wrapper, name, getattr(function, name))
        wrapper.__wrapped__ = function
        decorated: Callable[P, R] = wrapper
        return decorated


def _write_snapshot(data_file: str, session: str) -> int:
    """Have `covsup combine --keep` write a data file, and return its exit status.

    Raises OSError, ValueError.
    """
    from covsup import bootstrap  # a measured process has it already

    settings = bootstrap.read_settings(session)
    rcfile = settings.get("rcfile", [""])[-1]
    command = [
        sys.executable, "-P", "-m", "covsup", "combine", "--keep", "--quiet",
        f"--data-file={data_file}",
        f"--directory={settings.get('cwd', ['.'])[-1]}",
    ]  # fmt: skip
    if rcfile:
        command.append("--rcfile=" if rcfile == "false" else f"--rcfile={rcfile}")
    # Empty means that the process is not measured. The patches leave an empty value as it is.
    environment = {**os.environ, "COVSUP_SESSION": ""}
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_DUP2, 1, 2)
    pid = os.posix_spawn(
        sys.executable, [*command, "--", session], environment, file_actions=null
    )  # fmt: skip
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        # The program waits for all children, or ignores SIGCHLD: only the file shows the outcome.
        return 0 if os.path.exists(data_file) else 1


def _coroutine(label: str, function: "Callable[..., Any]") -> "Callable[..., Any]":
    async def wrapper(*args: object, **kwargs: object) -> object:
        with context(label):
            return await function(*args, **kwargs)

    return wrapper


def _generator(label: str, function: "Callable[..., Any]") -> "Callable[..., Any]":
    def wrapper(*args: object, **kwargs: object) -> "Any":
        running = function(*args, **kwargs)
        step: Any = running.send
        value: Any = None
        while True:
            with context(label):  # around each step: the code between the steps is not inside
                try:
                    item = step(value)
                except StopIteration as end:
                    return end.value
            try:
                value = yield item
                step = running.send
            except GeneratorExit:
                with context(label):
                    running.close()
                raise
            except BaseException as error:  # noqa: BLE001 - the generator gets it
                value, step = error, running.throw

    return wrapper


def _async_generator(label: str, function: "Callable[..., Any]") -> "Callable[..., Any]":
    async def wrapper(*args: object, **kwargs: object) -> "Any":
        running = function(*args, **kwargs)
        step: Any = running.asend
        value: Any = None
        while True:
            with context(label):
                try:
                    item = await step(value)
                except StopAsyncIteration:
                    return
            try:
                value = yield item
                step = running.asend
            except GeneratorExit:
                with context(label):
                    await running.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - the generator gets it
                value, step = error, running.athrow

    return wrapper


def _tracer() -> "Any":
    """The C module if this process is measured. Never loads it."""
    tracer: ModuleType | None = sys.modules.get("covsup.tracer_c._tracer")
    return tracer if tracer is not None and tracer.parent_value() else None
