"""What every patched function and every adapter has to keep, whichever it is."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from covsup.concurrency import process, registry

if TYPE_CHECKING:
    from tests.concurrency.by_hand import Session

DOCUMENT = Path(__file__).parents[2] / "docs" / "concurrency.md"
PATCHES = [patch for patches in process.ADAPTERS.values() for patch in patches]

PORTRAITS = f"""
import importlib, inspect, json, os, pickle, sys
portraits = {{}}
for module, name in {[(patch.module, patch.function) for patch in PATCHES]!r}:
    try:
        function = getattr(importlib.import_module(module), name, None)
    except ImportError:  # a version that has it not
        continue
    if function is None:
        continue
    try:
        signature = str(inspect.signature(function))
    except ValueError as error:
        signature = repr(error)
    portraits[f"{{module}}.{{name}}"] = {{
        "type": repr(type(function)),
        "repr": repr(function),
        "name": function.__name__,
        "qualname": function.__qualname__,
        "doc": function.__doc__,
        "text signature": function.__text_signature__,
        "module": function.__module__,
        "self": repr(function.__self__),
        "attributes": dir(function),
        "signature": signature,
        "pickle": pickle.dumps(function).hex(),
        "in os": getattr(importlib.import_module("os"), name, None) is function,
        "supports": [name for name, held in vars(os).items() if isinstance(held, set) and function in held],
        "equals": [other for other in dir(importlib.import_module(module))
                   if function == getattr(sys.modules[module], other)],
    }}
print(json.dumps(portraits))
"""


def portraits(session: Session, *, measured: bool) -> dict[str, Any]:
    outcome = session.run(PORTRAITS, measured=measured)
    assert outcome.status == 0, outcome.stderr
    found: dict[str, Any] = json.loads(outcome.stdout)
    return found


def test_every_patched_function_looks_as_it_looks_plainly(session: Session) -> None:
    plain = portraits(session, measured=False)
    assert portraits(session, measured=True) == plain
    assert {"posix.execve", "_posixsubprocess.fork_exec", "_thread.start_new_thread"} <= set(plain)


# Each line is called with nothing, too much, and nonsense. Nothing here starts or ends a process.
WRONG_CALLS = """
import _posixsubprocess, _thread, json, os, posix
def explode():
    raise LookupError("from the mapping")
class Mapping(dict):
    def keys(self): explode()
class PathLike:
    def __fspath__(self): explode()
calls = [
    (posix.execv, ()), (posix.execv, (1, 2, 3)), (posix.execv, ("/none", "x")),
    (posix.execv, ("/none", [])), (posix.execv, ("/none", [3])), (posix.execv, ("/none", ["x"])),
    (posix.execv, (PathLike(), ["x"])), (posix.execv, ("/none", [PathLike()])),
    (posix.execve, ()), (posix.execve, ("/none", ["x"], 3)), (posix.execve, ("/none", ["x"], {3: 4})),
    (posix.execve, ("/none", ["x"], Mapping())), (posix.execve, ("/none", ["x"], {"a=b": "c"})),
    (posix.execve, ("/none", ["x"], {"a": PathLike()})), (posix.execve, ("/none", ["x"], {})),
    (posix.execve, (9999, ["x"], {})), (posix.execve, ("/none", ["x"], os.environ)),
    (posix.posix_spawn, ()), (posix.posix_spawn, ("/none", ["x"], 3)),
    (posix.posix_spawn, ("/none", ["x"], {})), (posix.posix_spawn, ("/none", ["x"], Mapping())),
    (posix.posix_spawnp, ("no-such-program", ["x"], {})),
    (posix.system, ()), (posix.system, (3,)), (posix.system, ("a\\0b",)),
    (posix.wait, (1,)), (posix.wait, ()), (posix.waitpid, ()), (posix.waitpid, ("x", 0)),
    (posix.waitpid, (1, 0)), (posix.wait3, ()), (posix.wait3, (0,)), (posix.wait4, (1, 0)),
    (posix.waitid, ()), (posix.waitid, (0, 1, 2, 3)), (posix.waitid, (0, 1, 4)),
    (posix._exit, ()), (posix._exit, ("x",)), (posix._exit, (1 << 80,)),
    (_thread.start_new_thread, ()), (_thread.start_new_thread, (3, ())),
    (_thread.start_new_thread, (print, [])), (_thread.start_new_thread, (print, (), 3)),
    (_posixsubprocess.fork_exec, ()), (_posixsubprocess.fork_exec, (1,) * 8),
]
if hasattr(_thread, "start_joinable_thread"):
    calls += [
        (_thread.start_joinable_thread, ()), (_thread.start_joinable_thread, (3,)),
        (_thread.start_joinable_thread, (print, 3)),
    ]
for function, arguments in calls:
    try:
        result = function(*arguments)
    except BaseException as error:
        told = [type(error).__name__, str(error), getattr(error, "filename", None)]
        print(json.dumps([function.__name__, *map(str, told)]))
    else:
        print(function.__name__, "returned", result)
for function in posix.execve, posix._exit, posix.system, posix.posix_spawn, _thread.start_new_thread:
    try:
        function(nonsense=1)
    except TypeError as error:
        print(error)
