"""Code that comes, goes and is watched in awkward ways, in one process."""

from __future__ import annotations

from tests.corpus.row import Row

SUBJECT = """
def seen(flag):
    total = 0
    for item in range(2):
        if flag:
            total += item
        else:
            total -= item
    return total
"""

ROWS = [
    Row(
        name="code_of_a_function_is_replaced",
        source="""
def first(flag):
    if flag:  #T
        return "first"
    return "never"  #-

def second(flag):
    if flag:  #F
        return "never"  #-
    return "second"

print(first(1))
first.__code__ = second.__code__
print(first(0))
""",
        prints="first\nsecond\n",
    ),
    Row(
        name="copies_of_code_objects",
        source="""
import types

def work(flag):
    if flag:
        result = "yes"
    else:
        result = "no"
    return result

copy = types.FunctionType(work.__code__.replace(co_name="copy"), globals())
other = types.FunctionType(work.__code__.replace(), {})
print(work(1), copy(0), other(1))
""",
        prints="yes no yes\n",
    ),
    Row(
        name="code_moved_to_another_file_name",
        source="""
import types
import os

def work(flag):
    if flag:  #-
        return 1  #-
    return 2  #-

there = os.path.abspath("there.py")
moved = types.FunctionType(work.__code__.replace(co_filename=there), globals())
print(moved(1), moved(0))
""",
        files={
            "there.py": """
# work() is said to stand here; these lines are where its lines are in the other file

def work(flag):  #-
    "a"
    if flag:
        return 1
    return 2
""",
        },
        witness=False,
        prints="1 2\n",
    ),
    Row(
        name="code_objects_by_the_thousand",
        source="""
source = open("piece.py").read()
for number in range(2000):
    space = {"number": number}
    exec(compile(source, "piece.py", "exec"), space)
print(space["answer"])
""",
        files={
            "piece.py": """
def work(number):
    if number == 1999:
        return "last"
    return "one of many"
answer = work(number)
""",
        },
        witness=False,
        prints="last\n",
    ),
    Row(
        name="module_and_function_collected_and_made_again",
        source="""
import gc
import importlib
import sys

for flag in (0, 1):
    import piece
    print(piece.work(flag))
    del sys.modules["piece"], piece
    gc.collect()
""",
        files={
            "piece.py": """
def work(flag):
    if flag:
        return "second"
    return "first"
""",
        },
        prints="first\nsecond\n",
    ),
    Row(
        name="module_found_through_a_symbolic_link",
        source="""
import os
import sys

os.symlink("real", "link")
sys.path.insert(0, "link")
import piece
print(piece.work(1))
""",
        files={
            "real/piece.py": """
def work(flag):
    if flag:  #T
        return "linked"
    return "never"  #-
""",
        },
        prints="linked\n",
    ),
    Row(
        name="module_whose_name_is_no_ascii",
        source="""
import importlib
module = importlib.import_module("müßig ☃ %s\\n")
print(module.work(0))
""",
        files={
            "müßig ☃ %s\n.py": """
def work(flag):
    if flag:  #F
        return "never"  #-
    return "found"
""",
        },
        prints="found\n",
    ),
    Row(
        name="module_used_after_a_change_of_directory",
        source="""
import os
import sys

sys.path[0] = "."
import piece
os.mkdir("elsewhere")
os.chdir("elsewhere")
print(piece.work(1), piece.work(0))
import other
""",
        files={
            "piece.py": """
import sys
sys.path.insert(0, sys.path[0] and __import__("os").getcwd())

def work(flag):
    if flag:
        return "yes"
    return "no"
""",
            "other.py": """
value = [
    item
    for item in range(2)
]
""",
        },
        prints="yes no\n",
    ),
    Row(
        name="run_path_and_run_module",
        source="""
import runpy

print(runpy.run_path("piece.py", {"flag": 1})["result"])
print(runpy.run_path("piece.py", {"flag": 0}, run_name="__main__")["result"])
print(runpy.run_module("module", {"flag": 0})["__name__"])
""",
        files={
            "piece.py": """
if flag:
    result = "yes"
else:
    result = "no"
if __name__ == "__main__":
    result += " main"
""",
            "module.py": """
def work(flag):
    return flag
work(flag)
""",
        },
        prints="yes\nno main\nmodule\n",
    ),
    Row(
        name="import_in_the_middle_of_an_import",
        source="""
import first
print(first.VALUE)
""",
        files={
            "first.py": """
VALUE = 1
import second
if second.seen:  #T
    VALUE = 2
else:
    VALUE = 3  #-
""",
            "second.py": """
import first
seen = first.VALUE == 1
""",
        },
        prints="2\n",
    ),
    Row(
        name="module_that_fails_half_way",
        source="""
for number in range(2):
    try:
        import piece
    except ValueError:  #T
        failed = number
    import sys
    sys.flag = True
""",
        files={
            "piece.py": """
import sys
if hasattr(sys, "flag"):
    second = 1
else:
    first = 1
raise ValueError
after = 1  #-
""",
        },
    ),
    Row(
        name="meta_path_finder_of_the_program",
        source="""
import importlib.abc
import importlib.util
import sys

class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name == "virtual":  #?
            return importlib.util.spec_from_loader(name, self, origin="virtual.py")
        return None  #?

    def exec_module(self, module):
        exec(compile(open("virtual.py").read(), "virtual.py", "exec"), module.__dict__)

sys.meta_path.insert(0, Finder())
import virtual
print(virtual.VALUE, virtual.work(0))
""",
        files={
            "virtual.py": """
VALUE = 5
def work(flag):
    if flag:  #F
        return "never"  #-
    return "made"
""",
        },
        prints="5 made\n",
    ),
    Row(
        name="coverage_itself_inside_by_its_c_tracer",
        needs=("coverage",),
        source=f"""
import os
import sys
os.environ["COVERAGE_CORE"] = "ctrace"
import coverage
{SUBJECT}
measuring = coverage.Coverage(data_file=None, include=["*/program.py"], config_file=False)
measuring.start()
seen(0)
measuring.stop()
seen(1)
print(sorted(measuring.get_data().lines(os.path.abspath("program.py"))), sys.gettrace())
""",
        same_as_plain=True,
        witness=False,
    ),
    Row(
        name="coverage_itself_inside_by_its_python_tracer_and_branches",
        needs=("coverage",),
        source=f"""
import os
import sys
os.environ["COVERAGE_CORE"] = "pytrace"
import coverage
{SUBJECT}
measuring = coverage.Coverage(
    data_file=None, include=["*/program.py"], config_file=False, branch=True
)
measuring.start()
seen(0)
seen(1)
measuring.stop()
print(sorted(measuring.get_data().arcs(os.path.abspath("program.py"))), sys.gettrace())
""",
        same_as_plain=True,
        witness=False,
    ),
    Row(
        name="coverage_itself_inside_by_monitoring",
        needs=("coverage",),
        python=(3, 12),
        source=f"""
import os
import sys
os.environ["COVERAGE_CORE"] = "sysmon"
import coverage
{SUBJECT}
measuring = coverage.Coverage(data_file=None, include=["*/program.py"], config_file=False)
measuring.start()
seen(0)
measuring.stop()
seen(1)
print(sorted(measuring.get_data().lines(os.path.abspath("program.py"))))
""",
        same_as_plain=True,
        witness=False,
    ),
    Row(
        name="coverage_run_as_the_program",
        needs=("coverage",),
        source="""
import os
import subprocess
import sys

os.environ["COVERAGE_CORE"] = "ctrace"
command = [sys.executable, "-m", "coverage", "run", "--data-file=theirs", "piece.py"]
print(subprocess.run(command).returncode)
import coverage
data = coverage.CoverageData(basename="theirs")
data.read()
print([sorted(data.lines(name)) for name in data.measured_files()])
""",
        files={
            "piece.py": """
def work(flag):
    if flag:
        return 1
    return 2
work(0)
work(1)
""",
        },
        witness=False,
        prints="0\n[[1, 2, 3, 4, 5, 6]]\n",
    ),
    Row(
        name="frames_are_kept_cleared_and_walked",
        source="""
import sys
import traceback

def fails(flag):
    if flag:
        raise ValueError(flag)
    return sys._getframe()

frame = fails(0)
frame.clear()
try:
    fails(1)
except ValueError as error:  #T
    kept = error
    traceback.clear_frames(error.__traceback__)
print(sorted(frame.f_locals), [entry.lineno for entry in traceback.extract_tb(kept.__traceback__)])

def walk(depth):
    if depth:
        return walk(depth - 1)
    frame, names = sys._getframe(), []
    while frame:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names

print(walk(2))
""",
        same_as_plain=True,
        witness=False,
    ),
    Row(
        name="tracebacks_warnings_and_recursion_limits_are_the_plain_ones",
        source="""
import sys
import traceback
import warnings

def fails(depth):
    if depth:
        return fails(depth - 1)
    raise ValueError("here")

try:
    fails(3)
except ValueError:  #T
    traceback.print_exc()
warnings.warn("on purpose")
print(sys.getrecursionlimit())

def deep(number):
    return deep(number + 1)

try:
    deep(0)
except RecursionError as error:  #T
    print(str(error)[:40])
fails(1)
""",
        same_as_plain=True,
        witness=False,
        ends=1,
    ),
    Row(
        name="local_variables_and_locals_are_the_plain_ones",
        source="""
import sys

def work(a):
    b = 1
    class Body:
        c = sorted(locals())
        d = sys._getframe().f_lineno
    del b
    return sorted(locals()), Body.c, [x for x in (a,)], sorted(vars())

print(work(1))
exec("y = 1\\nprint(sorted(k for k in locals() if not k.startswith('_')))", {}, {"z": 1})
print(sorted(name for name in globals() if not name.startswith("__")))
""",
        same_as_plain=True,
        witness=False,
    ),
    Row(
        name="reference_counts_and_objects_are_the_plain_ones",
        source="""
import gc
import sys

class Thing:
    pass

def work(thing):
    return sys.getrefcount(thing)

thing = Thing()
print(work(thing), sys.getrefcount(work.__code__))
gc.collect()
before = len([one for one in gc.get_objects() if type(one) is Thing])
for _ in range(10):
    work(Thing())
print(before, len([one for one in gc.get_objects() if type(one) is Thing]))
print(gc.isenabled(), gc.get_threshold(), gc.callbacks, gc.garbage)
""",
        same_as_plain=True,
        gaps={"settrace-fast": "what a function is called with is held until it returns"},
    ),
    Row(
        name="types_coroutine_and_generator_attributes",
        source="""
import inspect
import types

@types.coroutine
def switch():
    got = yield "out"
    if got:  #T
        return got
    return "never"  #-

async def work():
    return await switch()

def steps():
    yield 1
    yield 2  #-

coroutine = work()
print(coroutine.send(None), inspect.getcoroutinestate(coroutine), coroutine.cr_frame.f_lineno)
try:
    coroutine.send("in")
except StopIteration as stop:  #T
    print(stop.value)
generator = steps()
print(generator.gi_frame.f_lineno, inspect.getgeneratorstate(generator))
next(generator)
print(generator.gi_frame.f_lineno, generator.gi_yieldfrom)
del generator
""",
        same_as_plain=True,
        witness=False,
    ),
    Row(
        name="interactive_input_and_code_module",
        source="""
import code
import sys

def work(flag):
    if flag:
        return "yes"
    return "no"

interpreter = code.InteractiveInterpreter({"work": work})
for line in ("work(1)", "work(0)", "1 / 0"):
    interpreter.runsource(line)
print(input(), sys.stdin.read())
""",
        stdin="line\nrest\n",
        same_as_plain=True,
    ),
    Row(
        name="unittest_and_doctest_in_the_program",
        source="""
import unittest

def work(flag):
    if flag:
        return 1
    return 2

class Test(unittest.TestCase):
    def test_yes(self):
        self.assertEqual(work(1), 1)

    def test_no(self):
        self.assertEqual(work(0), 2)

    @unittest.expectedFailure
    def test_fails(self):
        self.assertEqual(work(0), 3)
        never = 1  #-

    @unittest.skip("on purpose")
    def test_skipped(self):
        never = 1  #-

unittest.main(verbosity=0, exit=False)
""",
    ),
    Row(
        name="stack_of_context_managers_unwound_by_an_exception",
        source="""
import contextlib

@contextlib.contextmanager
def level(number):
    try:
        yield number
    except ValueError:
        if number == 1:
            raise KeyError(number)
        raise
    except KeyError:  #T
        order.append("key")
    finally:
        order.append(number)

order = []
with contextlib.ExitStack() as stack:
    for number in range(3):
        stack.enter_context(level(number))
    raise ValueError
print(order)
""",
        prints="[2, 1, 'key', 0]\n",
    ),
    Row(
        name="optimized_and_frozen_flags_do_not_matter",
        source="""
import subprocess
import sys

for flags in (["-O"], ["-OO"], ["-X", "frozen_modules=off"], ["-X", "no_debug_ranges"], ["-b"]):
    subprocess.run([sys.executable, *flags, "child.py"], check=True)
""",
        files={
            "child.py": """
def work(flag):
    if __debug__:  #?
        debug = 1  #?
    if flag:
        return "yes"
    return "no"
work(0)
work(1)
""",
        },
    ),
]
