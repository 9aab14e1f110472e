"""Programs that coverage tools are known to have stumbled over, each for another reason."""

from __future__ import annotations

from tests.corpus.row import Row

ROWS = [
    Row(
        name="recursion_to_the_limit_is_left_and_the_program_goes_on",
        source="""
def deep(number):
    if number == 0:  #F
        return 0  #-
    return deep(number - 1) + 1

def after(flag):
    if flag:
        return "yes"
    return "no"

for limit in range(2):
    try:
        deep(10**6)
    except RecursionError:
        print(after(limit))
""",
        prints="no\nyes\n",
    ),
    Row(
        name="exceptions_that_pass_through_code_that_is_not_measured",
        files={"between.txt": "def call(function):\n    return function()\n"},
        source="""
between = {}
exec(compile(open("between.txt").read(), "<between>", "exec"), between)

def inner(error):
    if error:
        raise error
    return "fine"

def outer(error):
    try:
        return between["call"](lambda: inner(error))
    except KeyError:
        return "caught"
    finally:
        print("finally")

for error in (None, KeyError(), ValueError()):
    try:
        print(outer(error))
    except ValueError:
        print("escaped")
        last = inner(None)
print(last)
""",
        prints="finally\nfine\nfinally\ncaught\nfinally\nescaped\nfine\n",
    ),
    Row(
        name="an_exit_in_the_middle_of_nested_blocks",
        source="""
import sys

class Guard:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        print(getattr(error, "code", kind))

def leave(number):
    for turn in range(3):  #T
        with Guard():
            try:
                if turn == number:
                    sys.exit(turn)
                else:
                    continue
            finally:
                print("turn", turn)
            print("never")  #-

try:
    leave(1)
except SystemExit:
    pass
leave(0)
print("never")  #-
""",
        prints="turn 0\nNone\nturn 1\n1\nturn 0\n0\n",
    ),
    Row(
        name="builtins_and_os_functions_are_replaced",
        source="""
import builtins, os, os.path, sys, time

def refuse(*words, **more):
    raise AssertionError("called")  #-

def quietly(work):
    names = [(os, "getcwd"), (os.path, "join"), (os.path, "abspath"), (os.path, "exists"),
             (os, "stat"), (time, "time"), (builtins, "open"), (builtins, "isinstance"),
             (builtins, "len"), (sys, "_getframe"), (os, "getpid")]
    saved = [getattr(where, name) for where, name in names]
    for where, name in names:
        setattr(where, name, refuse)
    try:
        return work(1), work(0)
    finally:
        for (where, name), old in zip(names, saved):
            setattr(where, name, old)

def work(flag):
    if flag:
        import newly_imported_by_nobody_else as found
        return found.value()
    return [item for item in (1, 2) if item > 1]

import newly_imported_by_nobody_else
print(quietly(work))
""",
        files={"newly_imported_by_nobody_else.py": "def value():\n    return 3\n"},
        prints="(3, [2])\n",
    ),
    Row(
        name="a_module_without_its_file_and_name",
        source="""
import odd

def work(flag):
    global __file__
    if flag:
        del __file__
    else:
        __file__ = "elsewhere.py"
    return odd.work(flag)

print(work(1), work(0))
""",
        files={
            "odd.py": """
import sys
del __file__, __spec__, __loader__
sys.modules[__name__ + ".other"] = sys.modules[__name__]

def work(flag):
    if flag:
        return "one"
    return "none"
"""
        },
        prints="one none\n",
    ),
    Row(
        name="text_that_is_executed_under_the_name_of_a_file_with_other_lines",
        source="""
import short

code = compile("\\n" * 40 + "ran = 1\\n", short.__file__, "exec")
for turn in range(2):
    exec(code, {})
if turn:  #T
    print(short.value)
""",
        files={"short.py": "value = 1\n"},
        prints="1\n",
    ),
    Row(
        name="tabs_line_ends_and_a_last_line_without_one",
        files={
            "marked.py": "def work(flag):\n    if flag:\n        return 'é'\n    return ''\n",
            "paged.py": "def work(flag):\n\tif flag:\n\t\treturn 1\n\n\treturn 0",
            "carriage.py": "def work(flag):\r\n    if flag:\r\n        return 1\r\n    return 0\r\n",
        },
        source="""
import marked, paged, carriage

for module in marked, paged, carriage:
    print(ascii(module.work(1)), module.work(0))
""",
        prints="'\\xe9' \n1 0\n1 0\n",
    ),
    Row(
        name="handlers_hooks_and_finalizers_of_the_program",
        source="""
import atexit, gc, sys, threading, weakref

def hook(kind, error, traceback):
    print("hook", kind.__name__)

def thread_hook(arguments):
    print("thread", arguments.exc_type.__name__)

class Item:
    def __del__(self):
        print("collected")

def gone():
    print("gone")

def last():
    print("last")

def displayed(value):
    print("shown", value)

def fails():
    raise KeyError

sys.excepthook, threading.excepthook, sys.displayhook = hook, thread_hook, displayed
atexit.register(last)
item = Item()
watch = weakref.finalize(item, gone)
item.itself = item
del item
gc.collect()
exec(compile("1 + 1", "<shown>", "single"))
thread = threading.Thread(target=fails)
thread.start()
thread.join()
fails()
print("never")  #-
""",
        ends=1,
        prints="gone\ncollected\nshown 2\nthread KeyError\nhook KeyError\nlast\n",
    ),
    Row(
        name="generators_that_are_closed_thrown_into_and_left",
        source="""
def steps():
    try:
        for number in range(5):  #T
            try:
                yield number
            except KeyError:
                print("thrown into", number)
    finally:
        print("closed")

flow = steps()
print(next(flow), flow.throw(KeyError), next(flow))
flow.close()
other = steps()
next(other)
del other

def total():
    result = yield from steps()
    return result  #-

inside = total()
next(inside)
try:
    inside.throw(ValueError)
except ValueError:
    print("left")
""",
        prints="thrown into 0\n0 1 2\nclosed\nclosed\nclosed\nleft\n",
    ),
]
