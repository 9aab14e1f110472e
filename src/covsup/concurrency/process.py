"""The builtin functions that covsup patches in every measured process, and why.

The patches are made in C (tracer_c/process): each function stays the object that it is and runs
covsup's code first, so no Python frame is added. registry.install() makes them all, whatever
`--concurrency` names. No measured process imports this table; the tests hold the patches and
docs/concurrency.md to it.
"""


class Patch:
    """One function that behaves differently than without covsup, and why."""

    __slots__ = ("function", "module", "why")

    def __init__(self, module: str, function: str, *, why: str) -> None:
        """`module` is the one that defines the function."""
        self.module = module
        self.function = function
        self.why = why


FORK = tuple(  # also os.register_at_fork(): every child has a journal of its own from its start
    Patch("posix", function, why="root makes a directory for the journals of the user it becomes")
    for function in ("setuid", "seteuid", "setreuid", "setresuid")
)

EXEC = (  # the new program continues the session, as the next generation of the process
    Patch("posix", "execv", why="records the exec; keeps the session in a scrubbed os.environ"),
    Patch("posix", "execve", why="records the exec; adds the session to the given environment"),
)

SPAWN = (  # a started program belongs to the session, whatever environment it gets
    Patch("_posixsubprocess", "fork_exec", why="subprocess, multiprocessing: environment, pid"),
    Patch("posix", "posix_spawn", why="environment, child's pid"),
    Patch("posix", "posix_spawnp", why="environment, child's pid"),
    Patch("posix", "system", why="keeps the session in a scrubbed os.environ"),
)

WAIT = tuple(  # the parent that waits for a child knows how it ended
    Patch("posix", function, why="records the pid and the status that it returns")
    for function in ("wait", "waitpid", "wait3", "wait4", "waitid")
)

EXIT = (  # also the C library's atexit(), for a process that ends by exit()
    Patch("posix", "_exit", why="records the end of the process and its status"),
)

THREAD = (  # every thread is measured from its first line
    *(
        Patch("_thread", function, why="counts threads; starts the settrace core in a new one")
        for function in ("start_new_thread", "start_new", "start_joinable_thread")
    ),
    *(
        Patch(module, function, why="passes a function to another interpreter without our data")
        for module, function in (
            ("_interpreters", "call"),
            ("_interpreters", "exec"),
            ("_interpreters", "set___main___attrs"),
            ("_interpqueues", "put"),
            ("_interpchannels", "send"),
        )
    ),
)

ADAPTERS = {
    "fork": FORK,
    "exec": EXEC,
    "spawn": SPAWN,
    "wait": WAIT,
    "exit": EXIT,
    "thread": THREAD,
}
"""The patches by the name of what they measure."""
