"""A context holds for what runs in it, and for what is started from it."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from tests.contexts.conftest import contexts_of_lines

if TYPE_CHECKING:
    from tests.contexts.conftest import Contexts
    from tests.world import World

NESTED = """
from covsup import embed
from proved import at
def leaf(label):
    at(label)
one_line = lambda label: at(label)
def calls(label):
    leaf(label)
    one_line(label)
    for number in range(3):
        at(label)
@embed.context("function")
def decorated(label):
    at(label)
@embed.context("generator")
def generates(label):
    at(label)
    yield 1
    at(label)
def driven():
    at("")
    value = yield
    at("own")
    yield
    at("")
assert embed.active()
calls("")
embed.switch_context("one")
calls("one")
embed.switch_context("two")
calls("two")
with embed.context("own"):
    calls("two|own")
    embed.switch_context("three")
    calls("three|own")
    with embed.context("inner"):
        leaf("three|own|inner")
        decorated("three|own|inner|function")
    leaf("three|own")
for number in generates("three|generator"):
    leaf("three")
leaf("three")
embed.switch_context(None)
flow = driven()
next(flow)
with embed.context("own"):
    next(flow)
list(flow)
try:
    with embed.context("fails"):
        leaf("fails")
        raise ValueError
except ValueError:
    leaf("")
for number in range(40):
    with embed.context("own"):
        leaf("own")
    leaf("")
calls("")
"""


def test_what_a_program_names_holds_inside_and_nests(contexts_in_both_modes: Contexts) -> None:
    contexts_in_both_modes.check(NESTED)


THREADS = """
import concurrent.futures, multiprocessing.pool, threading, _thread
from covsup import embed
from proved import at
def leaf(label):
    at(label)
def body(label):
    at(label)
    leaf(label)
    with embed.context("mine"):
        leaf(label + "|mine")
    leaf(label)
def outer():
    at("a")
    thread = threading.Thread(target=body, args=("a",))
    thread.start()
    thread.join()
def started(label, *, function=body):
    thread = threading.Thread(target=function, args=(label,))
    thread.start()
    return thread
def raw(label, lock):
    at(label)
    lock.release()
with embed.context("a"):
    threads = [started("a"), threading.Thread(target=outer)]
    threads[1].start()
    lock = _thread.allocate_lock()
    lock.acquire()
    _thread.start_new_thread(raw, ("a", lock))
with embed.context("b"):
    threads.append(started("b"))
for thread in threads:
    thread.join()
lock.acquire()
def work(label):
    at(label)
    leaf(label)
    return label
with embed.context("pool"):
    executor = concurrent.futures.ThreadPoolExecutor(1)
    pool = multiprocessing.pool.ThreadPool(1)
    executor.submit(work, "pool").result()
    pool.apply(work, ("pool",))
for label in "xyz":
    with embed.context(label):
        executor.submit(work, label).result()
        assert list(executor.map(work, [label] * 3)) == [label] * 3
        pool.apply(work, (label,))
        pool.map(work, [label] * 3, chunksize=1)
        list(pool.imap_unordered(work, [label] * 3))
        pool.starmap(work, [(label,)] * 2)
with embed.context("later"):
    late = [executor.submit(work, "later"), pool.apply_async(work, ("later",))]
late[0].result()
late[1].get()
executor.submit(work, "").result()
pool.apply(work, ("",))
executor.shutdown()
pool.close()
pool.join()
leaf("")
"""


def test_threads_and_their_pools_belong_to_where_the_work_was_started(contexts: Contexts) -> None:
    contexts.check(THREADS)


TASKS = """
import asyncio
from covsup import embed
from proved import at
def leaf(label):
    at(label)
async def child(label):
    at(label)
    await asyncio.sleep(0)
    leaf(label)
async def one(label):
    with embed.context(label):
        await asyncio.sleep(0)
        at(label)
        task = asyncio.create_task(child(label))
        await asyncio.sleep(0)
        leaf(label)
        await task
        await asyncio.to_thread(leaf, label)
        await asyncio.get_running_loop().run_in_executor(None, leaf, label)
        async for value in generated(label + "|generator"):
            at(label)
    leaf("")
