"""embed.init() in a program that runs already: what goes on from then on is measured.

Each program prepares frames that last (threads in loops, suspended generators, greenlets), joins
the session, and then lets every one of them run on once. Its lines say what has to come of them.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.concurrency.by_hand import Session

JOIN = """\
import os
import sys
import threading
from covsup import embed

def join():
    os.environ["COVSUP_SESSION"] = sys.argv[1]
    print(embed.init(), flush=True)

class Steps:
    # A thread waits in step() until the main thread lets it go on.
    def __init__(self):
        self.arrived, self.go = threading.Semaphore(0), threading.Semaphore(0)
    def step(self):
        self.arrived.release()
        self.go.acquire()
    def wait(self):
        self.arrived.acquire()
    def let(self):
        self.go.release()
        self.arrived.acquire()

def thread(function, *arguments):
    steps = Steps()
    threading.Thread(target=function, args=(steps, *arguments), daemon=True).start()
    steps.wait()
    return steps
"""

PROGRAMS = {
    "the loops of other threads": """
        def loop(steps):
            before = 1  #: not
            while True:
                steps.step()  #: ran
                if steps:  #: ran
                    after = 2  #: ran
                else:
                    never = 3  #: not
        def outer(steps):
            inner(steps)  #: ran
            back = 4  #: ran
            steps.step()  #: ran
        def inner(steps):
            before = 1  #: not
            steps.step()  #: ran
            for _ in range(2):  #: ran
                after = 5  #: ran
        looping, nested = thread(loop), thread(outer)
        join()  #: ran
        looping.let()  #: ran
        looping.let()  #: ran
        nested.let()  #: ran
        """,
    "generators and coroutines": """
        def delegating():
            before = 1  #: not
            yield from generator()
            end = 1  #: ran
        def generator():
            before = 1  #: not
            try:
                yield 1
                after = 2  #: ran
                yield 2  #: ran
            finally:
                last = 3  #: ran
        def thrown():
            while True:
                before = 1  #: not
                try:
                    yield
                except KeyError:  #: ran
                    handled = 4  #: ran
                    yield  #: ran
                    break  #: ran
            end = 5  #: ran
        async def asynchronous():
            yield 1
            after = 6  #: ran
            yield 2  #: ran
        class Wait:
            def __await__(self):
                yield
        async def outer():
            before = 1  #: not
            await inner()
            after = 7  #: ran
        async def inner():
            await Wait()
            after = 8  #: ran
        async def other():
            await Wait()
            never = 9  #: not
        def begins():
            first = 10  #: ran
            yield  #: ran
        def drive(awaitable):
            try:
                awaitable.send(None)
            except (StopIteration, StopAsyncIteration):
                pass
        first, second, third, fourth = delegating(), thrown(), begins(), other()
        drive(first), drive(second), drive(fourth)
        fifth, sixth = outer(), asynchronous()
        drive(fifth), drive(sixth.asend(None))
        join()  #: ran
        list(first)  #: ran
        second.throw(KeyError)  #: ran
        list(second)  #: ran
        list(third)  #: ran
        drive(fifth), drive(sixth.asend(None))  #: ran
        """,
    "the tasks of another thread's event loop": """
        import asyncio
        async def main(steps):
            task = asyncio.ensure_future(work())
            await asyncio.sleep(0)
            steps.step()  #: ran
            await asyncio.sleep(0)  #: ran
            await asyncio.sleep(0)  #: ran
            task.cancel()  #: ran
            await asyncio.gather(task, return_exceptions=True)  #: ran
            steps.step()  #: ran
        async def work():
            before = 1  #: not
            try:
                await asyncio.sleep(0)
                after = 2  #: ran
                await asyncio.Event().wait()  #: ran
            except asyncio.CancelledError:  #: ran
                cancelled = 3  #: ran
        steps = thread(lambda steps: asyncio.run(main(steps)))
        join()  #: ran
        steps.let()  #: ran
        """,
    "greenlets, of this thread and of others": """
        import greenlet
        def body():
            before = 1  #: not
            while True:
                within()  #: ran
                after = 2  #: ran
        def within():
            greenlet.getcurrent().parent.switch()
            after = 3  #: ran
        def in_thread(steps):
            other = greenlet.greenlet(other_body)
            other.switch()
            steps.step()  #: ran
            other.switch()  #: ran
            steps.step()  #: ran
        def other_body():
            greenlet.getcurrent().parent.switch()
            after = 4  #: ran
        def in_parent():
            inside = greenlet.greenlet(joins)
            inside.switch()
            after = 5  #: ran
        def joins():
            join()  #: ran
            after = 6  #: ran
        switched, steps = greenlet.greenlet(body), thread(in_thread)
        switched.switch()
        in_parent()
        switched.switch()  #: ran
        steps.let()  #: ran
        """,
    "the callers of init()": """
        def caller():
            before = 1  #: not
            for _ in range(1):
                deeper()  #: ran
                after = 2  #: ran
            return 3  #: ran
        def deeper():
            before = 1  #: not
            list(map(called_by_c, [1]))  #: ran
            after = 4  #: ran
        def called_by_c(_):
            join()  #: ran
            after = 5  #: ran
        caller()  #: ran
        after = 6  #: ran
        """,
    "the thread that joins is traced by the program's own tracer": """
        def tracer(frame, event, argument):
            if frame.f_code.co_name == "callee":
                seen.append(event)
            return tracer
        def callee():
            body = 1  #: ran
        seen = []
        sys.settrace(tracer)
        join()  #: ran
        callee()  #: ran
        assert sys.gettrace() is tracer  #: ran
        sys.settrace(None)  #: ran
        callee()  #: ran
        assert seen == ["call", "line", "return"], seen  #: ran
        """,
    "a thread that is traced by the program's own tracer": """
        def traced(steps):
            def tracer(frame, event, argument):
                if frame.f_code.co_name == "callee":
                    seen.append(event)
                return tracer
            sys.settrace(tracer)
            steps.step()  #: ran
            callee()  #: ran
            assert sys.gettrace() is tracer  #: ran
            sys.settrace(None)  #: ran
            callee()  #: ran
            steps.step()  #: ran
        def callee():
            body = 1  #: ran
        seen = []
        steps = thread(traced)
        join()  #: ran
        steps.let()  #: ran
        assert seen == ["call", "line", "return"], seen  #: ran
        """,
}


def marked(source: str, mark: str) -> set[int]:
    """The numbers of the lines that end with this mark."""
    pattern = re.compile(rf"#: {mark}$")
    return {n for n, line in enumerate(source.splitlines(), 1) if pattern.search(line)}


@pytest.mark.parametrize("branch", [False, True], ids=["lines", "branches"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_what_runs_already_is_measured_from_then_on(
    session: Session, core: str, program: str, *, branch: bool
) -> None:
    if "greenlet" in program:
        pytest.importorskip("greenlet")
    session.configure(core=core, branch=branch)
    source = JOIN + "\n".join(line[8:] for line in PROGRAMS[program].splitlines())
    outcome = session.run(source, arguments=[str(session.path)], measured=False)
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, "True\n", "")
    assert outcome.notes == []
    lines = outcome.lines()
    assert marked(source, "ran") - lines == set(), source
    assert marked(source, "not") & lines == set(), source


BRANCHES = """\
def loop(steps):
    value = 0
    while value < 4:
        if value % 2:
            steps.step()
        else:
            value += 1
            continue
        value += 1

