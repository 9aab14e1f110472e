"""The table of programs that must not notice: each runs plainly and measured, and says the same.

`import portrait` in a program brings what it can see of its process (portrait.py). `{python}` in a
command is the interpreter, `{here}` the program's directory. What a row prints must be the same in
any two plain runs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program and how it is started."""

    name: str
    source: str = "import portrait\nportrait.show('main')\n"
    command: tuple[str, ...] = ("{python}", "program.py", "one", "--two")
    files: dict[str, str] = field(default_factory=dict)
    stdin: str = ""
    differs: dict[str, str] = field(default_factory=dict)
    """Cores under which it does notice, each with the reason that docs/transparency.md gives."""


PORTRAIT = "import portrait\nportrait.show({!r})\n"
SHOW = PORTRAIT.format("main")


def started(name: str, *words: str, **more: object) -> Program:
    """Show a process started as `python WORDS`."""
    return Program(name=name, command=("{python}", *words), **more)  # type: ignore[arg-type]


WAYS_TO_START = [
    started("a_script", "program.py", "one", "--two"),
    started("a_module", "-m", "program", "one"),
    started("a_package", "-m", "package", "one", files={"package/__main__.py": SHOW}),
    started("a_module_of_a_package", "-m", "package.inner", files={"package/inner.py": SHOW}),
    started("a_command", "-c", SHOW, "one"),
    started("standard_input", "-", "one", stdin=SHOW),
    started("standard_input_unnamed", stdin=SHOW),
    started(
        "a_directory",
        "folder",
        "one",
        files={"folder/__main__.py": SHOW, "folder/portrait.py": "@portrait"},
    ),
    started("an_archive", "archive.pyz", "one"),
    started("an_absolute_path", "{here}/program.py"),
    started("interactive_after_a_script", "-i", "program.py", stdin="print(1 + 1)\nexit(3)\n"),
    started("a_script_that_is_not_there", "none.py"),
    started("a_syntax_error", "program.py", source="x = = 1\n"),
]

FLAGS = [
    ("-E",),
    ("-s",),
    ("-P",),
    ("-O",),
    ("-OO",),
    ("-b",),
    ("-u",),
    ("-q",),
    ("-W", "error"),
    # On 3.11 the first import of an extension brings encodings.ascii along, in this mode.
    *((("-X", "dev"),) if sys.version_info >= (3, 12) else ()),
    ("-X", "utf8=1"),
    ("-X", "faulthandler"),
    ("-X", "frozen_modules=off"),
    ("-X", "int_max_str_digits=5000"),
    ("-X", "no_debug_ranges"),
]
STARTED_WITH_FLAGS = [
    started("_".join(["flags", *flags]), *flags, "program.py") for flags in FLAGS
] + [
    started("flags_-I", "-I", "-c", "import sys; sys.path.append({here!r})\n" + SHOW),
    started("flags_-S", "-S", "program.py"),
    started("flags_-I_-S", "-I", "-S", "-c", "import sys; sys.path.append({here!r})\n" + SHOW),
]

