"""Which test a line belongs to that a thread, a task or a greenlet of longer life executes."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from tests.contexts.conftest import contexts_of_lines
from tests.pytest_plugin.test_pytest_plugin import run_pytest

if TYPE_CHECKING:
    from tests.world import World

# A server that is started once, in the first test that wants it, and ends with the session. Each
# way to run one has `ask(name)`, which has `serve(name)` of the product executed and waits for it.
PRODUCT = """\
def serve(name):
    if name == "one":
        return 1
    if name == "two":
        return 2
"""

WITH_THREAD = """
import queue, threading
class Server:
    def __init__(self):
        self.inbox, self.outbox = queue.Queue(), queue.Queue()
        self.thread = threading.Thread(target=self.loop)
        self.thread.start()
    def loop(self):
        while (name := self.inbox.get()) is not None:
            self.outbox.put(product.serve(name))
    def ask(self, name):
        self.inbox.put(name)
        return self.outbox.get()
    def end(self):
        self.inbox.put(None)
        self.thread.join()
"""

WITH_POOL = """
import concurrent.futures, threading
class Server:
    def __init__(self):
        self.names, self.pool = {}, concurrent.futures.ThreadPoolExecutor(1)
        self.asked, self.answered = threading.Semaphore(0), threading.Semaphore(0)
        self.work = self.pool.submit(self.loop)
    def loop(self):
        while self.asked.acquire() and self.name is not None:
            self.answer = product.serve(self.name)
            self.answered.release()
    def ask(self, name):
        self.name = name
        self.asked.release()
        self.answered.acquire()
        return self.answer
    def end(self):
        self.name = None
        self.asked.release()
        self.pool.shutdown()
"""

WITH_TASK = """
import asyncio
class Server:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(self.start())
    async def start(self):
        return await asyncio.start_server(self.answer, "127.0.0.1", 0)
    async def answer(self, reader, writer):
        name = (await reader.readline()).decode().strip()
        writer.write(b"%d" % product.serve(name))
        writer.close()
    async def client(self, name):
        reader, writer = await asyncio.open_connection(*self.server.sockets[0].getsockname())
        writer.write(name.encode() + b"\\n")
        answer = int(await reader.read())
        writer.close()
        return answer
    def ask(self, name):
        return self.loop.run_until_complete(self.client(name))
    def end(self):
        self.server.close()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
"""

WITH_GREENLET = """
import greenlet
class Server:
    def __init__(self):
        self.reactor = greenlet.greenlet(self.loop)
        self.reactor.switch(None)
    def loop(self, name):
        while True:
            name = greenlet.getcurrent().parent.switch(name and product.serve(name))
    def ask(self, name):
        return self.reactor.switch(name)
    def end(self):
        pass
"""

SERVERS = {
    "thread": WITH_THREAD,
    "pool": WITH_POOL,
    "task": WITH_TASK,
    "greenlet": WITH_GREENLET,
}

TESTS = """\
import product, pytest
{server}
@pytest.fixture(scope="session")
def server():
    server = {made}
    yield server
    server.end()
{early}
def test_one(server):
    assert server.ask("one") == 1
def test_two(server):
    assert server.ask("two") == 2
"""


def test_what_outlives_its_test_belongs_to_the_test_that_runs(world: World, core: str) -> None:
    ways = [
        (f"{name}_{when}", source, when)
        for name, source in SERVERS.items()
        for when in ("early", "late")
        if name != "greenlet" or importlib.util.find_spec("greenlet") is not None
    ]
    for way, source, when in ways:
        is_early = when == "early"
        tests = TESTS.format(
            server=source,
            early="early = Server()" if is_early else "",
            made="early" if is_early else "Server()",
        )
        world.write(f"product_{way}.py", PRODUCT)
        world.write(
            f"test_{way}.py", tests.replace("import product", f"import product_{way} as product")
        )
    world.write("pyproject.toml", f'[tool.covsup]\ncore = "{core}"\n')
    run = run_pytest(
        world, "-p", "no:xdist", "--covsup", "--covsup-context=test", "--covsup-report="
    )
    assert (run.ended, run.stderr) == (0, ""), run
    for way, _, _ in ways:
        contexts = contexts_of_lines(run, f"product_{way}.py")
        one, two = f"test_{way}.py::test_one|run", f"test_{way}.py::test_two|run"
        found = {line: contexts[line] for line in (2, 3, 4, 5)}
        assert found == {2: {one, two}, 3: {one}, 4: {two}, 5: {two}}, way


REACTOR = """
import greenlet, pytest
def reactor(function=None, arguments=None):
    while True:
        function, arguments = main.switch(function and function(**arguments))
main, flow = greenlet.getcurrent(), greenlet.greenlet(reactor)
flow.switch()
@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    flow.switch(pyfuncitem.obj, {})
    return True
"""


def test_tests_that_a_reactor_runs_in_its_greenlet_have_their_contexts(
    world: World, core: str
) -> None:
    pytest.importorskip("greenlet")
    world.write("conftest.py", REACTOR)
    world.write("test_it.py", "def test_one():\n    one = 1\ndef test_two():\n    two = 2\n")
    world.write("pyproject.toml", f'[tool.covsup]\ncore = "{core}"\n')
    run = run_pytest(world, "-p", "no:xdist", "--covsup", "--covsup-context=test")
    assert (run.ended, run.stderr) == (0, ""), run
    contexts = contexts_of_lines(run, "test_it.py")
    assert (contexts[2], contexts[4]) == (
        {"test_it.py::test_one|run"},
        {"test_it.py::test_two|run"},
    )


def test_a_test_that_still_runs_keeps_what_it_started(world: World, core: str) -> None:
    world.write(
        "program.py",
        """\
import threading
from covsup import embed

def work(go, done):
    go.wait()
    mark = 1
    done.set()

def flow():
    go, done = threading.Event(), threading.Event()
    threading.Thread(target=work, args=(go, done)).start()
    return go, done

def finish(go, done):
    go.set()
    done.wait()

first = embed.enter_test("first")
of_first = flow()
other = threading.Thread(target=lambda: second.append(embed.enter_test("second")))
second = []
other.start()
other.join()
finish(*of_first)
assert embed.switch_context("named") is None
named = 1
embed.leave_test(first)
between = 1
embed.leave_test(second[0])
after = 1
third = embed.enter_test("third")
in_third = 1
embed.leave_test(third)
embed.leave_test(third)
at_the_end = 1
""",
    )
    run = world.covsup_run("program.py", core=core)
    assert run.ended == 0, run
    contexts = contexts_of_lines(run, "program.py")
    lines = (world.directory / "program.py").read_text().splitlines()

    def of(text: str) -> set[str]:
        return contexts[lines.index(text) + 1]

    assert of("    mark = 1") == {"first"}
    assert of("named = 1") == {"first|named"}
    assert of("between = 1") == {"second"}
    assert of("after = 1") == {""}
    assert of("in_third = 1") == {"third"}
    assert of("at_the_end = 1") == {""}
