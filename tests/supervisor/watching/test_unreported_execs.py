"""Programs that C code executes after a fork, or in the place of a measured one, without a word."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc says what a process became")

# As uvloop starts a process: Python's hooks run at the fork, and C executes the program. The child
# waits until the supervisor has seen what it is.
PROGRAM = """\
import ctypes, os, sys

libc = ctypes.CDLL(None)
session = os.environ["COVSUP_SESSION"]
way, environment = sys.argv[1:]
words = [sys.executable, "child.py", session]
if way == "shell":
    words = ["/bin/sh", "-c", f"until grep -q child[.]sh {session}/observed.jsonl~; do :; done # child.sh"]
if environment == "carried":
    pairs = {"PATH": os.environ["PATH"]} | {
        name: value for name, value in os.environ.items() if name.startswith("COVSUP_")
    }
else:
    pairs = {"PATH": os.environ["PATH"]}

def strings(words):
    return (ctypes.c_char_p * (len(words) + 1))(*[os.fsencode(word) for word in words], None)

argv = strings(words)
envp = strings([f"{name}={value}" for name, value in pairs.items()])
if way == "in_place":
    libc.execve(argv[0], argv, envp)
pid = os.fork()
if pid == 0:
    libc.execve(argv[0], argv, envp)
    os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

CHILD = """\
import os, sys, time
def is_seen():
    with open(sys.argv[1] + "/observed.jsonl~") as lines:
        return any("child.py" in line and str(os.getpid()) in line for line in lines)
while not is_seen():
    time.sleep(0.01)
"""


def run(world: World, way: str, environment: str) -> tuple[str, str]:
    """The closing lines and the tree of a run."""
    world.write("target.py", PROGRAM)
    world.write("child.py", CHILD)
    done = world.covsup_run("target.py", way, environment)
    assert done.ended == 0, done
    return done.stderr, world.run(world.python, "-m", "covsup", "tree").stdout


@pytest.mark.parametrize("way", ["forked", "in_place"])
def test_a_python_that_c_code_executes_without_the_session_is_named(world: World, way: str) -> None:
    stderr, tree = run(world, way, "own")
    assert stderr.count("not measured") == 1, stderr
    assert re.search(
        r"1 Python process was not measured: .*child\.py.*: its environment has no COVSUP_SESSION",
        stderr,
    ), stderr
    assert tree.count("NOT MEASURED: its environment has no") == 1, tree
    assert re.search(r"\d+ python target\.py .*exec", tree), tree


def test_a_python_that_c_code_executes_in_the_session_is_one_process(world: World) -> None:
    stderr, tree = run(world, "forked", "carried")
    assert "not measured" not in stderr
    assert "exec 1 " in tree, tree
    assert "2 measured processes, 1 exec\n" in tree, tree


def test_another_program_that_c_code_executes_is_named_as_the_end_of_the_image(
    world: World,
) -> None:
    stderr, tree = run(world, "shell", "own")
    assert "not measured" not in stderr
    assert re.search(r"fork \d+ .*target\.py.* exec", tree), tree


def test_a_preexec_fn_makes_no_second_process(world: World) -> None:
    world.write(
        "target.py",
        "import os, subprocess, sys\n"
        "for how in {}, {'env': dict(os.environ)}, {'env': {}}:\n"
        "    subprocess.Popen([sys.executable, '-c', 'pass'], preexec_fn=os.setsid, **how).wait()\n",
    )
    done = world.covsup_run("target.py")
    assert (done.ended, done.stderr) == (0, ""), done
    tree = world.run(world.python, "-m", "covsup", "tree").stdout
    assert "4 measured processes, 3 execs\n" in tree, tree
    assert "end unknown" not in tree, tree