PROCESSES = [
    Program(
        name="forks",
        source="""
import os, portrait
portrait.show("parent")
for depth in range(2):
    pid = os.fork()
    if pid:
        print(depth, os.waitpid(pid, 0)[1], flush=True)
        break
    portrait.show(f"child {depth}")
if not pid:
    os._exit(7)
portrait.show("parent after")
""",
    ),
    Program(
        name="children_by_subprocess",
        source="""
import os, subprocess, sys, portrait
portrait.show("parent")
child = [sys.executable, "child.py"]
for name, how in {
    "plain": {},
    "descriptors": {"close_fds": False},
    "passed": {"pass_fds": [os.dup(1)]},
    "session": {"start_new_session": True},
    "group": {"process_group": 0},
    "directory": {"cwd": "/", "env": {"PYTHONPATH": os.getcwd(), **os.environ}},
    "scrubbed": {"env": {}},
    "umask": {"umask": 0o27},
    "prepared": {"preexec_fn": lambda: os.nice(3)},
    "signals": {"restore_signals": False},
    "shell": {"shell": True},
}.items():
    words = [*child[:1], os.path.abspath(child[1]), name]
    words = " ".join(words) if name == "shell" else words
    print(name, subprocess.run(words, **how).returncode, flush=True)
""",
        files={"child.py": "import sys, portrait\nportrait.show(sys.argv[1])\nsys.exit(4)\n"},
    ),
    Program(
        name="children_by_posix",
        source="""
import os, sys, portrait
words = [sys.executable, "child.py"]
pid = os.posix_spawn(sys.executable, [*words, "spawned"], os.environ)
print(os.waitpid(pid, 0)[1], flush=True)
pid = os.posix_spawn(sys.executable, [*words, "spawned bare"], {})
print(os.waitpid(pid, 0)[1], flush=True)
print(os.spawnv(os.P_WAIT, sys.executable, [*words, "spawnv"]), flush=True)
print(os.system(" ".join([*words, "system"])), flush=True)
os.environ.clear()
print(os.system(" ".join([*words, "cleared"])), flush=True)
portrait.show("parent after")
""",
        files={"child.py": "import sys, portrait\nportrait.show(sys.argv[1])\nsys.exit(4)\n"},
    ),
    *(
        Program(
            name=f"{how}_one_after_the_other",
            source=f"""
import os, sys, portrait
portrait.show("first")
os.{call}
""",
            files={"child.py": PORTRAIT.format("second")},
        )
        for how, call in {
            "execv": "execv(sys.executable, [sys.executable, 'child.py', 'x'])",
            "execve": "execve(sys.executable, ['another name', 'child.py'], {'ONLY': 'this'})",
            "execlp": "execlp(sys.executable, sys.executable, '-B', 'child.py')",
        }.items()
    ),
    *(
        Program(
            name=f"multiprocessing_by_{method}",
            source=f"""
import multiprocessing, portrait
def work(name):
    portrait.show(name)
    return name.upper()
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    child = context.Process(target=work, args=("child",), name="child")
    child.start()
    child.join()
    print(child.exitcode, flush=True)
    with context.Pool(1) as pool:
        print(pool.map(work, ["pool"]), flush=True)
    portrait.show("parent")
""",
        )
        for method in ("fork", "spawn", "forkserver")
    ),
    Program(
        name="a_terminal_of_its_own",
        source="""
import os, pty, sys, portrait
pid, master = pty.fork()
if pid == 0:
    os.execv(sys.executable, [sys.executable, "child.py"])
said = b""
while True:
    try:
        said += os.read(master, 4096)
    except OSError:
        break
print(os.waitpid(pid, 0)[1])
print(said.decode())
""",
        files={"child.py": PORTRAIT.format("on a terminal")},
    ),
    Program(
        name="threads",
        source="""
import threading, _thread, portrait
thread = threading.Thread(target=portrait.show, args=("thread",))
thread.start()
thread.join()
lock = _thread.allocate_lock()
lock.acquire()
def bare():
    try:
        portrait.show("bare")
    finally:
        lock.release()
_thread.start_new_thread(bare, ())
with lock:
    pass
portrait.show("last")
""",
    ),
    Program(
        name="at_the_end",
        source="""
import atexit, signal, sys, threading, portrait
atexit.register(portrait.show, "at exit")
threading._register_atexit(portrait.show, "at the end of threads")
class Last:
    def __del__(self):
        print("deleted", sys.meta_path is not None, flush=True)
last = Last()
signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
signal.raise_signal(signal.SIGTERM)
""",
    ),
]

ENDS = [
    Program(name=f"ends_{name}", source=f"import os, signal, sys, threading\n{source}")
    for name, source in {
        "by_status": "sys.exit(41)",
        "by_a_message": "sys.exit('a message')",
        "by_none": "raise SystemExit",
        "by_an_error": "def inner():\n    1 / 0\ndef outer():\n    inner()\nouter()",
        "by_a_group": "raise ExceptionGroup('two', [ValueError(1), KeyError(2)])",
        "by_recursion": "def deeper():\n    deeper()\ndeeper()",
        "by_interrupt": "signal.raise_signal(signal.SIGINT)",
        "by_sigterm": "os.kill(os.getpid(), signal.SIGTERM)",
        "by_sigkill": "os.kill(os.getpid(), signal.SIGKILL)",
        "by_abort": "os.abort()",
        "at_once": "print('lost')\nos._exit(9)",
        "with_a_thread's_error": "def f():\n    1 / 0\nthreading.Thread(target=f).start()",
        "with_stdout_closed": "print('x')\nos.close(1)",
        "with_all_closed": "os.closerange(0, 256)\nsys.exit(5)",
        "by_importing_nothing": "import no_such_module",
        "while_a_thread_runs": (
            "import time\nt = threading.Thread(target=time.sleep, args=(9,), daemon=True)\n"
            "t.start()\nsys.exit(6)"
        ),
    }.items()
]

