"""Which adapters there are, what wakes each, and the waking.

This module is imported at the start of every measured process, so it imports nothing that Python
has not imported by then (no dataclasses, no typing, no __future__), and an adapter for a library
is a module of its own that is loaded when its library is.
"""

import _frozen_importlib
import _frozen_importlib_external
import sys

from covsup.concurrency import process
from covsup.tracer_c import _tracer

TYPE_CHECKING = False  # typing's own would import typing
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType
    from typing import Any, Protocol

    class LibraryAdapter(Protocol):
        """Keeps measurement right under one library."""

        name: str
        wakes_on: tuple[str, ...]
        patches: tuple[process.Patch, ...]

        def arm(self, module: ModuleType, tell: Callable[[ModuleType], None]) -> None:
            """Called once `module`, of wakes_on, is there; a second call changes nothing.

            An adapter's file imports nothing, since the target may have an __import__ of its own:
            what it needs of ours it is given.
            """


LIBRARIES = {
    "multiprocessing": ("multiprocessing", "billiard", "loky"),
    "gevent": ("gevent",),
    "eventlet": ("eventlet",),
    "greenlet": ("greenlet",),
    "asyncio": ("asyncio",),
}
"""Per library adapter the modules whose import wakes it. The adapter is concurrency/<name>.py."""

NAMES = (*(adapter.name for adapter in process.ADAPTERS), *LIBRARIES)
"""What `--concurrency` may name, besides `auto`."""

COVERAGE_TRACER = "coverage.tracer"
"""The module of coverage.py's C tracer, which a target may use on itself."""

GREENLETS = "greenlet._greenlet"
"""The module in C that greenlets are of: the package may be lazy, this one is loaded with it."""

_adapters: "dict[str, LibraryAdapter]" = {}
_recorded: set[str] = set()


def arm(concurrency: "Iterable[str]") -> "list[str]":
    """Arm what belongs to every process, and let the named libraries' adapters wait for them.

    `auto` stands for every library. Returns what could not be patched, as "module.name: why". May
    be called again in the same interpreter.
    """
    wanted = set(concurrency)
    refused = []
    for adapter in process.ADAPTERS:
        refused += adapter.arm()
    triggers = {
        trigger
        for name, wakes_on in LIBRARIES.items()
        if "auto" in wanted or name in wanted
        for trigger in wakes_on
    }
    triggers.update(
        process.FOREIGN_THREAD_MODULES, process.C_TRACER_MODULES, (COVERAGE_TRACER, GREENLETS)
    )
    refused += _tracer.watch_imports(wake, triggers)
    return refused


def after_settrace_start(*, untraced: bool) -> None:
    """Do what has to wait until the settrace core runs.

    Where events come for all frames or for none (3.11), have none of frames that tell nothing, if
    `untraced`, but not beside what has to see all of them.
    """
    if untraced and {GREENLETS, *process.C_TRACER_MODULES}.isdisjoint(sys.modules):
        _tracer.start_untraced()
    for trigger in {
        *process.FOREIGN_THREAD_MODULES,
        *process.C_TRACER_MODULES,
    } & sys.modules.keys():
        wake(trigger)


def wake(trigger: str) -> None:
    """The module `trigger` has been imported: arm the adapter that waits for it."""
    makes_threads = trigger in process.FOREIGN_THREAD_MODULES
    if trigger in process.C_TRACER_MODULES:
        _tracer.stop_untraced()
    if makes_threads or trigger in process.C_TRACER_MODULES:
        what = b"threads that C code creates are" if makes_threads else b"what C code traces is"
        if not _tracer.watch_foreign_threads():
            _tracer.note(
                what + b" not measured: another tool evaluates the frames of this interpreter"
            )
    if trigger == GREENLETS:
        # A greenlet that is away keeps the state of its frames where nobody can change it.
        _tracer.stop_untraced()
        for refusal in _tracer.patch_greenlet():
            _tracer.note(f"not patched: {refusal}".encode())
    if trigger == COVERAGE_TRACER:
        for refusal in _tracer.patch_c_tracer(namespace_of(sys.modules[trigger])["CTracer"]):
            _tracer.note(f"not patched: {refusal}".encode())
    for name, wakes_on in LIBRARIES.items():
        if trigger in wakes_on:
            adapter_for(name).arm(sys.modules[trigger], lambda module: tell(trigger, module))


def namespace_of(module: object) -> "dict[str, Any]":
    """What a module holds; nothing where `module` is none.

    No attribute is asked for, not even the class: that may run code of the target's, or load a
    module that is lazy.
    """
    return _dict_of(module) if issubclass(type(module), type(sys)) else {}


_dict_of: "Any" = vars(type(sys))["__dict__"].__get__


def tell(name: str, module: object) -> None:
    """Tell the journal, once, that a library is in use: its name and its version.

    The version of a module of the standard library is Python's.
    """
    if name in _recorded:
        return
    _recorded.add(name)
    version = namespace_of(module).get("__version__")
    if not issubclass(type(version), str):
        version = sys.version.split(maxsplit=1)[0] if name in sys.stdlib_module_names else ""
    _tracer.library(f"{name}\0{version}".encode("utf-8", "replace"))


def adapter_for(name: str) -> "LibraryAdapter":
    """The library adapter of that name, loaded at the first call.

    It is loaded from beside this file and not by an import statement: the target's finders, its
    sys.path and its import hooks have no part in it.
    """
    if name not in _adapters:
        full_name = f"covsup.concurrency.{name}"
        path = f"{__file__.rpartition('/')[0]}/{name}.py"
        spec = _frozen_importlib_external.spec_from_file_location(full_name, path)
        load = vars(_frozen_importlib)["_load"]  # not in its public face
        _adapters[name] = load(spec).ADAPTER
    return _adapters[name]
