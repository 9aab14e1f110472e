"""gevent: its greenlets, hubs, patched library, processes, thread pools and kills."""

from __future__ import annotations

import signal

from tests.corpus.row import Row

NEEDS = ("gevent",)
PATCH = "from gevent import monkey\nmonkey.patch_all()\n"
QUIET = "import warnings\nwarnings.simplefilter('ignore')\n"


def row(name: str, source: str, prints: str | None = None, **more: object) -> Row:
    return Row(name=name, source=source, needs=NEEDS, prints=prints, **more)  # type: ignore[arg-type]


ROWS = [
    row(
        "opposite_branches_in_interleaved_greenlets",
        """
import gevent

def ask(flag):
    gevent.sleep(0)
    if turn(flag):
        result = "yes"
    else:
        result = "no"
    for item in turn([1] if flag else []):
        turn(item)
    return result

def turn(value):
    gevent.sleep(0)
    return value

jobs = [gevent.spawn(ask, flag) for flag in (True, False)]
gevent.joinall(jobs)
print([job.value for job in jobs])
""",
        "['yes', 'no']\n",
    ),
    row(
        "one_outcome_each_in_interleaved_greenlets",
        """
import gevent

def turn(value):
    gevent.sleep(0)
    return value

def left():
    if turn(True):  #T
        a = turn(1)
    else:
        a = turn(2)  #-
    while turn(False):  #F
        a = 3  #-
    return a

def right():
    if turn(False):  #F
        a = turn(1)  #-
    else:
        a = turn(2)
    for item in turn([1]):  #T
        break
    return a

jobs = [gevent.spawn(function) for function in (left, right)]
gevent.joinall(jobs)
print([job.value for job in jobs])
""",
        "[1, 2]\n",
    ),
    row(
        "monkey_patched_early",
        PATCH
        + """
import queue
import socket
import threading
import time

def serve(server):
    connection, _ = server.accept()
    with connection:
        data = connection.recv(100)
        if data == b"ping":
            connection.sendall(b"pong")
        else:
            connection.sendall(b"what")

def ask(address, word):
    with socket.create_connection(address) as connection:
        connection.sendall(word)
        answers.append(connection.recv(100))

answers = []
with socket.create_server(("127.0.0.1", 0)) as server:
    for word in (b"ping", b"ding"):
        threads = [
            threading.Thread(target=serve, args=(server,)),
            threading.Thread(target=ask, args=(server.getsockname(), word)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
time.sleep(0)
print(answers)
""",
        "[b'pong', b'what']\n",
    ),
    row(
        "monkey_patched_late",
        QUIET
        + """
import threading
import time

def work(flag):
    time.sleep(0)
    if flag:
        return results.append("yes")
    return results.append("no")

def run(flag):
    thread = threading.Thread(target=work, args=(flag,))
    thread.start()
    thread.join()

results = []
run(True)
from gevent import monkey
monkey.patch_all()
run(False)
print(results)
""",
        "['yes', 'no']\n",
    ),
    row(
        "kill_in_the_middle_of_a_condition",
        """
import gevent
from gevent.event import Event

def forever():
    started.set()
    Event().wait()
    return True  #-

def ask():
    try:
        if forever():  #X
            a = 1  #-
        else:
            a = 2  #-
    except gevent.GreenletExit:  #T
        ended.append("exit")
    finally:
        ended.append("finally")

ended = []
started = Event()
job = gevent.spawn(ask)
started.wait()
job.kill()
print(ended, job.dead)
""",
        "['exit', 'finally'] True\n",
    ),
    row(
        "kill_before_the_first_line",
        """
import gevent

def idle():
    never = 1  #-

job = gevent.spawn(idle)
job.kill()
print(job.dead)
""",
        "True\n",
    ),
    row(
        "timeouts_that_leave_loops",
        """
import gevent

def wait(seconds):
    for number in range(3):
        gevent.sleep(seconds)
    return number

try:
    with gevent.Timeout(0.01):
        wait(60)
        never = 1  #-
except gevent.Timeout:  #T
    print("late")
with gevent.Timeout(60, False):
    print(wait(0))
""",
        "late\n2\n",
    ),
    row(
        "exception_in_a_greenlet_with_links",
        """
import gevent
import sys

def fail():
    gevent.sleep(0)
    raise ValueError("on purpose")

def failed(job):
    if job.successful():  #F
        never = 1  #-
    seen.append(type(job.exception).__name__)

seen = []
gevent.get_hub().handle_error = lambda *arguments: None
job = gevent.spawn(fail)
job.link(failed)
gevent.wait([job])
gevent.sleep(0)
try:
    job.get()
except ValueError:  #T
    print(seen)
""",
        "['ValueError']\n",
    ),
    row(
        "hubs_in_several_threads",
        """
import gevent
import threading

def step(flag):
    gevent.sleep(0)
    if flag:
        gevent.sleep(0)
        return "yes"
    gevent.sleep(0)
    return "no"

def run(flag):
    jobs = [gevent.spawn(step, flag) for _ in range(3)]
    gevent.joinall(jobs)
    results[flag] = [job.value for job in jobs]

results = {}
threads = [threading.Thread(target=run, args=(flag,)) for flag in (True, False)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(results[True], results[False])
""",
        "['yes', 'yes', 'yes'] ['no', 'no', 'no']\n",
    ),
    row(
        "pool_map_and_imap",
        """
import gevent
from gevent.pool import Group, Pool

def work(number):
    gevent.sleep(0)
    if number % 2:
        return "odd"
    return "even"

print(Pool(2).map(work, range(3)))
print(sorted(Pool(2).imap_unordered(work, range(3))))
print(list(Group().imap(work, range(2))))
""",
        "['even', 'odd', 'even']\n['even', 'even', 'odd']\n['even', 'odd']\n",
    ),
    row(
        "threadpool_of_native_threads",
        """
import gevent
import threading

def work(number):
    if threading.get_ident() == main:  #F
        never = 1  #-
    if number:
        return "some"
    return "none"

main = threading.get_ident()
pool = gevent.get_hub().threadpool
print(pool.map(work, range(2)), pool.apply(work, (5,)))
""",
        "['none', 'some'] some\n",
    ),
    row(
        "threadpool_under_monkey_patching",
        PATCH
        + """
import gevent
from gevent.threadpool import ThreadPool, ThreadPoolExecutor

def work(number):
    total = 0
    for item in range(number):
        total += item
    return total

pool = ThreadPool(2)
print(pool.map(work, range(4)))
pool.kill()
with ThreadPoolExecutor(2) as executor:
    print(executor.submit(work, 5).result())
""",
        "[0, 0, 1, 3]\n10\n",
    ),
    row(
        "thread_pool_executor_of_the_library_patched",
        PATCH
        + """
from concurrent.futures import ThreadPoolExecutor

def work(number):
    if number:
        return "some"
    return "none"

with ThreadPoolExecutor(2) as pool:
    print(list(pool.map(work, range(2))))
""",
        "['none', 'some']\n",
    ),
    row(
        "gevent_os_fork",
        QUIET
        + PATCH
        + """
import gevent
import os
from gevent.monkey import get_original

waitpid = get_original("os", "waitpid")  # gevent's own may wait for ever
import sys

def child():
    jobs = [gevent.spawn(step, flag) for flag in (0, 1)]
    gevent.joinall(jobs)
    return sum(job.value for job in jobs)

def step(flag):
    gevent.sleep(0)
    if flag:
        return 10
    return 1

pid = os.fork()
if pid == 0:
    os._exit(child())
_, status = waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))
""",
        "11\n",
    ),
    row(
        "gevent_fork_and_watch_without_patching",
        QUIET
        + """
import gevent
import gevent.os
import os

gevent.get_hub().loop.install_sigchld()
pid = gevent.os.fork_and_watch()
if pid == 0:
    in_child = 1
    os._exit(6)
_, status = gevent.os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))
""",
        "6\n",
    ),
    row(
        "fork_while_greenlets_wait_in_conditions",
        QUIET
        + """
import gevent
import gevent.os
from gevent.event import Event
import os

def ask():
    if answer():
        result = "child"
    else:
        result = "parent"
    return result

def answer():
    ready.set()
    go.wait()
    return where == "child"

ready, go = Event(), Event()
where = None
job = gevent.spawn(ask)
ready.wait()
pid = gevent.os.fork()
where = "parent" if pid else "child"
go.set()
job.join()
if pid == 0:
    os._exit(len(job.value))
print(job.value, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
        "parent 5\n",
    ),
    row(
        "gevent_subprocess",
        """
import gevent
import sys
from gevent import subprocess

def run(word):
    out = subprocess.check_output([sys.executable, "child.py", word], env={})
    return out.decode().strip()

jobs = [gevent.spawn(run, word) for word in ("a", "b")]
gevent.joinall(jobs)
print([job.value for job in jobs])
process = subprocess.Popen([sys.executable, "child.py", "hang"], stdout=subprocess.PIPE)
print(process.stdout.readline())
process.terminate()
print(process.wait())
""",
        "['first', 'second']\nb'hanging\\n'\n-15\n",
        files={
            "child.py": """
import signal
import sys

word = sys.argv[1]
if word == "a":
    print("first")
elif word == "b":
    print("second")
else:
    print("hanging", flush=True) or signal.pause()
    never = 1  #-
"""
        },
    ),
    row(
        "subprocess_patched",
        PATCH
        + """
import subprocess
import sys

print(subprocess.run([sys.executable, "child.py"], env={}).returncode)
print(subprocess.run([sys.executable, "-c", "import child"], capture_output=True).returncode)
""",
        "5\n5\n",
        files={"child.py": "import sys\nsys.exit(5)\n"},
    ),
    row(
        "multiprocessing_fork_in_a_patched_program",
        QUIET
        + PATCH
        + """
import gevent
import multiprocessing
import sys

def work(number):
    gevent.sleep(0)
    if number:
        sys.exit(number)
    return 0

context = multiprocessing.get_context("fork")
processes = [context.Process(target=work, args=(number,)) for number in (0, 4)]
for process in processes:
    process.start()
for process in processes:
    process.join()
print([process.exitcode for process in processes])
""",
        "[0, 4]\n",
    ),
    row(
        "multiprocessing_spawn_pool_in_a_patched_program",
        PATCH
        + """
import gevent
import multiprocessing

def work(number):
    gevent.sleep(0)
    if number:
        return "some"
    return "none"

if __name__ == "__main__":  #?
    process = multiprocessing.get_context("spawn").Process(target=work, args=(1,))
    process.start()
    process.join()
    print(process.exitcode, work(0))
""",
        "0 none\n",
    ),
    row(
        "worker_process_that_imports_gevent_itself",
        """
import multiprocessing
import sys

def work(flag):
    from gevent import monkey
    monkey.patch_all()
    import gevent
    jobs = [gevent.spawn(step, gevent, n) for n in range(2)]
    gevent.joinall(jobs)
    sys.exit(sum(job.value for job in jobs))

def step(gevent, number):
    gevent.sleep(0)
    if number:
        return 7
    return 20

if __name__ == "__main__":  #?
    process = multiprocessing.get_context("fork").Process(target=work, args=(1,))
    process.start()
    process.join()
    print(process.exitcode)
""",
        "27\n",
    ),
    row(
        "server_ended_by_sigterm",
        PATCH
        + """
import gevent
import os
import signal
from gevent.server import StreamServer
import socket

def handle(connection, address):
    line = connection.recv(100)
    if line == b"stop":
        connection.sendall(b"stopping")
        os.kill(os.getpid(), signal.SIGTERM)
    else:
        connection.sendall(b"echo " + line)

def stop():
    print("stopped")
    server.stop()

def ask(word):
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        connection.sendall(word)
        return connection.recv(100)

server = StreamServer(("127.0.0.1", 0), handle)
server.start()
gevent.signal_handler(signal.SIGTERM, stop)
print(ask(b"a"), ask(b"stop"))
server._stop_event.wait()
""",
        "stopped\nb'echo a' b'stopping'\n",
    ),
    row(
        "wsgi_server_and_client",
        PATCH
        + """
import urllib.request
from gevent.pywsgi import WSGIServer

def application(environ, start_response):
    if environ["PATH_INFO"] == "/yes":
        start_response("200 OK", [])
        yield b"yes"
    else:
        start_response("200 OK", [])
        for number in range(2):
            yield str(number).encode()

server = WSGIServer(("127.0.0.1", 0), application, log=None)
server.start()
for path in ("yes", "no"):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/{path}") as answer:
        print(answer.read())
server.stop()
""",
        "b'yes'\nb'01'\n",
    ),
    row(
        "killed_with_greenlets_in_flight",
        """
import gevent
import os
import signal

def step(number):
    gevent.sleep(0)
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    gevent.sleep(60)
    never = 1  #-

gevent.joinall([gevent.spawn(step, number) for number in range(4)])
never = 1  #-
""",
        "",
        ends=signal.SIGKILL,
    ),
    row(
        "generator_started_in_one_greenlet_resumed_in_another",
        """
import gevent

def items():
    if (yield "first"):
        yield "yes"
    else:
        yield "no"

def drive(source, value):
    gevent.sleep(0)
    results.append(source.send(value))

results = []
for flag in (True, False):
    source = items()
    gevent.spawn(drive, source, None).join()
    gevent.spawn(drive, source, flag).join()
print(results)
""",
        "['first', 'yes', 'first', 'no']\n",
    ),
    row(
        "greenlet_locals_queues_and_events",
        PATCH
        + """
import gevent
import queue
import threading

local = threading.local()

def produce(line):
    for item in range(3):
        line.put(item)
    line.put(StopIteration)

def consume(line, name):
    local.name = name
    while True:
        item = line.get()
        if item is StopIteration:
            break
        got.append((local.name, item))

got = []
line = queue.Queue(1)
gevent.joinall([gevent.spawn(produce, line), gevent.spawn(consume, line, "c")])
print(got)
""",
        "[('c', 0), ('c', 1), ('c', 2)]\n",
    ),
    row(
        "greenlet_settrace_under_gevent",
        """
import gevent
import greenlet

def callback(event, arguments):
    events.append(event)  #?

def step(flag):
    gevent.sleep(0)
    if flag:
        return "yes"
    return "no"

events = []
greenlet.settrace(callback)
jobs = [gevent.spawn(step, flag) for flag in (0, 1)]
gevent.joinall(jobs)
greenlet.settrace(None)
print([job.value for job in jobs], set(events) == {"switch"})
""",
        "['no', 'yes'] True\n",
    ),
    row(
        "baseserver_pre_fork_workers",
        QUIET
        + PATCH
        + """
import gevent
import os
import signal
import socket
from gevent.monkey import get_original
from gevent.server import StreamServer

waitpid = get_original("os", "waitpid")  # gevent's own may wait for ever

def handle(connection, address):
    word = connection.recv(10)
    if word == b"die":
        os._exit(3)
    connection.sendall(word)

def worker(listener):
    StreamServer(listener, handle).serve_forever()

listener = socket.create_server(("127.0.0.1", 0))
pids = []
for number in range(1):
    pid = os.fork()
    if pid == 0:
        worker(listener)
        os._exit(0)  #-
    pids.append(pid)
with socket.create_connection(listener.getsockname()) as connection:
    connection.sendall(b"hi")
    print(connection.recv(10))
with socket.create_connection(listener.getsockname()) as connection:
    connection.sendall(b"die")
print([os.waitstatus_to_exitcode(waitpid(pid, 0)[1]) for pid in pids])
""",
        "b'hi'\n[3]\n",
    ),
    row(
        "exec_from_a_greenlet",
        PATCH
        + """
import gevent
import os
import sys

def replace():
    gevent.sleep(0)
    if len(sys.argv) == 1:
        os.execve(sys.executable, [sys.executable, "program.py", "again"], {})
    print("again")

gevent.spawn(replace).join()
""",
        "again\n",
    ),
    row(
        "asyncio_in_a_native_thread_beside_gevent",
        """
import asyncio
import gevent

async def step(flag):
    await asyncio.sleep(0)
    if flag:
        return "yes"
    return "no"

def run():
    async def both():
        return await asyncio.gather(step(0), step(1))
    return asyncio.run(both())

print(gevent.get_hub().threadpool.apply(run))
""",
        "['no', 'yes']\n",
    ),
    row(
        "concurrency_is_named_on_the_command_line",
        """
import gevent

def step(flag):
    gevent.sleep(0)
    if flag:
        return "yes"
    return "no"

print([job.value for job in gevent.joinall([gevent.spawn(step, n) for n in (0, 1)])])
""",
        "['no', 'yes']\n",
        options=("--concurrency=gevent,thread",),
    ),
]
