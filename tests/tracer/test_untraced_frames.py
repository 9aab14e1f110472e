"""Frames without events (3.11): they lose and invent no line or arc, and a program cannot see them.

Each program runs code until all of it is recorded, and then makes it run lines that never ran
before. `--core=settrace` has the events of every frame, so its data is the truth. The programs also
print what they observe themselves.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="sys.monitoring switches single events off"
)

KNOWN = """
def known(x):
    if x:
        return 1
    return 2

def guarded(f):
    try:
        return f()
    except LookupError:
        return 'lookup'
    finally:
        known(1)

def counted(n):
    for i in range(n):
        yield known(i % 2)

def long_known():
    for i in range(600):
        known(i % 2)
        guarded(int)
        list(counted(3))

long_known()
"""

PROGRAMS = {
    "a handler that runs for the first time": """
        def fail(kind):
            raise kind()
        print(guarded(lambda: fail(KeyError)))
        try:
            guarded(lambda: fail(ValueError))
        except ValueError:
            print('passed on')
        """,
    "a line that runs for the first time in a hot function": """
        def hot(n):
            if n == 5_000:
                rare = 1
                return rare
            return n
        for n in range(10_000):
            hot(n)
        """,
    "a generator that is led elsewhere by an exception": """
        class Swallow:
            def __enter__(self): return self
            def __exit__(self, *error): return True
        def steps(fail):
            with Swallow():
                yield known(1)
                if fail:
                    raise KeyError
                return
            yield 'after'
            yield 'end'
        for i in range(400):
            list(steps(False))
        print(list(steps(True)))
        """,
    "generators that are closed, thrown into and left alone": """
        def steps():
            try:
                for i in range(3):
                    yield i
            except KeyError:
                yield 'thrown'
            finally:
                known(0)
        kept = []
        for i in range(300):
            list(steps())
        for i in range(60):
            one = steps()
            next(one)
            kept.append(steps())
            next(kept[-1])
            print(i % 20 == 0 and one.throw(KeyError))
            one.close()
            def other(a):
                try:
                    return [1][a]
                except IndexError:
                    return 0
            other(i)
        del kept
        """,
    "coroutines": """
        import asyncio
        async def inner(x):
            await asyncio.sleep(0)
            if x > 400:
                raise KeyError
            return x
        async def outer():
            for x in range(500):
                try:
                    await inner(x)
                except KeyError:
                    return 'late'
            return 'never'
        print(asyncio.run(outer()))
        """,
    "recursion deeper than a C stack": """
        import threading
        def down(n):
            if n == 0:
                return bottom()
            return down(n - 1) + 1
        def bottom():
            return 1
        def after():
            return known(1)
        for i in range(300):
            down(3)
        sys.setrecursionlimit(10 ** 6)
        print(down(40_000), after())
        threading.stack_size(128 * 1024)
        thread = threading.Thread(target=lambda: print(down(5_000)))
        thread.start()
        thread.join()
        """,
    "threads, while one ends all untraced frames": """
        import threading
        begin, go_on = threading.Event(), threading.Event()
        def wait():
            begin.set()
            go_on.wait()
        def work():
            wait()
            new()
            return known(0)
        def new():
            return known(1)
        def work_quietly():
            long_known()
            work()
        thread = threading.Thread(target=work_quietly)
        thread.start()
        begin.wait()
        sys.settrace(lambda *event: None)
        sys.settrace(None)
        go_on.set()
        thread.join()
        """,
    "a tracer that comes late": """
        seen = []
        def trace(frame, event, arg):
            seen.append((frame.f_code.co_name, event, frame.f_lineno))
            return trace
        def late():
            sys.settrace(trace)
            sys._getframe(1).f_trace = trace
            return known(0)
        def caller(n):
            x = late() if n == 700 else known(1)
            if n == 700:
                sys.settrace(None)
            return x
        for n in range(800):
            caller(n)
        print(*seen, sep='\\n')
        """,
    "a profiler that comes late": """
        seen = []
        def profile(frame, event, arg):
            seen.append((frame.f_code.co_name, event))
        def late():
            sys.setprofile(profile)
            return known(0)
        def caller(n):
            x = late() if n == 700 else known(1)
            len('x')
            return x
        for n in range(800):
            caller(n)
            if n == 701:
                sys.setprofile(None)
                break
        guarded(lambda: known(0))
        print(*seen, sep='\\n')
        """,
    "greenlets that come late": """
        import greenlet
        def body():
            for i in range(3):
                greenlet.getcurrent().parent.switch(known(i % 2))
            return new()
        def new():
            return 'new'
        one = greenlet.greenlet(body)
        print(*(one.switch() for _ in range(4)))
        """,
    "a thread of C code": """
        import ctypes
        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda x: new(x))
        def new(x):
            return known(x)
        print(callback(0))
        """,
    "a child by fork": """
        import os
        def only_there():
            return known(1)
        pid = os.fork()
        if pid == 0:
            only_there()
            guarded(lambda: [][0])
            os._exit(0)
        print(os.waitpid(pid, 0)[1])
        """,
    "code of a file that is not measured calls back": """
        import json
        class Odd:
            pass
        def default(value):
            if known(1):
                return 'odd'
        for i in range(300):
            json.dumps([Odd()], default=default)
        def new(pairs):
            return dict(pairs)
        print(json.loads('{"a": {"b": 1}}', object_pairs_hook=new))
        import functools, re
        print(re.sub('a', lambda m: str(known(1)), 'aba'), functools.reduce(lambda a, b: a + b, [1, 2]))
        """,
}


def program(text: str) -> str:
    lines = text.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "import sys\n" + KNOWN + "\n".join(line[indent:] for line in lines) + "\n"


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("branch", [True, False], ids=["branch", "line"])
def test_nothing_is_lost_and_nothing_invented(world: World, name: str, branch: bool) -> None:
    if "greenlets" in name:
        pytest.importorskip("greenlet")
    world.write("target.py", program(PROGRAMS[name]))
    plain = world.run(world.python, "target.py")
    assert plain.ended == 0
    loud = world.covsup_run("target.py", branch=branch, core="settrace")
    truth = loud.arcs("target.py") if branch else loud.lines("target.py")
    run = world.covsup_run("target.py", branch=branch, core="settrace-fast")
    measured = run.arcs("target.py") if branch else run.lines("target.py")
    assert (run.ended, run.stdout, run.stderr) == (0, plain.stdout, plain.stderr)
    assert sorted(truth ^ measured) == []


def test_a_context_that_comes_late_has_all_that_runs_in_it(world: World) -> None:
    world.write(
        "target.py",
        program(
            "from covsup import embed\nwith embed.context('late'):\n    known(0)\n    known(1)\n"
        ),
    )
    run = world.covsup_run("target.py", core="settrace-fast")
    assert run.ended == 0
    run.data.set_query_context("late")
    lines = run.data.lines(str(world.directory / "target.py"))
    assert {4, 5, 6} <= set(lines or ())
