"""What a program that knows about coverage may call itself.

A program needs none of this to be measured: nothing has to be saved, started or ended. It is for
those who want a say in it.

Everything here is harmless in a process that covsup does not measure: it then does nothing, and
loads nothing. It may be called twice, in a signal handler, and after a fork. It imports only what
Python has imported at its start.
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
    "pause",
    "resume",
    "snapshot",
    "switch_context",
    "why_not",
]

_SIGTERM = 15

_why_not = ""
_noted_refusals: set[tuple[int, str]] = set()  # of which process, and which session it did not join

_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # of co_flags


def active() -> bool:
    """Whether covsup measures this process."""
    return _tracer() is not None


def init() -> bool:
    """Begin to measure this process, if it belongs to a session and is not measured yet.

    That is so where the startup files were skipped (`python -S`, an embedding program), or where
    COVSUP_SESSION was set later. What runs or waits already is measured from now on.
    Returns whether the process is measured now, into the session that COVSUP_SESSION names. If
    not, why_not() says why: a process that is measured cannot change to another session.
    """
    global _why_not  # noqa: PLW0603 - what the last call found
    wanted = os.environ.get("COVSUP_SESSION", "")
    if wanted and not active():
        from covsup import bootstrap  # noqa: PLC0415 - a measured process has it already

        bootstrap.start()
        tracer = _tracer()
        if tracer is not None:
            tracer.join(sys._getframe(1))  # noqa: SLF001 - as in resume()
    _why_not = _refusal(wanted)
    return not _why_not


def why_not() -> str:
    """Why the last init() returned False, in a sentence; empty if it returned True."""
    return _why_not


def _refusal(wanted: str) -> str:
    """Why this process is not measured into the session `wanted`; empty if it is."""
    tracer = _tracer()
    if tracer is None:
        if not wanted:
            return "COVSUP_SESSION is not set, so this process belongs to no session"
        from covsup import bootstrap  # noqa: PLC0415 - init() has imported it

        why = bootstrap.why_not or "a measurement that was tried before did not begin"
        return f"this process did not join the session {wanted}: {why}"
    session = tracer.session_directory()
    if not wanted or session is None or _is_same_directory(wanted, session):
        return ""
    why = f"it is measured into the session {session} already, and cannot change to another one"
    if (os.getpid(), wanted) not in _noted_refusals:
        _noted_refusals.add((os.getpid(), wanted))
        from covsup import bootstrap  # noqa: PLC0415 - a measured process has it

        bootstrap.note_refusal(wanted, why)
    return f"this process did not join the session {wanted}: {why}"


def _is_same_directory(one: str, other: str) -> bool:
    """Whether two spellings mean one directory, which may have been deleted."""
    try:
        return one == other or os.path.samefile(one, other)  # noqa: PTH121 - no pathlib here
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def cleanup() -> None:
    """Say in the journal that the program is about to end. Nothing has to be saved."""
    tracer = _tracer()
    if tracer is not None:
        tracer.note(b"cleanup() was called")


def cleanup_on_sigterm() -> None:
    """Have it recorded when SIGTERM ends this process. SIGTERM does what it would have done."""
    cleanup_on_signal(_SIGTERM)


def cleanup_on_signal(signum: int) -> None:
    """Have it recorded when the signal ends this process, or comes to a handler of the program's.

    The signal does what it would have done: the handler that there is is called, an ignored one
    stays ignored, and where there is none the same signal kills the process. No handler of Python's
    is installed: `signal.getsignal()` shows what it showed. A handler that the program installs
    later replaces this.
    """
    tracer = _tracer()
    if tracer is not None:
        tracer.record_signal(int(signum))


def flush_events() -> bool:
    """Have the system write what is recorded to the disk now, and wait for it.

    Everything is safe from the end of the process in any case; this is for the end of the machine.
    Returns whether it was done.
    """
    tracer = _tracer()
    return tracer is not None and bool(tracer.flush())


def pause() -> None:
    """Record nothing in this process, in no thread of it, until resume() was called as often.

    A child that is forked meanwhile is paused, too; programs that are started are not.
    """
    tracer = _tracer()
    if tracer is not None:
        tracer.pause()


def resume() -> None:
    """Undo one pause(). Whatever runs then is measured on, functions entered meanwhile included."""
    tracer = _tracer()
    if tracer is not None:
        tracer.resume(sys._getframe(1))  # noqa: SLF001 - inspect's function imports inspect


def snapshot(path: "str | os.PathLike[str]") -> bool:
    """Write what the session has recorded so far, in all of its processes, to a data file.

    It is coverage.py's format; an existing file is replaced. `covsup combine --keep` does it, in a
    process that is no part of the session; it takes some tenths of a second. Returns whether the
    file was written; if not, the journal says why.
    """
    tracer = _tracer()
    if tracer is None:
        return False
    try:
        target = os.path.abspath(os.fspath(path))  # noqa: PTH100 - pathlib is not imported here
        status = _combine(target, os.environ["COVSUP_SESSION"])
        why = f"status {status}" if status else ""
    except (OSError, KeyError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
    if why:
        tracer.note(f"no snapshot in {path!s}: {why}".encode("utf-8", "replace"))
    return not why


def switch_context(label: str | None) -> None:
    """From now on, what the current thread, greenlet or task executes is recorded under `label`.

    It holds until it is switched again; None or an empty text ends it. Labels of `context()` and
    of the settings that are there stay, and are joined with it by "|".
    """
    if label is not None and not isinstance(label, str):
        raise TypeError(f"a context's label is a str, not {type(label).__name__}")
    tracer = _context_tracer()
    if tracer is not None:
        tracer.switch_context(label or None)


def enter_test(label: str) -> object:
    """A test begins: for the plugin of a test runner. What leave_test() wants.

    The current flow is recorded under `label`, and so is every flow of the process that belongs to
    no other test that still runs: a server that an earlier test started, too.
    """
    tracer = _context_tracer()
    return None if tracer is None else tracer.enter_test(label)


def leave_test(entered: object) -> None:
    """The test has ended."""
    tracer = None if entered is None else _context_tracer()
    if tracer is not None:
        tracer.leave_test(entered)


class context:  # noqa: N801 - used like a function
    """What is executed inside is recorded under `label`: a context manager and a decorator.

    Contexts nest; the labels are joined by "|", the outermost first. Threads, greenlets, tasks and
    processes that are started inside belong to it.
    """

    def __init__(self, label: str) -> None:
        """Nothing happens before it is entered."""
        if not isinstance(label, str):
            raise TypeError(f"a context's label is a str, not {type(label).__name__}")
        self._label = label
        self._entered: list[object] = []

    def __enter__(self) -> "context":
        """Begin."""
        tracer = _context_tracer()
        self._entered.append(None if tracer is None else tracer.enter_context(self._label))
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End, in the flow that this is called in."""
        token = self._entered.pop()
        tracer = None if token is None else _context_tracer()
        if tracer is not None:
            tracer.leave_context(token)

    def __call__(self, function: "Callable[P, R]") -> "Callable[P, R]":
        """Decorate a function, generator function, or async function: each call is inside."""
        label = self._label
        made: Any
        flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
        if flags & _COROUTINE:
            made = _coroutine(label, function)
        elif flags & _ASYNC_GENERATOR:
            made = _async_generator(label, function)
        elif flags & _GENERATOR:
            made = _generator(label, function)
        else:

            def made(*args: "P.args", **kwargs: "P.kwargs") -> "R":
                with context(label):
                    return function(*args, **kwargs)

        for name in ("__module__", "__name__", "__qualname__", "__doc__", "__dict__"):
            if name == "__dict__":
                made.__dict__.update(getattr(function, name, {}))
            elif hasattr(function, name):
                setattr(made, name, getattr(function, name))
        made.__wrapped__ = function
        decorated: Callable[P, R] = made
        return decorated