INSIDE = [
    Program(
        name="functions_for_another_interpreter",
        source="""
try:
    from concurrent import interpreters
except ImportError:
    raise SystemExit
def outer():
    def inner(number, *, by=2):
        if number:
            return number * by
        return 0
    return inner
inner = outer()
ran = [inner(3), inner(0), (lambda: 7)()]
sub = interpreters.create()
print(ran, sub.call(inner, 4), sub.call(lambda: 8))
def told(function, number):
    return function(number)
print(told(inner, 1), sub.call(told, inner, 5))
queue = interpreters.create_queue()
queue.put(inner)
print(queue.get()(6))
try:
    sub.call(open)
except interpreters.ExecutionFailed as error:
    print(str(error).splitlines()[0])
sub.close()
""",
    ),
    Program(
        name="the_extensions_in_a_report_of_a_crash",
        source="""
import subprocess, sys
crash = (
    "import faulthandler, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); "
    "faulthandler.enable(); faulthandler._sigsegv()"
)
done = subprocess.run([sys.executable, "-c", crash], capture_output=True, text=True)
print(done.returncode, [line for line in done.stderr.splitlines() if "xtension" in line])
""",
    ),
    Program(
        name="depth_of_the_stack",
        source="""
import inspect, sys, threading, traceback, weakref
def depth():
    return len(inspect.stack())
def report(name):
    traceback.print_stack(file=sys.stdout)
    print(name, depth(), len(traceback.extract_stack()))
class Imports:
    def find_spec(self, name, path=None, target=None):
        if name == "strange":
            report("import hook")
sys.meta_path.insert(0, Imports())
try:
    import strange
except ImportError:
    traceback.print_exc(file=sys.stdout)
report("main")
thread = threading.Thread(target=report, args=["thread"])
thread.start(); thread.join()
class Deleted:
    def __del__(self):
        report("deleted")
Deleted()
def deeper(level):
    try:
        return deeper(level + 1)
    except RecursionError:
        return level
print(deeper(0))
sys.setrecursionlimit(200)
print(deeper(0))
def generator():
    report("generator")
    yield
list(generator())
""",
    ),
    Program(
        name="audit_events",
        source="""
import os, subprocess, sys, threading
SKIPPED = {"object.__getattr__", "object.__setattr__", "code.__new__", "exec", "compile", "marshal.loads"}
seen = []
def hook(event, arguments):
    if on and event not in SKIPPED:
        seen.append((event, [type(each).__name__ for each in arguments]))
on = False
sys.addaudithook(hook)
on = True
pid = os.fork()
if pid == 0:
    import colorsys
    os.write(1, f"child {seen}\\n".encode())
    os._exit(3)
os.waitpid(pid, 0)
subprocess.run([sys.executable, "-c", "pass"])
os.system("true")
os.posix_spawn("/bin/true", ["true"], dict(os.environ))
os.wait()
import imaplib
sys.settrace(None)
sys.settrace(print)
sys.settrace(None)
sys.setprofile(None)
sys._getframe()
try:
    os.execv("/no/such", ["x"])
except OSError:
    pass
on = False
for each in seen:
    print(*each)
""",
    ),
    Program(
        name="threads_begin_while_an_audit_hook_runs",
        source="""
import ctypes, gc, sys, threading, time
sys.unraisablehook = lambda unraisable: print(unraisable.exc_value, unraisable.err_msg)
inside = 0
def hook(event, arguments):
    global inside
    if event == "sys.settrace" and inside < 40:
        inside += 1
        time.sleep(0.001)
sys.addaudithook(hook)
def work():
    return len(ran)
ran = []
threads = [threading.Thread(target=lambda: ran.append(work())) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(ran))
class Profiler:
    def __call__(self, *_): pass
    def __del__(self):
        sys.setprofile(None)
sys.unraisablehook = lambda unraisable: print(
    unraisable.exc_value, getattr(unraisable.object, "__qualname__", unraisable.object))
sys.setprofile(Profiler())
sys.setprofile(work)
print(sys.getprofile() is work)
sys.setprofile(None)
""",
    ),
    Program(
        name="an_audit_hook_forbids_tracers",
        source="""
import sys, threading
def hook(event, arguments):
    if event in ("sys.settrace", "sys.setprofile") and on:
        seen.append(event)
        raise RuntimeError(event)
def noting(frame, event, argument):
    noted.append((frame.f_code.co_name, event))
def called():
    pass
seen, noted, on = [], [], False
sys.addaudithook(hook)
def attempt(function, argument):
    try:
        function(argument)
        print("done")
    except RuntimeError as error:
        print(repr(error))
    called()
    print(sys.gettrace(), sys.getprofile(), seen)
for on in (True, False, True, False):
    for function in (sys.settrace, sys.setprofile):
        attempt(function, noting)
        attempt(function, None)
print(noted)
""",
    ),
    Program(
        name="garbage",
        source="""
import gc, sys, weakref
phases = []
gc.callbacks.append(lambda phase, info: phases.append((phase, info["generation"])))
class Node: pass
def cycle():
    a, b = Node(), Node()
    a.other, b.other = b, a
    return weakref.ref(a)
gc.collect()
gc.disable()
phases.clear()
ref = cycle()
print(ref() is not None, gc.collect(), ref(), phases)
def function(): pass
print(sys.getrefcount(function), sys.getrefcount(function.__code__))
function()
print(sys.getrefcount(function), sys.getrefcount(function.__code__))
print([type(each).__name__ for each in gc.get_referrers(function.__code__)])
ref = weakref.ref(function)
code = weakref.ref(function.__code__)
del function
print(ref(), code())
gc.freeze()
print(gc.get_freeze_count() > 0, gc.garbage, gc.is_tracked(phases))
""",
    ),
    Program(
        name="data_that_the_program_hangs_on_code",
        source="""
import ctypes
python = ctypes.pythonapi
release_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
names = ["_PyEval_RequestCodeExtraIndex", "_PyCode_SetExtra", "_PyCode_GetExtra"]
request, put, get = (getattr(python, name) for name in names)
put.argtypes = (ctypes.py_object, ctypes.c_ssize_t, ctypes.c_void_p)
get.argtypes = (ctypes.py_object, ctypes.c_ssize_t, ctypes.POINTER(ctypes.c_ssize_t))
released = []
release = release_type(released.append)
index = request(release)
def make(number):
    space = {}
    exec(f"def function():\\n    x = {number}\\n    return x\\n", space)
    return space["function"]
def local(flag):
    def inner():
        return flag
    return inner()
functions = [make(number) for number in range(4)]
for number, function in enumerate(functions):
    if number % 2:
        put(function.__code__, index, 100 + number)
    function()
    there = ctypes.c_ssize_t(0)
    print(get(function.__code__, index, there), there.value)
local(1)
del functions, function
print(released)
def last():
    return 1
last()
""",
    ),
    Program(
        name="monitoring_every_instruction",
        differs={"settrace": "CPython forgets INSTRUCTION events where it traces lines too"},
        source="""
import sys
if not hasattr(sys, "monitoring"):
    sys.exit()
M, E = sys.monitoring, sys.monitoring.events
def function(limit):
    total = 0
    for number in range(limit):
        if number:
            total += len(str(number))
    return total
seen = []
def note(code, *what):
    if code is function.__code__ or code is second.__code__:
        seen.append((code.co_name, what[0]))
def second():
    a = 1
    return a
function(2)
M.use_tool_id(2, "ours")
M.register_callback(2, E.INSTRUCTION, note)
M.register_callback(2, E.LINE, lambda code, line: note(code, f"line {line}"))
for events in E.INSTRUCTION, E.INSTRUCTION | E.LINE, E.LINE, E.INSTRUCTION:
    M.set_events(2, events)
    function(3)
    second()
    M.set_events(2, 0)
    print(events, len(seen), seen)
    seen.clear()
def second():
    b = 2
    return b
M.set_local_events(2, second.__code__, E.INSTRUCTION)
second(); second()
print(M.get_local_events(2, second.__code__), seen, M._all_events())
seen.clear()
M.set_events(2, E.LINE)
second()
print(seen, M.get_events(2), M._all_events())
M.set_events(2, 0)
M.set_local_events(2, second.__code__, 0)
M.free_tool_id(2)
print(M._all_events())
sys.settrace(lambda *_: None)
print(M._all_events())
sys.settrace(None)
print(M._all_events())
""",
    ),
    Program(
        name="opcodes_for_a_frame_that_traces_later",
        source="""
import sys
seen = []
def tracer(frame, event, argument):
    seen.append((frame.f_code.co_name, event, frame.f_lineno))
    return tracer
def function():
    frame = sys._getframe()
    frame.f_trace_opcodes = True
    frame.f_trace = tracer
    sys.settrace(tracer)
    total = len(seen)
    sys.settrace(None)
def other():
    return 1
function()
sys.settrace(tracer)
other()
sys.settrace(None)
print(seen)
""",
    ),
    Program(
        name="descriptors_run_out",
        source="""
import os, resource, sys
os.closerange(3, 256)
first = os.open("/dev/null", os.O_RDONLY)
print(first)
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    print(len(taken), error.errno)
pid = os.fork()
if pid == 0:
    def function():
        return 5
    os._exit(function())
print(os.waitpid(pid, 0)[1])
""",
    ),
    Program(
        name="names_and_signatures",
        source="""
import inspect, os, sys, threading, _thread, posix, types
def say(*each):
    print(*each)
for module in sys, os, posix, _thread, threading:
    for name in sorted(vars(module)):
        value = getattr(module, name)
        if callable(value) and not name.startswith("__"):
            try:
                signature = inspect.signature(value)
            except (ValueError, TypeError) as error:
                signature = type(error).__name__
            say(module.__name__, name, type(value).__name__, getattr(value, "__module__", None),
                getattr(value, "__qualname__", None), str(signature).partition(" at 0x")[0],
                len(getattr(value, "__doc__", None) or ""))
if hasattr(sys, "monitoring"):
    for name in sorted(vars(sys.monitoring)):
        value = getattr(sys.monitoring, name)
        say(name, type(value).__name__, getattr(value, "__doc__", None),
            getattr(value, "__module__", None), getattr(value, "__self__", None),
            getattr(value, "__text_signature__", None))
""",
    ),
    Program(
        name="warnings_of_forks_and_threads",
        command=("{python}", "-W", "always", "program.py"),
        source="""
import os, threading, time
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
fork()
thread.start()
fork()
stop.set()
thread.join()
# In 3.12 join() returns a moment before the system's thread ends, and CPython counts those.
while os.path.exists(f"/proc/self/task/{thread.native_id}"):
    time.sleep(0.001)
fork()
""",
    ),
]

COVERAGE_INSIDE = [
    Program(
        name=f"coverage_py_inside_{core}",
        command=("/usr/bin/env", f"COVERAGE_CORE={core}", "{python}", "program.py"),
        source="""
import coverage, io, warnings
measured = coverage.Coverage(data_file=None, branch=True, config_file=False, include=["*/subject.py"])
measured.start()
import subject
subject.run(3)
measured.stop()
subject.run(0)
out = io.StringIO()
measured.report(file=out, show_missing=True)
print(out.getvalue())
data = measured.get_data()
for name in data.measured_files():
    print(sorted(data.arcs(name)))
""",
        files={
            "subject.py": """
def run(limit):
    total = 0
    for number in range(limit):
        if number % 2:
            total += number
    else:
        total -= 1
    if total > 100:
        return None
    return [each for each in range(total) if each]
"""
        },
    )
    for core in ("ctrace", "pytrace", *(("sysmon",) if sys.version_info >= (3, 14) else ()))
]

PROGRAMS = [
    *WAYS_TO_START,
    *STARTED_WITH_FLAGS,
    *PROCESSES,
    *ENDS,
    *INSIDE,
    *COVERAGE_INSIDE,
]
