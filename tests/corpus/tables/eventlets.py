"""eventlet: green threads, pools, patched library, native threads and processes."""

from __future__ import annotations

import signal

from tests.corpus.row import Row

NEEDS = ("eventlet",)
QUIET = "import warnings\nwarnings.simplefilter('ignore')\n"
PATCH = QUIET + "import eventlet\neventlet.monkey_patch()\n"


def row(name: str, source: str, prints: str | None = None, **more: object) -> Row:
    return Row(name=name, source=source, needs=NEEDS, prints=prints, **more)  # type: ignore[arg-type]


ROWS = [
    row(
        "opposite_branches_in_interleaved_green_threads",
        QUIET
        + """
import eventlet

def turn(value):
    eventlet.sleep(0)
    return value

def ask(flag):
    if turn(flag):
        result = "yes"
    else:
        result = "no"
    while turn(flag):
        flag = False
    return result

jobs = [eventlet.spawn(ask, flag) for flag in (True, False)]
print([job.wait() for job in jobs])
""",
        "['yes', 'no']\n",
    ),
    row(
        "one_outcome_each_in_interleaved_green_threads",
        QUIET
        + """
import eventlet

def turn(value):
    eventlet.sleep(0)
    return value

def left():
    if turn(True):  #T
        return turn(1)
    return turn(2)  #-

def right():
    for item in turn([]):  #F
        return turn(item)  #-
    return turn(2)

jobs = [eventlet.spawn(function) for function in (left, right)]
print([job.wait() for job in jobs])
""",
        "[1, 2]\n",
    ),
    row(
        "green_pool_and_pile",
        QUIET
        + """
import eventlet

def work(number):
    eventlet.sleep(0)
    if number % 2:
        return "odd"
    return "even"

pool = eventlet.GreenPool(2)
print(list(pool.imap(work, range(3))))
pile = eventlet.GreenPile(pool)
for number in range(2):
    pile.spawn(work, number)
print(sorted(pile))
""",
        "['even', 'odd', 'even']\n['even', 'odd']\n",
    ),
    row(
        "monkey_patched_early",
        PATCH
        + """
import socket
import threading

def serve(server):
    connection, _ = server.accept()
    if connection.recv(10) == b"ping":
        connection.sendall(b"pong")
    else:
        connection.sendall(b"what")
    connection.close()

answers = []
server = socket.create_server(("127.0.0.1", 0))
for word in (b"ping", b"ding"):
    thread = threading.Thread(target=serve, args=(server,))
    thread.start()
    with socket.create_connection(server.getsockname()) as connection:
        connection.sendall(word)
        answers.append(connection.recv(10))
    thread.join()
print(answers)
""",
        "[b'pong', b'what']\n",
    ),
    row(
        "monkey_patched_late",
        QUIET
        + """
import threading

def work(flag):
    if flag:
        results.append("yes")
    else:
        results.append("no")

def run(flag):
    thread = threading.Thread(target=work, args=(flag,))
    thread.start()
    thread.join()

results = []
run(True)
import eventlet
eventlet.monkey_patch()
run(False)
print(results)
""",
        "['yes', 'no']\n",
    ),
    row(
        "kill_in_the_middle_of_a_condition",
        QUIET
        + """
import eventlet
from eventlet.event import Event
import greenlet

def forever():
    started.send(1)
    Event().wait()
    return True  #-

def ask():
    try:
        if forever():  #X
            a = 1  #-
        else:
            a = 2  #-
    except greenlet.GreenletExit:  #T
        ended.append("exit")
    finally:
        ended.append("finally")

ended = []
started = Event()
job = eventlet.spawn(ask)
started.wait()
job.kill()
print(ended, job.dead)
""",
        "['exit', 'finally'] True\n",
    ),
    row(
        "timeout_leaves_a_loop",
        QUIET
        + """
import eventlet

def wait(seconds):
    for number in range(2):
        eventlet.sleep(seconds)
    return number

try:
    with eventlet.Timeout(0.01):
        wait(60)
        never = 1  #-
except eventlet.Timeout:  #T
    print("late")
print(wait(0))
""",
        "late\n1\n",
    ),
    row(
        "exception_and_links",
        QUIET
        + """
import eventlet

def fail(flag):
    eventlet.sleep(0)
    if flag:
        raise ValueError
    return "fine"

def linked(job, out):
    try:
        out.append(job.wait())
    except ValueError:  #T
        out.append("error")

out = []
for flag in (0, 1):
    job = eventlet.spawn(fail, flag)
    job.link(linked, out)
    try:
        job.wait()
    except ValueError:  #T
        eventlet.sleep(0)
print(out)
""",
        "['fine', 'error']\n",
    ),
    row(
        "tpool_runs_in_native_threads",
        QUIET
        + """
import eventlet
from eventlet import tpool
import threading

def work(number):
    if threading.get_ident() == main:  #F
        never = 1  #-
    if number:
        return "some"
    return "none"

class Thing:
    def method(self, flag):
        if flag:
            return "yes"
        return "no"

main = threading.get_ident()
print([tpool.execute(work, number) for number in (0, 1)])
proxy = tpool.Proxy(Thing())
print(proxy.method(True), proxy.method(False))
tpool.killall()
""",
        "['none', 'some']\nyes no\n",
    ),
    row(
        "tpool_under_monkey_patching",
        PATCH
        + """
from eventlet import tpool

def work(number):
    total = 0
    for item in range(number):
        total += item
    return total

jobs = [eventlet.spawn(tpool.execute, work, number) for number in (0, 4)]
print([job.wait() for job in jobs])
tpool.killall()
""",
        "[0, 6]\n",
    ),
    row(
        "hubs_in_several_threads",
        QUIET
        + """
import eventlet
import threading

def step(flag):
    eventlet.sleep(0)
    if flag:
        return "yes"
    return "no"

def run(flag):
    jobs = [eventlet.spawn(step, flag) for _ in range(2)]
    results[flag] = [job.wait() for job in jobs]

results = {}
threads = [threading.Thread(target=run, args=(flag,)) for flag in (True, False)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(results[True], results[False])
""",
        "['yes', 'yes'] ['no', 'no']\n",
    ),
    row(
        "fork_in_a_green_thread",
        PATCH
        + """
import os

def work():
    pid = os.fork()
    if pid == 0:
        eventlet.sleep(0)
        in_child = 1
        os._exit(5)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)

print(eventlet.spawn(work).wait())
""",
        "5\n",
    ),
    row(
        "subprocess_in_a_patched_program",
        PATCH
        + """
import subprocess
import sys
from eventlet.green import subprocess as green

print(subprocess.run([sys.executable, "child.py"], env={}).returncode)
print(green.Popen([sys.executable, "child.py", "x"]).wait())
""",
        "5\n6\n",
        files={
            "child.py": """
import sys
if len(sys.argv) > 1:
    sys.exit(6)
sys.exit(5)
"""
        },
    ),
    row(
        "multiprocessing_in_a_patched_program",
        PATCH
        + """
import multiprocessing
import sys

def work(number):
    eventlet.sleep(0)
    if number:  #T
        sys.exit(number)

process = multiprocessing.get_context("fork").Process(target=work, args=(3,))
process.start()
process.join()
print(process.exitcode)
""",
        "3\n",
    ),
    row(
        "wsgi_server_ended_by_a_kill",
        PATCH
        + """
import os
import signal
import urllib.request
from eventlet import wsgi

def application(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/yes":
        return [b"yes"]
    return [b"no"]

listener = eventlet.listen(("127.0.0.1", 0))
eventlet.spawn(wsgi.server, listener, application, log_output=False)
for path in ("yes", "no"):
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/{path}"
    with urllib.request.urlopen(address) as answer:
        print(answer.read(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
never = 1  #-
""",
        "b'yes'\nb'no'\n",
        ends=signal.SIGKILL,
    ),
    row(
        "queues_between_green_threads",
        QUIET
        + """
import eventlet
from eventlet.queue import Queue

def produce(line):
    for item in range(3):
        line.put(item)
    line.put(None)

def consume(line):
    total = 0
    while (item := line.get()) is not None:
        total += item
    return total

line = Queue(1)
eventlet.spawn(produce, line)
print(eventlet.spawn(consume, line).wait())
""",
        "3\n",
    ),
    row(
        "generator_shared_by_green_threads",
        QUIET
        + """
import eventlet

def items():
    if (yield 1):
        yield "yes"
    else:
        yield "no"

def drive(source, value):
    eventlet.sleep(0)
    return source.send(value)

for flag in (True, False):
    source = items()
    eventlet.spawn(drive, source, None).wait()
    print(eventlet.spawn(drive, source, flag).wait())
""",
        "yes\nno\n",
    ),
]
