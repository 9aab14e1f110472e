"""Programs that trace, profile or monitor themselves: both measure, and theirs sees what it sees plainly.

Most rows leave open (`#?`) what runs of the tracing callbacks, which depends on what else they see;
rows of their own, at the end, tell exactly what of a callback runs.
"""

from __future__ import annotations

from tests.corpus.row import Row

# A tracer that notes what it sees of the functions whose names begin with "seen".
TRACER = """
import sys

notes = []

def note(event, frame, argument=None):
    if frame.f_code.co_name.startswith("seen"):  #?
        kind = type(argument).__name__  #?
        notes.append(f"{frame.f_code.co_name} {event} {frame.f_lineno} {kind}")  #?

def tracer(frame, event, argument):
    note(event, frame, argument)  #?
    return tracer  #?

def profiler(frame, event, argument):
    if not event.startswith("c_"):  #?
        note(event, frame, argument)  #?

def show():
    for line in notes:
        print(line)
    notes.clear()
"""
FILES = {"tracer.py": TRACER}

SUBJECT = """
def seen(flag):
    total = 0
    for item in range(2):
        if flag:
            total += item
        else:
            total -= item
    try:
        [][total]
    except IndexError:  #T
        total = "caught"
    return total

def seen_generator(limit):
    while limit:
        yield limit
        limit -= 1
"""


def tracing(name: str, source: str, **more: object) -> Row:
    files = FILES if "from tracer import" in source else {}
    return Row(name=name, source=source, files=files, same_as_plain=True, **more)  # type: ignore[arg-type]


