"""Processes in namespaces of their own: what they execute is in the result, or the run says why not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("unshare") is None, reason="namespaces are Linux's"
)

WAYS = {
    "time": ("--time", "--monotonic=100000", "--boottime=200000", "--fork"),
    "time_before": ("--time", "--monotonic=-20", "--boottime=-20", "--fork"),
    "pid": ("--pid", "--fork", "--mount-proc"),
    "pid_with_the_proc_of_outside": ("--pid", "--fork"),
    "user": ("--user",),
    "user_and_pid": ("--user", "--map-root-user", "--pid", "--fork"),
    "net": ("--net",),
    "mount": ("--mount",),
}

SEEN = """
import os, sys
def is_seen(path):
    with open(path if os.path.exists(path) else os.devnull) as file:  # it is not there at once
        return f'["{sys.executable}","{sys.argv[0]}"' in file.read()
while not is_seen(sys.argv[1]):
    os.sched_yield()
"""
"""A program that goes on when the supervisor has seen it."""

TARGET = (
    SEEN
    + """
import subprocess
def decide(flag):
    if flag:
        return 1
    return 0
pid = os.fork()
if pid == 0:
    decide(0)
    os._exit(0)
os.waitpid(pid, 0)
subprocess.run([sys.executable, "child.py"], check=True)
decide(1)
"""
)


def needs(*options: str) -> None:
    """Skip where this may not be done."""
    done = subprocess.run(["unshare", *options, "true"], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"unshare {' '.join(options)}: {done.stderr.decode().strip()}")


@pytest.mark.parametrize("way", WAYS)
def test_what_runs_in_a_namespace_is_measured_and_known(world: World, way: str) -> None:
    needs(*WAYS[way])
    world.write("child.py", "import os\nprint(os.getpid() > 0)\n")
    world.write("target.py", TARGET)
    command = f"exec unshare {' '.join(WAYS[way])} {world.python} target.py $COVSUP_SESSION/observed.jsonl~"
    run = world.covsup_run("sh", "-c", command, options=["--strict"])
    assert (run.ended, run.stdout, run.stderr) == (0, "True\n", "")
    assert run.lines("child.py") == {1, 2}
    assert run.file("target.py").missing_lines <= {7}  # it may be seen at once
    tree = world.run(world.python, "-m", "covsup", "tree").stdout
    assert "3 measured processes\n" in tree
    # None stands there twice: by its journal, and as the supervisor saw it, who names no way.
    assert not re.search(r"─ \d+ \S*python", tree), tree
    # And the first one of a pid namespace is somebody's child.
    assert tree.count("\n└─") == 1, tree


def test_a_python_that_does_not_see_the_session_directory_is_named(world: World) -> None:
    needs("--mount")
    world.write("target.py", SEEN)
    (world.directory / "seen").mkdir()
    hidden = (
        "mount --bind $COVSUP_SESSION seen && mount -t tmpfs none .covsup"
        f" && exec {world.python} target.py seen/observed.jsonl~"
    )
    run = world.covsup_run("unshare", "--mount", "sh", "-c", hidden, options=["--strict"])
    assert run.ended == 3, str(run)
    assert "1 Python process was not measured: " in run.stderr
    assert ".covsup/" in run.stderr
    assert " does not exist where it ran (other mounts, another root): " in run.stderr
