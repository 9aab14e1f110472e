"""What tells processes and moments apart is taken away: pids come again, clocks step to and fro."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.torture.proof import PROVING, Proof

if TYPE_CHECKING:
    from tests.world import World

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]

FUNCTIONS = "".join(f"def f{n}():\n    told()\n" for n in range(40))

SAME_PID = """
pids = set()
def next_pid(pid):
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(pid - 1))
for n in range(0, 40, 4):
    next_pid(700)
    pid = os.fork()
    if pid == 0:
        globals()[f"f{n}"]()
        if n % 8 == 0:
            os.execv(sys.executable, [sys.executable, "other.py", str(n + 1)])
        os._exit(0)
    os.waitpid(pid, 0)
    pids.add(pid)
    next_pid(700)
    pid = os.posix_spawn(sys.executable, [sys.executable, "other.py", str(n + 2)], os.environ)
    os.waitpid(pid, 0)
    pids.add(pid)
    next_pid(700)
    # It outlives its parent, and the next ones get the parent's pid.
    if os.fork() == 0:
        if os.fork() == 0:
            globals()[f"f{n + 3}"]()
        os._exit(0)
    pids.add(os.wait()[0])
print(sorted(pids))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can choose pids")
def test_processes_that_get_the_same_pid_one_after_the_other_are_told_apart(world: World) -> None:
    space = ["unshare", "--pid", "--fork", "--mount-proc"]
    # A shell first: the first process of a namespace is one that signals are kept from.
    tried = subprocess.run(
        [*space, "sh", "-c", "echo 700 >/proc/sys/kernel/ns_last_pid; :"],
        check=False, capture_output=True,
    )  # fmt: skip
    if tried.returncode != 0 or tried.stderr:
        pytest.skip("there are no pid namespaces here, or pids cannot be chosen in them")
    proof = Proof(world)
    world.write("target.py", PROVING + FUNCTIONS + SAME_PID)
    world.write("other.py", PROVING + FUNCTIONS + "globals()['f' + sys.argv[1]]()\n")
    run = world.run(
        *space, "sh", "-c", '"$@"; exit $?', "sh",
        world.python, "-m", "covsup", "run", "target.py",
        environment=proof.environment, timeout=200,
    )  # fmt: skip
    assert (run.ended, run.stderr) == (0, ""), run
    assert run.stdout == "[700]\n"
    told = proof.path.read_text().split()
    assert len(told) == 35, told
    assert set(map(int, told)) <= run.lines("target.py") | run.lines("other.py")
    tree = world.run(world.python, "-m", "covsup", "tree", timeout=100).stdout
    # The target; a fork, a spawned one, a parent and its orphan for each round, every second of
    # the forks another one after its exec.
    assert "41 measured processes, 5 execs" in tree.splitlines()[-1], tree
    assert tree.count(" 700 ") >= 35, tree


@pytest.fixture(scope="module")
def clock_steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes the clock step."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("clock") / "clock_steps.so"
    source = Path(__file__).with_name("clock_steps.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


STEPPING = """
import signal, subprocess, time
looks = [(time.sleep(0.05), time.time())[1] for _ in range(20)]
assert looks != sorted(looks)
orphan = os.fork()
if orphan == 0:
    if os.fork() == 0:
        time.sleep(0.3)
        f0()
    os._exit(0)
os.waitpid(orphan, 0)
children = []
for n in range(1, 20):
    pid = os.fork()
    if pid == 0:
        globals()[f"f{n}"]()
        if n % 3 == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
for n in range(20, 24):
    subprocess.run([sys.executable, "other.py", str(n)], check=True)
"""


def test_a_wall_clock_that_steps_to_and_fro_changes_nothing(
    world: World, clock_steps: Path
) -> None:
    proof = Proof(world)
    world.write("target.py", PROVING + FUNCTIONS + STEPPING)
    world.write("other.py", PROVING + FUNCTIONS + "globals()['f' + sys.argv[1]]()\n")
    environment = {**proof.environment, "LD_PRELOAD": str(clock_steps)}
    run = world.covsup_run("target.py", environment=environment, timeout=120)
    assert (run.ended, run.stderr) == (0, ""), run
    told = proof.path.read_text().split()
    assert len(told) == 24, told
    assert set(map(int, told)) <= run.lines("target.py") | run.lines("other.py")
    tree = world.run(world.python, "-m", "covsup", "tree", timeout=100).stdout
    assert "26 measured processes" in tree.splitlines()[-1], tree
    assert len(re.findall("killed by SIGKILL|SIGKILL", tree)) >= 6, tree
    assert list(world.directory.glob(".covsup*")) == []


@pytest.mark.parametrize("when", ["while it runs", "after its supervisor was killed"])
def test_a_combination_under_another_clock_takes_no_journal_from_who_still_writes(
    world: World, clock_steps: Path, when: str
) -> None:
    proof = Proof(world)
    world.write("target.py", PROVING + FUNCTIONS + """
f0()
print("ready", flush=True)
sys.stdin.readline()
f1()
""")  # fmt: skip
    environment = world.environment(proof.environment)
    with subprocess.Popen(
        [world.python, "-m", "covsup", "run", "target.py"], cwd=world.directory, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as supervisor:  # fmt: skip
        assert supervisor.stdin is not None
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "ready\n"
        if when.startswith("after"):
            supervisor.send_signal(signal.SIGKILL)
            supervisor.wait()
        for _ in range(3):
            done = subprocess.run(
                [world.python, "-m", "covsup", "combine"], cwd=world.directory,
                env={**environment, "LD_PRELOAD": str(clock_steps)},
                check=False, capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, done
            assert "still running" in done.stdout + done.stderr, done
        supervisor.stdin.write("\n")
        supervisor.stdin.close()
        # At the end of what it prints, the last who could print has ended.
        assert supervisor.stdout.read() == ""
    if when.startswith("after"):
        world.run(world.python, "-m", "covsup", "combine", timeout=60)
    assert len(proof.lines()) == 2
    assert not proof.missing(world.run("true"))
