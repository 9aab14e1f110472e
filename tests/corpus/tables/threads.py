"""Threads: of threading, of _thread, of C, of pools; started early, late, in each other."""

from __future__ import annotations

from tests.corpus.row import Row

ROWS = [
    Row(
        name="opposite_branches_in_two_threads",
        source="""
import threading

def decide(flag, barrier):
    barrier.wait()
    if flag:
        result = "yes"
    else:
        result = "no"
    return result

barrier = threading.Barrier(2)
threads = [threading.Thread(target=decide, args=(flag, barrier)) for flag in (True, False)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""",
    ),
    Row(
        name="one_branch_each_in_different_functions",
        source="""
import threading

def first(flag):
    if flag:  #T
        return 1
    return 2  #-

def second(flag):
    if flag:  #F
        return 1  #-
    return 2

a = threading.Thread(target=first, args=(1,))
b = threading.Thread(target=second, args=(0,))
a.start()
b.start()
a.join()
b.join()
""",
    ),
    Row(
        name="two_threads_alternate_line_by_line_in_one_function",
        source="""
import threading

turns = [threading.Semaphore(1), threading.Semaphore(0)]

def step(me):
    turns[me].acquire()
    turns[1 - me].release()

def walk(me, high):
    step(me)
    for number in range(2):
        step(me)
        if number > high:
            step(me)
            found = number
        else:
            step(me)
            found = -1
        step(me)
    step(me)
    turns[1 - me].release()
    return found

threads = [threading.Thread(target=walk, args=(me, high)) for me, high in ((0, 5), (1, -1))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""",
    ),
    Row(
        name="threads_alternate_inside_conditions",
        source="""
import threading

turns = [threading.Semaphore(1), threading.Semaphore(0)]

def swap(me, value):
    turns[1 - me].release()
    turns[me].acquire()
    return value

def ask(me, value):
    if swap(me, value):  #T
        a = 1
    else:
        a = 2  #-
    while swap(me, not value):  #F
        a = 3  #-
    return a

def ask_not(me, value):
    if swap(me, value):  #F
        b = 1  #-
    else:
        b = 2
    while swap(me, not value):  #T
        b = 3
        break
    return b

def run(me, function, value):
    turns[me].acquire()
    function(me, value)
    turns[1 - me].release()

threads = [
    threading.Thread(target=run, args=(0, ask, True)),
    threading.Thread(target=run, args=(1, ask_not, False)),
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""",
    ),
    Row(
        name="thread_started_in_a_thread_in_a_thread",
        source="""
import threading

def start(depth):
    if depth:
        thread = threading.Thread(target=start, args=(depth - 1,))
        thread.start()
        thread.join()
    else:
        print("deepest")

start(4)
""",
        prints="deepest\n",
    ),
    Row(
        name="_thread_start_new_thread",
        source="""
import _thread

done = _thread.allocate_lock()
done.acquire()

def work(flag):
    if flag:  #T
        value = 1
    else:
        value = 2  #-
    done.release()

_thread.start_new_thread(work, (True,))
done.acquire()
print("done")
""",
        prints="done\n",
    ),
    Row(
        name="_thread_bound_before_anything_else",
        source="""
from _thread import start_new_thread, allocate_lock

done = allocate_lock()
done.acquire()

def work(a, *, b):
    for item in (a, b):
        last = item
    done.release()

start_new_thread(work, (1,), {"b": 2})
done.acquire()
""",
    ),
    Row(
        name="start_joinable_thread",
        python=(3, 13),
        source="""
import _thread

def work():
    global answer
    answer = 42

handle = _thread.start_joinable_thread(work)
handle.join()
if answer == 42:  #T
    print("joined")
""",
        prints="joined\n",
    ),
    Row(
        name="subclass_of_thread_with_run",
        source="""
import threading

class Worker(threading.Thread):
    def __init__(self, number):
        super().__init__()
        self.number = number

    def run(self):
        if self.number % 2:
            self.kind = "odd"
        else:
            self.kind = "even"

workers = [Worker(number) for number in range(4)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print([worker.kind for worker in workers])
""",
        prints="['even', 'odd', 'even', 'odd']\n",
    ),
    Row(
        name="timer_and_event",
        source="""
import threading

rung = threading.Event()

def ring():
    rung.set()
    print("rung")

timer = threading.Timer(0, ring)
timer.start()
rung.wait()
timer.join()
never = threading.Timer(1000, lambda: None)
never.start()
never.cancel()
never.join()
""",
        prints="rung\n",
    ),
    Row(
        name="thread_pool_with_results_errors_and_callbacks",
        source="""
from concurrent.futures import ThreadPoolExecutor

def work(number):
    if number == 3:
        raise ValueError(number)
    return number * 2

def called(future):
    if future.exception():
        errors.append(1)
    else:
        results.append(future.result())

errors = []
results = []
with ThreadPoolExecutor(3) as pool:
    for number in range(6):
        pool.submit(work, number).add_done_callback(called)
print(len(errors), sorted(results))
""",
        prints="1 [0, 2, 4, 8, 10]\n",
    ),
    Row(
        name="thread_pool_initializer_and_map",
        source="""
from concurrent.futures import ThreadPoolExecutor
import threading

local = threading.local()

def prepare(base):
    local.base = base

def add(number):
    value = local.base + number
    return value

with ThreadPoolExecutor(2, initializer=prepare, initargs=(10,)) as pool:
    print(list(pool.map(add, range(3))))
""",
        prints="[10, 11, 12]\n",
    ),
    Row(
        name="multiprocessing_dummy_pool",
        source="""
from multiprocessing.dummy import Pool

def work(number):
    if number > 1:
        return "many"
    return "few"

with Pool(2) as pool:
    print(pool.map(work, range(4)))
""",
        prints="['few', 'few', 'many', 'many']\n",
    ),
    Row(
        name="exception_in_a_thread_with_excepthook",
        source="""
import threading

def hook(arguments):
    seen.append(arguments.exc_type.__name__)

def work():
    before = 1
    raise KeyError(before)
    after = 2  #-

seen = []
threading.excepthook = hook
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(seen)
""",
        prints="['KeyError']\n",
    ),
    Row(
        name="exception_in_a_thread_unhandled",
        source="""
import threading

def work():
    try:
        1 / 0
        never = 1  #-
    finally:
        cleaned = 1

thread = threading.Thread(target=work)
thread.start()
thread.join()
print("main goes on")
""",
        prints="main goes on\n",
    ),
    Row(
        name="daemon_thread_waits_for_ever_at_exit",
        source="""
import threading

started = threading.Event()

def wait():
    threading.Event().wait(not started.set() or None)
    never = 1  #-

threading.Thread(target=wait, daemon=True).start()
started.wait()
print("exit")
""",
        prints="exit\n",
    ),
    Row(
        name="daemon_thread_busy_at_exit",
        source="""
import threading

started = threading.Event()

def spin():
    count = 0
    while count >= 0:  #T
        count += 1
        if count == 1000:
            started.set()
    never = 1  #-

threading.Thread(target=spin, daemon=True).start()
started.wait()
""",
    ),
    Row(
        name="non_daemon_thread_outlives_main",
        source="""
import threading

go = threading.Event()

def last():
    go.wait()
    threading.main_thread().join()
    print("after main")

threading.Thread(target=last).start()
go.set()
print("main ends")
""",
        prints="main ends\nafter main\n",
    ),
    Row(
        name="atexit_in_a_program_with_threads",
        source="""
import atexit
import threading

@atexit.register
def bye():
    thread = threading.Thread(target=print, args=("bye",))
    try:
        thread.start()
        thread.join()  #?
    except RuntimeError:  #? 3.12 refuses new threads at this point
        print("bye")  #?

def work():
    value = 1

thread = threading.Thread(target=work)
thread.start()
thread.join()
""",
        prints="bye\n",
    ),
    Row(
        name="thread_that_calls_os_exit",
        source="""
import os
import threading

def leave():
    print("leaving", flush=True)
    os._exit(7)
    never = 1  #-

thread = threading.Thread(target=leave)
thread.start()
thread.join()  #?
never = 1  #-
""",
        ends=7,
        prints="leaving\n",
    ),
    Row(
        name="sys_exit_in_a_thread_ends_only_the_thread",
        source="""
import sys
import threading

def leave(flag):
    if flag:  #T
        sys.exit(3)
    never = 1  #-

thread = threading.Thread(target=leave, args=(1,))
thread.start()
thread.join()
print("alive")
""",
        prints="alive\n",
    ),
    Row(
        name="generator_started_in_one_thread_and_resumed_in_another",
        source="""
import threading

def numbers(limit):
    number = 0
    while number < limit:
        if number % 2:
            yield "odd"
        else:
            yield "even"
        number += 1
    done = 1

def take(source):
    got.append(next(source, None))

got = []
source = numbers(3)
take(source)
for _ in range(3):
    thread = threading.Thread(target=take, args=(source,))
    thread.start()
    thread.join()
print(got)
""",
        prints="['even', 'odd', 'even', None]\n",
    ),
    Row(
        name="generator_resumed_on_the_side_of_a_branch_by_another_thread",
        source="""
import threading

def walk():
    if (yield 1):  #T
        a = yield 2
    else:
        a = 3  #-
    for item in (yield 4):  #F
        a = item  #-
    while (yield 5):  #T
        break
    return a

def drive(source, values):
    for value in values:
        try:
            source.send(value)
        except StopIteration:
            ended.append(1)

ended = []
source = walk()
drive(source, [None])
for value in (True, 9, (), True):
    thread = threading.Thread(target=drive, args=(source, [value]))
    thread.start()
    thread.join()
print(ended)
""",
        prints="[1]\n",
    ),
    Row(
        name="two_generators_of_one_function_in_two_threads_in_step",
        source="""
import threading

def pick(flag):
    yield "ready"
    if flag:
        yield "yes"
    else:
        yield "no"
    yield "end"

def run(flag):
    for item in pick(flag):
        barrier.wait()

barrier = threading.Barrier(2)
threads = [threading.Thread(target=run, args=(flag,)) for flag in (True, False)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""",
    ),
    Row(
        name="generator_closed_by_another_thread",
        source="""
import threading

def guarded():
    try:
        yield 1
        never = 2  #-
    finally:
        closed.append(True)
    never = 3  #-

closed = []
source = guarded()
next(source)
thread = threading.Thread(target=source.close)
thread.start()
thread.join()
print(closed)
""",
        prints="[True]\n",
    ),
    Row(
        name="generator_collected_in_another_thread",
        source="""
import threading

def guarded():
    try:
        yield 1
    finally:
        closed.append(threading.current_thread() is not threading.main_thread())

def drop():
    box.clear()

closed = []
box = [guarded()]
next(box[0])
thread = threading.Thread(target=drop)
thread.start()
thread.join()
print(closed)
""",
        prints="[True]\n",
    ),
    Row(
        name="finalizer_runs_in_the_middle_of_a_line",
        source="""
class Noisy:
    def __del__(self):
        if seen:
            seen.append(2)
        else:
            seen.append(1)

def forget(thing):
    del thing[:]
    return False

seen = []
for _ in range(2):
    if forget([Noisy()]):  #F
        never = 1  #-
print(seen)
""",
        prints="[1, 2]\n",
    ),
    Row(
        name="garbage_collector_callback_in_the_middle_of_a_branch",
        source="""
import gc

def callback(phase, info):
    if phase == "start":
        phases.add(1)
    else:
        phases.add(2)

def collect(value):
    gc.collect()
    return value

phases = set()
gc.disable()
gc.callbacks.append(callback)
if collect(0):  #F
    never = 1  #-
elif collect(1):  #T
    seen = 1
gc.callbacks.clear()
print(phases)
""",
        prints="{1, 2}\n",
    ),
    Row(
        name="signal_handler_in_the_middle_of_a_loop",
        source="""
import os
import signal

def handler(number, frame):
    global stop
    if number == signal.SIGUSR1:
        stop += 1
    else:
        stop += 10

stop = 0
signal.signal(signal.SIGUSR1, handler)
signal.signal(signal.SIGUSR2, handler)
os.kill(os.getpid(), signal.SIGUSR1)
while stop < 1:  #F
    pass  #-
if os.kill(os.getpid(), signal.SIGUSR2):  #F
    never = 1  #-
print(stop)
""",
        prints="11\n",
    ),
    Row(
        name="signal_handler_that_raises_out_of_a_condition",
        source="""
import os
import signal

class Interrupted(Exception):
    pass

def handler(number, frame):
    raise Interrupted

def interrupt():
    os.kill(os.getpid(), signal.SIGUSR1)
    for _ in range(10000000):  #?
        pass  #?

signal.signal(signal.SIGUSR1, handler)
try:
    if interrupt():  #X
        never = 1  #-
    else:
        never = 2  #-
except Interrupted:  #T
    print("interrupted")
""",
        prints="interrupted\n",
    ),
    Row(
        name="alarm_interrupts_a_wait_in_main_while_threads_work",
        source="""
import signal
import threading

def handler(number, frame):
    rung.append(number)
    stop.set()

def work():
    while not stop.is_set():  #?
        stop.wait(0.001)  #?
    finished.append(1)

rung = []
finished = []
stop = threading.Event()
signal.signal(signal.SIGALRM, handler)
thread = threading.Thread(target=work)
thread.start()
signal.setitimer(signal.ITIMER_REAL, 0.01)
thread.join()
print(len(rung), finished)
""",
        prints="1 [1]\n",
    ),
    Row(
        name="thread_running_before_its_module_is_imported",
        source="""
import threading

go = threading.Event()
done = threading.Event()

def work():
    go.wait()
    import late
    late.decide(0)
    done.set()

threading.Thread(target=work).start()
go.set()
done.wait()
import late
late.decide(1)
""",
        files={
            "late.py": """
def decide(flag):
    if flag:
        return "main"
    return "thread"
"""
        },
    ),
    Row(
        name="import_of_one_module_by_many_threads_at_once",
        source="""
import threading

barrier = threading.Barrier(4)

def load():
    barrier.wait()
    import slow
    values.append(slow.VALUE)

values = []
threads = [threading.Thread(target=load) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(values)
""",
        files={
            "slow.py": """
import time
time.sleep(0.05)
if time.time() > 0:  #T
    VALUE = 1
else:
    VALUE = 2  #-
"""
        },
        prints="[1, 1, 1, 1]\n",
    ),
    Row(
        name="many_short_threads",
        source="""
import threading

def work(number):
    if number == 299:
        last.append(number)

last = []
for number in range(300):
    thread = threading.Thread(target=work, args=(number,))
    thread.start()
    thread.join()
print(last)
""",
        prints="[299]\n",
    ),
    Row(
        name="many_threads_at_once_each_with_a_line_of_its_own",
        source="\n".join(
            [
                "import threading",
                *(f"def f{n}(barrier):\n    barrier.wait()\n    return {n}" for n in range(50)),
                "barrier = threading.Barrier(50)",
                (
                    "threads = [threading.Thread(target=globals()[f'f{n}'], args=(barrier,))"
                    " for n in range(50)]"
                ),
                "for thread in threads:\n    thread.start()",
                "for thread in threads:\n    thread.join()",
                "",
            ]
        ),
    ),
    Row(
        name="recursion_in_a_thread_with_a_large_stack",
        source="""
import sys
import threading

def down(depth):
    if depth:
        return down(depth - 1) + 1
    return 0

def work():
    depths.append(down(20000))

depths = []
sys.setrecursionlimit(30000)
threading.stack_size(256 * 1024 * 1024)
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(depths)
""",
        prints="[20000]\n",
    ),
    Row(
        name="recursion_error_is_caught",
        source="""
def down(depth):
    return down(depth + 1)

def safe():
    try:
        down(0)
        never = 1  #-
    except RecursionError:  #T
        return "caught"

print(safe())
""",
        witness=False,
        prints="caught\n",
    ),
    Row(
        name="foreign_thread_of_c_calls_back",
        source="""
import ctypes

libc = ctypes.CDLL(None)
FUNCTION = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)

def in_thread(argument):
    if argument:
        got.append("something")
    else:
        got.append("nothing")
    return helper()

def helper():
    got.append("helped")
    return 0

got = []
callback = FUNCTION(in_thread)
for argument in (None, 1):
    thread = ctypes.c_ulong()
    libc.pthread_create(ctypes.byref(thread), None, callback, ctypes.c_void_p(argument))
    libc.pthread_join(thread, None)
print(got)
""",
        prints="['nothing', 'helped', 'something', 'helped']\n",
    ),
    Row(
        name="foreign_thread_of_c_calls_back_again_and_again",
        source="""
import ctypes

libc = ctypes.CDLL(None)
FUNCTION = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)

def first(argument):
    outcomes.append(1)
    if len(outcomes) > 1:
        second()
    return 0

def second():
    outcomes.append(2)

outcomes = []
callback = FUNCTION(first)
for _ in range(3):
    thread = ctypes.c_ulong()
    libc.pthread_create(ctypes.byref(thread), None, callback, None)
    libc.pthread_join(thread, None)
print(outcomes)
""",
        prints="[1, 1, 2, 1, 2]\n",
    ),
    Row(
        name="foreign_thread_through_cffi",
        needs=("cffi",),
        source="""
import cffi

ffi = cffi.FFI()
ffi.cdef('''
int pthread_create(unsigned long *, void *, void *(*)(void *), void *);
int pthread_join(unsigned long, void *);
''')
libc = ffi.dlopen(None)

@ffi.callback("void *(void *)")
def in_thread(argument):
    for item in range(2):
        got.append(item)
    return ffi.NULL

got = []
thread = ffi.new("unsigned long *")
libc.pthread_create(thread, ffi.NULL, in_thread, ffi.NULL)
libc.pthread_join(thread[0], ffi.NULL)
print(got)
""",
        prints="[0, 1]\n",
    ),
    Row(
        name="qsort_callback_in_the_middle_of_an_expression",
        source="""
import ctypes

libc = ctypes.CDLL(None)
COMPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))

def compare(a, b):
    if a[0] < b[0]:
        return -1
    return 1

array = (ctypes.c_int * 5)(5, 1, 4, 2, 3)
if libc.qsort(array, 5, 4, COMPARE(compare)) is None:  #?
    pass  #?
print(list(array))
""",
        prints="[1, 2, 3, 4, 5]\n",
    ),
    Row(
        name="queue_between_producer_and_consumer",
        source="""
import queue
import threading

def produce(out):
    for item in range(5):
        out.put(item)
    out.put(None)

def consume(source):
    total = 0
    while True:
        item = source.get()
        if item is None:
            break
        if item % 2:
            continue
        total += item
    totals.append(total)

totals = []
line = queue.Queue(1)
threads = [threading.Thread(target=f, args=(line,)) for f in (produce, consume)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(totals)
""",
        prints="[6]\n",
    ),
    Row(
        name="thread_local_objects_finalized_at_thread_end",
        source="""
import threading

class Closing:
    def __del__(self):
        closed.append(1)

local = threading.local()
closed = []

def work():
    local.thing = Closing()

thread = threading.Thread(target=work)
thread.start()
thread.join()
del local
print(closed)
""",
        prints="[1]\n",
    ),
    Row(
        name="asynchronous_exception_in_a_thread",
        source="""
import ctypes
import threading

class Stop(Exception):
    pass

def work():
    try:
        while True:
            ready.set()
    except Stop:  #T
        stopped.append(1)

ready = threading.Event()
stopped = []
thread = threading.Thread(target=work)
thread.start()
ready.wait()
ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stop))
thread.join()
print(stopped)
""",
        prints="[1]\n",
    ),
    Row(
        name="with_and_try_across_threads",
        source="""
import threading
from contextlib import contextmanager

@contextmanager
def other_thread(box):
    box.append("enter")
    try:
        yield box
    except ValueError:  #T
        box.append("error")
    finally:
        box.append("exit")

def work(flag):
    with other_thread(seen):
        barrier.wait()
        if flag:
            raise ValueError
        seen.append("calm")

seen = []
barrier = threading.Barrier(2)
threads = [threading.Thread(target=work, args=(flag,)) for flag in (0, 1)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(seen))
""",
        prints="['calm', 'enter', 'enter', 'error', 'exit', 'exit']\n",
    ),
    Row(
        name="exec_and_eval_in_threads",
        source="""
import threading

code = compile(open("plugin.py").read(), "plugin.py", "exec")

def load(flag):
    space = {"flag": flag}
    exec(code, space)
    results.append(space["result"])

results = []
for flag in (0, 1):
    thread = threading.Thread(target=load, args=(flag,))
    thread.start()
    thread.join()
print(results)
""",
        files={
            "plugin.py": """
if flag:
    result = eval("[flag for _ in range(2)]")
else:
    result = eval("(lambda: flag)()")
"""
        },
        prints="[0, [1, 1]]\n",
    ),
    Row(
        name="threading_run_is_replaced_by_the_user",
        source="""
import threading

real = threading.Thread.run

def run(self):
    wrapped.append(self.name)
    real(self)

def work():
    wrapped.append("work")

wrapped = []
threading.Thread.run = run
thread = threading.Thread(target=work, name="mine")
thread.start()
thread.join()
print(wrapped)
""",
        prints="['mine', 'work']\n",
    ),
    Row(
        name="start_new_thread_keeps_its_face",
        source="""
import _thread
import inspect
import threading

for name in ("start_new_thread", "start_new"):
    function = getattr(_thread, name)
    print(function.__name__, function.__module__, type(function).__name__)
    print((function.__doc__ or "").splitlines()[0:2])
    try:
        print(inspect.signature(function))
    except ValueError:  #?
        print("no signature")  #?
try:
    _thread.start_new_thread()
except TypeError as error:  #T
    print(error)
try:
    _thread.start_new_thread(1, ())
except TypeError as error:  #T
    print(error)
try:
    _thread.start_new_thread(print, 1)
except TypeError as error:  #T
    print(error)
""",
        same_as_plain=True,
    ),
    Row(
        name="modules_of_threading_are_not_there_before_the_program_asks",
        source="""
import sys

for name in ("threading", "asyncio", "concurrent.futures", "multiprocessing", "gevent",
             "greenlet", "eventlet", "subprocess", "socket", "select", "signal", "coverage",
             "importlib.util", "typing", "re", "functools"):
    if name in sys.modules:  #?
        print(name)  #?
print(sys.gettrace(), sys.getprofile(), sys.meta_path == [f for f in sys.meta_path])
""",
        same_as_plain=True,
    ),
]