@embed.context("generator")
async def generated(label):
    at(label)
    yield 1
    await asyncio.sleep(0)
    at(label)
@embed.context("coroutine")
async def decorated(label):
    at(label)
    await asyncio.sleep(0)
    leaf(label)
async def main():
    asyncio.get_running_loop().call_soon(leaf, "")
    await asyncio.gather(*(one(label) for label in "abc"), decorated("coroutine"))
    leaf("")
asyncio.run(main())
"""


def test_tasks_that_interleave_keep_their_contexts(contexts: Contexts) -> None:
    contexts.check(TASKS)


GREENLETS = """
import greenlet
from covsup import embed
from proved import at
def leaf(label):
    at(label)
def body(label):
    at(label)
    main.switch()
    at(label)
    with embed.context("mine"):
        main.switch()
        leaf(label + "|mine")
    leaf(label)
class Own(greenlet.greenlet):
    def run(self, label):
        body(label)
main = greenlet.getcurrent()
flows = []
for label in "abc":
    with embed.context(label):
        flows += [(greenlet.greenlet(body), label), (Own(), label)]
flows.append((greenlet.greenlet(body), ""))
for flow, label in flows:
    flow.switch(label)
    leaf("")
while any(flow for flow, label in flows):
    for flow, label in flows:
        if flow:
            flow.switch()
            leaf("")
"""


def test_greenlets_belong_to_where_they_were_made(contexts: Contexts) -> None:
    contexts.check(GREENLETS)


JUMP = """
import linecache, threading
from concurrent.futures import ThreadPoolExecutor
from covsup import embed
from proved import at
jumps = []
def tracer(frame, event, argument):
    if event == "line" and frame.f_code.co_qualname == "_WorkItem.run" and not jumps:
        line = frame.f_lineno
        while linecache.getline(frame.f_code.co_filename, line).strip() != "try:":
            line += 1
        jumps.append(line)
        frame.f_lineno = line
    return tracer
threading.settrace(tracer)
def work(label):
    at(label)
with ThreadPoolExecutor(1) as executor:
    with embed.context("own"):
        executor.submit(work, "own").result()
assert jumps
at("")
"""


def test_a_tracer_may_jump_in_code_that_only_hands_contexts_on(contexts: Contexts) -> None:
    contexts.check(JUMP)


GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent, gevent.pool, gevent.threadpool, threading
from covsup import embed
from proved import at
def leaf(label):
    at(label)
def body(label):
    at(label)
    gevent.sleep(0)
    with embed.context("mine"):
        gevent.sleep(0)
        leaf(label + "|mine")
    gevent.sleep(0)
    leaf(label)
pool = gevent.pool.Pool(3)
native = gevent.threadpool.ThreadPool(1)
flows = []
for label in "abc":
    with embed.context(label):
        flows += [gevent.spawn(body, label), pool.spawn(body, label)]
        thread = threading.Thread(target=body, args=(label,))
        thread.start()
        native.spawn(leaf, label).get()
        leaf(label)
flows.append(gevent.spawn(body, ""))
gevent.joinall(flows, raise_error=True)
native.spawn(leaf, "").get()
leaf("")
thread.join()
"""


def test_gevents_greenlets_belong_to_where_they_were_spawned(contexts: Contexts) -> None:
    if importlib.util.find_spec("gevent") is None:
        pytest.skip("this Python has no gevent")
    contexts.check(GEVENT)


EVENTLET = """
import warnings
warnings.simplefilter("ignore")
import eventlet
eventlet.monkey_patch()
from eventlet import tpool
from covsup import embed
from proved import at
def leaf(label):
    at(label)
def body(label):
    at(label)
    eventlet.sleep(0)
    with embed.context("mine"):
        eventlet.sleep(0)
        leaf(label + "|mine")
    leaf(label)
pool = eventlet.GreenPool()
flows = []
for label in "abc":
    with embed.context(label):
        flows += [eventlet.spawn(body, label), pool.spawn(body, label)]
        tpool.execute(leaf, label)
flows.append(eventlet.spawn(body, ""))
for flow in flows:
    flow.wait()
tpool.execute(leaf, "")
leaf("")
"""


