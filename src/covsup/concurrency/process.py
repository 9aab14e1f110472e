"""The adapters that every measured process needs: fork, exec, spawn, exit, wait and thread.

They stand in one file because each file that is imported at the start of every process costs it
0.1 ms. What they patch is done in C (tracer_c/hooks_*.c): a builtin function stays the object that
it is and runs our code first, so nothing here adds a Python frame.
"""

from covsup.tracer_c import _tracer


class Patch:
    """One function that behaves otherwise than without covsup, and why."""

    __slots__ = ("function", "module", "why")

    def __init__(self, module: str, function: str, *, why: str) -> None:
        """Not a dataclass: the import of dataclasses costs more than all of ours."""
        self.module = module
        self.function = function
        self.why = why


class ForkAdapter:
    """Every forked child has a journal of its own from its start."""

    name = "fork"
    wakes_on = ()
    patches = tuple(  # os.register_at_fork() is called, too: nothing is changed by it
        Patch("posix", function, why="root makes a place for the journals of the user it becomes")
        for function in ("setuid", "seteuid", "setreuid", "setresuid")
    )

    def arm(self) -> list[str]:
        """Patch, and register, once per interpreter, what runs first in a child."""
        return _tracer.patch_fork()


class ExecAdapter:
    """The program that replaces this one goes on in the same session, as its next generation."""

    name = "exec"
    wakes_on = ()
    patches = (
        Patch(
            "posix",
            "execv",
            why="tells of the exec; carries the session through a scrubbed os.environ",
        ),
        Patch(
            "posix",
            "execve",
            why="tells of the exec; carries the session into the given environment",
        ),
    )

    def arm(self) -> list[str]:
        """Patch, where the system has the function."""
        return _tracer.patch_exec()


class SpawnAdapter:
    """The programs that this one starts belong to the session, whatever environment they get."""

    name = "spawn"
    wakes_on = ()
    patches = (
        Patch(
            "_posixsubprocess",
            "fork_exec",
            why="subprocess, multiprocessing: environment, child's pid",
        ),
        Patch("posix", "posix_spawn", why="environment, child's pid"),
        Patch("posix", "posix_spawnp", why="environment, child's pid"),
        Patch("posix", "system", why="carries the session through a scrubbed os.environ"),
    )

    def arm(self) -> list[str]:
        """Patch, where the system has the function; _posixsubprocess when it is imported."""
        return _tracer.patch_spawn()


class WaitAdapter:
    """How a child ended is known from the parent that reaped it."""

    name = "wait"
    wakes_on = ()
    patches = tuple(
        Patch("posix", function, why="tells the pid and status that it returns")
        for function in ("wait", "waitpid", "wait3", "wait4", "waitid")
    )

    def arm(self) -> list[str]:
        """Patch, where the system has the function."""
        return _tracer.patch_wait()


class ExitAdapter:
    """How this process ended is known from itself, where it ends by exit() or _exit()."""

    name = "exit"
    wakes_on = ()
    patches = (Patch("posix", "_exit", why="tells of the end, and of its status"),)

    def arm(self) -> list[str]:
        """Patch, and ask the C library to call us at exit()."""
        return _tracer.patch_exit()


class ThreadAdapter:
    """Every thread is measured from its first line."""

    name = "thread"
    wakes_on = ()
    patches = tuple(
        Patch("_thread", function, why="counts threads; switches the settrace core on in a new one")
        for function in ("start_new_thread", "start_new", "start_joinable_thread")
    ) + tuple(
        Patch(module, function, why="a function is given to another interpreter without our data")
        for module, function in (
            ("_interpreters", "call"),
            ("_interpreters", "exec"),
            ("_interpreters", "set___main___attrs"),
            ("_interpqueues", "put"),
            ("_interpchannels", "send"),
        )
    )

    def arm(self) -> list[str]:
        """Patch; sys.monitoring sees new threads without our help."""
        return _tracer.patch_threads()


FOREIGN_THREAD_MODULES = (
    "_ctypes",
    "_cffi_backend",
    "_testcapi",
    "grpc._cython.cygrpc",
    "PyQt5.QtCore",
    "PyQt6.QtCore",
    "PySide2.QtCore",
    "PySide6.QtCore",
)
"""Modules that can run Python in threads which C code creates: the settrace core then looks for
them (foreign_threads.c), which makes calls slower, so it does not without one of these."""

C_TRACER_MODULES = ("line_profiler._line_profiler", "hunter._tracer")
"""Modules that install trace functions in C: the settrace core looks for these in the same way."""

ADAPTERS = (
    ForkAdapter(),
    ExecAdapter(),
    SpawnAdapter(),
    WaitAdapter(),
    ExitAdapter(),
    ThreadAdapter(),
)
