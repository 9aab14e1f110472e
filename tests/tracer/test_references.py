"""Code of the target's that runs inside of covsup's C may drop whatever it can reach.

Each program has an object whose code runs at such a moment and drops what covsup is about to use.
Memory that is freed is overwritten here (PYTHONMALLOC=debug), so its use is a crash or another result.
"""

from __future__ import annotations

import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World

MONITORING = sys.version_info >= (3, 12)

PROGRAMS = {
    # sys.path may hold anything. Its entries are compared at each file that is new.
    "an entry of sys.path whose comparison changes sys.path": """
        import sys
        class Entry(str):
            __hash__ = str.__hash__
            def __eq__(self, other):
                print("compared")
                sys.path[:] = [str(n) for n in range(50)]
                run("within")
                return True
        def run(name):
            exec(compile("x = 1\\n", f"new_{name}.py", "exec"), {"__name__": name})
        run("first")
        sys.path.insert(0, Entry("/elsewhere"))
        run("second")
        sys.path[0] = Entry("/elsewhere")
        run("third")
        print("done")
        """,
    "entries of sys.path that are paths, in many threads": """
        import pathlib, sys, threading
        base, stop = list(sys.path), False
        def churn():
            while not stop:
                for count in 30, 31:
                    sys.path[:] = [pathlib.Path("/none")] * count + base
        def meet(me):
            for i in range(300):
                exec(compile("x = 1\\n", f"new_{me}_{i}.py", "exec"), {"__name__": f"g{i}"})
        sys.setswitchinterval(1e-6)
        threads = [threading.Thread(target=meet, args=(n,)) for n in range(3)]
        other = threading.Thread(target=churn)
        for thread in (other, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        stop = True
        other.join()
        print("done")
        """,
    # With packages as the source, a module is known by its __name__, or by its spec's.
    "a spec whose name drops __name__": """
        class Spec:
            @property
            def name(self):
                names["__name__"] = "".join(["an", "other"])
                names.clear()
                [bytes(n) for n in range(1000)]
                return "__main__"
        code = compile("x = 1\\n", "new.py", "exec")
        names = {"__name__": "".join(["__ma", "in__"]), "__spec__": Spec()}
        exec(code, names)
        print("done")
        """,
    "a key that is compared with those of a module and drops __name__": """
        class Key(str):
            __hash__ = str.__hash__
            def __eq__(self, other):
                names.pop("__name__", None)
                [bytes(n) for n in range(1000)]
                return False
        code = compile("x = 1\\n", "new.py", "exec")
        names = {Key("__spec__"): None, "__name__": "".join(["__ma", "in__"])}
        exec(code, names)
        print("done")
        """,
    # A request is known by what a server passes.
    "a key of an environ that drops the others": """
        class Key(str):
            __hash__ = str.__hash__
            def __eq__(self, other):
                global on
                if on:
                    on = False
                    environ.pop("REQUEST_METHOD", None)
                    environ.pop("PATH_INFO", None)
                    [bytes(n) for n in range(1000)]
                return False
        environ, on = {}, False
        for key in "SCRIPT_NAME", "wsgi.input", "PATH_INFO", "type", "method", "path":
            environ[Key(key)] = None
        environ["REQUEST_METHOD"] = "".join(["GE", "T"])
        environ["PATH_INFO"] = "".join(["/pa", "th"])
        on = True
        def application(environ, start_response):
            return []
        application(environ, None)
        application({"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "wsgi.input": 1}, None)
        print("done")
        """,
    # The environment of a program that is started may be any mapping.
    "an environ whose items drop os.environ": """
        import os
        os.environ["COVSUP_PAUSED"] = "1" * 50
        class Value:
            def __fspath__(self):
                os.environ.pop("COVSUP_PAUSED", None)
                os.environ["OTHER"] = "x" * 5000
                return "value"
        pid = os.posix_spawn("/bin/true", ["true"], {"A": Value(), "COVSUP_SESSION": Value()})
        os.waitpid(pid, 0)
        class Word:
            def __fspath__(self):
                words.clear()
                return "word"
        words = [Word(), Word(), Word()]
        try:
            os.execv("/bin/true/none", words)
        except (OSError, IndexError):
            print("no exec")
        print("done")
        """,
    "a profile function that takes itself off": """
        import sys
        def called():
            return 1
        class Profiler:
            def __call__(self, frame, event, argument):
                sys.setprofile(None)
                [bytes(n) for n in range(1000)]
        sys.setprofile(Profiler())
        called()
        class Tracer:
            def __call__(self, frame, event, argument):
                sys.settrace(None)
                frame.f_trace = None
                [bytes(n) for n in range(1000)]
                return Tracer()
        sys.settrace(Tracer())
        called()
        print("done")
        """,
}
if MONITORING:
    PROGRAMS["a callback that takes itself off"] = """
        import sys
        monitoring = sys.monitoring
        monitoring.use_tool_id(2, "mine")
        class Callback:
            def __call__(self, *arguments):
                monitoring.register_callback(2, monitoring.events.LINE, None)
                [bytes(n) for n in range(1000)]
                return self
        def called():
            return 1
        monitoring.register_callback(2, monitoring.events.LINE, Callback())
        monitoring.set_events(2, monitoring.events.LINE)
        called()
        monitoring.set_events(2, 0)
        print("done")
        """
    # 3.11 forbids it plainly.
    PROGRAMS["an audit hook that traces by other means while a tracer is exchanged"] = """
        import sys
        on = True
        def hook(event, arguments):
            global on
            if event == "sys.settrace" and on:
                on = False
                sys.settrace(None)
        sys.addaudithook(hook)
        def tracer(frame, event, argument):
            return tracer
        def called():
            return 1
        for _ in range(3):
            on = True
            sys.settrace(tracer)
            called()
            sys.settrace(None)
        print("done")
        """

OPTIONS = ["--dynamic-context=request,test_function,thread", "--source=pkg,new"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_used_that_the_program_may_have_dropped(
    world: World, name: str, core: str
) -> None:
    world.write("pkg/__init__.py", "")
    world.write("target.py", dedent(PROGRAMS[name]))
    environment = {"PYTHONMALLOC": "debug"}
    plain = world.run(world.python, "target.py", environment=environment)
    assert plain.stdout.endswith("done\n"), plain
    for options in [], OPTIONS[:1], OPTIONS[1:]:
        run = world.covsup_run("target.py", core=core, options=options, environment=environment)
        assert (run.ended, run.stdout) == (0, plain.stdout), run
        assert plain.stderr == "" or run.stderr.startswith(plain.stderr), run
        if "new.py" in PROGRAMS[name]:
            assert run.lines("new.py") == {1}, run  # it is the module `new`, by its file's name
