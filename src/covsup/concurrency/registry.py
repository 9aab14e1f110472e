"""The concurrency libraries that covsup knows, and what it does when one of them is imported.

No library needs a patch; LIBRARIES says why. A process only records which of them it uses. A few
modules written in C change who runs or traces Python code, and the settrace core adapts to those.

Every measured process loads this file at its start, so it imports nothing that Python has not
imported by then. bootstrap.py loads it by its path, after the tracer.
"""

import sys

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from covsup.tracer_c import _tracer
else:
    # Tests read the tables in a process that is not measured, which has no tracer.
    _tracer = sys.modules.get("covsup.tracer_c._tracer")

LIBRARIES = {
    # Children start by os.fork(), by _posixsubprocess.fork_exec(), or from a fork server that was
    # started in one of these ways. They end by os._exit() or a signal. The patches of process.py
    # see all of that, and recorded lines need no clean end.
    "multiprocessing": ("multiprocessing", "billiard", "loky"),
    # A recorded line belongs to its code object (monitoring core) or its frame (settrace core), so
    # a switch cannot mix up two greenlets. gevent.os and gevent.subprocess fork by the patched
    # os.fork(), before and after monkey.patch_all(). The thread pool starts threads by _thread.
    "gevent": ("gevent",),
    # As for gevent. eventlet.green.os and eventlet.green.subprocess call the patched functions, and
    # eventlet.tpool starts its threads by the original threading module.
    "eventlet": ("eventlet",),
    # A switch exchanges the frames of a thread. The monitoring core does not look at the stack, and
    # the settrace core keeps its state by frame.
    "greenlet": ("greenlet",),
    # Tasks are coroutines, whose frames the cores see as any others. to_thread() and executors
    # start threads and processes, which the patches of process.py see.
    "asyncio": ("asyncio",),
}
"""For each library that `--concurrency` may name, the modules whose import shows that it is used."""

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
"""Modules that can run Python code in threads which C code creates.

The settrace core finds such threads by evaluating every frame (tracer_c/settrace). Calls are slower
then, so it does that only beside one of these.
"""

C_TRACER_MODULES = ("line_profiler._line_profiler", "hunter._tracer")
"""Modules that install trace functions in C. The settrace core finds these in the same way."""

COVERAGE_TRACER = "coverage.tracer"
"""coverage.py's C tracer, which a program may use on itself."""

GREENLET = "greenlet._greenlet"
"""greenlet's C module. The package may be imported lazily; this module comes when it is used."""

_recorded: set[str] = set()


def install(concurrency: "Iterable[str]") -> "list[str]":
    """Patch what process.py lists, and watch for the imports of the libraries in `concurrency`.

    `auto` stands for all libraries; the patches do not depend on it. Returns what could not be
    patched, as "module.function: why". A second call in an interpreter changes nothing.
    """
    unpatched = [
        *_tracer.patch_fork(),
        *_tracer.patch_exec(),
        *_tracer.patch_spawn(),
        *_tracer.patch_wait(),
        *_tracer.patch_exit(),
        *_tracer.patch_threads(),
    ]
    names = {*FOREIGN_THREAD_MODULES, *C_TRACER_MODULES, COVERAGE_TRACER, GREENLET}
    for library, modules in LIBRARIES.items():
        if "auto" in concurrency or library in concurrency:
            names.update(modules)
    return [*unpatched, *_tracer.watch_imports(on_import, names)]


def after_settrace_start(*, untraced: bool) -> None:
    """Do what needs a running settrace core.

    `untraced`: frames that have nothing left to record get no events (3.11), unless a module is
    there that needs the events of all frames.
    """
    if untraced and {GREENLET, *C_TRACER_MODULES}.isdisjoint(sys.modules):
        _tracer.start_untraced()
    for name in {*FOREIGN_THREAD_MODULES, *C_TRACER_MODULES} & sys.modules.keys():
        on_import(name)


def on_import(name: str) -> None:
    """React to the first import of the module `name`, one of those that install() watches for."""
    if name in FOREIGN_THREAD_MODULES:
        _watch_foreign_threads(b"threads that C code creates are")
    elif name in C_TRACER_MODULES:
        _tracer.stop_untraced()
        _watch_foreign_threads(b"what C code traces is")
    elif name == GREENLET:
        # The frames of a suspended greenlet are out of reach, so none may be without events.
        _tracer.stop_untraced()
        _note_unpatched(_tracer.patch_greenlet())
    elif name == COVERAGE_TRACER:
        _note_unpatched(_tracer.patch_c_tracer(namespace_of(sys.modules[name])["CTracer"]))
    else:
        record_library(name, sys.modules[name])


def _watch_foreign_threads(subject: bytes) -> None:
    if not _tracer.watch_foreign_threads():
        _tracer.note(
            subject + b" not measured: another tool evaluates the frames of this interpreter"
        )


def _note_unpatched(unpatched: "list[str]") -> None:
    for each in unpatched:
        _tracer.note(f"not patched: {each}".encode())


def namespace_of(module: object) -> "dict[str, Any]":
    """The variables of a module; empty if `module` is not one.

    Reads no attribute, not even `__class__`: that may run code of the program, or load a lazy
    module.
    """
    return _module_dict(module) if issubclass(type(module), type(sys)) else {}


_module_dict: "Any" = vars(type(sys))["__dict__"].__get__


def record_library(name: str, module: object) -> None:
    """Record in the journal, once, that a library is in use: its name and its version.

    A module of the standard library has Python's version.
    """
    if name in _recorded:
        return
    _recorded.add(name)
    version = namespace_of(module).get("__version__")
    if not issubclass(type(version), str):
        version = sys.version.split(maxsplit=1)[0] if name in sys.stdlib_module_names else ""
    _tracer.record_library(f"{name}\0{version}".encode("utf-8", "replace"))