steps = thread(loop)
join()
steps.let()
"""


def test_no_arc_comes_from_where_control_was_before(session: Session, core: str) -> None:
    session.configure(core=core, branch=True)
    source = JOIN + BRANCHES
    outcome = session.run(source, arguments=[str(session.path)], measured=False)
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, "True\n", "")
    first = JOIN.count("\n")
    arcs = {
        (start - first, end - first)
        for found in outcome.first.journal.arcs.values()
        for start, end in found
        if first < start and first < end
    }
    # The lines are counted from `def loop`. `value` is 1 when the session is joined, and 3 when
    # the program ends. Only a trace function tells the arcs that leave no branch.
    assert arcs >= {(4, 5), (4, 7)}, arcs
    assert arcs <= {(3, 4), (4, 5), (4, 7), (5, 9), (7, 8), (8, 3), (9, 3)}, arcs


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no sys.monitoring")
def test_threads_go_on_being_measured_where_the_program_takes_every_tool_id(
    session: Session,
) -> None:
    source = JOIN + (
        "def loop(steps):\n"
        "    while True:\n"
        "        steps.step()  #: ran\n"
        "        if taken:\n"
        "            after = 1  #: ran\n"
        "taken = []\n"
        "steps = thread(loop)\n"
        "for number in range(6):\n"
        "    sys.monitoring.use_tool_id(number, 'mine')\n"
        "taken.append(1)\n"
        "steps.let()  #: ran\n"
    )
    outcome = session.run(source)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert marked(source, "ran") - outcome.lines() == set()