"""


def test_wrong_calls_fail_in_the_words_of_the_original(core_session: Session) -> None:
    plain = core_session.run(WRONG_CALLS, measured=False)
    measured = core_session.run(WRONG_CALLS)
    hide = re.compile(r"0x[0-9a-f]+")
    assert hide.sub("", measured.stdout) == hide.sub("", plain.stdout)
    assert measured.stderr == plain.stderr == ""
    assert plain.status == 0


SELF_REPORT = """
import sys
modules = set(sys.modules)
import gc, json, os, resource, signal, threading, warnings
mine = [name for name in os.environ if name.startswith("COVSUP_")]
print(json.dumps({
    "modules": sorted(modules),
    "argv": [sys.argv[0], sys.orig_argv[1:]],
    "main": sorted(vars(sys.modules["__main__"])),
    "path": sys.path,
    "meta_path": [repr(type(each)) + repr(getattr(each, "__name__", "")) for each in sys.meta_path],
    "path_hooks": len(sys.path_hooks),
    "flags": repr(sys.flags),
    "gc": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), len(gc.callbacks)],
    "warnings": repr(warnings.filters),
    "recursion": sys.getrecursionlimit(),
    "switch interval": sys.getswitchinterval(),
    "trace": [repr(sys.gettrace()), repr(sys.getprofile()), repr(threading.gettrace())],
    "hooks": [repr(sys.excepthook), repr(sys.unraisablehook), repr(threading.excepthook)],
    "threads": threading.active_count(),
    "signals": {number: repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())},
    "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "fds": sorted(os.listdir("/proc/self/fd")),
    "umask": os.umask(0o22),
    "cwd": os.getcwd(),
    "limits": [resource.getrlimit(each) for each in range(resource.RLIM_NLIMITS)]
    if hasattr(resource, "RLIM_NLIMITS") else [],
    "group": [os.getpgid(0), os.getsid(0)],
    "find_and_load": repr(sys.modules["_frozen_importlib"]._find_and_load.__code__.co_name),
}))
"""


def self_report(session: Session, *, measured: bool) -> dict[str, Any]:
    outcome = session.run(SELF_REPORT, measured=measured)
    assert outcome.status == 0, outcome.stderr
    found: dict[str, Any] = json.loads(outcome.stdout)
    return found


def test_the_target_finds_its_process_as_it_is_plainly(core_session: Session) -> None:
    plain = self_report(core_session, measured=False)
    measured = self_report(core_session, measured=True)
    gained = set(measured.pop("modules")) - set(plain.pop("modules"))
    assert {name.partition(".")[0] for name in gained} == {"covsup"}
    assert measured == plain


def test_installing_twice_changes_nothing(session: Session) -> None:
    outcome = session.run(
        """
        import os, sys
        from covsup.concurrency import registry
        before = os.fork, os.execve, sys.modules["_frozen_importlib"]._find_and_load
        assert registry.install(["auto"]) == []
        assert before == (os.fork, os.execve, sys.modules["_frozen_importlib"]._find_and_load)
        import asyncio
        pid = os.fork()
        if pid == 0:
            os._exit(3)
        os.waitpid(pid, 0)
        """
    )
    assert outcome.status == 0, outcome.stderr
    assert len(outcome.images) == 2
    names = sorted(type(event).__name__ for event in outcome.first.journal.events)
    assert names == ["Ended", "LibraryUsed", "Reaped"]
    assert len(outcome.images[1].journal.events) == 1


def test_nothing_is_measured_or_imported_where_the_session_is_off(session: Session) -> None:
    outcome = session.run(
        "import sys; print('covsup.bootstrap' in sys.modules, 'covsup.tracer_c._tracer' in sys.modules)",
        environment={"COVSUP_SESSION": ""},
    )
    assert outcome.stdout == "False False\n"
    assert outcome.images == []


def test_the_registry_imports_nothing_but_sys() -> None:
    source = Path(registry.__file__).read_text(encoding="utf-8")
    at_run_time = [
        statement
        for statement in ast.parse(source).body
        if isinstance(statement, (ast.Import, ast.ImportFrom))
    ]
    assert [ast.unparse(statement) for statement in at_run_time] == ["import sys"]


def test_a_measured_process_loads_few_modules(session: Session) -> None:
    outcome = session.run("import sys; print(*sorted(m for m in sys.modules if 'covsup' in m))")
    assert outcome.stdout.split() == [
        "covsup",
        "covsup.bootstrap",
        "covsup.concurrency",
        "covsup.concurrency.registry",
        "covsup.tracer_c",
        "covsup.tracer_c._tracer",
    ]


@pytest.mark.parametrize(
    "statements",
    [
        "import covsup.concurrency.registry as r; r.LIBRARIES",
        "from covsup.concurrency import registry; registry.LIBRARIES",
        "import covsup.tracer_c._tracer; covsup.tracer_c._tracer.flush",
        "import covsup.tracer_c; covsup.tracer_c._tracer.flush",
        "import covsup.concurrency.process; covsup.concurrency.registry.LIBRARIES",
        "import importlib, covsup.concurrency.registry as r; importlib.reload(r)",
    ],
)
def test_a_measured_program_may_import_covsups_modules(session: Session, statements: str) -> None:
    outcome = session.run(f"{statements}\nprint('imported')")
    assert (outcome.stdout, outcome.stderr, outcome.status) == ("imported\n", "", 0)


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: f"{patch.module}.{patch.function}")
def test_the_documentation_lists_every_patch(patch: process.Patch) -> None:
    assert f"`{patch.module}.{patch.function}`" in DOCUMENT.read_text(encoding="utf-8")
    assert patch.why


@pytest.mark.parametrize("name", [*process.ADAPTERS, *registry.LIBRARIES])
def test_the_documentation_names_every_adapter(name: str) -> None:
    assert f"| {name} |" in DOCUMENT.read_text(encoding="utf-8")
