"""Builtin functions that covsup wraps stay what they are, whenever that happens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import covsup
from covsup.concurrency import process
from covsup.datafile.journal.events import Reaped

if TYPE_CHECKING:
    from tests.concurrency.by_hand import Session

SOURCE = Path(covsup.__file__).parents[1]

WRAPPED = [
    (patch.module, patch.function) for adapter in process.ADAPTERS for patch in adapter.patches
]
WRAPPED += [
    ("sys", name)
    for name in (
        "settrace", "gettrace", "setprofile", "getprofile", "call_tracing",
        "_settraceallthreads", "_setprofileallthreads",
    )
]  # fmt: skip
WRAPPED += [
    ("sys.monitoring", name)
    for name in (
        "use_tool_id", "free_tool_id", "clear_tool_id", "register_callback", "get_events",
        "set_events", "get_tool", "get_local_events", "set_local_events", "_all_events",
    )
]  # fmt: skip
WRAPPED += [("_frozen_importlib", "_find_and_load")]

LATE = f"""\
import sys
sys.path.insert(0, {str(SOURCE)!r})
import copy, importlib, os, pickle, weakref

def find(module, name):
    try:
        found = sys.monitoring if module == "sys.monitoring" else importlib.import_module(module)
    except (ImportError, AttributeError):
        return None
    return getattr(found, name, None)

wrapped = {{f"{{m}}.{{n}}": find(m, n) for m, n in {WRAPPED!r}}}
wrapped = {{name: function for name, function in wrapped.items() if function is not None}}
keys = {{function: name for name, function in wrapped.items()}}
hashes = {{name: hash(function) for name, function in wrapped.items()}}
equal = {{name: [other for other in wrapped if wrapped[other] == wrapped[name]] for name in wrapped}}
weak = {{name: weakref.ref(function) for name, function in wrapped.items()}}
shown = {{name: repr(function) for name, function in wrapped.items()}}

def reap():
    try:
        return os.waitpid(-1, 0)
    except ChildProcessError:
        return None

for _ in range(200):  # the interpreter has specialised the calls by now
    reap()
    sys.gettrace()

from covsup import embed
print(embed.init())

for name, function in wrapped.items():
    module, _, attribute = name.rpartition(".")
    now = find(module, attribute)
    if name != "_frozen_importlib._find_and_load" or sys.version_info >= (3, 12):
        assert now is function, name
        assert [other for other in wrapped if wrapped[other] == now] == equal[name], name
    assert now == function and not now != function, name
    assert keys[now] == keys[function], name
    assert hash(now) == hash(function) == hashes[name], name
    assert repr(function) == shown[name] and weak[name]() is function, name
    assert copy.deepcopy(function) is function, name
    if module != "sys.monitoring" and "_find" not in name:
        assert pickle.loads(pickle.dumps(now)) is now, name
if os.fork() == 0:
    os._exit(3)
print(reap()[1] >> 8)
print(len(wrapped) > 20)
"""


def test_a_wrapped_function_keeps_its_place_in_dicts_and_sets(session: Session) -> None:
    """A late start, as by `embed.init()` or `pytest.main(["--covsup"])`."""
    outcome = session.run(LATE, flags=("-S",))
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.stdout == "True\n3\nTrue\n"
    # What was called before goes through the wrapper, too.
    assert [each.status for each in outcome.images[0].events(Reaped)] == [3 << 8]


WAYS = """
import functools, os, sys, threading, _thread

def child():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return pid

os.waitpid(child(), 0)
os.waitpid(*(child(), 0))
os.waitpid(*[child()], *[0], **{})
functools.partial(os.waitpid, child())(0)
list(map(os.waitpid, [child()], [0]))
os.waitpid.__call__(child(), 0)
sys.call_tracing(os.waitpid, (child(), 0))
os.wait4(pid=child(), options=0)
os.wait4(**{"pid": child(), "options": 0})
os.wait4(child(), **{"options": 0})
done = threading.Event()
_thread.start_new_thread(*(done.set, ()), **{})
done.wait()
if hasattr(_thread, "start_joinable_thread"):
    _thread.start_joinable_thread(done.set, daemon=False).join()
    _thread.start_joinable_thread(**{"function": done.set}).join()
print("done")
"""


def test_a_wrapped_function_can_be_called_in_every_way(core_session: Session) -> None:
    plain = core_session.run(WAYS, measured=False)
    outcome = core_session.run(WAYS)
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, "done\n", plain.stderr)
    assert len(outcome.images[0].events(Reaped)) == 10
