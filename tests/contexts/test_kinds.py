"""The contexts that are recorded of themselves, as --dynamic-context names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.contexts.conftest import Contexts
    from tests.world import World

PLACES = """
import asyncio, os, threading
from covsup import embed
from proved import at
def leaf(label):
    at(label)
async def task(label):
    at(f"{here}|MainThread|{label}")
    await asyncio.sleep(0)
    leaf(f"{here}|MainThread|{label}")
async def tasks():
    asyncio.current_task().set_name("zero")
    flows = [asyncio.create_task(task(name), name=name) for name in ("one", "two")]
    await asyncio.gather(*flows)
    await asyncio.to_thread(leaf, f"{here}|asyncio_0")
here = f"process-{os.getpid()}"
leaf(f"{here}|MainThread")
with embed.context("own"):
    leaf(f"{here}|MainThread|own")
thread = threading.Thread(target=leaf, args=(f"{here}|first",), name="first")
thread.start()
thread.join()
with embed.context("own"):
    thread = threading.Thread(target=leaf, args=(f"{here}|own|second",), name="second")
    thread.start()
    thread.join()
asyncio.run(tasks())
if os.fork() == 0:
    here = f"process-{os.getpid()}"
    leaf(f"{here}|MainThread")
    os._exit(0)
os.wait()
"""


def test_processes_threads_and_tasks_are_contexts(contexts: Contexts) -> None:
    contexts.check(PLACES, "--dynamic-context=process,thread,task")


GREENLETS = """
import greenlet
from proved import at
def leaf(label):
    at(label)
def body(label):
    at(label)
    main.switch()
    leaf(label)
main = greenlet.getcurrent()
flows = [greenlet.greenlet(body) for number in range(3)]
for round in range(2):
    for number, flow in enumerate(flows, 1):
        flow.switch(*([f"greenlet-{number}"] if not round else []))
        leaf("")
"""


def test_greenlets_are_contexts(contexts: Contexts) -> None:
    contexts.check(GREENLETS, "--dynamic-context=greenlet")


TESTS = """
import asyncio, unittest
from proved import at
def leaf(label):
    at(label)
def test_plain():
    leaf("__main__.test_plain")
    test_nested()
def test_nested():
    leaf("__main__.test_plain")
def test_raises():
    leaf("__main__.test_raises")
    raise ValueError
class Base:
    def test_inherited(self):
        leaf("__main__.Base.test_inherited")
class Case(Base, unittest.TestCase):
    def setUp(self):
        leaf("")
    def test_method(self):
        at("__main__.Case.test_method")
        leaf("__main__.Case.test_method")
        self.fail()
class Others:
    @staticmethod
    def test_static():
        leaf("__main__.Others.test_static")
    @classmethod
    def test_class(cls):
        leaf("__main__.Others.test_class")
    def test_first(this):
        leaf("__main__.Others.test_first")
    def test_on_none(self):
        leaf("__main__.Others.test_on_none")
    class test_body:
        leaf("")
    class Inner:
        async def test_inner(this):
            leaf("__main__.Others.Inner.test_inner")
    def make(self):
        def test_local():
            leaf("")
        class Local:
            @staticmethod
            def test_in_local_class():
                leaf("")
        return test_local, Local.test_in_local_class
def test_replaced():
    leaf("__main__.test_replaced")
replaced, test_replaced = test_replaced, None
test_lambda = [lambda: leaf("")]
async def test_coroutine():
    at("__main__.test_coroutine")
    await asyncio.sleep(0)
    leaf("__main__.test_coroutine")
async def other():
    for number in range(3):
        leaf("")
        await asyncio.sleep(0)
async def both():
    await asyncio.gather(test_coroutine(), other())
def test_generator():
    leaf("__main__.test_generator")
    yield
    leaf("__main__.test_generator")
test_plain()
leaf("")
Others.test_static()
Others.test_class()
Others().test_first()
Others.test_on_none(None)
asyncio.run(Others.Inner().test_inner())
for function in Others().make():
    function()
replaced()
test_lambda[0]()
leaf("")
try:
    test_raises()
except ValueError:
    leaf("")
unittest.TextTestRunner(stream=open("/dev/null", "w")).run(
    unittest.defaultTestLoader.loadTestsFromTestCase(Case))
leaf("")
asyncio.run(both())
for value in test_generator():
    leaf("")
leaf("")
"""


def test_test_functions_are_contexts_as_coverage_names_them(contexts: Contexts) -> None:
    contexts.check(TESTS, "--dynamic-context=test_function")


REQUESTS = """
import asyncio, io
from proved import at
def leaf(label):
    at(label)
def application(environ, start_response):
    label = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
    at(label)
    start_response("200 OK", [])
    leaf(label)
    return [b""]
class Middleware:
    def __call__(self, env, respond):
        at(f"{env['REQUEST_METHOD']} {env['PATH_INFO']}")
        return application(env, respond)
def failing(environ, start_response):
    leaf("GET /fails")
    raise ValueError
async def asynchronous(scope, receive, send):
    label = f"{scope['method']} {scope['path']}"
    at(label)
    await send({})
    leaf(label)
async def send(message):
    await asyncio.sleep(0)
async def serve():
    await asyncio.gather(*(
        asynchronous({"type": "http", "method": "GET", "path": f"/{n}"}, None, send)
        for n in range(3)))
    leaf("")
def request(method, path):
    return {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO()}
for path in "/a", "/b", "/a":
    application(request("GET", path), lambda *args: None)
    leaf("")
Middleware()(request("POST", "/a"), lambda *args: None)
try:
    failing(request("GET", "/fails"), None)
except ValueError:
    leaf("")
asyncio.run(serve())
leaf("")
"""


def test_requests_are_contexts(contexts: Contexts) -> None:
    contexts.check(REQUESTS, "--dynamic-context=request")


def test_a_misspelt_kind_is_refused_in_one_line(world: World) -> None:
    world.write("program.py", "")
    run = world.covsup_run("program.py", options=["--dynamic-context=thread,taks"])
    assert run.ended == 2
    assert "unknown dynamic context 'taks'; did you mean 'task'?" in run.stderr


def test_the_setting_of_coverage_is_read_and_the_static_context_stands_first(world: World) -> None:
    world.write(".coveragerc", "[run]\ndynamic_context = test_function\ncontext = all\n")
    world.write("program.py", "def test_one():\n    pass\ntest_one()\n")
    run = world.covsup_run("program.py", branch=False)
    assert run.ended == 0, run
    assert run.data.measured_contexts() == {"all", "all|__main__.test_one"}
    shown = world.run(world.python, "-m", "covsup", "report", "--contexts=test_one$", "-m")
    assert "1, 3" in shown.stdout, shown