def test_eventlets_greenlets_belong_to_where_they_were_spawned(contexts: Contexts) -> None:
    if importlib.util.find_spec("eventlet") is None:
        pytest.skip("this Python has no eventlet")
    contexts.check(EVENTLET)


HOT = """
import contextvars, threading
from covsup import embed
from proved import at
def hot(label, act):
    count = 700
    for number in range(count):
        at(label)
        if number == 350:
            label = act(label) or label
        if number >= 350:
            at(label)
        else:
            number += 1
    at(label)
def steps(labels):
    for label in labels:
        for number in range(700):
            at(label)
            yield
            if number == 699:
                at(label)
def nothing(label):
    pass
def switches(label):
    embed.switch_context("next")
    return "next"
def elsewhere(label):
    contextvars.Context().run(hot, "", nothing)
def in_a_thread(label):
    with embed.context("inner"):
        thread = threading.Thread(target=hot, args=(label + "|inner", nothing))
        thread.start()
    thread.join()
embed.switch_context("calls")
hot("calls", nothing)
contextvars.Context().run(hot, "", nothing)
hot("calls", nothing)
embed.switch_context("switches")
hot("switches", switches)
for act in elsewhere, in_a_thread:
    embed.switch_context(act.__name__)
    hot(act.__name__, act)
arrived, go_on = threading.Event(), threading.Event()
def waits(label):
    arrived.set()
    go_on.wait()
with embed.context("waits"):
    thread = threading.Thread(target=hot, args=("in_a_thread|waits", waits))
    thread.start()
arrived.wait()
embed.switch_context("others")
hot("others", nothing)
go_on.set()
thread.join()
embed.switch_context("steps")
flow = steps(["steps", ""])
for number in range(700):
    next(flow)
for number in range(700):
    contextvars.Context().run(next, flow)
list(flow)
"""


def test_hot_code_tells_every_context_that_comes_to_it(contexts_in_both_modes: Contexts) -> None:
    contexts_in_both_modes.check(HOT)


HOT_GREENLETS = """
import greenlet
from covsup import embed
from proved import at
def hot(label, act):
    count = 700
    for number in range(count):
        at(label)
        if number == 350:
            act()
        if number >= 350:
            at(label)
    at(label)
main = greenlet.getcurrent()
with embed.context("other"):
    other = greenlet.greenlet(hot)
other.switch("other", main.switch)
embed.switch_context("main")
hot("main", int)
other.switch()
hot("main", other.switch)
"""


@pytest.mark.skipif(importlib.util.find_spec("greenlet") is None, reason="needs greenlet")
def test_hot_code_tells_the_contexts_of_greenlets(contexts_in_both_modes: Contexts) -> None:
    contexts_in_both_modes.check(HOT_GREENLETS)


OUT_OF_MEMORY = """
import contextvars
import threading
import _testcapi
from covsup.tracer_c import _tracer

# Without memory for a thread's first context, CPython 3.11 itself crashes.
contextvars.ContextVar("first").set(None)

failed = begun = 0
for allocation in range(60):
    label, entered = f"test {allocation}", None
    _testcapi.set_nomemory(allocation, allocation + 1)
    try:
        entered = _tracer.enter_test(label)
    except MemoryError:
        pass
    _testcapi.remove_mem_hooks()
    if entered is None:
        failed += 1
    else:
        begun += 1
        _tracer.leave_test(entered)
assert failed and begun

def elsewhere():
    return 1
thread = threading.Thread(target=elsewhere)
thread.start()
thread.join()
"""


def test_a_test_that_could_not_start_for_lack_of_memory_labels_no_other_code(
    world: World, core: str
) -> None:
    pytest.importorskip("_testcapi")
    world.write("program.py", OUT_OF_MEMORY)
    run = world.covsup_run("program.py", core=core)
    assert run.ended == 0, run
    line = OUT_OF_MEMORY.splitlines().index("    return 1") + 1
    assert contexts_of_lines(run, "program.py")[line] == {""}
