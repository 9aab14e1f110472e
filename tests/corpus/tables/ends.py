"""Violent and odd ends: whatever ran before is known, and the end is the program's own."""

from __future__ import annotations

import signal

from tests.corpus.row import Row


def ending(
    name: str, how: str, ends: int | signal.Signals, *, never: bool = True, **more: object
) -> Row:
    """Give a program that runs some lines and then ends like that."""
    last = "never = 1  #-\n" if never else ""
    source = f"""
import ctypes
import os
import resource
import signal
import sys

def work(limit):
    total = 0
    for number in range(limit):
        if number % 2:
            total += 1
        else:
            total -= 1
    return total

work(3)
{how}
{last}"""
    return Row(name=name, source=source, ends=ends, **more)  # type: ignore[arg-type]


KILLED_BY = (
    signal.SIGKILL,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGALRM,
    signal.SIGQUIT,
    signal.SIGXCPU,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGSYS,
    signal.SIGTRAP,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
)

ROWS = [
    *(
        ending(f"killed_by_{number.name}", f"os.kill(os.getpid(), signal.{number.name})", number)
        for number in KILLED_BY
    ),
    ending("os_exit", "os._exit(3)", 3),
    ending("os_exit_by_keyword", "os._exit(status=4)", 4),
    ending("os_exit_zero", "os._exit(0)", 0),
    ending("os_exit_large", "os._exit(255)", 255),
    ending("os_abort", "os.abort()", signal.SIGABRT),
    ending("segmentation_fault", "ctypes.string_at(0)", signal.SIGSEGV),
    ending("segmentation_fault_by_signal", "os.kill(os.getpid(), signal.SIGSEGV)", signal.SIGSEGV),
    ending("exit_by_c_code", "ctypes.CDLL(None).exit(7)", 7),
    ending("_exit_by_c_code", "ctypes.CDLL(None)._exit(8)", 8),
    ending("quick_exit_by_c_code", "ctypes.CDLL(None).quick_exit(9)", 9, linux=True),
    ending("abort_by_c_code", "ctypes.CDLL(None).abort()", signal.SIGABRT),
    ending("fatal_error", "ctypes.pythonapi.Py_FatalError(b'on purpose')", signal.SIGABRT),
    ending("raise_signal", "signal.raise_signal(signal.SIGTERM)", signal.SIGTERM),
    ending(
        "kill_of_the_process_group",
        "os.getpgrp() == os.getpid() or os.setpgid(0, 0); os.killpg(0, signal.SIGKILL)",
        signal.SIGKILL,
    ),
    ending(
        "cpu_limit",
        "resource.setrlimit(resource.RLIMIT_CPU, (0, 10)); exec('while True: pass')",
        signal.SIGXCPU,
    ),
    ending(
        "sigpipe_by_default",
        "signal.signal(signal.SIGPIPE, signal.SIG_DFL); r, w = os.pipe(); os.close(r); "
        "os.write(w, b'x')",
        signal.SIGPIPE,
    ),
    ending("unhandled_exception", "raise ValueError('on purpose')", 1),
    ending("unhandled_keyboard_interrupt", "raise KeyboardInterrupt", signal.SIGINT),
    ending("interrupted_by_sigint", "signal.raise_signal(signal.SIGINT)", signal.SIGINT),
    ending("system_exit_with_a_number", "sys.exit(5)", 5),
    ending("system_exit_with_a_text", "sys.exit('on purpose')", 1),
    ending("system_exit_with_none", "raise SystemExit", 0),
    ending("system_exit_beyond_a_byte", "sys.exit(256 + 7)", 7),
    ending("system_exit_negative", "sys.exit(-1)", 255),
    ending("builtin_exit", "exit(6)", 6),
    ending("exception_group_unhandled", "raise ExceptionGroup('on purpose', [ValueError()])", 1),
    ending("out_of_memory", "raise MemoryError", 1),
    Row(
        name="syntax_error_in_a_module_that_is_imported",
        source="""
open("broken/part.py", "w").write("x = = 1")
try:
    import broken
    never = 1  #-
except SyntaxError:  #T
    print("broken")
raise SystemExit(2)
""",
        files={"broken/__init__.py": "import broken.part\n", "broken/part.txt": "x"},
        prints="broken\n",
        ends=2,
    ),
    Row(
        name="faulthandler_prints_and_dies",
        source="""
import ctypes
import faulthandler
import os

faulthandler.enable(open(os.devnull, "w"))
before = 1
ctypes.string_at(0)
never = 1  #-
""",
        ends=signal.SIGSEGV,
    ),
    Row(
        name="excepthook_of_the_program",
        source="""
import sys

def hook(kind, error, traceback):
    if kind is ValueError:  #T
        print("hooked", error)
    else:
        print("other")  #-

sys.excepthook = hook
raise ValueError("x")
""",
        prints="hooked x\n",
        ends=1,
    ),
    Row(
        name="excepthook_that_exits_itself",
        source="""
import os
import sys

def hook(kind, error, traceback):
    print("leaving", flush=True)
    os._exit(44)
    never = 1  #-

sys.excepthook = hook
raise ValueError("x")
""",
        prints="leaving\n",
        ends=44,
    ),
    Row(
        name="atexit_functions_in_order_one_fails_one_exits",
        source="""
import atexit
import os
import sys

def first():
    print("first")
    raise RuntimeError("in atexit")

def second():
    print("second")

def last():
    print("last", flush=True)
    os._exit(30)

atexit.register(last)
atexit.register(second)
atexit.register(first)
sys.exit(3)
""",
        prints="first\nsecond\nlast\n",
        ends=30,
    ),
    Row(
        name="finalizers_of_module_globals_run_at_the_end",
        source="""
class Noisy:
    def __del__(self):
        if self.loud:
            print("loud")
        else:
            print("quiet")

    def __init__(self, loud):
        self.loud = loud

kept = [Noisy(True), Noisy(False)]
""",
        prints="quiet\nloud\n",
        witness=False,
    ),
    Row(
        name="weakref_finalize_at_the_end",
        source="""
import weakref

class Thing:
    pass

def finish(word):
    if word:  #T
        print(word)

thing = Thing()
weakref.finalize(thing, finish, "finished")
""",
        prints="finished\n",
    ),
    Row(
        name="sigterm_handler_that_exits",
        source="""
import os
import signal
import sys

def handler(number, frame):
    print("handled", number)
    sys.exit(21)

signal.signal(signal.SIGTERM, handler)
os.kill(os.getpid(), signal.SIGTERM)
while True:  #?
    signal.pause()  #?
""",
        prints="handled 15\n",
        ends=21,
    ),
    Row(
        name="sigterm_handler_that_restores_the_default_and_dies",
        source="""
import os
import signal

def handler(number, frame):
    print("cleaning", flush=True)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)

signal.signal(signal.SIGTERM, handler)
os.kill(os.getpid(), signal.SIGTERM)
while True:  #?
    signal.pause()  #?
""",
        prints="cleaning\n",
        ends=signal.SIGTERM,
    ),
    Row(
        name="sigterm_in_the_middle_of_many_lines",
        source="""
import os
import signal

def handler(number, frame):
    stopped.append(number)

stopped = []
signal.signal(signal.SIGTERM, handler)
count = 0
while not stopped:
    count += 1
    if count == 500:
        os.kill(os.getpid(), signal.SIGTERM)
print(stopped, flush=True)
os._exit(1)
""",
        prints="[15]\n",
        ends=1,
    ),
    Row(
        name="signals_ignored_and_blocked_stay_so",
        source="""
import os
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
os.kill(os.getpid(), signal.SIGTERM)
os.kill(os.getpid(), signal.SIGUSR1)
print(signal.SIGUSR1 in signal.sigpending())
if signal.sigwait({signal.SIGUSR1}) == signal.SIGUSR1:  #T
    print("waited")
""",
        prints="True\nwaited\n",
    ),
    Row(
        name="exit_in_a_deep_call_with_finally_blocks",
        source="""
import sys

def down(depth):
    try:
        if depth:
            down(depth - 1)
        else:
            sys.exit(19)
    finally:
        unwound.append(depth)

unwound = []
try:
    down(3)
finally:
    print(unwound)
""",
        prints="[0, 1, 2, 3]\n",
        ends=19,
    ),
    Row(
        name="end_inside_a_condition",
        source="""
import os

def leave(flag):
    if flag:
        os._exit(13)
    return flag

if leave(0):  #F
    never = 1  #-
while leave(1):  #X
    never = 1  #-
never = 1  #-
""",
        ends=13,
    ),
    Row(
        name="end_in_the_middle_of_a_with_and_a_try",
        source="""
import os
from contextlib import contextmanager

@contextmanager
def guard():
    try:
        yield 1
    finally:
        never = 1  #-

try:
    with guard() as value:
        if value:  #T
            os._exit(14)
        never = 1  #-
finally:
    never = 1  #-
""",
        ends=14,
    ),
    Row(
        name="killed_in_the_middle_of_a_file_with_many_lines",
        source="\n".join(
            [
                "import os, signal",
                *(f"a{number} = {number}" for number in range(3000)),
                "os.kill(os.getpid(), signal.SIGKILL)",
                *(f"b{number} = {number}  #-" for number in range(100)),
                "",
            ]
        ),
        witness=False,
        ends=signal.SIGKILL,
    ),
    Row(
        name="killed_by_its_child",
        source="""
import os
import signal

if os.fork() == 0:  #?
    os.kill(os.getppid(), signal.SIGKILL)
    os._exit(0)  #?
while True:  #?
    signal.pause()  #?
""",
        ends=signal.SIGKILL,
    ),
    Row(
        name="memory_limit_reached",
        source="""
import resource

limit = 400 * 1024 * 1024
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    block = bytearray(4 * limit)
    never = 1  #-
except MemoryError:  #T
    print("no memory")
blocks = []
while len(blocks) < 2:
    blocks.append(bytearray(1000))
""",
        prints="no memory\n",
    ),
    Row(
        name="no_descriptor_is_left",
        source="""
import os
import resource

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
opened = []
while True:
    try:
        opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:  #T
        break
for number in range(3):
    last = number
if len(opened) > 50:  #T
    print("all")
for descriptor in opened:
    os.close(descriptor)
""",
        prints="all\n",
        witness=False,
    ),
    Row(
        name="file_size_limit_of_nothing",
        source="""
import os
import resource
import signal

resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
for number in range(3):
    last = number
""",  # a child forked now could not make a journal of its own
        witness=False,
    ),
    Row(
        name="stdout_closed_and_descriptors_counted",
        source="""
import os
import sys

print(sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1])
os.closerange(3, 256)
sys.stdout.flush()
os.close(1)
os.close(0)
after = 1
""",
        linux=True,
        witness=False,
        prints="[0, 1, 2]\n",
        ends=0,
    ),
    Row(
        name="working_directory_is_deleted",
        source="""
import os

os.mkdir("gone")
os.chdir("gone")
os.rmdir("../gone")
for number in range(2):
    last = number
if os.fork() == 0:
    in_child = 1
    os._exit(0)
os.wait()
print(last)
""",
        prints="1\n",
        witness=False,
    ),
]