ROWS = [
    tracing(
        "settrace_for_a_part_of_the_program",
        f"""
import sys
from tracer import notes, show, tracer
{SUBJECT}
seen(0)
sys.settrace(tracer)
print(sys.gettrace() is tracer)
seen(1)
print(list(seen_generator(2)))
sys.settrace(None)
print(sys.gettrace())
seen(1)
show()
""",
    ),
    tracing(
        "settrace_left_on_until_the_end",
        f"""
import atexit
import sys
from tracer import show, tracer
{SUBJECT}
atexit.register(show)
sys.settrace(tracer)
seen(0)
seen(1)
list(seen_generator(1))
""",
    ),
    tracing(
        "settrace_none_first_thing",
        f"""
import sys
sys.settrace(None)
print(sys.gettrace())
{SUBJECT}
print(seen(0), seen(1), list(seen_generator(2)))
""",
    ),
    tracing(
        "settrace_saved_and_restored_like_libraries_do",
        f"""
import sys
from tracer import show, tracer
{SUBJECT}
before = sys.gettrace()
sys.settrace(None)
seen(0)
sys.settrace(before)
seen(1)
sys.settrace(tracer)
saved = sys.gettrace()
sys.settrace(None)
list(seen_generator(1))
sys.settrace(saved)
list(seen_generator(1))
sys.settrace(None)
print(before)
show()
""",
    ),
    tracing(
        "tracer_that_wants_no_lines_of_some_frames",
        """
import sys
from tracer import note, notes, show

def choosy(frame, event, argument):
    note(event, frame, argument)  #?
    if frame.f_code.co_name == "seen_not":  #?
        return None  #?
    return choosy  #?

def seen_not(flag):
    if flag:
        return 1
    return 2

def seen_all(flag):
    if flag:
        return seen_not(flag)
    return seen_not(flag)

sys.settrace(choosy)
seen_all(0)
seen_all(1)
sys.settrace(None)
show()
""",
    ),
    tracing(
        "tracer_that_switches_lines_off_and_opcodes_on",
        """
import sys
from tracer import note, notes, show

def choosy(frame, event, argument):
    if frame.f_code.co_name == "seen_opcodes":  #?
        frame.f_trace_opcodes = True  #?
        frame.f_trace_lines = False  #?
    if frame.f_code.co_name == "seen_nothing":  #?
        frame.f_trace_lines = False  #?
    note(event, frame, argument)  #?
    return choosy  #?

def seen_opcodes(flag):
    if flag:
        result = 1
    else:
        result = 2
    return result

def seen_nothing(flag):
    if flag:
        result = 1
    else:
        result = 2
    return result

sys.settrace(choosy)
for flag in (0, 1):
    seen_opcodes(flag)
    seen_nothing(flag)
sys.settrace(None)
show()
""",
    ),
    tracing(
        "tracer_that_raises_is_removed",
        f"""
import sys
{SUBJECT}
class Enough(Exception):
    pass

def failing(frame, event, argument):
    if frame.f_code.co_name == "seen" and event == "line":  #?
        raise Enough(event)  #?
    return failing  #?

seen(0)
sys.settrace(failing)
try:
    seen(1)
except Enough as error:  #T
    print("raised", error)
print(sys.gettrace())
print(seen(1), list(seen_generator(1)))
""",
    ),
    tracing(
        "local_tracer_is_replaced_per_frame",
        """
import sys
from tracer import note, show, tracer

def other(frame, event, argument):
    note("other " + event, frame, argument)  #?
    return other  #?

def seen_switch(flag):
    first = 1
    sys._getframe().f_trace = other
    second = 2
    if flag:
        third = 3
    sys._getframe().f_trace = None
    fourth = 4

sys.settrace(tracer)
seen_switch(0)
seen_switch(1)
sys.settrace(None)
show()
""",
    ),
    tracing(
        "f_trace_set_on_a_frame_that_is_running",
        """
import sys
from tracer import show, tracer

def seen_caller(flag):
    install()
    if flag:
        result = 1
    else:
        result = 2
    return result

def install():
    sys.settrace(tracer)
    frame = sys._getframe().f_back
    frame.f_trace = tracer

seen_caller(0)
sys.settrace(None)
seen_caller(1)
sys.settrace(None)
show()
""",
    ),
    tracing(
        "tracer_that_jumps_over_lines",
        """
import sys

def jumper(frame, event, argument):
    if frame.f_code.co_name == "seen" and event == "line":  #?
        if frame.f_lineno == frame.f_code.co_firstlineno + 2:  #?
            frame.f_lineno += 1  #?
            sys.settrace(None)  #?
            return None  #?
    return jumper  #?

def seen():
    a = "before"
    a = "skipped"  #?
    return a

sys.settrace(jumper)
print(seen())
""",
        witness=False,
    ),
    tracing(
        "tracer_that_jumps_over_a_line_and_goes_on",
        """
import sys

def jumper(frame, event, argument):
    line = frame.f_lineno - frame.f_code.co_firstlineno
    if (frame.f_code.co_name, event, line) == ("seen", "line", 2):
        frame.f_lineno += 1
    return jumper

def seen():
    a = "before"
    a = "skipped"  #-
    return a

sys.settrace(jumper)
print(seen())
sys.settrace(None)
""",
        witness=False,
    ),
    tracing(
        "threading_settrace_for_new_threads",
        f"""
import sys
import threading
from tracer import show, tracer
{SUBJECT}
def work():
    seen(1)
    list(seen_generator(1))

threading.settrace(tracer)
print(threading.gettrace() is tracer)
thread = threading.Thread(target=work)
thread.start()
thread.join()
threading.settrace(None)
thread = threading.Thread(target=seen, args=(0,))
thread.start()
thread.join()
show()
""",
    ),
    tracing(
        "threading_settrace_all_threads",
        """
import sys
import threading
from tracer import show, tracer

def seen_late(flag):
    if flag:
        return 1
    return 2

def work():
    ready.set()
    go.wait()
    seen_late(1)
    sys.settrace(None)
    seen_late(0)

ready, go = threading.Event(), threading.Event()
thread = threading.Thread(target=work)
thread.start()
ready.wait()
threading.settrace_all_threads(tracer)
go.set()
thread.join()
threading.settrace_all_threads(None)
show()
""",
        python=(3, 12),
    ),
    tracing(
        "settrace_in_one_thread_only",
        f"""
import sys
import threading
from tracer import show, tracer
{SUBJECT}
def work():
    sys.settrace(tracer)
    seen(1)

thread = threading.Thread(target=work)
thread.start()
thread.join()
print(sys.gettrace())
seen(0)
list(seen_generator(1))
show()
""",
    ),
    tracing(
        "setprofile_beside_us",
        f"""
import sys
from tracer import profiler, show
{SUBJECT}
sys.setprofile(profiler)
print(sys.getprofile() is profiler)
seen(0)
seen(1)
list(seen_generator(1))
sys.setprofile(None)
show()
""",
    ),
    tracing(
        "setprofile_and_settrace_together",
        f"""
import sys
from tracer import profiler, show, tracer
{SUBJECT}
sys.setprofile(profiler)
sys.settrace(tracer)
seen(0)
list(seen_generator(1))
sys.settrace(None)
seen(1)
sys.setprofile(None)
show()
""",
    ),
    tracing(
        "threading_setprofile",
        f"""
import threading
from tracer import profiler, show
{SUBJECT}
threading.setprofile(profiler)
for flag in (0, 1):
    thread = threading.Thread(target=seen, args=(flag,))
    thread.start()
    thread.join()
threading.setprofile(None)
list(seen_generator(1))
show()
""",
    ),
    tracing(
        "cprofile_of_a_function",
        f"""
import cProfile
import io
import pstats
{SUBJECT}
profile = cProfile.Profile()
profile.enable()
seen(0)
seen(1)
list(seen_generator(1))
profile.disable()
stats = pstats.Stats(profile, stream=io.StringIO())
print(sorted((name, calls[1]) for (_, _, name), calls in stats.stats.items() if "seen" in name))
""",
    ),
    tracing(
        "bdb_with_a_breakpoint",
        """
import bdb
import sys

class Debugger(bdb.Bdb):
    def user_line(self, frame):
        if frame.f_code.co_name == "seen":  #?
            lines.append(frame.f_lineno)  #?
        self.set_step()  #?

    def user_return(self, frame, value):
        if frame.f_code.co_name == "seen":  #?
            lines.append(value)  #?

def seen(flag):
    if flag:
        result = "yes"
    else:
        result = "no"
    return result

lines = []
debugger = Debugger()
print(debugger.runcall(seen, 1))
print(debugger.runcall(seen, 0))
print(lines, sys.gettrace())
""",
    ),
    tracing(
        "pdb_steps_through_a_function",
        """
import pdb
import sys

def seen(flag):
    a = 1
    if flag:
        b = 2
    else:
        b = 3
    return a + b

for flag in (0, 1):
    pdb.Pdb(nosigint=True, readrc=False).set_trace()
    result = seen(flag)
print(result)
""",
        stdin="step\nstep\nstep\nstep\nnext\ncontinue\nnext\ncontinue\n",
    ),
    tracing(
        "breakpoint_hook",
        """
import sys

def hook(*arguments, **options):
    frame = sys._getframe(1)
    hits.append(frame.f_code.co_name)
    if len(hits) > 1:
        print("twice")

def seen(flag):
    breakpoint()
    if flag:
        return 1
    return 2

hits = []
sys.breakpointhook = hook
seen(0)
seen(1)
print(hits)
""",
    ),
    tracing(
        "trace_module_counts",
        """
import trace

def seen(limit):
    total = 0
    for item in range(limit):
        if item % 2:
            total += item
    return total

tracer = trace.Trace(count=1, trace=0)
print(tracer.runfunc(seen, 4))
counts = tracer.results().counts
print(sorted((line, count) for (name, line), count in counts.items() if name.endswith("program.py")))
""",
    ),
    tracing(
        "recursive_settrace_from_inside_a_tracer",
        f"""
import sys
from tracer import note, show
{SUBJECT}
def second(frame, event, argument):
    note("second " + event, frame)  #?
    return second  #?

def first(frame, event, argument):
    note("first " + event, frame)  #?
    if event == "line":  #?
        sys.settrace(second)  #?
    return first  #?

sys.settrace(first)
seen(0)
seen(1)
sys.settrace(None)
list(seen_generator(1))
show()
""",
    ),
    tracing(
        "tracer_and_exceptions_and_finally",
        """
import sys
from tracer import show, tracer

def seen_fail(flag):
    try:
        if flag:
            raise KeyError(flag)
    finally:
        done = 1
    return done

def seen_outer(flag):
    try:
        return seen_fail(flag)
    except KeyError:  #T
        return "caught"

sys.settrace(tracer)
print(seen_outer(0), seen_outer(1))
sys.settrace(None)
show()
""",
    ),
    tracing(
        "tracer_and_coroutines",
        """
import asyncio
import sys
from tracer import show, tracer

async def seen_child(flag):
    await asyncio.sleep(0)
    if flag:
        return 1
    return 2

async def seen_parent():
    return await asyncio.gather(seen_child(0), seen_child(1))

async def main():
    sys.settrace(tracer)
    print(await seen_parent())
    sys.settrace(None)

asyncio.run(main())
show()
""",
    ),
    tracing(
        "monitoring_tool_of_the_program",
        """
import sys

monitoring = sys.monitoring
events = monitoring.events
notes = []

def on_line(code, line):
    if code.co_name == "seen":  #?
        notes.append(line)  #?

def on_start(code, offset):
    if code.co_name == "seen":  #?
        notes.append("start")  #?

def on_return(code, offset, value):
    if code.co_name == "seen":  #?
        notes.append(value)  #?

def seen(flag):
    if flag:
        result = "yes"
    else:
        result = "no"
    return result

TOOL = monitoring.DEBUGGER_ID
monitoring.use_tool_id(TOOL, "mine")
monitoring.register_callback(TOOL, events.LINE, on_line)
monitoring.register_callback(TOOL, events.PY_START, on_start)
monitoring.register_callback(TOOL, events.PY_RETURN, on_return)
monitoring.set_events(TOOL, events.LINE | events.PY_START | events.PY_RETURN)
seen(0)
seen(1)
seen(1)
monitoring.set_events(TOOL, 0)
monitoring.free_tool_id(TOOL)
print(notes)
""",
        python=(3, 12),
    ),
    tracing(
        "every_monitoring_tool_id_is_wanted",
        """
import sys

monitoring = sys.monitoring

def seen(flag):
    if flag:
        return "yes"
    return "no"

for number in range(6):
    print(number, monitoring.get_tool(number), monitoring.get_events(number))
for number in (0, 1, 2, 5, 3, 4):
    monitoring.use_tool_id(number, f"mine {number}")
    seen(0)
print([monitoring.get_tool(number) for number in range(6)])
for number in range(6):
    monitoring.free_tool_id(number)
print(seen(1))
""",
        python=(3, 12),
    ),
    tracing(
        "monitoring_with_the_id_of_coverage_and_disable",
        """
import sys

monitoring = sys.monitoring
events = monitoring.events
notes = []

def on_line(code, line):
    if code.co_name != "seen":  #?
        return monitoring.DISABLE  #?
    notes.append(line)  #?
    return monitoring.DISABLE  #?

def seen(flag):
    if flag:
        result = "yes"
    else:
        result = "no"
    return result

monitoring.use_tool_id(monitoring.COVERAGE_ID, "mine")
monitoring.register_callback(monitoring.COVERAGE_ID, events.LINE, on_line)
monitoring.set_events(monitoring.COVERAGE_ID, events.LINE)
seen(0)
seen(0)
monitoring.restart_events()
seen(0)
monitoring.set_events(monitoring.COVERAGE_ID, 0)
seen(1)
monitoring.free_tool_id(monitoring.COVERAGE_ID)
print(notes)
""",
        python=(3, 12),
    ),
    tracing(
        "monitoring_ids_in_turn_tell_of_functions_that_ran_before",
        """
import sys
import textwrap

monitoring = sys.monitoring
events = monitoring.events
notes = []

def on_start(code, offset):
    if code.co_name in ("seen", "dedent"):  #?
        notes.append(code.co_name)  #?

def seen():
    return textwrap.dedent("")

seen()
for tool in (4, 3, 1, 5, 2, 0):
    monitoring.use_tool_id(tool, "mine")
    monitoring.register_callback(tool, events.PY_START, on_start)
    monitoring.set_events(tool, events.PY_START)
    seen()
    seen()
    monitoring.set_events(tool, 0)
    monitoring.free_tool_id(tool)
    print(tool, notes)
    notes.clear()
""",
        python=(3, 12),
    ),
    tracing(
        "monitoring_local_events_of_one_function",
        """
import sys

monitoring = sys.monitoring
events = monitoring.events
notes = []

def on_line(code, line):
    notes.append((code.co_name, line))  #?

def seen(flag):
    if flag:
        return "yes"
    return "no"

def other(flag):
    if flag:
        return "yes"
    return "no"

monitoring.use_tool_id(1, "mine")
monitoring.register_callback(1, events.LINE, on_line)
monitoring.set_local_events(1, seen.__code__, events.LINE)
for flag in (0, 1):
    seen(flag)
    other(flag)
monitoring.set_local_events(1, seen.__code__, 0)
seen(0)
monitoring.free_tool_id(1)
print(notes)
""",
        python=(3, 12),
    ),
    tracing(
        "monitoring_branches_and_instructions_of_the_program",
        """
import sys

monitoring = sys.monitoring
events = monitoring.events
counts = {"branch": 0, "instruction": 0}

def on_branch(code, start, end):
    counts["branch"] += code.co_name == "seen"  #?

def on_instruction(code, offset):
    counts["instruction"] += code.co_name == "seen"  #?

def seen(limit):
    total = 0
    for item in range(limit):
        if item % 2:
            total += item
    return total

monitoring.use_tool_id(0, "mine")
for name in ("BRANCH", "BRANCH_LEFT", "BRANCH_RIGHT"):
    if name == "BRANCH" and sys.version_info >= (3, 14):  #?
        continue  #?
    event = getattr(events, name, 0)
    if event:  #?
        monitoring.register_callback(0, event, on_branch)
        monitoring.set_events(0, monitoring.get_events(0) | event)
monitoring.register_callback(0, events.INSTRUCTION, on_instruction)
monitoring.set_local_events(0, seen.__code__, events.INSTRUCTION)
seen(4)
monitoring.set_local_events(0, seen.__code__, 0)
monitoring.set_events(0, 0)
monitoring.free_tool_id(0)
# 3.12 and 3.13 skip an instruction event of one tool where another disables a line event.
print(counts["branch"], sys.version_info >= (3, 14) and counts["instruction"])
""",
        python=(3, 14),  # before, CPython drops INSTRUCTION events where a line begins
    ),
    tracing(
        "monitoring_raise_and_unwind_of_the_program",
        """
import sys

monitoring = sys.monitoring
events = monitoring.events
notes = []

def noting(name):
    def callback(code, *rest):
        if code.co_name.startswith("seen"):  #?
            notes.append(name)  #?
    return callback

def seen_fail(flag):
    if flag:
        raise KeyError
    return 1

def seen(flag):
    try:
        return seen_fail(flag)
    except KeyError:  #T
        return "caught"

monitoring.use_tool_id(0, "mine")
for name in ("RAISE", "PY_UNWIND", "EXCEPTION_HANDLED"):
    monitoring.register_callback(0, getattr(events, name), noting(name))
monitoring.set_events(0, events.RAISE | events.PY_UNWIND | events.EXCEPTION_HANDLED)
print(seen(0), seen(1))
monitoring.set_events(0, 0)
monitoring.free_tool_id(0)
print(notes)
""",
        python=(3, 12),
    ),
    tracing(
        "nobody_traces_as_far_as_the_program_can_see",
        """
import sys
import threading

print(sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile())
print(sys._getframe().f_trace)

def inside():
    frame = sys._getframe()
    print(sys.gettrace(), frame.f_trace, frame.f_trace_lines, frame.f_trace_opcodes)

inside()
thread = threading.Thread(target=inside)
thread.start()
thread.join()
if hasattr(sys, "monitoring"):  #?
    print([sys.monitoring.get_tool(number) for number in (0, 2, 5)])  #?
""",
    ),
    tracing(
        "call_tracing",
        f"""
import sys
from tracer import show, tracer
{SUBJECT}
sys.settrace(tracer)
sys.call_tracing(seen, (1,))
sys.settrace(None)
sys.call_tracing(seen, (0,))
list(seen_generator(1))
show()
""",
    ),
    tracing(
        "doctest_and_its_output",
        """
import doctest

def seen(flag):
    '''
    >>> seen(1)
    'yes'
    >>> seen(0)
    'no'
    '''
    if flag:
        return "yes"
    return "no"

print(doctest.testmod())
""",
        witness=False,
    ),
    tracing(
        "user_tracer_in_a_generator_between_two_steps",
        """
import sys
from tracer import show, tracer

def seen_steps():
    yield 1
    if sys.gettrace():
        yield "traced"
    else:
        yield "plain"
    end = 1

for traced in (0, 1):
    steps = seen_steps()
    next(steps)
    sys.settrace(tracer if traced else None)
    print(next(steps))
    next(steps, None)
    sys.settrace(None)
show()
""",
    ),
    tracing(
        "trace_function_of_c_code",
        """
import ctypes

FUNCTION = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.py_object, ctypes.py_object, ctypes.c_int, ctypes.c_void_p
)
install = ctypes.pythonapi.PyEval_SetTrace
install.argtypes = (ctypes.c_void_p, ctypes.py_object)
events = []

@FUNCTION
def traced(owner, frame, what, argument):
    if frame.f_code.co_name == "seen":  #?
        events.append((owner, what, frame.f_lineno))  #?
    return 0  #?

def start():
    install(ctypes.cast(traced, ctypes.c_void_p), "mine")

def stop():
    install(None, None)

def seen(flag):
    if flag:
        result = 1
    else:
        result = 2
    return result

def use(flag):
    start()
    seen(flag)
    stop()
    after = seen(not flag)
    return after

use(0)
use(1)
end = 1
print(events)
""",
    ),
    tracing(
        "trace_function_itself_is_measured",
        """
import sys

def tracer(frame, event, argument):
    if frame.f_code.co_name != "seen":
        return None
    if event == "line":
        lines.append(describe(frame.f_lineno))
    elif event == "exception":  #F
        lines.append("exception")  #-
    return tracer

def describe(line):
    if line == seen.__code__.co_firstlineno + 1:
        return "first"
    return "second"

def seen():
    a = 1
    return a

def unseen():
    return 2

lines = []
sys.settrace(tracer)
seen()
unseen()
sys.settrace(None)
print(lines)
""",
    ),
    tracing(
        "trace_function_that_is_a_method_and_one_per_frame",
        """
import sys

class Tracer:
    def __init__(self):
        self.lines = []

    def __call__(self, frame, event, argument):
        if frame.f_code.co_name == "seen":
            return self.local
        return None

    def local(self, frame, event, argument):
        if event == "line":
            self.lines.append(frame.f_lineno)
        return self.local

def seen(flag):
    if flag:  #T
        return 1
    return 2  #-

def unseen():
    return 1

tracer = Tracer()
sys.settrace(tracer)
seen(1)
unseen()
sys.settrace(None)
print(tracer.lines)
""",
    ),
    tracing(
        "profile_function_itself_is_measured",
        """
import sys

def profiler(frame, event, argument):
    if event == "call":
        calls.append(frame.f_code.co_name)
    elif event == "return":
        returns.append(argument)
    else:
        builtins.add(event)

def seen(flag):
    return len([flag])

calls, returns, builtins = [], [], set()
sys.setprofile(profiler)
seen(1)
sys.setprofile(None)
print(calls, returns, sorted(builtins))
""",
    ),
    tracing(
        "threads_trace_function_itself_is_measured",
        """
import threading

def tracer(frame, event, argument):
    if frame.f_code.co_name == "seen":
        events.append(event)
        return tracer
    return None

def seen():
    return 1

events = []
threading.settrace(tracer)
thread = threading.Thread(target=seen)
thread.start()
thread.join()
threading.settrace(None)
print(events)
""",
    ),
    tracing(
        "monitoring_callbacks_themselves_are_measured",
        """
import sys

monitoring = sys.monitoring
events = monitoring.events

def on_line(code, line):
    if code is seen.__code__:
        lines.append(line)
    else:
        others.append(line)

def on_start(code, offset):
    if code is seen.__code__:  #T
        starts.append(describe(offset))
        return monitoring.DISABLE
    return None  #-

def describe(offset):
    if offset < 0:  #F
        return "never"  #-
    return "start"

def seen(flag):
    if flag:
        return 1
    return 2

lines, others, starts = [], [], []
monitoring.use_tool_id(4, "mine")
monitoring.register_callback(4, events.LINE, on_line)
monitoring.register_callback(4, events.PY_START, on_start)
monitoring.set_local_events(4, seen.__code__, events.PY_START)
monitoring.set_events(4, events.LINE)
seen(0)
seen(1)
monitoring.set_events(4, 0)
monitoring.free_tool_id(4)
print(lines, starts, bool(others))
""",
        python=(3, 12),
    ),
    Row(
        name="greenlet_callback_itself_is_measured",
        needs=("greenlet",),
        same_as_plain=True,
        source="""
import greenlet

def callback(event, arguments):
    if event == "switch":
        events.append("s")
    else:
        events.append("t")

def child():
    try:
        main.switch()
        never = 1  #-
    except KeyError:  #T
        return "thrown"

events = []
main = greenlet.getcurrent()
greenlet.settrace(callback)
one = greenlet.greenlet(child)
one.switch()
print(one.throw(KeyError))
greenlet.settrace(None)
print("".join(events))
""",
    ),
    Row(
        name="greenlet_callback_is_told_of_switches_in_trace_functions",
        needs=("greenlet",),
        same_as_plain=True,
        source="""
import sys
import greenlet

def callback(event, arguments):
    switches.append([names[one] for one in arguments])
    if len(switches) == 1:
        other.switch()

def tracer(frame, event, argument):
    if event == "call":  #T
        other.switch()
    return None

def child():
    main.switch()
    return "child"

def another():
    while True:
        main.switch()

def seen():
    return 1

switches = []
main = greenlet.getcurrent()
one, other = greenlet.greenlet(child), greenlet.greenlet(another)
names = {main: "main", one: "one", other: "other"}
greenlet.settrace(callback)
one.switch()
print(one.switch(), one.switch())
sys.settrace(tracer)
seen()
sys.settrace(None)
greenlet.settrace(None)
print(switches)
""",
    ),
]
