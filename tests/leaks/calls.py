"""Calls every function of both extensions many times, in a measured process, and counts what stays.

    COVSUP_SESSION=... python calls.py

Prints a line for each leak and for each function that has no entry here; nothing if all is well.
Its own file must not be measured (omit), or its lines are among what is counted.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import BuiltinFunctionType

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from typing import TYPE_CHECKING, NamedTuple

from covsup.datafile import _fold
from covsup.tracer_c import _tracer
from tests.leaks.counted import leaks

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

CALLS = 400
SLOW_CALLS = 20
"""Of what starts a thread or a process."""


class Call(NamedTuple):
    """One way to call a function; it may raise."""

    function: Callable[[], object]
    watched: tuple[object, ...] = ()
    calls: int = CALLS


def raising(error: type[Exception], function: Callable[..., object], *arguments: object) -> Call:
    """Call a function in a way that raises this error."""

    def call() -> None:
        try:
            function(*arguments)
        except error:
            return
        raise AssertionError(f"{function} did not raise {error.__name__}")

    return Call(call, arguments)


def plain(function: Callable[..., object], *arguments: object) -> Call:
    """Call a function so that it returns."""
    return Call(lambda: function(*arguments), arguments)


# A process, or an interpreter, calls these once, and what they make stays to its end. bootstrap.py
# has called them here. So only calls that fail are repeated.
ONCE = {
    "configure", "detach", "set_plugin_loader", "start_contexts", "start_monitoring",
    "start_settrace", "stop_propagating",
}  # fmt: skip

LABEL = "".join(["a ", "label"])  # not interned: one object, whose references can be counted
TEXT = "".join(["a ", "text"])
BYTES = b"".join([b"some ", b"bytes"])
SESSION = os.environ["COVSUP_SESSION"]
RULES = {
    name: [TEXT]
    for name in ("source_dirs", "source_pkgs", "include", "omit", "stdlib_dirs", "third_dirs",
                 "own_dirs")
}  # fmt: skip


def in_context() -> None:
    _tracer.leave_context(_tracer.enter_context(LABEL))


def in_contexts_left_in_another_order() -> None:
    outer = _tracer.enter_context(LABEL)
    inner = _tracer.enter_context(TEXT)
    _tracer.leave_context(outer)
    _tracer.leave_context(inner)


def in_test() -> None:
    _tracer.leave_test(_tracer.enter_test(LABEL))


def switched() -> None:
    _tracer.switch_context(LABEL)
    _tracer.switch_context(TEXT)
    _tracer.switch_context(None)


def paused() -> None:
    _tracer.pause()
    _tracer.resume(sys._getframe())


def held() -> None:
    _tracer.hold_signals([1, 2, 99999999])


def raised_afterwards() -> None:
    try:
        held = _tracer.hold_signals([])
        _tracer.raise_afterwards(held, KeyError(TEXT))
        _tracer.raise_afterwards(held, KeyError(LABEL))
        del held
        sys._getframe()  # pending calls run when a call ends
    except KeyError:
        return
    raise AssertionError("no exception was raised")


def configure_with(name: str, value: object) -> None:
    _tracer.configure(**{**RULES, name: value}, branch=False)  # type: ignore[arg-type]


TRACER: dict[str, list[Call]] = {
    "is_setuid_process": [plain(_tracer.is_setuid_process)],
    "start_journal": [
        plain(_tracer.start_journal, os.fsencode(SESSION), 1, False, None),
        raising(TypeError, _tracer.start_journal, TEXT, 1, False, None),
    ],
    "property": [
        plain(_tracer.property, TEXT, BYTES),
        raising(TypeError, _tracer.property, TEXT, TEXT),
    ],
    "note": [plain(_tracer.note, BYTES), raising(TypeError, _tracer.note, TEXT)],
    "record_library": [
        plain(_tracer.record_library, BYTES),
        raising(TypeError, _tracer.record_library, TEXT),
    ],
    "parent_value": [plain(_tracer.parent_value)],
    "configure": [
        *(raising(TypeError, configure_with, name, [TEXT, 1]) for name in RULES),
        raising(ValueError, configure_with, "own_dirs", [TEXT, "\0"]),
        raising(TypeError, configure_with, "omit", None),
    ],
    "start_contexts": [
        raising(TypeError, _tracer.start_contexts, [1], TEXT),
        raising(TypeError, _tracer.start_contexts, [TEXT], 1),
    ],
    "enter_context": [
        Call(in_context, (LABEL,)),
        Call(in_contexts_left_in_another_order, (LABEL, TEXT)),
        plain(_tracer.enter_context, ""),
        raising(TypeError, _tracer.enter_context, BYTES),
    ],
    "leave_context": [
        plain(_tracer.leave_context, None),
        plain(_tracer.leave_context, (LABEL, TEXT, BYTES)),
    ],
    "switch_context": [
        Call(switched, (LABEL, TEXT)),
        raising(TypeError, _tracer.switch_context, BYTES),
    ],
    "enter_test": [Call(in_test, (LABEL,)), raising(TypeError, _tracer.enter_test, BYTES)],
    "leave_test": [plain(_tracer.leave_test, None), plain(_tracer.leave_test, (LABEL, TEXT))],
    "set_plugin_loader": [raising(TypeError, _tracer.set_plugin_loader)],
    "start_monitoring": [raising(TypeError, _tracer.start_monitoring, 1)],
    "start_settrace": [raising(TypeError, _tracer.start_settrace, 1)],
    "pause": [Call(paused)],
    "resume": [raising(TypeError, _tracer.resume, TEXT)],
    "join": [Call(lambda: _tracer.join(sys._getframe())), raising(TypeError, _tracer.join, TEXT)],
    "journal_tails": [Call(_tracer.journal_tails)],
    "journal_layout": [Call(_tracer.journal_layout)],
    "flush": [Call(_tracer.flush, calls=SLOW_CALLS)],
    "record_signal": [
        plain(_tracer.record_signal, 10),
        plain(_tracer.record_signal, -1),
        plain(_tracer.record_signal, 1 << 80),
        raising(TypeError, _tracer.record_signal, TEXT),
    ],
    "detach": [raising(TypeError, _tracer.detach, 1)],
    "stop_propagating": [raising(TypeError, _tracer.stop_propagating, 1)],
    "hold_signals": [
        Call(held),
        raising(TypeError, _tracer.hold_signals, TEXT),
        raising(TypeError, _tracer.hold_signals, [TEXT]),
    ],
    "raise_afterwards": [
        Call(raised_afterwards, (TEXT, LABEL)),
        raising(TypeError, _tracer.raise_afterwards, TEXT, BYTES),
    ],
    "start_untraced": [plain(_tracer.start_untraced)],
    "stop_untraced": [plain(_tracer.stop_untraced)],
    "watch_foreign_threads": [plain(_tracer.watch_foreign_threads)],
    "patch_greenlet": [plain(_tracer.patch_greenlet)],
    "patch_c_tracer": [
        plain(_tracer.patch_c_tracer, int),
        raising(TypeError, _tracer.patch_c_tracer, TEXT),
    ],
    "glob_matches": [
        plain(_tracer.glob_matches, "*/some/*.py", "/a/some/where/file.py"),
        plain(_tracer.glob_matches, "*.py", "/a/file.txt"),
        raising(TypeError, _tracer.glob_matches, TEXT, BYTES),
    ],
    "propagate_session": [
        plain(_tracer.propagate_session, SESSION),
        raising(TypeError, _tracer.propagate_session, 1),
    ],
    "session_directory": [plain(_tracer.session_directory)],
    **{
        name: [plain(getattr(_tracer, name))]
        for name in (
            "patch_fork",
            "patch_exec",
            "patch_spawn",
            "patch_wait",
            "patch_exit",
            "patch_threads",
        )
    },
    "watch_imports": [
        plain(_tracer.watch_imports, print, (TEXT,)),
        plain(_tracer.watch_imports, print, iter((TEXT,))),
        raising(TypeError, _tracer.watch_imports, print, 1),
    ],
}

SAMPLES = Path(__file__).resolve().parents[1] / "journal" / "samples"
LINES, ARCS = (SAMPLES / f"2-monitoring-{kind}-0.journal" for kind in ("lines", "branches"))
TORN = Path(SESSION) / "torn.journal"
TORN.write_bytes(ARCS.read_bytes()[:700])
LARGEST_LINE, MEMORY = (1 << 24) - 1, 1 << 28
NAMES = ("one", "two", "three"), ("one", "two")  # of how images start, and of cores
HEADER = 512


def words_of(path: Path) -> bytes:
    return path.read_bytes()[HEADER:]


def sorted_words(path: Path, *, memory: int = MEMORY) -> _fold.JournalFacts:
    return _fold.decode_words(words_of(path), False, 2, LARGEST_LINE, memory)


def read(path: Path) -> object:
    return _fold.read_intact(path, None, LARGEST_LINE, MEMORY, *NAMES)


IN_ORDER = sorted_words(LINES), sorted_words(ARCS)


def method(name: str) -> list[Call]:
    return [
        *(Call(getattr(one, name), (one,)) for one in IN_ORDER),
        raising(TypeError, getattr(IN_ORDER[0], name), 1),
    ]


def united(*, branch: bool = True) -> _fold.FactUnion:
    found = _fold.FactUnion()
    for number in range(3):
        found.add((IN_ORDER[1],), number, f"image {number}", LABEL, branch)
    return found


ALL = united()


def add_wrongly(*arguments: object) -> Call:
    return raising(TypeError, _fold.FactUnion().add, *arguments)


ONE_ARC, OTHER_ARCS = b"\1\0\0\0\2\0\0\0", b"\1\0\0\0\3\0\0\0\2\0\0\0\3\0\0\0"
FOLD: dict[str, list[Call]] = {
    "decode_words": [
        Call(lambda: sorted_words(LINES)),
        Call(lambda: sorted_words(ARCS)),
        Call(lambda: sorted_words(ARCS, memory=64)),
        raising(TypeError, _fold.decode_words, TEXT, False, 2, LARGEST_LINE, MEMORY),
    ],
    "read_intact": [
        Call(lambda: read(LINES), (LINES, *NAMES)),
        Call(lambda: read(ARCS), (ARCS, *NAMES)),
        Call(lambda: read(TORN), (TORN,)),
        Call(lambda: read(Path(SESSION) / "not there")),
        raising(TypeError, read, 1),
    ],
    "arc_numbers": [
        plain(_fold.arc_numbers, OTHER_ARCS, b"\6"),
        raising(TypeError, _fold.arc_numbers, TEXT, BYTES),
    ],
    "unite_arcs": [
        plain(_fold.unite_arcs, ONE_ARC, OTHER_ARCS),
        raising(TypeError, _fold.unite_arcs, ONE_ARC, TEXT),
        raising(ValueError, _fold.unite_arcs, ONE_ARC, b"odd"),
    ],
    "arc_lines": [
        plain(_fold.arc_lines, OTHER_ARCS),
        raising(ValueError, _fold.arc_lines, TEXT),
        raising(ValueError, _fold.arc_lines, b"odd"),
    ],
    "JournalFacts": [raising(TypeError, _fold.JournalFacts)],
    **{
        f"JournalFacts.{name}": method(name)
        for name in (
            "lines",
            "arcs",
            "out_of_range",
            "files",
            "contexts",
            "properties",
            "blobs",
            "counts",
        )
    },
    "FactUnion": [Call(_fold.FactUnion), raising(TypeError, _fold.FactUnion, 1)],
    "FactUnion.add": [
        Call(united, (IN_ORDER[1], LABEL)),
        add_wrongly((1,), 1, TEXT, LABEL, True),
        add_wrongly(IN_ORDER, 1, TEXT, LABEL),
    ],
    "FactUnion.result": [Call(ALL.result, (ALL,)), raising(TypeError, ALL.result, 1)],
}

SOURCE = """
def branches(a):
    for i in range(a):
        if i:
            yield i
    try:
        assert not a
    except AssertionError:
        pass
