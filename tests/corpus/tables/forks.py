"""Forks: with frames that go on in the child, in threads, by other functions, again and again."""

from __future__ import annotations

import signal

from tests.corpus.row import Row

# 3.12 and later warn of a fork in a process with threads; that is not what is tested here.
QUIET = "import warnings\nwarnings.simplefilter('ignore')\n"

ROWS = [
    Row(
        name="child_and_parent_take_opposite_branches",
        source="""
import os

pid = os.fork()
if pid == 0:
    where = "child"
    os._exit(3)
else:
    where = "parent"
_, status = os.waitpid(pid, 0)
print(where, os.waitstatus_to_exitcode(status))
""",
        prints="parent 3\n",
    ),
    Row(
        name="frames_active_at_the_fork_go_on_in_the_child",
        source="""
import os
import sys

def inner():
    pid = os.fork()
    if pid:
        return pid
    in_child = 1
    return 0

def outer():
    for _ in range(1):
        pid = inner()
        if pid:
            break
        after_in_child = 1
    else:
        loop_ended_in_child = 1
        sys.exit(4)
    return pid

pid = outer()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
        prints="4\n",
    ),
    Row(
        name="fork_in_the_middle_of_a_condition",
        source="""
import os

def ask():
    if os.fork():
        result = "parent"
    else:
        result = "child"
    return result

answer = ask()
if answer == "child":
    os._exit(0)
os.wait()
print(answer)
""",
        prints="parent\n",
    ),
    Row(
        name="fork_in_the_middle_of_a_loop_head_and_a_comprehension",
        source="""
import os

def fork():
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    return pid

def loop():
    for item in (1, 2) if fork() else ():
        seen = item
    return "end"

loop()
values = [
    number
    for number in range(2)
    if fork()
]
while not fork():
    os._exit(len(values))
""",
    ),
    Row(
        name="fork_in_a_generator_that_goes_on_in_both",
        source="""
import os

def steps():
    yield "before"
    if os.fork() == 0:
        yield "child"
    else:
        yield "parent"
    yield "after"

got = list(steps())
if "child" in got:
    os._exit(0)
os.wait()
print(got)
""",
        prints="['before', 'parent', 'after']\n",
    ),
    Row(
        name="fork_inside_with_and_try",
        source="""
import os
import sys

class Guard:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is SystemExit:
            code = 1
        else:
            code = 2
        return False

def work():
    try:
        with Guard():
            if os.fork() == 0:
                sys.exit(6)
            in_parent = 1
    except SystemExit:  #T
        in_child = 1
        raise
    finally:
        both = 1

work()
print(os.waitstatus_to_exitcode(os.wait()[1]))
""",
        prints="6\n",
    ),
    Row(
        name="child_runs_what_the_parent_never_does",
        source="""
import os

def only_child(limit):
    total = 0
    for number in range(limit):
        if number == 2:
            total += 10
        else:
            total += number
    return total

def only_parent(limit):
    while limit:
        limit -= 1
    return "done"

pid = os.fork()
if not pid:
    os._exit(only_child(3))
print(only_parent(2), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
        prints="done 11\n",
    ),
    Row(
        name="child_ends_normally_and_runs_its_atexit",
        source="""
import atexit
import os
import sys

def bye():
    if os.getpid() == first:
        print("parent")
    else:
        print("child")

first = os.getpid()
atexit.register(bye)
if os.fork() == 0:
    sys.exit(0)
os.wait()
""",
        prints="child\nparent\n",
    ),
    Row(
        name="child_dies_of_an_exception",
        source="""
import os
import sys

if os.fork() == 0:
    sys.stderr.close()
    before = 1
    raise ValueError
    after = 1  #-
print(os.waitstatus_to_exitcode(os.wait()[1]))
""",
        prints="1\n",
    ),
    Row(
        name="forks_in_a_chain",
        source="""
import os

def generation(number):
    if number == 0:
        return 7
    pid = os.fork()
    if pid == 0:
        os._exit(generation(number - 1))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

print(generation(8))
""",
        prints="7\n",
    ),
    Row(
        name="many_children_each_with_a_line_of_its_own",
        source="\n".join(
            [
                "import os",
                *(f"def f{n}():\n    return {n}" for n in range(30)),
                "for n in range(30):",
                "    if os.fork() == 0:",
                "        os._exit(globals()[f'f{n}']())",
                (
                    "print(sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(30))"
                    " == list(range(30)))"
                ),
                "",
            ]
        ),
        prints="True\n",
    ),
    Row(
        name="children_one_after_the_other_in_a_loop",
        source="""
import os

def work(number):
    if number % 2:
        return 1
    return 0

odd = 0
for number in range(100):
    pid = os.fork()
    if pid == 0:
        os._exit(work(number))
    odd += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(odd)
""",
        prints="50\n",
    ),
    Row(
        name="fork_in_a_thread",
        source=QUIET
        + """
import os
import threading

def child():
    return 5

def work():
    pid = os.fork()
    if pid == 0:
        os._exit(child())
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

codes = []
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(codes)
""",
        prints="[5]\n",
    ),
    Row(
        name="thread_that_forked_becomes_main_of_the_child",
        source=QUIET
        + """
import os
import sys
import threading

def work():
    pid = os.fork()
    if pid == 0:
        name = threading.main_thread() is threading.current_thread()
        if name:  #T
            sys.exit(0)
        never = 1  #-
    os.waitpid(pid, 0)
    finished.append(1)

finished = []
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(finished)
""",
        prints="[1]\n",
    ),
    Row(
        name="fork_while_other_threads_write_lines",
        source=QUIET
        + """
import os
import threading

def spin():
    while not stop.is_set():
        number = 1
        if number:  #T
            number = 2
    stopped = 1

def child(number):
    if number == 7:
        return 7
    return 0

stop = threading.Event()
threads = [threading.Thread(target=spin) for _ in range(2)]
for thread in threads:
    thread.start()
total = 0
for number in range(10):
    pid = os.fork()
    if pid == 0:
        os._exit(child(number))
    total += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
stop.set()
for thread in threads:
    thread.join()
print(total)
""",
        prints="7\n",
    ),
    Row(
        name="threads_started_in_the_child",
        source="""
import os
import threading

def work(flag):
    if flag:
        results.append("yes")
    else:
        results.append("no")

results = []
if os.fork() == 0:
    threads = [threading.Thread(target=work, args=(flag,)) for flag in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(len(results))
print(os.waitstatus_to_exitcode(os.wait()[1]))
""",
        prints="2\n",
    ),
    Row(
        name="pty_fork",
        source=QUIET
        + """
import os
import pty

pid, terminal = pty.fork()
if pid == 0:
    print("from the child", flush=True)
    os._exit(2)
text = b""
try:
    while True:
        text += os.read(terminal, 100)
except OSError:  #T
    pass
_, status = os.waitpid(pid, 0)
print(text, os.waitstatus_to_exitcode(status))
""",
        prints="b'from the child\\r\\n' 2\n",
    ),
    Row(
        name="os_forkpty",
        source=QUIET
        + """
import os

pid, terminal = os.forkpty()
if not pid:
    inside = os.isatty(0)
    os._exit(inside)
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))
""",
        prints="1\n",
    ),
    Row(
        name="daemon_by_double_fork_that_closes_everything",
        source="""
import os
import resource
import sys

def daemonize():
    if os.fork():
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o077)
    os.closerange(0, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    os.open(os.devnull, os.O_RDWR)
    os.dup2(0, 1)
    os.dup2(0, 2)
    return True

def serve(path):
    for number in range(3):
        if number == 1:
            state = "odd"
        else:
            state = "even"
    with open(path, "w") as out:
        out.write(state)

path = os.path.abspath("done")
os.mkfifo(path)
if daemonize():
    serve(path)
    last = 1
    os._exit(0)
with open(path) as done:
    print(done.read())
""",
        prints="even\n",
    ),
    Row(
        name="daemon_that_works_on_after_its_starter_has_gone",
        source="""
import os
import sys

reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    os.close(writer)
    os.read(reader, 1)
    after_the_parent = 1
    if after_the_parent:  #T
        os._exit(0)
os.close(reader)
sys.exit(0)
""",
    ),
    Row(
        name="fork_by_c_code_without_hooks",
        source="""
import ctypes
import os

libc = ctypes.CDLL(None)

def child():
    value = 3
    return value

pid = libc.fork()
if pid == 0:
    os._exit(child())
else:
    in_parent = 1
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
        prints="3\n",
    ),
    Row(
        name="fork_by_c_code_with_the_gil_held",
        source="""
import ctypes
import os

libc = ctypes.PyDLL(None)
pid = libc.fork()
if pid == 0:
    for number in range(2):
        value = number
    os._exit(value)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
        prints="1\n",
    ),
    Row(
        name="fork_that_fails_is_caught",
        source="""
import os
import resource

if os.getuid() == 0:  #?
    os.setuid(54321)  #?
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
try:
    os.fork()
    never = 1  #-
except OSError:  #T
    failed = 1
print(failed)
""",
        linux=True,
        witness=False,
        prints="1\n",
    ),
    Row(
        name="register_at_fork_hooks_of_the_program",
        source="""
import os

def before():
    order.append("before")

def parent():
    order.append("parent")

def child():
    order.append("child")

order = []
os.register_at_fork(before=before, after_in_parent=parent, after_in_child=child)
if os.fork() == 0:
    os._exit(len(order) * (order[-1] == "child"))
print(order, os.waitstatus_to_exitcode(os.wait()[1]))
""",
        prints="['before', 'parent'] 2\n",
    ),
    Row(
        name="import_in_the_child_only",
        source="""
import os

if os.fork() == 0:
    import late
    os._exit(late.decide(1))
print(os.waitstatus_to_exitcode(os.wait()[1]))
""",
        files={
            "late.py": """
def decide(flag):
    if flag:  #T
        return 9
    return 8  #-
"""
        },
        prints="9\n",
    ),
    Row(
        name="parent_dies_before_its_child_goes_on",
        source="""
import os
import signal

reader, writer = os.pipe()
if os.fork() == 0:
    os.close(writer)
    os.read(reader, 1)
    orphaned = 1
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
""",
        ends=signal.SIGKILL,
    ),
    Row(
        name="child_that_changes_directory_and_user",
        source="""
import os

if os.fork() == 0:
    os.chdir("/")
    if os.getuid() == 0:  #?
        os.setgid(54321)  #?
        os.setuid(54321)  #?
    for number in range(2):
        value = number
    os._exit(value)
print(os.waitstatus_to_exitcode(os.wait()[1]))
""",
        witness=False,
        prints="1\n",
    ),
    Row(
        name="fork_of_a_fork_that_lost_its_parent",
        source="""
import os
import signal

reader, writer = os.pipe()
middle = os.fork()
if middle == 0:
    if os.fork() == 0:
        os.close(reader)
        value = 1
        os.write(writer, b"x")
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
os.close(writer)
_, status = os.waitpid(middle, 0)
print(os.read(reader, 1), os.read(reader, 1), os.waitstatus_to_exitcode(status))
""",
        prints="b'x' b'' -9\n",
    ),
    Row(
        name="vfork_like_preexec_function",
        source=QUIET
        + """
import os
import subprocess
import sys

def prepare():
    os.umask(0o022)
    if os.getpid() != first:  #T
        os.write(1, b"prepared\\n")

first = os.getpid()
sys.stdout.flush()
process = subprocess.run([sys.executable, "-c", "print('ran')"], preexec_fn=prepare)
print(process.returncode)
""",
        prints="prepared\nran\n0\n",
    ),
    Row(
        name="lines_seen_before_the_fork_run_in_the_child_again",
        source="""
import os

def work(flag):
    if flag:
        return 1
    return 0

work(1)
if os.fork() == 0:
    os._exit(work(1) + work(0))
print(os.waitstatus_to_exitcode(os.wait()[1]))
""",
        prints="1\n",
    ),
]
