"""What a process can see of itself, as one line of JSON; copied beside the programs that use it.

`import portrait` comes first in a program, `portrait.show("name")` prints. What differs between any
two runs (addresses, process ids, times) is left out or said in relation to something else.
"""

# ruff: noqa: E402 - what is there already is looked at before anything is imported
import sys

MODULES = [name for name in sys.modules if name.partition(".")[0] != "covsup"]
IMPORTERS = sorted(name for name in sys.path_importer_cache if "/covsup" not in name)
MONITORED = sys.monitoring._all_events() if hasattr(sys, "monitoring") else None
TRACERS = (sys.gettrace(), sys.getprofile())

import _thread
import atexit
import builtins
import faulthandler
import fcntl
import gc
import json
import locale
import os
import posix
import re
import resource
import signal
import stat
import threading
import warnings

ADDRESS = re.compile(r"0x[0-9a-f]+")
# By the name's end: the random name of a semaphore, /dev/shm/sem.sokIHQ, has ".so" in it too.
LIBRARY = re.compile(r"/[^/]+\.so(?:\.[0-9]+)*$")
OURS = ("COVSUP_", "LD_PRELOAD", "COVERAGE_RUN")
# Lines of /proc/self/status that tell of nothing that two runs have to share.
STATUS = re.compile(
    r"^(?:Umask|Uid|Gid|Groups|NoNewPrivs|Seccomp|Sig(?:Pnd|Blk|Ign|Cgt)|ShdPnd|Cap\w+"
    r"|FDSize|TracerPid|CoreDumping|THP_enabled|Cpus_allowed):.*",
    re.MULTILINE,
)


def plain(value: object) -> str:
    """The value's text without addresses."""
    return ADDRESS.sub("0x", repr(value))


def descriptors() -> "dict[str, object]":
    """Each open descriptor: what it is, its flags."""
    found: dict[str, object] = {}
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            about = os.fstat(int(name))
        except OSError:
            continue  # the listing's own
        flags = [fcntl.fcntl(int(name), each) for each in (fcntl.F_GETFD, fcntl.F_GETFL)]
        found[name] = [stat.S_IFMT(about.st_mode), os.isatty(int(name)), *flags]
    return found


def mapped() -> "list[str]":
    """The libraries that are mapped into memory, less covsup's."""
    with open("/proc/self/maps") as file:
        lines = [line.split(maxsplit=5)[5:] for line in file]
    names = {"".join(name).strip() for name in lines}
    return sorted(name for name in names if LIBRARY.search(name) and "/covsup/" not in name)


def text_of(path: str) -> str:
    """Return the text of a file of /proc."""
    with open(path) as file:
        return file.read()


def frames() -> int:
    """How many frames are below that of whoever asks for the portrait."""
    frame, count = sys._getframe(2), 0
    while frame := frame.f_back:
        count += 1
    return count


def portrait(name: str) -> "dict[str, object]":
    """All of it."""
    main = sys.modules["__main__"]
    terminal = os.isatty(0)
    parent = os.getppid()
    return {
        "modules": MODULES,
        "importers": IMPORTERS,
        "monitored": MONITORED,
        "tracers": plain(TRACERS),
        "argv": [sys.argv, sys.orig_argv],
        "main": {
            name: plain(value) if name.startswith("__") else None
            for name, value in vars(main).items()
        },
        "main's type": plain(type(main)),
        "path": sys.path,
        "flags": repr(sys.flags),
        "options": [sys._xoptions, sys.warnoptions],
        "prefixes": [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.executable],
        "sys": sorted(vars(sys)),
        "os": sorted(vars(os)),
        "builtins": sorted(vars(builtins)),
        "meta path": plain(sys.meta_path),
        "path hooks": plain(sys.path_hooks),
        "hooks": plain([sys.excepthook, sys.displayhook, sys.breakpointhook, sys.unraisablehook]),
        "async hooks": plain(sys.get_asyncgen_hooks()),
        "thread hooks": plain([threading.excepthook, threading.gettrace(), threading.getprofile()])
        if hasattr(threading, "gettrace")
        else plain(threading.excepthook),
        "tools": [sys.monitoring.get_tool(tool) for tool in range(6)]
        if hasattr(sys, "monitoring")
        else None,
        "streams": [
            [each.name, each.encoding, each.errors, each.line_buffering, each.isatty()]
            for each in (sys.stdin, sys.stdout, sys.stderr)
            if each is not None
        ],
        "encodings": [sys.getfilesystemencoding(), locale.setlocale(locale.LC_CTYPE)],
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), gc.get_debug()],
        "gc's callbacks": plain(gc.callbacks),
        "exits": atexit._ncallbacks(),
        "faulthandler": faulthandler.is_enabled(),
        "warnings": plain(warnings.filters),
        "limits of Python": [
            sys.getrecursionlimit(),
            sys.getswitchinterval(),
            sys.get_int_max_str_digits(),
            threading.stack_size(),
        ],
        "frames": frames(),
        "threads": [each.name for each in threading.enumerate()] + [_thread._count()],
        # A thread that has ended lives on for a moment.
        "tasks": len(os.listdir("/proc/self/task")) if name == "main" else None,
        "current frames": len(sys._current_frames()),
        "find and load": plain(sys.modules["_frozen_importlib"]._find_and_load.__code__),
        "signals": {int(each): plain(signal.getsignal(each)) for each in signal.valid_signals()},
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "pending": sorted(signal.sigpending()),
        "timers": [signal.getitimer(each) for each in (signal.ITIMER_REAL, signal.ITIMER_PROF)],
        "wakeup": signal.set_wakeup_fd(-1)
        if threading.current_thread() is threading.main_thread()
        else None,
        "status": STATUS.findall(text_of("/proc/self/status")),
        "descriptors": descriptors(),
        "mapped": mapped(),
        "cwd": os.getcwd(),
        "umask": [os.umask(0o22), os.umask(0o22)][0],
        "limits": {
            name: resource.getrlimit(getattr(resource, name))
            for name in dir(resource)
            if name.startswith("RLIMIT_")
        },
        "priority": [os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)],
        "processors": sorted(os.sched_getaffinity(0)),
        "users": [posix.getresuid(), posix.getresgid(), posix.getgroups()],
        "group of the parent's": os.getpgrp() == os.getpgid(parent) if parent else None,
        "session of the parent's": os.getsid(0) == os.getsid(parent) if parent else None,
        "terminal": [os.tcgetpgrp(0) == os.getpgrp()] if terminal else None,
        "environment": {
            name: value for name, value in sorted(os.environ.items()) if not name.startswith(OURS)
        },
        "environment of the kernel": sorted(
            word for word in text_of("/proc/self/environ").split("\0") if not word.startswith(OURS)
        ),
    }


def show(name: str) -> None:
    """Print it, as one line."""
    text = json.dumps({"portrait": name, **portrait(name)}, default=plain)
    os.write(1, f"{text}\n".encode())
