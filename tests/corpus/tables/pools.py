"""multiprocessing and concurrent.futures: every start method, every way to end a worker."""

from __future__ import annotations

import signal

from tests.corpus.row import Row

METHODS = ("fork", "spawn", "forkserver")

QUIET = "import warnings\nwarnings.simplefilter('ignore')\n"


def by_each_method(name: str, work: str, main: str, prints: str, **more: object) -> list[Row]:
    """Give one row per start method; `context` is the method's, `main` runs in `if __name__`."""
    rows = []
    for method in METHODS:
        indented = "\n".join(f"    {line}" if line else "" for line in main.strip().splitlines())
        source = (
            f"{QUIET}import multiprocessing\nimport os\nimport signal\nimport sys\n{work}\n"
            # Children of spawn and forkserver import the file and take the other outcome.
            f'if __name__ == "__main__":  #?\n'
            f'    context = multiprocessing.get_context("{method}")\n{indented}\n'
        )
        rows.append(Row(name=f"{name}_{method}", source=source, prints=prints, **more))  # type: ignore[arg-type]
    return rows


WORK = """
def work(number):
    if number % 2:
        return "odd"
    return "even"
"""

ROWS = [
    *by_each_method(
        "process",
        """
def work(number):
    if number:  #T
        value = number
    else:
        value = 0  #-
    sys.exit(value)
""",
        """
process = context.Process(target=work, args=(3,))
process.start()
process.join()
print(process.exitcode)
""",
        "3\n",
    ),
    *by_each_method(
        "process_subclass_and_queue",
        """
class Worker(multiprocessing.Process):
    def __init__(self, queue):
        super().__init__()
        self.queue = queue

    def run(self):
        for item in iter(self.queue.get, None):
            if item > 1:
                self.queue_out(item)

    def queue_out(self, item):
        got = item
""",
        """
multiprocessing.set_start_method(context.get_start_method())
queue = context.SimpleQueue()
worker = Worker(queue)
worker.start()
for item in (1, 2, None):
    queue.put(item)
worker.join()
print(worker.exitcode)
""",
        "0\n",
    ),
    *by_each_method(
        "pool_closed_and_joined",
        WORK,
        """
pool = context.Pool(2)
print(pool.map(work, range(4)))
pool.close()
pool.join()
""",
        "['even', 'odd', 'even', 'odd']\n",
    ),
    *by_each_method(
        "pool_as_context_manager",
        WORK,
        """
with context.Pool(2) as pool:
    print(pool.map(work, range(4), chunksize=1))
""",
        "['even', 'odd', 'even', 'odd']\n",
    ),
    *by_each_method(
        "pool_terminated",
        WORK,
        """
pool = context.Pool(2)
print([pool.apply_async(work, (number,)).get() for number in range(3)])
pool.terminate()
pool.join()
""",
        "['even', 'odd', 'even']\n",
    ),
    *by_each_method(
        "pool_with_maxtasksperchild_and_initializer",
        """
base = None

def prepare(value):
    global base
    base = value

def work(number):
    if number == 3:
        return base
    return number
""",
        """
with context.Pool(1, initializer=prepare, initargs=("base",), maxtasksperchild=1) as pool:
    found = pool.map(work, range(4), chunksize=1)
    pool.close()
    pool.join()
print(found)  # not before: a worker that is forked then would print it, too
""",
        "[0, 1, 2, 'base']\n",
    ),
    *by_each_method(
        "pool_worker_that_raises",
        """
def work(number):
    if number:
        raise ValueError(number)
    return "fine"
""",
        """
with context.Pool(1) as pool:
    print(pool.apply(work, (0,)))
    try:
        pool.apply(work, (1,))
    except ValueError as error:  #T
        print("raised", error)
""",
        "fine\nraised 1\n",
    ),
    *by_each_method(
        "process_terminated_in_the_middle",
        """
def work(connection):
    for number in range(2):
        value = number
    connection.send(value) or signal.pause()
    never = 1  #-
""",
        """
ours, theirs = context.Pipe()
process = context.Process(target=work, args=(theirs,))
process.start()
print(ours.recv())
process.terminate()
process.join()
print(process.exitcode)
""",
        "1\n-15\n",
    ),
    *by_each_method(
        "process_killed_in_the_middle",
        """
def work(connection):
    try:
        connection.send("ready") or signal.pause()
    finally:
        never = 1  #-
""",
        """
ours, theirs = context.Pipe()
process = context.Process(target=work, args=(theirs,))
process.start()
print(ours.recv())
process.kill()
process.join()
print(process.exitcode)
""",
        "ready\n-9\n",
    ),
    *by_each_method(
        "process_that_calls_os_exit",
        """
def work(flag):
    if flag:  #T
        os._exit(8)
    never = 1  #-
""",
        """
process = context.Process(target=work, args=(1,))
process.start()
process.join()
print(process.exitcode)
""",
        "8\n",
    ),
    *by_each_method(
        "process_pool_executor",
        WORK,
        """
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2, mp_context=context) as pool:
    print(list(pool.map(work, range(3))))
""",
        "['even', 'odd', 'even']\n",
    ),
    *by_each_method(
        "process_pool_executor_whose_worker_is_killed",
        """
def work(number):
    if number:
        os.kill(os.getpid(), signal.SIGKILL)
    return "fine"
""",
        """
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
with ProcessPoolExecutor(1, mp_context=context) as pool:
    print(pool.submit(work, 0).result())
    try:
        pool.submit(work, 1).result()
    except BrokenProcessPool:  #T
        print("broken")
""",
        "fine\nbroken\n",
    ),
    *by_each_method(
        "manager_and_its_server",
        """
from multiprocessing.managers import BaseManager

class Counter:
    def __init__(self):
        self.value = 0

    def add(self, amount):
        if amount < 0:
            raise ValueError(amount)
        self.value += amount
        return self.value

class Manager(BaseManager):
    pass

Manager.register("Counter", Counter)

def work(counter):
    counter.add(5)
""",
        """
with Manager(ctx=context) as manager:
    counter = manager.Counter()
    process = context.Process(target=work, args=(counter,))
    process.start()
    process.join()
    try:
        counter.add(-1)
    except ValueError:  #T
        print(counter.add(1))
""",
        "6\n",
    ),
    *by_each_method(
        "sync_manager_with_shared_objects",
        """
def work(shared, lock, number):
    with lock:
        if number:
            shared["big"] = number
        else:
            shared["small"] = number
""",
        """
with context.Manager() as manager:
    shared, lock = manager.dict(), manager.Lock()
    processes = [context.Process(target=work, args=(shared, lock, n)) for n in (0, 7)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print(sorted(shared.items()))
""",
        "[('big', 7), ('small', 0)]\n",
    ),
    *by_each_method(
        "process_in_a_process",
        """
def inner(number):
    if number:  #T
        sys.exit(number)

def outer(method, number):
    child = multiprocessing.get_context(method).Process(target=inner, args=(number,))
    child.start()
    child.join()
    sys.exit(child.exitcode + 1)
""",
        """
process = context.Process(target=outer, args=(context.get_start_method(), 4))
process.start()
process.join()
print(process.exitcode)
""",
        "5\n",
    ),
    *by_each_method(
        "daemon_process_at_the_parents_end",
        """
def work(connection):
    connection.send("ready") or signal.pause()
    never = 1  #-
""",
        """
ours, theirs = context.Pipe()
process = context.Process(target=work, args=(theirs,), daemon=True)
process.start()
print(ours.recv())
""",
        "ready\n",
    ),
    *by_each_method(
        "sigterm_handler_in_a_worker",
        """
def handler(number, frame):
    sys.exit(9)

def work(connection):
    signal.signal(signal.SIGTERM, handler)
    connection.send("ready")
    while connection:  #?
        connection.poll(0.01)  #?
    never = 1  #-
""",
        """
ours, theirs = context.Pipe()
process = context.Process(target=work, args=(theirs,))
process.start()
print(ours.recv())
process.terminate()
process.join()
print(process.exitcode)
""",
        "ready\n9\n",
    ),
    *by_each_method(
        "starmap_imap_and_callbacks",
        """
def add(a, b):
    return a + b

def double(number):
    return number * 2

def called(result):
    results.append(result)

def failed(error):
    results.append("error")

results = []
""",
        """
with context.Pool(2) as pool:
    print(pool.starmap(add, [(1, 2), (3, 4)]))
    print(list(pool.imap(double, range(3))), sorted(pool.imap_unordered(double, range(3))))
    pool.apply_async(add, (1, 1), callback=called).wait()
    pool.apply_async(add, (1, "x"), error_callback=failed).wait()
    pool.close()
    pool.join()
print(results)
""",
        "[3, 7]\n[0, 2, 4] [0, 2, 4]\n[2, 'error']\n",
    ),
    Row(
        name="fork_of_a_frame_that_goes_on_in_the_worker",
        source="""
import multiprocessing

def outer(flag):
    context = multiprocessing.get_context("fork")
    def inner():
        if flag:
            return 1
        return 0
    process = context.Process(target=inner)
    process.start()
    process.join()
    return process.exitcode

print(outer(0), outer(1))
""",
        prints="0 0\n",
    ),
    Row(
        name="pool_in_a_thread_and_threads_in_a_worker",
        source=QUIET
        + """
import multiprocessing
import threading

def inside(number, out):
    if number:
        out.append(number)
    else:
        out.append("zero")

def work(number):
    out = []
    thread = threading.Thread(target=inside, args=(number, out))
    thread.start()
    thread.join()
    return out

def run():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(work, range(2)))

thread = threading.Thread(target=run)
thread.start()
thread.join()
""",
        prints="[['zero'], [1]]\n",
    ),
    Row(
        name="worker_that_runs_asyncio",
        source="""
import asyncio
import multiprocessing

async def step(flag):
    await asyncio.sleep(0)
    if flag:
        return "yes"
    return "no"

async def both():
    return await asyncio.gather(step(0), step(1))

def work(number):
    return asyncio.run(both())

if __name__ == "__main__":  #?
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(work, [0]))
""",
        prints="[['no', 'yes']]\n",
    ),
    Row(
        name="program_ended_by_sigterm_with_pool_workers",
        source="""
import multiprocessing
import os
import signal
import sys

def work(number):
    if number:  #T
        return number
    return 0  #-

def stop(number, frame):
    pool.terminate()
    pool.join()
    sys.exit(12)

pool = multiprocessing.get_context("fork").Pool(2)
signal.signal(signal.SIGTERM, stop)
print(pool.map(work, (1, 2)), flush=True)
os.kill(os.getpid(), signal.SIGTERM)
while True:  #?
    signal.pause()  #?
""",
        prints="[1, 2]\n",
        ends=12,
    ),
    Row(
        name="program_killed_while_its_workers_work",
        source="""
import multiprocessing
import os
import signal

def work(number):
    if number == 2:
        os.kill(os.getppid(), signal.SIGKILL)
    return number

pool = multiprocessing.get_context("fork").Pool(1)
print(pool.apply(work, (1,)), flush=True)
pool.apply(work, (2,))
never = 1  #-
""",
        prints="1\n",
        ends=signal.SIGKILL,
    ),
    Row(
        name="resource_tracker_and_shared_memory",
        source=QUIET
        + """
import multiprocessing
from multiprocessing import shared_memory

def work(name):
    block = shared_memory.SharedMemory(name)
    if block.buf[0] == 1:  #T
        block.buf[0] = 2
    block.close()

if __name__ == "__main__":  #?
    block = shared_memory.SharedMemory(create=True, size=10)
    block.buf[0] = 1
    process = multiprocessing.get_context("spawn").Process(target=work, args=(block.name,))
    process.start()
    process.join()
    print(block.buf[0])
    block.close()
    block.unlink()
""",
        prints="2\n",
    ),
    Row(
        name="forkserver_that_preloads_a_module",
        source="""
import multiprocessing

def work(number):
    import preloaded
    return preloaded.decide(number)

if __name__ == "__main__":  #?
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["preloaded"])
    with context.Pool(2) as pool:
        print(pool.map(work, range(2)))
""",
        files={
            "preloaded.py": """
def decide(number):
    if number:
        return "one"
    return "zero"
"""
        },
        prints="['zero', 'one']\n",
    ),
    Row(
        name="process_pool_executor_with_max_tasks_per_child",
        source="""
from concurrent.futures import ProcessPoolExecutor
import multiprocessing

def work(number):
    if number == 2:
        return "last"
    return number

if __name__ == "__main__":  #?
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        print(list(pool.map(work, range(3))))
""",
        prints="[0, 1, 'last']\n",
    ),
    Row(
        name="set_executable_and_spawn_by_a_shell_script",
        source="""
import multiprocessing
import os

def work(number):
    if number:  #T
        raise SystemExit(number)

if __name__ == "__main__":  #?
    multiprocessing.set_executable(os.path.abspath("wrapper.sh"))
    process = multiprocessing.get_context("spawn").Process(target=work, args=(6,))
    process.start()
    process.join()
    print(process.exitcode)
""",
        files={"wrapper.sh": '#!/bin/sh\nexec python "$@"\n'},
        prints="6\n",
    ),
    Row(
        name="loky_pool",
        needs=("loky",),
        source="""
import loky

def work(number):
    if number:
        return "some"
    return "none"

if __name__ == "__main__":  #?
    executor = loky.get_reusable_executor(max_workers=2)
    print(list(executor.map(work, range(2))))
    executor.shutdown(wait=True)
""",
        prints="['none', 'some']\n",
    ),
    Row(
        name="loky_pool_of_lambdas_closures_methods_and_decorated",
        needs=("loky",),
        source="""
import functools
import loky

def outer(limit):
    def inner(number):
        if number > limit:
            return [each for each in range(number) if each > 9]
        return "less"
    return inner

class Scale:
    def __init__(self, factor):
        self.factor = factor

    def times(self, number):
        return number * self.factor

    @classmethod
    def made(cls, number):
        if number:
            return cls(number).times(number)
        return None

def logged(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        result = function(*arguments)
        return result
    return wrapper

@logged
def work(number):
    while number:
        number -= 1
    return number

def in_worker_only(number):
    if number > 9:  #F
        return "never"  #-
    def nested():
        yield number
        return
    return list(nested())

if __name__ == "__main__":  #?
    square = lambda number: (
        number
        * number
    )
    executor = loky.get_reusable_executor(max_workers=2)
    for function in work, outer(0), Scale(2).times, Scale.made, square, in_worker_only:
        print(list(executor.map(function, range(2))))
    executor.shutdown(wait=True)
""",
        prints="[0, 0]\n['less', []]\n[0, 2]\n[None, 1]\n[0, 1]\n[[0], [1]]\n",
    ),
    Row(
        name="billiard_pool",
        needs=("billiard",),
        source="""
import billiard

def work(number):
    if number:
        return "some"
    return "none"

if __name__ == "__main__":  #?
    pool = billiard.Pool(2)
    print(pool.map(work, range(2)))
    pool.close()
    pool.join()
""",
        prints="['none', 'some']\n",
    ),
]