def _combine(data_file: str, session: str) -> int:
    from covsup import bootstrap  # noqa: PLC0415 - a measured process has it already

    settings = bootstrap.read_settings(session)
    rcfile = settings.get("rcfile", [""])[-1]
    command = [
        sys.executable, "-P", "-m", "covsup", "combine", "--keep", "--quiet",
        f"--data-file={data_file}",
        f"--directory={settings.get('cwd', ['.'])[-1]}",
    ]  # fmt: skip
    if rcfile:
        command.append("--rcfile=" if rcfile == "false" else f"--rcfile={rcfile}")
    # Off: an empty one is left as it is by whatever puts the session into environments.
    environment = {**os.environ, "COVSUP_SESSION": ""}
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_DUP2, 1, 2)
    pid = os.posix_spawn(
        sys.executable, [*command, "--", session], environment, file_actions=null
    )  # fmt: skip
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        # Somebody else waits for all children, or nobody has to: then the file alone can tell.
        return 0 if os.path.exists(data_file) else 1  # noqa: PTH110 - as above


def _coroutine(label: str, function: "Callable[..., Any]") -> "Callable[..., Any]":
    async def made(*args: object, **kwargs: object) -> object:
        with context(label):
            return await function(*args, **kwargs)

    return made


def _generator(label: str, function: "Callable[..., Any]") -> "Callable[..., Any]":
    def made(*args: object, **kwargs: object) -> "Any":
        flow = function(*args, **kwargs)
        step: Any = flow.send
        value: Any = None
        while True:
            with context(label):  # around each step: what happens between them is not inside
                try:
                    item = step(value)
                except StopIteration as end:
                    return end.value
            try:
                value = yield item
                step = flow.send
            except GeneratorExit:
                with context(label):
                    flow.close()
                raise
            except BaseException as error:  # noqa: BLE001 - the generator's own affair
                value, step = error, flow.throw

    return made


def _async_generator(label: str, function: "Callable[..., Any]") -> "Callable[..., Any]":
    async def made(*args: object, **kwargs: object) -> "Any":
        flow = function(*args, **kwargs)
        step: Any = flow.asend
        value: Any = None
        while True:
            with context(label):
                try:
                    item = await step(value)
                except StopAsyncIteration:
                    return
            try:
                value = yield item
                step = flow.asend
            except GeneratorExit:
                with context(label):
                    await flow.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - the generator's own affair
                value, step = error, flow.athrow

    return made


def _tracer() -> "Any":
    """The C module of a process that is measured. Never loads it."""
    tracer: ModuleType | None = sys.modules.get("covsup.tracer_c._tracer")
    return tracer if tracer is not None and tracer.parent_value() else None


def _context_tracer() -> "Any":
    """The same, where it knows of contexts."""
    tracer = _tracer()
    return tracer if hasattr(tracer, "switch_context") else None
