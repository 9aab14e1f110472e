"""Many processes, many threads, many deaths: every line that proves that it ran is there."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.torture.proof import PROVING, Proof

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]

LINES = "".join(f"def f{n}():\n    told()\n" for n in range(200))


def test_two_thousand_short_lived_processes(world: World) -> None:
    proof = Proof(world)
    world.write("target.py", PROVING + LINES + """
for batch in range(40):
    children = []
    for n in range(50):
        pid = os.fork()
        if pid == 0:
            globals()[f"f{(batch * 50 + n) % 200}"]()
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
""")  # fmt: skip
    run = world.covsup_run("target.py", environment=proof.environment, timeout=200)
    assert (run.ended, run.stderr) == (0, "")
    assert sum(proof.lines().values()) == 2000
    assert not proof.missing(run)
    tree = world.run(world.python, "-m", "covsup", "tree", timeout=100).stdout
    assert "2001 measured processes" in tree.splitlines()[-1]


def test_five_hundred_threads_at_once(world: World) -> None:
    proof = Proof(world)
    world.write("target.py", PROVING + LINES + """
import threading
together = threading.Barrier(501)
def work(n):
    together.wait()
    globals()[f"f{n % 200}"]()
    together.wait()
threads = [threading.Thread(target=work, args=(n,)) for n in range(500)]
for thread in threads:
    thread.start()
together.wait()
together.wait()
for thread in threads:
    thread.join()
""")  # fmt: skip
    run = world.covsup_run("target.py", environment=proof.environment, timeout=200)
    assert (run.ended, run.stderr) == (0, "")
    assert sum(proof.lines().values()) == 500
    assert not proof.missing(run)


@pytest.mark.parametrize("waits", [True, False], ids=["waiting", "abandoned"])
def test_a_fork_bomb_with_a_bound(world: World, *, waits: bool) -> None:
    proof = Proof(world)
    world.write("target.py", PROVING + LINES + f"""
depth = 0
while depth < 8:
    globals()[f"f{{depth}}"]()
    first = os.fork()
    second = os.fork() if first else 0
    if first and second:
        for pid in (first, second) if {waits} else ():
            os.waitpid(pid, 0)
        os._exit(0)
    depth += 1
globals()["f100"]()
os._exit(0)
""")  # fmt: skip
    run = world.covsup_run("target.py", environment=proof.environment, timeout=200)
    assert (run.ended, run.stderr) == (0, "")
    assert sum(proof.lines().values()) == 2**9 - 1
    assert not proof.missing(run)


def test_processes_killed_at_random_lose_nothing_that_they_told(world: World) -> None:
    proof = Proof(world)
    world.write("target.py", PROVING + LINES + """
import random, signal, time
chance = random.Random(7)
for batch in range(30):
    children = []
    for n in range(8):
        pid = os.fork()
        if pid == 0:
            chance.seed(batch * 8 + n)
            while True:
                globals()[f"f{chance.randrange(200)}"]()
        children.append(pid)
    for pid in children:
        time.sleep(chance.random() / 200)
        os.kill(pid, chance.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV]))
    for pid in children:
        os.waitpid(pid, 0)
""")  # fmt: skip
    run = world.covsup_run("target.py", environment=proof.environment, timeout=200)
    assert (run.ended, run.stderr) == (0, "")
    assert not proof.missing(run)


def test_the_whole_tree_is_killed_with_its_supervisor_at_any_moment(world: World) -> None:
    """Again and again, later each time; `covsup combine` has all that was told until then."""
    world.write("target.py", PROVING + LINES + """
import subprocess
def work(first):
    for n in range(first, 200, 4):
        globals()[f"f{n}"]()
if len(sys.argv) > 1:
    work(int(sys.argv[1]))
else:
    for n in range(4):
        if os.fork() == 0:
            if n % 2:
                os.execv(sys.executable, [sys.executable, "target.py", str(n)])
            work(n)
            os._exit(0)
    for n in range(4):
        os.wait()
""")  # fmt: skip
    chance = random.Random(11)
    for attempt in range(25):
        proof = Proof(world)
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "covsup", "run", "--branch", "target.py"],
            cwd=world.directory, env=world.environment(proof.environment),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        until = attempt * 8 + chance.randrange(8)
        while supervisor.poll() is None and sum(proof.lines().values()) < until:
            pass
        everybody = [psutil.Process(supervisor.pid)]
        with contextlib.suppress(psutil.NoSuchProcess):
            everybody += everybody[0].children(recursive=True)
        for each in everybody:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)
        supervisor.wait()
        world.kill_what_is_left()
        run = world.run(world.python, "-m", "covsup", "combine")
        if proof.lines():
            assert not proof.missing(run), (attempt, run)
        world.run(world.python, "-m", "covsup", "erase")


def test_processes_that_are_stopped_and_go_on(world: World) -> None:
    proof = Proof(world)
    world.write("target.py", PROVING + LINES + """
import signal, time
children = []
for n in range(10):
    pid = os.fork()
    if pid == 0:
        for at in range(n, 200, 10):
            globals()[f"f{at}"]()
            time.sleep(0.001)
        os._exit(0)
    children.append(pid)
for turn in range(10):
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    os.kill(os.getppid(), signal.SIGSTOP) if turn == 5 else None
    for pid in children:
        os.kill(pid, signal.SIGCONT)
    os.kill(os.getppid(), signal.SIGCONT)
for pid in children:
    os.waitpid(pid, 0)
""")  # fmt: skip
    run = world.covsup_run("target.py", environment=proof.environment, timeout=120)
    assert (run.ended, run.stderr) == (0, "")
    assert sum(proof.lines().values()) == 200
    assert not proof.missing(run)


@pytest.mark.parametrize("how", ["fork", "exec"])
def test_fork_and_exec_while_other_threads_write(world: World, how: str) -> None:
    proof = Proof(world)
    world.write("target.py", PROVING + LINES + f"""
import threading, time
def work(first):
    for n in range(first, 200, 4):
        globals()[f"f{{n}}"]()
        time.sleep(0)
generation = int(sys.argv[1])
threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(4)]
for thread in threads:
    thread.start()
if {how!r} == "fork":
    for n in range(50):
        pid = os.fork()
        if pid == 0:
            globals()[f"f{{n}}"]()
            os._exit(0)
        os.waitpid(pid, 0)
    for thread in threads:
        thread.join()
elif generation < 40:
    for n in range(generation):
        globals()[f"f{{n}}"]()
    os.execv(sys.executable, [sys.executable, "target.py", str(generation + 1)])
""")  # fmt: skip
    run = world.covsup_run(
        world.python, "-W", "ignore", "target.py", "0", environment=proof.environment, timeout=200
    )
    assert (run.ended, run.stderr) == (0, "")
    assert not proof.missing(run)