list(branches(0)), list(branches(2)), next(branches(3))
"""


def run_code() -> None:
    """Compile, run and drop code of a file that is measured."""
    exec(compile(SOURCE, str(Path("measured.py").resolve()), "exec"), {"__name__": "measured"})


def run_in_context() -> None:
    _tracer.switch_context(LABEL)
    run_code()
    _tracer.switch_context(None)


def run_in_thread() -> None:
    thread = threading.Thread(target=run_code, name=LABEL)  # each name is a context, and kept
    thread.start()
    thread.join()


def run_in_fork() -> None:
    child = os.fork()
    if child == 0:
        run_code()
        os._exit(0)
    os.waitpid(child, 0)


def run_traced() -> None:
    """Run with a trace function, a profile function, of the program's own."""

    def tracer(frame: object, event: str, argument: object) -> object:
        return tracer

    sys.settrace(tracer)  # type: ignore[arg-type]
    run_code()
    sys.settrace(None)


def call_exec_in_vain() -> None:
    with contextlib.suppress(OSError):
        os.execve("/nowhere", [TEXT], {"a": TEXT})


def spawn() -> None:
    subprocess.run(["/bin/true"], check=True, env={"a": TEXT})
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    with contextlib.suppress(OSError):
        subprocess.run(["/nowhere"], check=False)


def import_again() -> None:
    sys.modules.pop("colorsys", None)
    importlib.import_module("colorsys")


def fail_to_import() -> None:
    with contextlib.suppress(ImportError):
        importlib.import_module("there.is.no.such.module")


# What is called of covsup where a program runs.
PROGRAM = {
    "code that is dropped": [Call(run_code)],
    "code in a context": [Call(run_in_context)],
    "forks": [Call(run_in_fork, calls=SLOW_CALLS)],
    "a trace function": [Call(run_traced)],
    "exec that fails": [Call(call_exec_in_vain, (TEXT,))],
    "processes": [Call(spawn, (TEXT,), SLOW_CALLS)],
    "imports": [Call(import_again), Call(fail_to_import)],
    # At the end: fork() warns of threads, also of one that has just ended.
    "threads": [Call(run_in_thread, calls=100)],
}


def functions_of(module: ModuleType) -> set[str]:
    """The names of functions, of types, and of their methods."""
    found = set()
    for name, value in vars(module).items():
        if isinstance(value, BuiltinFunctionType):
            found.add(name)
        elif isinstance(value, type):
            found.add(name)
            found |= {f"{name}.{each}" for each in vars(value) if not each.startswith("__")}
    return found


def main() -> int:
    problems = []
    for module, entries in (_tracer, TRACER), (_fold, FOLD):
        functions = functions_of(module)
        problems += [f"{module.__name__}.{each}: has no entry" for each in functions - set(entries)]
        problems += [f"{module.__name__} has no {each}" for each in set(entries) - functions]
    always = (None, True, (), "", b"", _tracer, _fold, _fold.JournalFacts, _fold.FactUnion)
    for name, calls in {**TRACER, **FOLD, **PROGRAM}.items():
        for number, call in enumerate(calls):
            try:
                found = leaks(call.function, call.calls, (*call.watched, *always))
            except Exception as error:  # noqa: BLE001 - each is told with the name of its call
                problems.append(f"{name}, call {number}: {error!r}")
            else:
                if found:
                    problems.append(f"{name}, call {number}: {call.calls} calls left {found}")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
